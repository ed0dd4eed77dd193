"""One life of one task server: the only actor.

The account says what is legal and has it in the ledger before it happens, then the architect acts, through its hands.
Whatever ends an action (an error, a time-out, a cancellation) is recorded as what it is, and `shutdown` works from every
state, also in the middle of an action, which it cancels first. Shutting down is a task of its own: cancelling who waits for
it stops nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from ..channel.channel import Channel
from ..channel.listener import Listener
from ..contract.architect import Presence, Resource
from ..contract.bundle import Bundle
from ..errors import (
    ArchitectError,
    ConnectFailed,
    FalseworkError,
    IllegalTransition,
    ShutdownFailed,
)
from ..ledger.ledger import Ledger, RunTakenOver, Step
from ..lifecycle.states import (
    FINAL,
    INITIAL,
    State,
    Trigger,
)
from ..settings.sections import LifecycleArgs
from .account import Account
from .hands import Hands
from .limit import NO_LIMIT, Limit
from .retry import AttemptTimedOut, deploying, until_down
from .telling import harmless
from .watching import raise_once_gone, unless

T = TypeVar("T")
UNDO_LIMIT = Limit(60.0, "the time for taking down a failed attempt")
"""Past it, the deploy is given up and shutting down takes over."""
LINES_IN_ERROR, LINES_KEPT = 10, 1000
"""Lines of the server's log that an error carries, and that are kept of a server whose log goes with it."""
LOG_FILE = "server.log"
"""In the run's directory: those lines."""


class CutOff(FalseworkError):
    """An action ended early because somebody else shuts the run down."""


