"""What a run tells whoever watches it. The command line draws it; tests and programs may collect it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from .counts import Counts
from .lifecycle.states import State

log = logging.getLogger("falsework")


class Reporter:
    """Hears of everything worth telling. This one logs; override what you want to show."""

    def say(self, text: str) -> None:
        """One line in plain words."""
        log.info("%s", text)

    def begun(self, run_id: str, directory: Path) -> None:
        """A run has an id and a directory."""
        log.info("run %s in %s", run_id, directory)

    def state(self, state: State) -> None:
        """The run is in another state."""
        log.info("%s", state)

    def published(self, url: str) -> None:
        """Workers may come."""
        log.info("open for work at %s", url)

    def progress(self, counts: Counts) -> None:
        """Where the work stands; comes after each change."""


class OneOfSeveral(Reporter):
    """Tells what one run of several says, each line with the run's id."""

    def __init__(self, run_id: str, say: Callable[[str], None]) -> None:
        self._run_id, self._say = run_id, say

    def say(self, text: str) -> None:
        self._say(f"{self._run_id}: {text}")

    def begun(self, run_id: str, directory: Path) -> None:
        """It is known already."""

    def state(self, state: State) -> None:
        if state in (State.SHUT_DOWN, State.SHUTDOWN_FAILED):
            self.say(state.value)
