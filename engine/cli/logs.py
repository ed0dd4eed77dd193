"""`logs`: what a run's server logged."""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path

from ..errors import FalseworkError
from ..ledger import RunRecord
from ..states import FINAL
from .records import reading_run

FILE_NAME = "router.log"
GLANCE = 0.2
"""Seconds between two looks at a log that is being followed."""


class NoLog(FalseworkError):
    """The run's server has logged nothing that can be found here."""


def logs(text: str, lines: int, follow: bool) -> None:
    """Print the last `lines` lines; with `follow` whatever comes, until the run has ended."""
    with reading_run(text) as (ledger, run):
        path = log_file(run)
        seen = _print_tail(path, lines)
        while follow:
            ended = ledger.run(run.run_id).state is FINAL  # before looking: what came until then is printed
            seen = _print_from(path, seen)
            if ended:
                return
            time.sleep(GLANCE)


def log_file(run: RunRecord) -> Path:
    """Where the log of a run's server is. Raises NoLog if there is none, as before the server was put up."""
    path = run.directory / FILE_NAME
    if not path.is_file():
        raise NoLog(f"run {run.run_id} has no log in {run.directory}; its server was never started on this machine")
    return path


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
