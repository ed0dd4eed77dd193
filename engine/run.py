"""One life of one task server: the only actor, and the only caller of its architect.

The lifecycle decides what is legal, the ledger knows of it before it happens, then the architect acts. Whatever ends an
action (an error, a time-out, a cancellation) is recorded as what it is, and `shutdown` works from every state, also in the
middle of an action, which it cancels first. Shutting down is a task of its own: cancelling who waits for it stops nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from .architect import Architect, Presence, Site
from .bundle import Bundle
from .channel import Channel
from .config import LifecycleArgs
from .errors import LedgerError, LimitReached, ShutdownFailed, TransientError
from .ledger import Ledger, Step
from .lifecycle import Lifecycle
from .limit import NO_LIMIT, Limit
from .retry import deploy_attempts, shutdown_attempts
from .states import INITIAL, State, Trigger

T = TypeVar("T")
SETTLE_TIMEOUT = 10.0
"""Seconds that a cancelled action gets to end before shutting down goes on without it."""
UNDO_LIMIT = Limit(60.0, "the time for taking down a failed attempt")
"""Past it, the deploy is given up and shutting down takes over."""

log = logging.getLogger("falsework.run")


class Run:
    """Drives one architect through the lifecycle. `say` hears one line about each thing worth telling.

    `clock` gives seconds since the epoch, for the ledger. A run that was recorded before starts in `state`.
    """

    def __init__(
        self,
        site: Site,
        architect: Architect,
        ledger: Ledger,
        limits: LifecycleArgs,
        *,
        say: Callable[[str], None] = log.info,
        on_state: Callable[[State], None] = lambda state: None,
        clock: Callable[[], float] = time.time,
        state: State = INITIAL,
    ) -> None:
        self.site, self.architect, self.limits = site, architect, limits
        self.channels: list[Channel] = []
        self.story: list[Step] = []
        self._lifecycle = Lifecycle(site.run_id, state)
        self._ledger = ledger
        self._say, self._on_state, self._clock = say, on_state, clock
        self._moving = asyncio.Lock()
        self._action: asyncio.Task[Any] | None = None
        self._shutdown: asyncio.Task[None] | None = None
        site.record = self._record_resource

    @property
    def state(self) -> State:
        """Where the run is."""
        return self._lifecycle.state

    async def prepare(self) -> Bundle:
        """Make the bundle. Legal in configured and prepare_failed."""
        limit = Limit(self.limits.prepare_timeout, "lifecycle.prepare_timeout")
        return await self._act(Trigger.PREPARE, lambda: self.architect.prepare(self.site), limit)

    async def deploy(self, bundle: Bundle) -> str:
        """Seal the bundle and put the server up; returns its URL. Legal in prepared and deploy_failed.

        Tried again on TransientError only, after what the last attempt made was taken down. Raises the last error as
        itself, with the earlier ones as notes.
        """
        settings = self.limits.deploy
        failures: list[str] = []

        async def attempt() -> str:
            try:
                return await self._deploy_once(bundle)
            except Exception as error:
                failures.append(f"attempt {len(failures) + 1}: {error!r}")
                raise

        try:
            attempts = deploy_attempts(settings, self._say)
            return await Limit(settings.timeout, "lifecycle.deploy.timeout").apply(lambda: attempts(attempt))
        except Exception as error:
            for failure in failures[:-1]:
                error.add_note(failure)
            raise

    async def connect(
        self,
        on_channel_open: Callable[[str], None],
        on_catastrophic_disconnect: Callable[[str], None],
        on_message: Callable[[str, Any], None],
        acked: dict[str, int] | None = None,
        attach: Callable[[list[Channel]], None] = lambda channels: None,
    ) -> list[Channel]:
        """Open every channel; returns them. Legal in deployed, connect_failed and disconnected.

        `acked` says what is safe here already, by router epoch; `attach` gets the channels before the first one opens.
        """

        async def connect() -> list[Channel]:
            await self._close_channels()
            self.channels = self.architect.get_channels(
                self.site, on_channel_open, on_catastrophic_disconnect, on_message
            )
            attach(self.channels)
            for channel in self.channels:
                channel.acked.update(acked or {})
                await channel.open(self.limits.connect_timeout, self.limits.reconnect_timeout)
            return self.channels

        limit = Limit(self.limits.connect_timeout, "lifecycle.connect_timeout")
        try:
            return await self._act(Trigger.CONNECT, connect, limit)
        except BaseException:
            await self._close_channels()
            raise

    async def lose(self, reason: str) -> None:
        """The connection is lost and did not come back. Legal in connected."""
        await self._move(Trigger.LOST, reason)

    async def cleanup(self) -> None:
        """Remove what deploying needed and running does not. Legal once deployed; an error here is told, not raised."""
        try:
            await self.architect.cleanup(self.site)
        except Exception as error:  # noqa: BLE001 - what is left over here costs space, not the run
            self._say(f"cleanup after deploying failed: {error}")

    async def shutdown(self, reason: str) -> None:
        """Take everything down and see that it is gone. Legal in every state, repeatable, joins one that is under way.

        Raises ShutdownFailed if something still stands; then the run rests in shutdown_failed, and this may be called again.
        """
        if self.state is State.SHUT_DOWN:
            return
        if self._shutdown is None or self._shutdown.done():
            self._shutdown = asyncio.create_task(self._shut_down(reason), name=f"shutdown of {self.site.run_id}")
        await asyncio.shield(self._shutdown)

    # Acting

    async def _act(self, trigger: Trigger, action: Callable[[], Awaitable[T]], limit: Limit) -> T:
        """Record the trigger, then act, then record how it ended. In a task of its own, which shutting down can cancel."""
        work = asyncio.ensure_future(self._work(trigger, action, limit))
        self._action = work
        return await work

    async def _work(self, trigger: Trigger, action: Callable[[], Awaitable[T]], limit: Limit) -> T:
        work = self._next_step(trigger).dest
        try:
            await self._move(trigger)
            result = await limit.apply(action)
        except BaseException as error:
            if self.state is work:  # otherwise it never began, or shutting down went on without it
                await _uncancelled(self._move(Trigger.FAILED, error=error))
            raise
        if self.state is work:
            await self._move(Trigger.SUCCEEDED)
        return result

    async def _deploy_once(self, bundle: Bundle) -> str:
        limit = Limit(self.limits.deploy.attempt_timeout, "lifecycle.deploy.attempt_timeout")

        async def attempt() -> str:
            try:
                await asyncio.to_thread(bundle.seal)
                url = await limit.apply(lambda: self.architect.deploy(self.site, bundle))
            except LimitReached as error:
                await self._undo()
                raise TransientError(str(error)) from error
            except Exception:
                await self._undo()
                raise
            self.site.url = url
            await self._ledger.record_url(self.site.run_id, url)
            return url

        return await self._act(Trigger.DEPLOY, attempt, NO_LIMIT)

    async def _undo(self) -> None:
        """Take down what a failed attempt made, and see that it is gone, before the next one may start."""

        async def undo() -> None:
            await self.architect.shutdown(self.site)
            await self._see_it_gone()

        await UNDO_LIMIT.apply(undo)

    async def _see_it_gone(self) -> None:
        presence = await self.architect.probe(self.site)
        if presence is not Presence.GONE:
            raise ShutdownFailed(
                f"run {self.site.run_id}", [TransientError(f"the server is {presence}, not gone, after taking it down")]
            )

    # Shutting down

    async def _shut_down(self, reason: str) -> None:
        await self._stop_action()
        unrecorded = await self._move_regardless(Trigger.SHUTDOWN, reason)
        try:
            attempts = shutdown_attempts(self.limits.shutdown, self._say)
            limit = Limit(self.limits.shutdown.timeout, "lifecycle.shutdown.timeout")
            await limit.apply(lambda: attempts(self._take_down))
        except BaseException as error:
            await self._move_regardless(Trigger.FAILED, error=error)
            if isinstance(error, ShutdownFailed) or not isinstance(error, Exception):
                raise
            raise ShutdownFailed(f"run {self.site.run_id} could not be taken down", [error]) from error
        unrecorded = await self._move_regardless(Trigger.SUCCEEDED) or unrecorded
        if unrecorded is not None:
            unrecorded.add_note(f"run {self.site.run_id} is down, but the ledger does not know")
            raise unrecorded

    async def _stop_action(self) -> None:
        """Cancel the action under way and wait, within bounds, until it has ended and that is recorded."""
        if self._action is None or self._action.done():
            return
        self._action.cancel()
        _, running = await asyncio.wait({self._action}, timeout=SETTLE_TIMEOUT)
        if running:
            self._say(f"the work under way did not end within {SETTLE_TIMEOUT:g} s of being cancelled")

    async def _take_down(self) -> None:
        """Channels, then the server; one that fails never keeps the other from being tried."""
        errors: list[Exception] = []
        for step in (self._close_channels, lambda: self.architect.shutdown(self.site), self._see_it_gone):
            try:
                await step()
            except Exception as error:  # noqa: BLE001 - collected, raised together below
                errors.append(error)
        if errors:
            raise ShutdownFailed(f"run {self.site.run_id} is not down", errors)

    async def _close_channels(self) -> None:
        channels, self.channels = self.channels, []
        await asyncio.gather(*(channel.close() for channel in channels))

    # Recording

    async def _move(self, trigger: Trigger, reason: str = "", error: BaseException | None = None) -> None:
        """One transition: legal, then durable, then taken. Raises IllegalTransition or LedgerError, and moves nothing."""
        async with self._moving:
            step = self._next_step(trigger, reason, error)
            await _uncancelled(self._ledger.record(self.site.run_id, step))
            self._take(step)

    async def _move_regardless(
        self, trigger: Trigger, reason: str = "", error: BaseException | None = None
    ) -> LedgerError | None:
        """A transition on the way down, where an unwritable ledger must not keep the server up; returns its error."""
        async with self._moving:
            step = self._next_step(trigger, reason, error)
            unrecorded = None
            try:
                await _uncancelled(self._ledger.record(self.site.run_id, step))
            except LedgerError as ledger_error:
                self._say(f"going on without the ledger: {ledger_error}")
                unrecorded = ledger_error
            self._take(step)
            return unrecorded

    def _next_step(self, trigger: Trigger, reason: str = "", error: BaseException | None = None) -> Step:
        told = [str(step) for step in self.story]
        dest = self._lifecycle.destination(trigger, told)
        return Step(self._clock(), trigger, self.state, dest, reason, _described(error))

    def _take(self, step: Step) -> None:
        self._lifecycle.fire(step.trigger)
        self.story.append(step)
        self._on_state(self.state)

    async def _record_resource(self, resource: Any, stands: bool) -> None:
        try:
            await self._ledger.record_resource(self.site.run_id, resource, stands)
        except LedgerError:
            if stands:
                raise  # nothing may be created that nobody would know of
            self._say(f"the ledger could not be told that {resource.kind} {resource.name} is gone")


async def _uncancelled(work: Awaitable[None]) -> None:
    """Finish `work` even if the caller is cancelled meanwhile; then the cancellation goes on."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.cancelled():
                raise
            cancelled = error
        except Exception:  # noqa: BLE001 - raised by result() below
            break
    task.result()
    if cancelled is not None:
        raise cancelled


def _described(error: BaseException | None) -> str | None:
    if error is None:
        return None
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    return f"{type(error).__name__}: {error}"
