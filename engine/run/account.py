"""One run's account in the ledger: its moves from state to state and its resources, in the ledger before they are true.

What precedes work needs the ledger: where that cannot be written, nothing moves and nothing is made. What tells of something
that has happened anyway (a failure, a loss, the way down) is taken all the same, and the ledger hears of it as soon as it can.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ..contract.architect import Resource, Site
from ..contract.cancellation import uncancelled
from ..errors import ArchitectError, LedgerError
from ..ledger.ledger import Ledger, RunTakenOver, Step
from ..lifecycle.guard import Lifecycle
from ..lifecycle.states import State, Trigger

_WAY_DOWN = (State.SHUTTING_DOWN, State.SHUT_DOWN, State.SHUTDOWN_FAILED)


class Account:
    """Where a run is, and how it came there. `say` hears what the ledger could not be told, `on_state` each new state."""

    def __init__(
        self,
        site: Site,
        ledger: Ledger,
        state: State,
        say: Callable[[str], None],
        on_state: Callable[[State], None],
        clock: Callable[[], float],
    ) -> None:
        self.story: list[Step] = []
        self._site, self._ledger = site, ledger
        self._lifecycle = Lifecycle(site.run_id, state)
        self._say, self._on_state, self._clock = say, on_state, clock
        self._turn = asyncio.Lock()
        self._untold: list[Step] = []
        """Steps that were taken and that the ledger does not have, in order."""

    @property
    def state(self) -> State:
        """Where the run is."""
        return self._lifecycle.state

    def destination(self, trigger: Trigger) -> State:
        """Where `trigger` would lead. Raises IllegalTransition, with the story."""
        return self._lifecycle.destination(trigger, self.story)

    # Moves

    async def begin(self, trigger: Trigger) -> None:
        """Move to work that is about to be done. Raises IllegalTransition or LedgerError, and moves nothing."""
        async with self._turn:
            await self._record(self._step(trigger))

    async def succeed(self, work: State) -> None:
        """Record that `work` is done, if the run is still at it. Raises LedgerError: what is not recorded does not go on."""
        async with self._turn:
            if self.state is work:
                await self._record(self._step(Trigger.SUCCEEDED))

    async def fail(self, work: State, error: BaseException) -> None:
        """Tell that `work` ended in `error`, if the run is still at it."""

        async def fail() -> None:
            async with self._turn:
                if self.state is work:
                    await self._record_or_take(self._step(Trigger.FAILED, error=error))

        await uncancelled(fail())

    async def tell(self, trigger: Trigger, reason: str = "") -> LedgerError | None:
        """Tell what has happened, or happens whether or not the ledger can be written; returns the ledger's error.

        Raises IllegalTransition or RunTakenOver, and moves nothing.
        """
        async with self._turn:
            return await self._record_or_take(self._step(trigger, reason))

    async def catch_up(self) -> None:
        """Tell the ledger what it could not be told before. Raises LedgerError."""
        async with self._turn:
            await self._record_untold()

    # Resources

    async def record_resource(self, resource: Resource, stands: bool) -> None:
        """Record a resource and remember it in the site: both or neither, whoever is cancelled in between.

        Raises LedgerError if it is about to be made and the ledger cannot be told, ArchitectError if it is about to be made
        on the way down, where nothing new may stand.
        """
        if stands and self.state in _WAY_DOWN and not self._knows(resource):
            raise ArchitectError(
                f"run {self._site.run_id} is {self.state}: {_named(resource)} may not be made any more"
            )
        try:
            recording = self._ledger.record_resource(self._site.run_id, resource, stands, self._site.epoch)
            await _also_if_cancelled(recording, lambda: self._site.remember(resource, stands))
        except LedgerError as error:
            if stands:
                raise  # nothing may be made that nobody would know of
            self._say(f"the ledger could not be told that {_named(resource)} is gone: {error}")
            self._site.remember(resource, stands)

    async def record_url(self, url: str) -> None:
        """Record where the server answers, and remember it in the site. Raises LedgerError."""
        await self._ledger.record_url(self._site.run_id, url)
        self._site.url = url

    # Pieces

    def _step(self, trigger: Trigger, reason: str = "", error: BaseException | None = None) -> Step:
        dest = self.destination(trigger)
        return Step(self._clock(), trigger, self.state, dest, reason, None if error is None else described(error))

    async def _record(self, step: Step) -> None:
        await self._record_untold()
        await self._enter(step, lambda: self._take(step))

    async def _record_untold(self) -> None:
        while self._untold:
            await self._enter(self._untold[0], lambda: self._untold.pop(0))

    async def _enter(self, step: Step, then: Callable[[], object]) -> None:
        await _also_if_cancelled(self._ledger.record(self._site.run_id, step, self._site.epoch), then)

    async def _record_or_take(self, step: Step) -> LedgerError | None:
        try:
            await self._record(step)
        except RunTakenOver:
            raise
        except LedgerError as error:
            self._say(f"going on without the ledger: {error}")
            self._untold.append(step)
            self._take(step)
            return error
        return None

    def _take(self, step: Step) -> None:
        self._lifecycle.fire(step.trigger)
        self.story.append(step)
        self._on_state(self.state)

    def _knows(self, resource: Resource) -> bool:
        return any((known.kind, known.name) == (resource.kind, resource.name) for known in self._site.resources)


def described(error: BaseException) -> str:
    """What an error comes to, in one line: of a group, all that is in it."""
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    if isinstance(error, BaseExceptionGroup):
        return f"{type(error).__name__}: {error.message} ({'; '.join(described(inner) for inner in error.exceptions)})"
    return f"{type(error).__name__}: {error}"


async def _also_if_cancelled(recording: Awaitable[None], then: Callable[[], object]) -> None:
    """What is durable is also true, and `then` makes it so: the ledger lets a cancellation through only after the write."""
    try:
        await recording
    except asyncio.CancelledError:
        then()
        raise
    then()


def _named(resource: Resource) -> str:
    return f"{resource.kind} {resource.name}"
