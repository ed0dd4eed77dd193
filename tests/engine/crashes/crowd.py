"""The workers of one run: they hand in what is known here, and remember what they were told is safe, whoever dies meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Self

import aiohttp

from ..serving import Worker

NAMES = ("ann", "bob", "eve")
WITH_A_FILE = "eve"
PICTURE = b"a picture by eve"


class Crowd:
    """Three workers. `acknowledged` has the names of those who were told that their answer is saved.

    `all_joined` is called when everybody has a unit for the first time, before anybody hands in. Who is `late` hands in to the
    next launcher.
    """

    def __init__(self, all_joined: Callable[[], object] = lambda: None, late: str = "") -> None:
        self.acknowledged: set[str] = set()
        self.url = ""
        self._all_joined, self._late = all_joined, late
        self._workers: list[Worker] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        for worker in self._workers:
            await worker.close()

    async def work(self, url: str, gone: asyncio.Event) -> None:
        """Join and hand in. Who has a unit hands in also when the launcher is `gone`; nobody joins then."""
        assert self.url in ("", url), "a run that is taken up stays where it was"
        is_first, self.url = not self.url, url
        late = self._late if is_first else ""
        self._workers = self._workers or [Worker(url, name) for name in NAMES]
        for worker in self._workers:
            if not worker.agent_id:
                await _unless(gone, _join(worker))
        if is_first and all(worker.agent_id for worker in self._workers):
            self._all_joined()
        for worker in self._workers:
            if worker.agent_id and worker.name not in {*self.acknowledged, late}:
                await self._hand_in(worker)

    async def _hand_in(self, worker: Worker) -> None:
        answer = {"text": text_of(worker.name)}
        with suppress(aiohttp.ClientError):
            if worker.name == WITH_A_FILE:
                status, _ = await worker.submit_files(answer, picture=PICTURE)
            else:
                status, _ = await worker.submit(answer)
            if status in (200, 409):  # 409: it was taken before, and the router had no time to say so
                self.acknowledged.add(worker.name)


def text_of(name: str) -> str:
    """What this worker hands in, as {"text": …}."""
    return f"what {name} thinks"


async def _join(worker: Worker) -> None:
    with suppress(aiohttp.ClientError, AssertionError):  # the server is gone, or says that nobody can answer
        await worker.join()


async def _unless(gone: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Wait for `work`, which is given up when there is nobody to answer it."""
    working, waiting = asyncio.create_task(work), asyncio.create_task(gone.wait())
    try:
        await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        working.cancel()
        waiting.cancel()
        await asyncio.gather(working, waiting, return_exceptions=True)
