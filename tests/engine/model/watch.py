"""The invariants, and who sees to them after each step, with the story that led to a violation.

What is durable is read as another process would read it, past everything that a run believes.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from falsework.engine.errors import FalseworkError
from falsework.engine.lifecycle.states import (
    FINAL,
    INITIAL,
    TABLE,
    State,
    Transition,
    Trigger,
)

from .processes import Process, this_process

IN_ORDER = {
    "prepare": {State.PREPARING},
    "deploy": {State.DEPLOYING},
    "connect": {State.CONNECTING},
    "shutdown": {State.DEPLOYING, State.SHUTTING_DOWN},
}
"""In which durable states an action may begin: taking down is also how a failed attempt at deploying is undone. Looking is
legal anywhere, and beside anything."""
UNDONE = ("TransientError", "ArchitectError")
"""How the errors of an attempt at deploying begin after which nothing may stand: the others cut it off, or the undoing."""
TOLD = 100
"""Lines of a long story's beginning, and of its end."""
LONGEST_WAIT = 60.0
"""Seconds from the record that a run is shutting down until its architect is called: what was cancelled may take
`SETTLE_TIMEOUT` to end, closing the channels as long again and its own limit, the ledger its latency."""


class Violation(AssertionError):
    """The promise was broken. The notes tell the story."""


