"""A program under a supervisor whose lives are told on its command line: `python mortal.py LIVES PATIENCE LIFE...`.

A life is `<ready|mute>:<exit status or name of a signal>`, or `ready:stays`. LIVES is a file that gets a line for each.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path

from falsework.router.process import supervisor

lives, patience, *told = sys.argv[1:]


def live() -> int:
    """One of the lives; the last one is repeated."""
    book = Path(lives)
    number = len(book.read_text().splitlines()) if book.exists() else 0
    with book.open("a") as writing:
        writing.write(f"{os.getpid()}\n")
    speech, _, end = told[min(number, len(told) - 1)].partition(":")
    if speech == "ready":
        print("ready", end=" ", flush=True)
        print(number, flush=True)
    if end == "stays":
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        signal.pause()
    if not end.isdigit():
        os.kill(os.getpid(), getattr(signal, f"SIG{end}"))
    return int(end)


logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
supervisor.FIRST_WAIT = 0.01
raise SystemExit(supervisor.supervise(live, float(patience)))
