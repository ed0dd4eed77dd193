"""The simulated provider: what stands there, seen late, gone late, and told wrongly.

A request arrives after a while, or never; it takes effect, and the answer arrives, or not. What was created appears late,
what was deleted stays a while or for ever, and a listing shows how things were some time ago. All of it within the bounds
below, which an architect may know: no provider can be dealt with otherwise.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

from falsework.engine.errors import ArchitectError, TransientError

from .choices import Choices
from .clock import JumpingLoop
from .watch import Watch

T = TypeVar("T")

LATENCY = (0.0, 0.0, 0.1, 1.0, 5.0)
"""Seconds that a request or an answer may be under way."""
APPEARS = (0.0, 0.0, 0.5, 3.0, 10.0)
"""Seconds from the effect of a creation until the thing stands."""
VANISHES = (0.0, 0.0, 2.0, 4.0, math.inf)
"""Seconds from the effect of a deletion until the thing is gone; never: accepted, and not done."""
LAG = (0.0, 0.0, 1.0, 5.0)
"""How many seconds old a listing is."""
LEDGER_LATENCY = (0.0, 0.0, 0.0, 0.01, 2.0)
"""Seconds that the ledger takes for each half of a write: until it is durable, and until that is known."""
CERTAINTY = 2 * max(LEDGER_LATENCY) + max(LATENCY) + max(APPEARS) + max(LAG) + 1.0
"""Seconds after the last request to create after which a listing that shows nothing proves that there is nothing."""

WORLD = Context()
"""In which everything happens that no death of a process stops."""


class Fault(Enum):
    """What may become of one call."""

    NONE = "is answered"
    REFUSED = "is refused for now"
    BROKEN = "is refused for good"
    LOST = "never arrives, and hangs"
    DROPPED = "takes effect, and the answer is an error"
    SILENT = "takes effect, and hangs"


_NEVER_ARRIVES = {
    Fault.REFUSED: TransientError("come back later"),
    Fault.BROKEN: ArchitectError("no such thing here"),
}


@dataclass
class Thing:
    """Something at the provider, from `appears` until `vanishes`. `owner` is the run id in its label."""

    name: str
    owner: str
    appears: float = -math.inf
    vanishes: float = math.inf
    immortal: bool = False

    def stands(self, at: float) -> bool:
        return self.appears <= at < self.vanishes


class Provider:
    """In some schedules it is troubled, in some the first thing that is created cannot be deleted."""

    def __init__(self, loop: JumpingLoop, choices: Choices, watch: Watch, run_id: str) -> None:
        self._loop, self._choices, self._watch, self._run_id = loop, choices, watch, run_id
        watch.own, watch.coming = self.own, self.coming
        self._trouble, self._immortal = choices.pick(256, 64, 16, 8), choices.one_in(16)
        self.outage_until = 0.0
        self.things = [Thing(f"{run_id}-app-of-somebody", f"{run_id}0"), Thing(run_id[:-1], run_id[:-1])]

    # What an architect may ask

    async def create(self, name: str, owner: str) -> None:
        """Make a thing. Adopts one that is being made; raises TransientError if one of that name stands."""
        await self._call(f"create {name}", lambda: self._create(name, owner))

    async def delete(self, name: str) -> bool:
        """Delete what stands under this name; False if nothing does."""
        return await self._call(f"delete {name}", lambda: self._delete(name))

    async def listing(self) -> list[tuple[str, str]]:
        """Name and owner of all things."""
        return await self._call("listing", self._list)

    async def think(self, about: str) -> None:
        """Something that changes nothing here."""
        await self._call(about, lambda: None)

    # What is so, whoever asks

    def own(self) -> set[str]:
        """What stands and is the run's."""
        return {thing.name for thing in self._own_things() if thing.stands(self._loop.now)}

    def coming(self) -> set[str]:
        """What will appear."""
        return {thing.name for thing in self._own_things() if self._loop.now < thing.appears < thing.vanishes}

    def has_immortals(self) -> bool:
        """Whether something stands that nothing can delete."""
        return any(thing.immortal for thing in self._own_things())

    def _own_things(self) -> list[Thing]:
        return [thing for thing in self.things if thing.owner == self._run_id]

    # A call: `_trouble` is how many of them go well for one that does not

    async def _call(self, what: str, effect: Callable[[], T]) -> T:
        fault = self._fault()
        reply: asyncio.Future[Any] = self._loop.create_future()
        self._watch.note(f"{what} {fault.value}")
        if fault in _NEVER_ARRIVES:
            self._later(_answer, reply, _fresh(_NEVER_ARRIVES[fault]))
        elif fault is not Fault.LOST:
            self._later(self._arrive, effect, reply, fault)
        return await reply  # type: ignore[no-any-return]

    def _fault(self) -> Fault:
        if self._loop.now < self.outage_until and not self._choices.calm:
            return Fault.REFUSED
        return self._choices.pick(*tuple(Fault)[1:]) if self._choices.one_in(self._trouble) else Fault.NONE

    def _arrive(self, effect: Callable[[], object], reply: asyncio.Future[Any], fault: Fault) -> None:
        outcome = effect()
        if fault is Fault.DROPPED:
            outcome = TransientError("the answer is lost")
        if fault is not Fault.SILENT:
            self._later(_answer, reply, outcome)

    def _later(self, callback: Callable[..., object], *arguments: Any) -> None:
        self._loop.call_later(self._choices.pick(*LATENCY), callback, *arguments, context=WORLD)

    # Effects

    def _create(self, name: str, owner: str) -> TransientError | None:
        if name in self.coming():
            return None
        if name in self.own():
            return TransientError(f"{name} is there already")
        thing = Thing(name, owner, self._loop.now + self._choices.pick(*APPEARS))
        thing.immortal, self._immortal = self._immortal, False
        self.things.append(thing)
        if thing.appears > self._loop.now:
            self._loop.call_at(thing.appears, self._appear, thing, context=WORLD)
        else:
            self._appear(thing)
        return None

    def _appear(self, thing: Thing) -> None:
        self._watch.note(f"{thing.name} appears")
        self._watch.appeared(thing.name)

    def _delete(self, name: str) -> bool:
        found = [thing for thing in self.things if thing.name == name and thing.stands(self._loop.now)]
        for thing in found:
            if thing.owner != self._run_id:
                self._watch.blame(f"{name} was deleted, which belongs to {thing.owner}")
            elif not thing.immortal:
                thing.vanishes = min(thing.vanishes, self._loop.now + self._choices.pick(*VANISHES))
        return bool(found)

    def _list(self) -> list[tuple[str, str]]:
        then = self._loop.now - self._choices.pick(*LAG)
        return [(thing.name, thing.owner) for thing in self.things if thing.stands(then)]


def _answer(reply: asyncio.Future[Any], outcome: object) -> None:
    if reply.done():
        return
    if isinstance(outcome, Exception):
        reply.set_exception(outcome)
    else:
        reply.set_result(outcome)


def _fresh(error: Exception) -> Exception:
    return type(error)(*error.args)