class Watch:
    """Watches one run. `clock` is the simulated time; `own` and `coming` are what stands, and what will."""

    own: Callable[[], set[str]]
    coming: Callable[[], set[str]]

    def __init__(self, run_id: str, durable: sqlite3.Connection, clock: Callable[[], float]) -> None:
        self._run_id, self._durable, self._clock = run_id, durable, clock
        self._notes: list[tuple[float, Process | None, str]] = []
        self._told, self._last = 0, INITIAL
        self.violation: str | None = None
        self.state: State | None = None
        """Where the ledger has the run; None before it was entered."""
        self.epoch = 0
        self.recorded: set[str] = set()
        """What the ledger says stands."""

    def note(self, line: str, process: Process | None = None) -> None:
        """Remember something for the story."""
        self._notes.append((self._clock(), process, line))

    def story(self) -> list[str]:
        """A line for each thing that happened; of a long story, how it begins and how it ends."""
        told = [f"{at:8.2f} s  {str(process or ''):9}  {line}" for at, process, line in self._notes]
        if len(told) <= 2 * TOLD:
            return told
        return [*told[:TOLD], f"… {len(told) - 2 * TOLD} lines …", *told[-TOLD:]]

    def blame(self, what: str) -> None:
        """The promise was broken. The first time counts."""
        self.note(f"VIOLATION: {what}")
        self.violation = self.violation or what

    # After each step

    def written(self, process: Process) -> None:
        """The ledger was written: read it, and see that it may say what it says."""
        found = self._read("select state, epoch from runs where run_id = ?")
        if not found:
            return
        before, self.state, self.epoch = self.state, State(found[0][0]), found[0][1]
        self.recorded = {name for (name,) in self._read("select name from resources where run_id = ? and gone is null")}
        self._see_steps(process)
        self._see_recorded()
        if self.state is FINAL and before is not FINAL:
            self._see_down(process)

    def appeared(self, name: str) -> None:
        """Something appeared at the provider."""
        self._see_recorded()
        if self.state is FINAL:
            self.blame(f"{name} appeared after the run was shut down")

    @contextmanager
    def acting(self, action: str, epoch: int) -> Iterator[None]:
        """An action of the architect, from its begin to its end."""
        process = this_process()
        self.note(f"{action} begins", process)
        if action != "probe":
            self._see_order(process, action, epoch)
        if action == "deploy":
            self._see_nothing(f"{action} began")
        if action == "shutdown":
            self._see_promptness(process)
        process.acting.append(action)
        try:
            yield
        except BaseException as error:
            self.note(f"{action} ends in {error!r}", process)
            raise
        else:
            self.note(f"{action} ends", process)
        finally:
            process.acting.remove(action)

    def ended(self, process: Process) -> None:
        """A process has come to its end by itself: it said what became of the run, and the ledger agrees."""
        errors = list(process.errors())
        self.note(f"ends: {errors or ('well' if process.ended_well else 'cancelled')}", process)
        for error in errors:
            if not isinstance(error, FalseworkError):
                self.blame(f"{process} ended in {error!r}, which is none of falsework's errors")
        run = process.run
        if run is None or run.site.epoch != self.epoch:
            return
        if process.ended_well and self.state is not FINAL:
            self.blame(f"{process} ended well, and the run is {self.state}")
        if not process.ledger_failed:
            if self.state not in (FINAL, State.SHUTDOWN_FAILED):
                self.blame(f"{process} ended, and left the run {self.state}")
            if self.state is not run.state:
                self.blame(f"the run is {run.state}, and {self.state} in the ledger")

    # Pieces

    def _read(self, query: str) -> list[Any]:
        """All rows at once: a cursor that is not at its end keeps others from writing."""
        return self._durable.execute(query, (self._run_id,)).fetchall()

    def _see_steps(self, process: Process) -> None:
        """Each new step is a row of the table, and leaves the state that the last one entered."""
        columns = "trigger, source, dest, reason, error"
        steps = self._read(
            f"select {columns} from transitions where run_id = ? order by id limit -1 offset {self._told}"
        )
        for trigger, source, dest, reason, error in steps:
            self.note(f"{source} → {dest}  {reason or error or ''}", process)
            if Transition(Trigger(trigger), State(source), State(dest)) not in TABLE:
                self.blame(f"{source} → {dest} by {trigger} is not in the table")
            if State(source) is not self._last:
                self.blame(f"{source} → {dest} does not leave where the run was")
            self._last = State(dest)
            self._told += 1
            if self._last is State.SHUTTING_DOWN:
                process.going_down_since, process.attempts = self._clock(), 0
            if self._last is State.DEPLOY_FAILED and error.startswith(UNDONE):
                self._see_nothing("deploying failed")
            if self._last is State.SHUTDOWN_FAILED:
                self._see_given_up(process, error)

    def _see_recorded(self) -> None:
        if unrecorded := self.own() - self.recorded:
            self.blame(f"{sorted(unrecorded)} stands, and the ledger does not say so")

    def _see_down(self, process: Process) -> None:
        self._see_nothing("shut down")
        if not process.saw_it_gone:
            self.blame("shut down, although the last look did not find it gone")
        if "deploy" in process.acting:
            self.blame("shut down, while deploying goes on")

    def _see_nothing(self, when: str) -> None:
        if standing := self.own() | self.coming():
            self.blame(f"{when}, while {sorted(standing)} stands or is about to")

    def _see_promptness(self, process: Process) -> None:
        """Whatever goes on although it was cancelled, taking down begins within bounds."""
        process.attempts += 1
        if process.attempts == 1 and (waited := self._clock() - process.going_down_since) > LONGEST_WAIT:
            self.blame(f"taking down began {waited:g} s after it was due")

    def _see_given_up(self, process: Process, error: str) -> None:
        """Taking down is given up after all its attempts, or in the end of its time, and for nobody's cancellation."""
        if process.run is None or process.ledger_failed or process.going_down_since == math.inf:
            return  # somebody else did, or it was not recorded when
        limits = process.run.limits.shutdown
        has_time = self._clock() - process.going_down_since < limits.timeout - limits.wait_max
        if error == "cancelled" or (process.attempts < limits.attempts and has_time):
            self.blame(f"gave up after {process.attempts} attempts: {error}")

    def _see_order(self, process: Process, action: str, epoch: int) -> None:
        if busy := set(process.acting) - set(process.given_up) - {"probe"}:
            self.blame(f"{action} began, while {sorted(busy)} was under way")
        taken_over = epoch != self.epoch
        untold = process.ledger_failed and action == "shutdown"
        if self.state not in IN_ORDER.get(action, set(State)) and not taken_over and not untold:
            self.blame(f"{action} began in {self.state}")
