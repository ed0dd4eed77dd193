"""Work that ignores its cancellation, for tests of what has to cope with it."""

from __future__ import annotations

import asyncio


class Stubborn:
    """Work that goes on until told to end, however often it is cancelled, and then raises `error` if there is one."""

    def __init__(self, error: Exception | None = None) -> None:
        self.began, self.end, self.cancelled, self.error = asyncio.Event(), asyncio.Event(), 0, error

    async def work(self) -> str:
        self.began.set()
        while not self.end.is_set():
            try:
                await self.end.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
        if self.error:
            raise self.error
        return "done"


async def cancelled_task(task: asyncio.Task[str], times: int = 1) -> asyncio.Task[str]:
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    return task
