"""The guard: a plain `transitions.Machine` over the table of states.py. It decides and records nothing else.

No callback does any I/O: in `transitions` 0.9.3 an error in `on_enter_x` leaves the model already in x, `on_exception`
swallows errors and the async machine swallows cancellation. So the machine only says what is legal; Run acts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from transitions import Machine

from ..errors import IllegalTransition
from .states import (
    INITIAL,
    TABLE,
    State,
    Trigger,
)

_MACHINE = Machine(
    model=None,
    states=State,
    transitions=[row._asdict() for row in TABLE],
    initial=INITIAL,
    auto_transitions=False,
)
"""Made once, as it is the same for every run (and takes a millisecond): each Lifecycle is a model that it does not keep."""


class Lifecycle:
    """Where one run is in its life, and which triggers are legal there. Does no I/O and reads no clock."""

    state: State  # moved by the machine

    def __init__(self, run_id: str, state: State = INITIAL) -> None:
        self.run_id, self.state = run_id, state

    def legal(self) -> list[Trigger]:
        """The triggers that are legal now, in the order of the table."""
        return [Trigger(name) for name in _MACHINE.get_triggers(self.state)]

    def destination(self, trigger: Trigger, story: Iterable[object] = ()) -> State:
        """Where `trigger` would lead, without going there. Raises IllegalTransition, which tells `story`."""
        for found in _MACHINE.get_transitions(trigger.value, self.state):
            return State[cast(str, found.dest)]
        legal = [name.value for name in self.legal()]
        raise IllegalTransition(self.run_id, self.state.value, trigger.value, legal, [str(step) for step in story])

    def fire(self, trigger: Trigger) -> State:
        """Take the transition. Call it after the ledger has it; raises IllegalTransition and moves nothing otherwise."""
        self.destination(trigger)
        _MACHINE.events[trigger.value].trigger(self)
        return self.state
