"""A deadline that says, when it fires, what it was and which setting moves it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from ..errors import LimitReached

T = TypeVar("T")
SETTLE_TIMEOUT = 10.0
"""Seconds that cancelled work gets to end before it is given up."""


@dataclass(frozen=True)
class Limit:
    """`seconds` (None: none), the setting of the task file that moves it, and the error that says that it was reached."""

    seconds: float | None
    setting: str
    reached: type[LimitReached] = LimitReached

    async def apply(self, action: Callable[[], Awaitable[T]]) -> T:
        """Run `action` to its end within the limit. Raises LimitReached, after the action has ended from its cancellation."""
        async with self.kept():
            return await action()

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Hold the limit over a block. Raises LimitReached, after the block has ended from its cancellation."""
        scope = asyncio.timeout(self.seconds)
        try:
            async with scope:
                yield
        except TimeoutError as error:
            if self.seconds is None or not scope.expired():
                raise  # the action's own
            raise self.reached(self.seconds, self.setting) from error


NO_LIMIT = Limit(None, "")
