"""What a run tells whoever watches it. The command line draws it; tests and programs may collect it."""

from __future__ import annotations

import logging
from pathlib import Path

from .states import State
from .work.assignments import Counts

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
