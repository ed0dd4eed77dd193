"""The guard: a plain `transitions.Machine` over the table of states.py. It decides and records nothing else.

No callback does any I/O: in `transitions` 0.9.3 an error in `on_enter_x` leaves the model already in x, `on_exception`
swallows errors and the async machine swallows cancellation. So the machine only says what is legal; Run acts.
"""

from __future__ import annotations

from typing import cast

from transitions import Machine

from .errors import IllegalTransition
from .states import INITIAL, TABLE, State, Trigger


class Lifecycle:
    """Where one run is in its life, and which triggers are legal there. Does no I/O and reads no clock."""

    state: State  # kept by the machine

    def __init__(self, run_id: str, state: State = INITIAL) -> None:
        self.run_id = run_id
        self._machine = Machine(
            model=self,
            states=State,
            transitions=[row._asdict() for row in TABLE],
            initial=state,
            auto_transitions=False,
        )

    def legal(self) -> list[Trigger]:
        """The triggers that are legal now, in the order of the table."""
        return [Trigger(name) for name in self._machine.get_triggers(self.state)]

    def destination(self, trigger: Trigger, story: list[str] | None = None) -> State:
        """Where `trigger` would lead, without going there. Raises IllegalTransition, which tells `story`."""
        for found in self._machine.get_transitions(trigger.value, self.state):
            return State[cast(str, found.dest)]
        legal = [name.value for name in self.legal()]
        raise IllegalTransition(self.run_id, self.state.value, trigger.value, legal, story or [])

    def fire(self, trigger: Trigger) -> State:
        """Take the transition. Call it after the ledger has it; raises IllegalTransition and moves nothing otherwise."""
        self.destination(trigger)
        self._machine.events[trigger.value].trigger(self)
        return self.state
