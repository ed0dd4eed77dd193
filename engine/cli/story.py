"""A run's story from its ledger: how long it was in each state, and why it came there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ..diagram import Visit
from ..ledger import Ledger, RunRecord, Step
from ..states import FINAL, INITIAL, State


@dataclass(frozen=True)
class Chapter:
    """One stay of a run in a state. Times are seconds since the epoch; `left` is None while it lasts."""

    state: State
    entered: float
    left: float | None
    reason: str = ""
    error: str | None = None

    def seconds(self, now: float) -> float:
        """How long it lasted, or lasts until now."""
        return (now if self.left is None else self.left) - self.entered


def chapters(run: RunRecord, steps: Sequence[Step]) -> list[Chapter]:
    """The stays of a run, in order, the one that lasts at the end."""
    entries = [(INITIAL, run.started, "", None), *((step.dest, step.at, step.reason, step.error) for step in steps)]
    ended = [
        Chapter(state, entered, later[1], reason, error) for (state, entered, reason, error), later in pairwise(entries)
    ]
    state, entered, reason, error = entries[-1]
    return [*ended, Chapter(state, entered, None, reason, error)]


def visits(ledger: Ledger, run: RunRecord, now: float) -> list[Visit]:
    """The same for a diagram. The end takes no time."""
    told = chapters(run, ledger.story(run.run_id))
    return [Visit(one.state, 0.0 if one.state is FINAL else one.seconds(now)) for one in told]
