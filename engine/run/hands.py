"""The only calls of an architect: for a run that is driven, looked at, swept, collected or read.

Nothing else is given an architect. Each call is a task of its own with a limit of its own. A look that fails or does not end
is `unknown`; what ignores its cancellation is given up, and named, so that nothing waits for it for ever.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextvars import ContextVar, copy_context
from pathlib import Path
from typing import Any, TypeVar

from ..channel.channel import Channel
from ..channel.listener import Listener
from ..contract.architect import Architect, ArchitectArgs, Leftover, Presence, Site
from ..contract.bundle import Bundle
from ..contract.registry import architect_class
from ..errors import ArchitectError, FalseworkError
from ..lifecycle.states import Trigger
from ..settings.sections import TaskArgs
from .limit import NO_LIMIT, SETTLE_TIMEOUT, Limit
from .telling import harmless

T = TypeVar("T")
PROBE_LIMIT = Limit(20.0, "the time for a look at the server")
LOG_LIMIT = Limit(10.0, "the time for fetching the server's log")
LEFTOVERS_LIMIT = Limit(60.0, "the time for a provider to say what stands there")
PREFLIGHT_LIMIT = Limit(120.0, "the time for checking an architect's settings")
DOWNLOAD_LIMIT = Limit(600.0, "the time for fetching an uploaded file")
CLEANUP_LIMIT = Limit(60.0, "the time for cleaning up")
CLOSE_LIMIT = Limit(15.0, "the time for closing a channel")
SHARE, LEAST_SHARE, LARGEST_SHARE = 1 / 3, 30.0, 2 / 3
"""What one attempt at shutting down gets of the time for all of them: a third, at least 30 s, at the most two thirds."""

log = logging.getLogger("falsework.run")
_making: ContextVar[asyncio.Task[Any] | None] = ContextVar("making", default=None)
"""The call that the code which asks belongs to, also in tasks that the call made."""


class Hands:
    """One run's architect, and the only way to it. `say` hears of looks that failed and of what was given up.

    What was cancelled gets `settle_timeout` seconds to end.
    """

    def __init__(
        self,
        architect: Architect,
        site: Site,
        say: Callable[[str], None] = log.info,
        settle_timeout: float = SETTLE_TIMEOUT,
    ) -> None:
        self.site, self.say = site, harmless(say)
        self.trouble = ""
        """Why the last look at the server found nothing out, to be added to a sentence; empty if it did."""
        self._architect = architect
        self._calls = Calls(self.say, settle_timeout)

    @classmethod
    def of(cls, name: str, site: Site, say: Callable[[str], None]) -> Hands:
        """The hands of a run whose architect has this name. Raises ConfigError if there is none."""
        return cls(architect_class(name)(), site, say)

    @property
    def given_up(self) -> list[str]:
        """The calls that still go on although they were cancelled, by name."""
        return self._calls.given_up

    def is_asked_by_given_up(self) -> bool:
        """Whether who asks belongs to a call that was given up."""
        return self._calls.is_asked_by_given_up()

    # Actions: they raise what the architect raises, and LimitReached. Limits of the lifecycle are the run's to set.

    async def prepare(self) -> Bundle:
        """Make the bundle."""
        return await self._calls.make(Trigger.PREPARE, self._architect.prepare(self.site))

    async def deploy(self, bundle: Bundle) -> str:
        """Put the server up; returns its URL."""
        return await self._calls.make(Trigger.DEPLOY, self._architect.deploy(self.site, bundle))

    def get_channels(self, listener: Listener) -> list[Channel]:
        """The connections to the deployed server, not yet open."""
        return self._architect.get_channels(self.site, listener)

    async def connect(self, opening: Coroutine[Any, Any, T]) -> T:
        """See `opening` through, which opens the architect's channels."""
        return await self._calls.make(Trigger.CONNECT, opening)

    async def close(self, channel: Channel) -> None:
        """Close one of the architect's channels."""
        await self._calls.make("closing a channel", channel.close(), CLOSE_LIMIT)

    async def cleanup(self) -> None:
        """Remove what deploying needed and running does not."""
        await self._calls.make("cleanup", self._architect.cleanup(self.site), CLEANUP_LIMIT)

    async def download_file(self, filename: str, save_dir: Path) -> Path:
        """Fetch an uploaded file from the server."""
        return await self._calls.make(
            "download_file", self._architect.download_file(self.site, filename, save_dir), DOWNLOAD_LIMIT
        )

    async def shutdown(self, limit: Limit) -> None:
        """Take down everything recorded: one attempt of those that `limit` is for, with its share of the time."""
        await self._calls.make(Trigger.SHUTDOWN, self._architect.shutdown(self.site), share_of(limit))

    # Looks: they never raise, and end within seconds

    async def probe(self) -> Presence:
        """Look at the server; `unknown` where that fails or takes too long."""
        self.trouble = ""
        try:
            return await self._calls.make("probe", self._architect.probe(self.site), PROBE_LIMIT)
        except Exception as error:  # noqa: BLE001 - a look that fails is an answer too
            self.trouble = f" ({error})"
            self.say(f"the server could not be looked at: {error}")
            return Presence.UNKNOWN

    async def log_tail(self, lines: int) -> list[str]:
        """The last `lines` of the server's log; none where they cannot be had."""
        try:
            return await self._calls.make("log_tail", self._architect.log_tail(self.site, lines), LOG_LIMIT)
        except Exception as error:  # noqa: BLE001 - a log explains, and must not be in the way of what it explains
            self.say(f"the server's log could not be had: {error}")
            return []

    @property
    def remains(self) -> Path | None:
        """The server's data directory, where it is on this machine and outlives the server."""
        try:
            return self._architect.remains(self.site)
        except Exception as error:  # noqa: BLE001 - a look: what it cannot tell is not known
            self.say(f"what the server leaves behind could not be looked for: {error}")
            return None


async def preflight(args: ArchitectArgs, task: TaskArgs, say: Callable[[str], None]) -> None:
    """Check what a run would be deployed with; creates nothing. Raises ConfigError that says what to do, LimitReached."""
    checking = architect_class(args.type).assert_task_args(args, task)
    await Calls(harmless(say)).make("preflight", checking, PREFLIGHT_LIMIT)


async def leftovers(name: str, say: Callable[[str], None]) -> list[Leftover]:
    """What carries falsework's mark where the architect of this name works. Raises FalseworkError if that cannot be said."""
    try:
        return await Calls(harmless(say)).make("leftovers", architect_class(name)().leftovers(), LEFTOVERS_LIMIT)
    except FalseworkError:
        raise
    except Exception as error:
        raise ArchitectError(f"{type(error).__name__}: {error}") from error


def share_of(limit: Limit) -> Limit:
    """What one attempt gets of the time for all of them, so that another can follow it."""
    if limit.seconds is None:
        return limit
    seconds = max(limit.seconds * SHARE, min(LEAST_SHARE, limit.seconds * LARGEST_SHARE))
    return Limit(seconds, f"one attempt's share of {limit.setting}")


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

    async def make(self, name: str, work: Coroutine[Any, Any, T], limit: Limit = NO_LIMIT) -> T:
        """Run `work` to its end, within `limit`. Raises LimitReached.

        A caller that is cancelled gets its CancelledError once the work has ended or was given up.
        """
        context = copy_context()
        call = asyncio.create_task(work, name=name, context=context)
        context.run(_making.set, call)
        async with limit.kept():
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
