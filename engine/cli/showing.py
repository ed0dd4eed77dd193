"""Where a command's progress is shown: as lines on stderr, or drawn on a terminal."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

from .progress import PlainProgress, Progress


@contextmanager
def showing() -> Iterator[Progress]:
    """Show progress on stderr, with warnings of the libraries and what a task's own code prints among it."""
    progress = _terminal_progress() or PlainProgress()
    handler = _Sayer(progress)
    logging.getLogger().addHandler(handler)
    try:
        with redirect_stdout(sys.stderr):
            yield progress
    finally:
        progress.close()
        logging.getLogger().removeHandler(handler)


class _Sayer(logging.Handler):
    """Warnings become lines of the progress."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(logging.WARNING)
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        self._progress.say(self.format(record))


def _terminal_progress() -> Progress | None:
    if not sys.stderr.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        return None
    from .terminal import TerminalProgress

    return TerminalProgress()
