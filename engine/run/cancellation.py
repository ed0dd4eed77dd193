"""Work that a cancellation must not cut off, and work that does not end when it is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

from ..errors import ArchitectError

T = TypeVar("T")
_making: ContextVar[asyncio.Task[Any] | None] = ContextVar("making", default=None)
"""The call that the code which asks belongs to, also in tasks that the call made."""
SETTLE_TIMEOUT = 10.0
"""Seconds that cancelled work gets to end before it is given up."""


class Calls:
    """Calls into code that may ignore its cancellation: each is a task of its own, and is given up if it does not end."""

    def __init__(self, say: Callable[[str], None], settle_timeout: float = SETTLE_TIMEOUT) -> None:
        self._say, self._settle_timeout = say, settle_timeout
        self._given_up: set[asyncio.Task[Any]] = set()

    @property
    def given_up(self) -> list[str]:
        """The calls that still go on although they were cancelled, by name."""
        return sorted(call.get_name() for call in self._given_up)

    def is_asked_by_given_up(self) -> bool:
        """Whether who asks belongs to a call that was given up."""
        return _making.get() in self._given_up

    async def make(self, name: str, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` to its end. A caller that is cancelled gets its CancelledError once the work has ended or was given up."""
        context = copy_context()
        call = asyncio.create_task(work, name=name, context=context)
        context.run(_making.set, call)
        try:
            await asyncio.wait({call})
        except asyncio.CancelledError as cancelled:
            raise cancelled from await self._end(call)
        if call.cancelled():
            raise ArchitectError(f"{name} was cancelled from within")
        return call.result()

    async def _end(self, call: asyncio.Task[Any]) -> BaseException | None:
        """Cancel a call and wait for its end, within bounds, however often that is cancelled; returns what it raised."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._settle_timeout
        call.cancel()
        while not call.done() and (left := deadline - loop.time()) > 0:
            try:
                await asyncio.wait({call}, timeout=left)
            except asyncio.CancelledError:
                call.cancel()
        if not call.done():
            self._given_up.add(call)
            call.add_done_callback(self._ended_late)
            self._say(f"{call.get_name()} goes on, {self._settle_timeout:g} s after it was cancelled")
            return None
        return None if call.cancelled() else call.exception()

    def _ended_late(self, call: asyncio.Task[Any]) -> None:
        self._given_up.discard(call)
        if not call.cancelled():
            call.exception()  # nobody waits for it any more
