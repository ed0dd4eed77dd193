"""What ends the work of a run before it is done: its limits. Each waits for ever if there is none, and only ever raises."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, NoReturn

from ..errors import FalseworkError


class RunEnded(FalseworkError):
    """The run ended before every unit had its submissions; the reason says why."""


async def forever() -> NoReturn:
    """Never ends by itself."""
    while True:
        await asyncio.Event().wait()


async def end_after(seconds: float | None, limit: float | None) -> NoReturn:
    """Raises RunEnded `seconds` from now, when the run has lasted for `limit` seconds in all."""
    if seconds is None or limit is None:
        await forever()
    await asyncio.sleep(seconds)
    raise RunEnded(f"the run has lasted {limit:g} s (lifecycle.max_lifetime)")


async def end_when_idle(timeout: float | None, last_heard: Callable[[], float], clock: Callable[[], float]) -> NoReturn:
    """Raises RunEnded once no worker was heard for `timeout` seconds; `last_heard` is when one was, by `clock`."""
    if timeout is None:
        await forever()
    left = timeout
    while left > 0:
        await asyncio.sleep(left)
        left = last_heard() + timeout - clock()
    raise RunEnded(f"no worker was heard for {timeout:g} s (lifecycle.idle_timeout)")


async def until(done: asyncio.Event, watches: Iterable[Coroutine[Any, Any, NoReturn]]) -> None:
    """Wait for `done`, or raise what a watch raises before. The watches are over when this is."""
    tasks = [asyncio.create_task(watch) for watch in watches]
    doing = asyncio.create_task(done.wait())
    try:
        ended, _ = await asyncio.wait({doing, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        if doing not in ended:
            for task in ended:
                task.result()
    finally:
        for task in (doing, *tasks):
            task.cancel()
        await asyncio.gather(doing, *tasks, return_exceptions=True)
