"""Falsework commands that die at a given point, forked from one process that has loaded what a command needs.

For each line on stdin, `{arguments, home, die_at, files}`, one command, as the command line runs it: `{pid}` is said on
stdout, `{url}` when it is open for work, and `{ended}` when it is gone. It dies at the point called `die_at`, see
crash_points.py; with "" it never does. In the directory `files` it leaves `stdout`, `stderr`, and `reached`, its points.
"""

from __future__ import annotations

import encodings.idna
import gc
import io
import json
import os
import sys
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any

import sqlalchemy.dialects.sqlite
import uvloop
from crash_points import CrashPoints
from falsework.architects.local.architect import LocalArchitect
from falsework.engine.cli import commands, launch, main, recover, sweep
from falsework.engine.cli.progress import Progress

LOADED_LATE = (commands, launch, recover, sweep, encodings.idna, sqlalchemy.dialects.sqlite, uvloop)
"""Modules that a command loads when it needs them: loaded once, here, and not again by each fork."""


def become_a_command(told: dict[str, Any]) -> None:
    """In the child. Ends in SystemExit, or by SIGKILL."""
    files = Path(told["files"])
    events = os.dup(1)
    _redirect(0, os.devnull, os.O_RDONLY)
    _redirect(1, files / "stdout", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    _redirect(2, files / "stderr", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.environ["FALSEWORK_HOME"] = told["home"]
    CrashPoints(files / "reached", told["die_at"]).watch(LocalArchitect)
    _tell_when_published(events)
    sys.argv = ["falsework", *told["arguments"]]
    main()


def _redirect(descriptor: int, file: Path | str, flags: int) -> None:
    opened = os.open(file, flags, 0o600)
    os.dup2(opened, descriptor)
    os.close(opened)


def _tell_when_published(events: int) -> None:
    published = Progress.published

    def told(progress: Progress, url: str) -> None:
        published(progress, url)
        os.write(events, json.dumps({"url": url}).encode() + b"\n")

    Progress.published = told  # type: ignore[method-assign]


def warm_up() -> None:
    """Load what any command loads."""
    sys.argv = ["falsework", "architects"]
    with suppress(SystemExit), redirect_stdout(io.StringIO()):
        main()
    gc.collect()
    gc.freeze()


def serve() -> None:
    warm_up()
    for line in sys.stdin:
        told = json.loads(line)
        command = os.fork()
        if command == 0:
            return become_a_command(told)
        print(json.dumps({"pid": command}), flush=True)
        _, status = os.waitpid(command, 0)
        print(json.dumps({"ended": os.waitstatus_to_exitcode(status)}), flush=True)
    return None


if __name__ == "__main__":
    serve()
