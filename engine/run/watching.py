"""Noticing that a server has ended. A channel only finds that it cannot be reached, and tries for as long as it may."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NoReturn, TypeVar

from ..contract.architect import Presence
from ..errors import ConnectFailed

T = TypeVar("T")
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds between two looks at a server that does not answer: at first, and at the most."""
LOOKS = 2
"""Looks in a row that must find nothing: one proves nothing."""


async def raise_once_gone(
    probe: Callable[[], Awaitable[Presence]],
    is_connected: Callable[[], bool],
    first_pause: float = FIRST_PAUSE,
    longest_pause: float = LONGEST_PAUSE,
) -> NoReturn:
    """Raises ConnectFailed once the server was seen to be gone. Looks only while it is not connected."""
    pause, gone = first_pause, 0
    while True:
        await asyncio.sleep(pause)
        if is_connected():
            pause, gone = first_pause, 0
            continue
        is_gone = await probe() is Presence.GONE
        pause, gone = (first_pause, gone + 1) if is_gone else (min(2 * pause, longest_pause), 0)
        if gone == LOOKS:
            raise ConnectFailed("the server has ended by itself")


async def unless(watch: Callable[[], Coroutine[Any, Any, NoReturn]], work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """What `work` comes to, or what `watch` raises before; both are over when this is."""
    doing, watching = asyncio.create_task(work()), asyncio.create_task(watch())
    try:
        await asyncio.wait({doing, watching}, return_when=asyncio.FIRST_COMPLETED)
        return doing.result() if doing.done() else watching.result()
    finally:
        for task in (doing, watching):
            task.cancel()
        await asyncio.gather(doing, watching, return_exceptions=True)
