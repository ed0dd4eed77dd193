"""What a command answers to Ctrl-C while it has a run that may stand: what is waited for, until when, and what is left."""

from __future__ import annotations

import time
from typing import NoReturn

from ..errors import FalseworkError
from ..launch.farewell import LONGEST
from ..launch.serving import FAREWELL_TIMEOUT
from ..ledger.ledger import Ledger
from ..lifecycle.states import FINAL, State
from ..run.limit import SETTLE_TIMEOUT
from .exits import Exit
from .output import local_time
from .progress import Progress
from .signals import Edge, leave_with
from .story import finishing, standing

SETTING = "lifecycle.shutdown.timeout"


class WayDown(Edge):
    """The way down of the one run that `progress` follows. `limit` is its lifecycle.shutdown.timeout, once known."""

    def __init__(self, progress: Progress, ledger: Ledger, limit: float | None = None) -> None:
        self.limit = limit
        self._progress, self._ledger = progress, ledger
        self._stopped_at = 0.0

    def is_ending(self) -> bool:
        return self._progress.current in (State.SHUTTING_DOWN, FINAL)

    def stopping(self) -> None:
        self._stopped_at = time.time()
        self._progress.say("stopping: whatever stands is taken down; Ctrl-C again tells what is being waited for")

    def waiting(self, left: int) -> None:
        again = "once more" if left == 1 else f"{left} more times"
        self._progress.say(f"waiting for {self._awaited()}; Ctrl-C {again} leaves at once, and leaves it standing")

    def leave(self) -> NoReturn:
        self._progress.close()
        leave_with(["left at once", *what_stands(self._ledger, self._progress.run_id)], Exit.STANDING)

    def _awaited(self) -> str:
        here = self._progress.current
        if self.is_ending():
            things = ", ".join(_standing(self._ledger, self._progress.run_id)) or "the ledger to be written"
            limit = "" if self.limit is None else f"{_until(self._progress.since + self.limit)} ({SETTING})"
            return f"{things} to be gone{limit}"
        if here is State.CONNECTED:
            patience = f", as long as something comes every {FAREWELL_TIMEOUT:g} s"
            return f"the server to hand over what it still holds{patience}{_until(self._stopped_at + 2 * LONGEST)}"
        return f"{here or 'the preflight'} to end{_until(self._stopped_at + SETTLE_TIMEOUT)}"


def what_stands(ledger: Ledger, run_id: str | None) -> list[str]:
    """Lines that say what a run left standing, and which command finishes the job; none if there is no such run."""
    if run_id is None:
        return []
    return [*(f"still standing: {thing}" for thing in _standing(ledger, run_id)), finishing(run_id)]


def _standing(ledger: Ledger, run_id: str | None) -> list[str]:
    try:
        return [standing(resource) for resource in ledger.resources(run_id or "")]
    except FalseworkError as error:
        return [f"what cannot be named ({error})"]


def _until(seconds: float) -> str:
    return f", until {local_time(seconds).split()[1]} at the latest"
