"""The mark by which a run's processes are found: the run id in their environment. Nothing here ends or starts one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

import psutil

RUN_ID = "FALSEWORK_RUN_ID"
"""The mark: every process of a run, and whatever it starts in turn, has the run id in this environment variable."""


def marks() -> Iterator[tuple[int, str]]:
    """The process ids on this machine that are marked, and with which run id, but for this process and those it runs under.

    (A shell that exports the run id, and whoever is asking from it, is not part of the run.) Processes of other users that
    cannot be looked at are left out.
    """
    ours = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    for pid in psutil.pids():
        if pid in ours:
            continue
        with suppress(PermissionError):
            if mark := run_id_of(pid):
                yield pid, mark


def run_id_of(pid: int) -> str | None:
    """The run id in a process's environment; None if it has none, or is gone. Raises PermissionError.

    Read from /proc where there is one: psutil takes five times as long, and a sweep looks at every process for each run.
    """
    try:
        if psutil.LINUX:
            with open(f"/proc/{pid}/environ", "rb") as file:
                return _marked_as(file.read())
        return psutil.Process(pid).environ().get(RUN_ID)
    except (FileNotFoundError, ProcessLookupError, psutil.NoSuchProcess):
        return None
    except psutil.AccessDenied as error:
        raise PermissionError(str(error)) from error


def _marked_as(environment: bytes) -> str | None:
    prefix = f"{RUN_ID}=".encode()
    for entry in environment.split(b"\0"):
        if entry.startswith(prefix):
            return entry.removeprefix(prefix).decode(errors="replace")
    return None
