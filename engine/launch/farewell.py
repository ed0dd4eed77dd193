"""The end of the work: everybody is sent home, and what the server still holds is taken in before it goes.

A worker who was told "Submitted!" before that is stored when this ends, unless server or disk fail for longer than waited.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from ..lifecycle.states import State
from ..report import Reporter
from ..run.run import Run
from ..work.foreman import Foreman
from .salvage import salvage

LONGEST = 600.0
"""Seconds after which a server that still hands over is taken down all the same."""


async def take_leave(run: Run, foreman: Foreman, reporter: Reporter, patience: float) -> None:
    """Let nobody begin anything, and wait for what is on its way as long as something arrives every `patience` seconds."""

    async def say_bye() -> bool:
        return all(await asyncio.gather(*(channel.say_bye(patience) for channel in run.channels)))

    foreman.expire_all()
    await _hand_over(say_bye, run, foreman, reporter, patience)


async def take_in(run: Run, foreman: Foreman, reporter: Reporter, patience: float) -> None:
    """Wait for what the servers held when they were connected to, as long as something arrives. They go on afterwards."""

    async def catch_up() -> bool:
        return all(await asyncio.gather(*(channel.catch_up(patience) for channel in run.channels)))

    await _hand_over(catch_up, run, foreman, reporter, patience)


async def take_down(run: Run, foreman: Foreman, reporter: Reporter, reason: str) -> None:
    """Shut the run down, and take in what the server left on this machine, whether or not that went well."""
    try:
        await run.shutdown(reason)
    finally:
        await foreman.stop()
        await salvage(run.hands.remains, foreman, reporter)


async def _hand_over(
    attempt: Callable[[], Awaitable[bool]], run: Run, foreman: Foreman, reporter: Reporter, patience: float
) -> None:
    async def settle() -> bool:
        try:
            async with asyncio.timeout(patience):
                await foreman.settle()
        except TimeoutError:
            return False
        return True

    if run.state is State.CONNECTED and not await _while_things_arrive(foreman, attempt):
        reporter.say(f"the server handed over nothing more for {patience:g} s, though it holds something or is away")
    await _while_things_arrive(foreman, settle)


async def _while_things_arrive(foreman: Foreman, attempt: Callable[[], Awaitable[bool]]) -> bool:
    """Attempt after attempt, until one succeeds or nothing arrived during the last one; returns which."""
    until = time.monotonic() + LONGEST
    while time.monotonic() < until:
        before = foreman.arrived()
        if await attempt():
            return True
        if foreman.arrived() == before:
            break
    return False
