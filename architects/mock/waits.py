"""Waiting for something to happen, in place of sleeping: a look at each piece of news, and a deadline that says what came."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from falsework.engine.errors import FalseworkError

T = TypeVar("T")


class NotSeen(FalseworkError, TimeoutError):
    """What was waited for did not happen in time, or cannot happen any more. Says what happened instead."""

    def __init__(self, what: str, limit: str, instead: str) -> None:
        self.what, self.limit, self.instead = what, limit, instead
        super().__init__(f"{what}: not seen {limit}. Seen: {instead or 'nothing'}")


class News:
    """Tells whoever waits that it is worth looking again. All of it belongs to one event loop."""

    def __init__(self, told: Callable[[], str]) -> None:
        """`told` puts into words what was seen so far, for a wait that is in vain."""
        self._told = told
        self._comes = asyncio.Event()
        self._over: str | None = None

    def wake(self) -> None:
        """Something happened."""
        comes, self._comes = self._comes, asyncio.Event()
        comes.set()

    def end(self, why: str) -> None:
        """Nothing more happens: whoever waits, or will, looks once more and then gives up."""
        self._over = why
        self.wake()

    async def until(self, look: Callable[[], T | None], what: str, timeout: float) -> T:
        """What `look` finds, as soon as that is not None. Raises NotSeen after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                while (seen := look()) is None:
                    if self._over is not None:
                        raise NotSeen(what, f"before {self._over}", self._told())
                    await self._comes.wait()
                return seen
        except NotSeen:
            raise
        except TimeoutError as error:
            raise NotSeen(what, f"within {timeout:g} s", self._told()) from error
