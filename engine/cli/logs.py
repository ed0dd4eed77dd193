"""`logs`: what a run's server logged."""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path

from ..errors import FalseworkError
from ..launch.takeover import run_of, settings_of
from ..ledger.ledger import Ledger, RunRecord
from ..lifecycle.states import FINAL
from ..report import Reporter
from ..run.run import LOG_FILE as KEPT
from . import loop
from .records import reading_run

FILE_NAME = "router.log"
"""What a server on this machine writes."""
GLANCE = 0.2
"""Seconds between two looks at a log that is being followed."""


class NoLog(FalseworkError):
    """The run's server has logged nothing that can be found here."""


def logs(text: str, lines: int, follow: bool) -> None:
    """Print the last `lines` lines; with `follow` whatever comes, until the run has ended."""
    with reading_run(text) as (ledger, run):
        path = log_file(run)
        if path is None:
            _print_fetched(ledger, run, lines)
            return
        seen = _print_tail(path, lines)
        while follow:
            ended = ledger.run(run.run_id).state is FINAL  # before looking: what came until then is printed
            seen = _print_from(path, seen)
            if ended:
                return
            time.sleep(GLANCE)


def log_file(run: RunRecord) -> Path | None:
    """Where the log of a run's server is on this machine, while it stands or afterwards."""
    paths = (run.directory / name for name in (FILE_NAME, KEPT))
    return next((path for path in paths if path.is_file()), None)


def _print_fetched(ledger: Ledger, run: RunRecord, lines: int) -> None:
    """Print what the server's own backend has of its log. Raises NoLog if that is nothing."""
    looked_at = run_of(ledger, run, settings_of(run), Reporter())
    fetched = loop.run(lambda: looked_at.hands.log_tail(lines)) if run.state is not FINAL else []
    if not fetched:
        raise NoLog(f"run {run.run_id} has no log in {run.directory}, and none can be had from its backend")
    print("\n".join(fetched))


def _print_tail(path: Path, lines: int) -> int:
    """Print the last lines; returns how many bytes of the file were seen."""
    with path.open("rb") as file:
        tail = deque(file, maxlen=lines)
        seen = file.tell()
    print(b"".join(tail).decode(errors="replace"), end="", flush=True)
    return seen


def _print_from(path: Path, seen: int) -> int:
    with path.open("rb") as file:
        file.seek(seen)
        content = file.read()
    print(content.decode(errors="replace"), end="", flush=True)
    return seen + len(content)