class Run:
    """Drives one architect through the lifecycle, one action at a time: while one is under way, only `shutdown` is legal.

    What is worth telling is told as its hands tell it. `clock` gives seconds since the epoch, for the ledger. A run that was
    recorded before starts in `state`.
    """

    def __init__(
        self,
        hands: Hands,
        ledger: Ledger,
        limits: LifecycleArgs,
        *,
        on_state: Callable[[State], None] = lambda state: None,
        clock: Callable[[], float] = time.time,
        state: State = INITIAL,
    ) -> None:
        self.hands, self.site, self.limits = hands, hands.site, limits
        self.channels: list[Channel] = []
        self._say = hands.say
        self._account = Account(self.site, ledger, state, self._say, harmless(on_state), clock)
        self._action: asyncio.Task[Any] | None = None
        self._stoppable: set[asyncio.Task[Any]] = set()
        self._shutdown: asyncio.Task[None] | None = None
        self.site.record = self._record_resource

    @property
    def state(self) -> State:
        """Where the run is."""
        return self._account.state

    @property
    def story(self) -> list[Step]:
        """How it came there."""
        return self._account.story

    @story.setter
    def story(self, story: list[Step]) -> None:
        self._account.story = story

    async def prepare(self) -> Bundle:
        """Make the bundle. Legal in configured and prepare_failed."""
        limit = Limit(self.limits.prepare_timeout, "lifecycle.prepare_timeout")
        return await self._act(Trigger.PREPARE, lambda: self._work(Trigger.PREPARE, self.hands.prepare, limit))

    async def deploy(self, bundle: Bundle) -> str:
        """Seal the bundle and put the server up; returns its URL. Legal in prepared and deploy_failed.

        Tried again on TransientError only, after what the last attempt made was taken down. Raises the last error as
        itself, with the earlier ones as notes.
        """
        return await self._act(Trigger.DEPLOY, lambda: self._deploy(bundle))

    async def connect(
        self,
        listener: Listener,
        acked: dict[str, int] | None = None,
        attach: Callable[[list[Channel]], None] = lambda channels: None,
    ) -> list[Channel]:
        """Open every channel; returns them. Legal in deployed, connect_failed and disconnected.

        `acked` says what is safe here already, by router epoch; `attach` gets the channels before the first one opens. If some
        of several do not open, they are lost: `listener` hears of them. Raises ConnectFailed if none does.
        """
        limit = Limit(self.limits.connect_timeout, "lifecycle.connect_timeout")

        async def open_all() -> None:
            failures = await self._open_channels(acked or {})
            if len(failures) == len(self.channels) > 0:
                raise next(iter(failures.values()))
            for channel_id in failures:
                listener.lost(channel_id)

        async def open_unless_gone() -> None:
            await unless(lambda: raise_once_gone(self.hands.probe, lambda: False), open_all)

        async def connect() -> list[Channel]:
            await self._close_channels()
            self.channels = self.hands.get_channels(listener)
            try:
                attach(self.channels)
                await self.hands.connect(open_unless_gone())
            except BaseException:
                await self._close_channels()
                raise
            return self.channels

        return await self._act(Trigger.CONNECT, lambda: self._work(Trigger.CONNECT, connect, limit))

    async def _open_channels(self, acked: dict[str, int]) -> dict[str, ConnectFailed]:
        """Open them all at once; returns why which of them did not. Of several, one gets half the time: the others go on."""
        timeout = self.limits.connect_timeout / (1 if len(self.channels) == 1 else 2)

        async def open_one(channel: Channel) -> None:
            channel.acked.update(acked)
            await channel.open(timeout, self.limits.reconnect_timeout)

        opened = await asyncio.gather(*(open_one(channel) for channel in self.channels), return_exceptions=True)
        failures: dict[str, ConnectFailed] = {}
        for channel, outcome in zip(self.channels, opened, strict=True):
            if isinstance(outcome, ConnectFailed):
                failures[channel.channel_id] = outcome
            elif outcome is not None:
                raise outcome
        return failures

    async def notice_death(self) -> NoReturn:
        """Raises ConnectFailed once a server that is not connected was seen to be gone."""
        await raise_once_gone(self.hands.probe, lambda: all(channel.is_connected for channel in self.channels))

    async def lose(self, reason: str) -> None:
        """The connection is lost and did not come back, or is given up. Legal in connected."""
        await self._account.tell(Trigger.LOST, reason)
        await self._close_channels()

    async def lose_one(self, channel: Channel) -> None:
        """Close one of several channels, which is lost for good; the run goes on with the others. Legal in connected."""
        await self._close(channel)
        self.channels = [one for one in self.channels if one is not channel]

    async def cleanup(self) -> None:
        """Remove what deploying needed and running does not. Legal once deployed; an error here is told, not raised."""
        if self._is_going_down:
            return
        try:
            await self._until_shutdown(asyncio.create_task(self.hands.cleanup(), name=f"cleanup of {self.site.run_id}"))
        except Exception as error:  # noqa: BLE001 - what is left over here costs space, not the run
            self._say(f"cleanup after deploying failed: {error}")

    async def explain(self, error: Exception) -> None:
        """Give an error the last lines of the server's log as a note, unless it has them. Call it before anything is deleted."""
        lines = await self.hands.log_tail(LINES_IN_ERROR)
        if lines and lines[-1] not in str(error):
            error.add_note("\n  ".join(["the last of its log:", *lines]))

    async def shutdown(self, reason: str) -> None:
        """Take everything down and see that it is gone. Legal in every state, repeatable, joins one that is under way.

        Raises ShutdownFailed if something still stands; then the run rests in shutdown_failed, and this may be called again.
        Raises LedgerError if it is down and the ledger does not know; calling this again tells the ledger. Raises
        RunTakenOver, and leaves the server alone, if another process owns the run by now.
        """
        if self._shutdown is None or self._shutdown.done():
            way_down = self._account.catch_up() if self.state is FINAL else self._shut_down(reason)
            self._shutdown = asyncio.create_task(way_down, name=f"shutdown of {self.site.run_id}")
        await asyncio.shield(self._shutdown)

    # Acting

    async def _act(self, trigger: Trigger, action: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do one action, if it is legal now and no other is under way."""
        if self._action is not None and not self._action.done():
            told = [str(step) for step in self.story]
            raise IllegalTransition(self.site.run_id, self.state, trigger, [Trigger.SHUTDOWN], told)
        self._account.destination(trigger)
        self._action = asyncio.create_task(action(), name=f"{trigger} of {self.site.run_id}")
        return await self._until_shutdown(self._action)

    async def _until_shutdown(self, task: asyncio.Task[T]) -> T:
        """Wait for work that shutting down cancels. Raises CutOff then: CancelledError is for who was cancelled himself."""
        self._stoppable.add(task)
        task.add_done_callback(self._stoppable.discard)
        try:
            return await task
        except asyncio.CancelledError as error:
            caller = asyncio.current_task()
            if caller is None or caller.cancelling():
                raise
            raise CutOff(f"{task.get_name()} was cut off: the run is being shut down") from error

    async def _work(self, trigger: Trigger, action: Callable[[], Awaitable[T]], limit: Limit) -> T:
        """Have it in the ledger that the work begins, do it, and record how it ended."""
        work = self._account.destination(trigger)
        try:
            await self._account.begin(trigger)
            async with limit.kept():
                result = await action()
        except BaseException as error:
            await self._account.fail(work, error)
            raise
        await self._account.succeed(work)
        return result

    async def _deploy(self, bundle: Bundle) -> str:
        url = ""
        async with deploying(self.limits.deploy, self._say) as attempts:
            async for attempt in attempts:
                with attempt:
                    url = await self._work(Trigger.DEPLOY, lambda: self._deploy_once(bundle), NO_LIMIT)
        return url

    async def _deploy_once(self, bundle: Bundle) -> str:
        """One attempt. It begins where nothing stands, and when it fails nothing stands; one that is cut off may leave things."""
        if self.site.resources or Trigger.DEPLOY in self.hands.given_up:
            await self._bring_down(UNDO_LIMIT)
        settings = self.limits.deploy
        limit = Limit(settings.attempt_timeout, "lifecycle.deploy.attempt_timeout", AttemptTimedOut)
        try:
            async with limit.kept():
                await asyncio.to_thread(bundle.seal)
                url = await self.hands.deploy(bundle)
        except Exception as error:
            await self.explain(error)
            await self._undo(error)
            raise
        await self._account.record_url(url)
        return url

    async def _undo(self, failure: Exception) -> None:
        """Take down what a failed attempt made, and see that it is gone, before the next one may start."""
        try:
            await self._bring_down(UNDO_LIMIT)
        except ShutdownFailed as error:
            error.add_note(f"this was to undo an attempt that failed with {failure!r}")
            raise

    async def _record_resource(self, resource: Resource, stands: bool) -> None:
        """As the account does. What was given up may make nothing more: it is taken down as far as it got."""
        if stands and self.hands.is_asked_by_given_up():
            raise ArchitectError(f"{resource.kind} {resource.name} may not be made any more: its deploy was given up")
        await self._account.record_resource(resource, stands)

    # Shutting down

    @property
    def _is_going_down(self) -> bool:
        return self._shutdown is not None and not self._shutdown.done()

    async def _shut_down(self, reason: str) -> None:
        for task in self._stoppable:
            task.cancel()
        try:
            await self._account.tell(Trigger.SHUTDOWN, reason)
            await self._let_go()
            await self._keep_log()
            await self._bring_down(Limit(self.limits.shutdown.timeout, "lifecycle.shutdown.timeout"))
            unrecorded = await self._account.tell(Trigger.SUCCEEDED)
        except RunTakenOver:
            await self._let_go()
            raise
        except BaseException as error:
            await self._account.fail(State.SHUTTING_DOWN, error)
            raise
        if unrecorded is not None:
            unrecorded.add_note(f"run {self.site.run_id} is down, but the ledger does not know")
            raise unrecorded

    async def _let_go(self) -> None:
        """End this side of things: wait until what was cancelled has ended or was given up, and close the channels."""
        if self._stoppable:
            await asyncio.wait(self._stoppable)
        await self._close_channels()

    async def _keep_log(self) -> None:
        """Of a server that leaves nothing on this machine, keep the end of its log."""
        if self.site.resources and self.hands.remains is None:
            lines = await self.hands.log_tail(LINES_KEPT)
            if lines:
                await asyncio.to_thread(_write_lines, self.site.directory / LOG_FILE, lines, self._say)

    async def _close_channels(self) -> None:
        """Close every channel."""
        await asyncio.gather(*(self._close(channel) for channel in self.channels))
        self.channels = []

    async def _close(self, channel: Channel) -> None:
        """What keeps a channel from closing is told, and keeps nothing else from happening."""
        try:
            await self.hands.close(channel)
        except Exception as error:  # noqa: BLE001 - its other end is what has to go, and that is looked at
            self._say(f"channel {channel.channel_id} could not be closed: {error}")

    async def _bring_down(self, limit: Limit) -> None:
        """Take down whatever stands, again and again, until it was seen to be gone. Raises ShutdownFailed."""
        await until_down(lambda: self._take_down(limit), self.limits.shutdown, limit, self._say)

    async def _take_down(self, limit: Limit) -> None:
        """One attempt, of those that `limit` is for. A step that fails never keeps the next from being tried."""
        deploy_goes_on = Trigger.DEPLOY in self.hands.given_up  # before looking: what it makes meanwhile is not seen
        errors: list[Exception] = []
        steps: tuple[Callable[[], Awaitable[None]], ...] = (lambda: self.hands.shutdown(limit), self._see_it_gone)
        for step in steps:
            try:
                await step()
            except Exception as error:  # noqa: BLE001 - collected, raised together below
                errors.append(error)
        if deploy_goes_on:
            errors.append(ArchitectError("deploying goes on although it was cancelled, and may still make something"))
        if errors:
            raise ShutdownFailed(f"run {self.site.run_id} is not down", errors)

    async def _see_it_gone(self) -> None:
        presence = await self.hands.probe()
        if presence is not Presence.GONE:
            raise ArchitectError(f"the server is {presence}, not gone, after it was taken down{self.hands.trouble}")


def _write_lines(path: Path, lines: list[str], say: Callable[[str], None]) -> None:
    try:
        path.write_text("".join(f"{line}\n" for line in lines))
    except OSError as error:
        say(f"the server's log could not be kept: {error}")
