"""What a command tells about a run while it goes on: on stderr, one line for each event. On a terminal see terminal.py."""

from __future__ import annotations

import re
import sys
import time
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path

from ..counts import Counts
from ..lifecycle.states import State
from ..report import Reporter

BETWEEN_COUNTS = 1.0
"""Seconds between two lines that say where the work stands."""

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Progress(Reporter):
    """Remembers where a run is. How that is shown is the subclass's; showing never raises."""

    run_id: str | None = None
    directory: Path | None = None
    url: str | None = None
    counts: Counts | None = None

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.visited: list[State] = []
        self.since = clock()
        """When the run came to the state that it is in, in seconds since the epoch."""

    @property
    def current(self) -> State | None:
        """Where the run is, if there is one."""
        return self.visited[-1] if self.visited else None

    @abstractmethod
    def say(self, text: str) -> None: ...

    @abstractmethod
    def close(self) -> None:
        """Stop showing it; what is said from now on is only a line. May be repeated."""

    def begun(self, run_id: str, directory: Path) -> None:
        self.run_id, self.directory = run_id, directory

    def state(self, state: State) -> None:
        self.visited.append(state)
        self.since = self._clock()

    def published(self, url: str) -> None:
        self.url = url

    def progress(self, counts: Counts) -> None:
        self.counts = counts


class PlainProgress(Progress):
    """One plain line for each event."""

    _counted_at = 0.0
    _counted = 0

    def say(self, text: str) -> None:
        print(printable(text), file=sys.stderr, flush=True)

    def close(self) -> None:
        """There is nothing to stop."""

    def begun(self, run_id: str, directory: Path) -> None:
        super().begun(run_id, directory)
        self.say(f"run {run_id}, its files are in {directory}")

    def state(self, state: State) -> None:
        super().state(state)
        self.say(state.value)

    def published(self, url: str) -> None:
        super().published(url)
        self.say(f"open for work at {url}")

    def progress(self, counts: Counts) -> None:
        super().progress(counts)
        if counts.done == self._counted:
            return
        if counts.done == counts.units or self._clock() - self._counted_at >= BETWEEN_COUNTS:
            self._counted, self._counted_at = counts.done, self._clock()
            self.say(told_counts(counts))


def told_counts(counts: Counts) -> str:
    """`12 of 40 units, 3 at work`."""
    return f"{counts.done} of {counts.units} units, {counts.agents_open} at work"


def printable(text: str) -> str:
    """Text of anybody's, without what would steer the terminal."""
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text)
