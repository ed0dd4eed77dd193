"""Starting a server as a process that outlives us, and waiting for its own word that it is ready.

How it is known again later, from any process, and ended is in process.py. What it is called with is the architect's business.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
from falsework.engine.errors import DeployFailed, TransientError

from .mark import RUN_ID, run_id_of
from .process import (
    ProcessIdentity,
    adopt,
    reap,
    runs,
    until_ended,
)

MARK_LIMIT = 1.0
"""Seconds for a new process to show its environment. Only one that overwrites it at once takes longer than milliseconds."""
LINE_LIMIT = 1 << 16
"""Bytes of a ready line. More is somebody else's output."""
TAIL = 1 << 16
"""Bytes at the end of a log file that are searched for its last lines."""


class ServerDied(DeployFailed):
    """The process ended before it was ready. `exit_status` is negative for a signal; `lines` are the last of its log."""

    def __init__(self, run_id: str, exit_status: int | None, lines: Sequence[str]) -> None:
        self.run_id, self.exit_status, self.lines = run_id, exit_status, tuple(lines)
        super().__init__(f"the server of run {run_id} {_ending(exit_status)} before it was ready{_told(lines)}")


class NeverReady(TransientError):
    """The process lives but did not say in time that it is ready. `limit` is in seconds."""

    def __init__(self, run_id: str, limit: float, setting: str, lines: Sequence[str]) -> None:
        self.run_id, self.limit, self.setting, self.lines = run_id, limit, setting, tuple(lines)
        super().__init__(
            f"the server of run {run_id} was not ready within {limit:g} s (raise {setting} to wait longer){_told(lines)}"
        )


def start(command: Sequence[str], *, cwd: Path, env: Mapping[str, str], run_id: str, log: Path) -> StartedProcess:
    """Start `command` in a session of its own, marked with the run id; its stderr is appended to `log` (mode 0600).

    Nothing ties it to this process: it survives our death, Ctrl-C and a closed terminal. It may write one line to stdout.
    Raises DeployFailed if it cannot be started, TransientError if the machine is short of processes or memory.
    """
    try:
        with open(log, "ab", opener=_private) as stderr:
            log_start = stderr.tell()
            child = subprocess.Popen(
                command,
                cwd=cwd,
                env={**env, RUN_ID: run_id},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                bufsize=0,
                start_new_session=True,
            )
    except OSError as error:
        failure = TransientError if error.errno in (errno.EAGAIN, errno.ENOMEM) else DeployFailed
        raise failure(f"the server of run {run_id} could not be started with {command[0]!r}: {error}") from error
    adopt(child)
    _await_mark(child.pid)
    return StartedProcess(child, run_id, log, log_start)


class StartedProcess:
    """A process that was just started. Use it as a context: leaving it lets go of the pipe, and the process lives on."""

    def __init__(self, child: subprocess.Popen[bytes], run_id: str, log: Path, log_start: int) -> None:
        self.identity = ProcessIdentity(child.pid, psutil.Process(child.pid).create_time())
        self.run_id = run_id
        self._child, self._log, self._log_start = child, log, log_start

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._child.stdout is not None:
            self._child.stdout.close()

    def last_lines(self) -> list[str]:
        """The last lines of the log that are this process's own, not those of an attempt before it."""
        return last_lines(self._log, since=self._log_start)

    async def ready_line(self, timeout: float, setting: str = "the limit") -> dict[str, Any]:
        """Wait for the first line of output, `{"ready": {…}}`, and return what is in it. May be called once.

        Raises ServerDied at once when the process ends first, NeverReady after `timeout` seconds (it names `setting` as
        what moves the limit), DeployFailed for a line that says something else. The process is left as it is.
        """
        try:
            async with asyncio.timeout(timeout):
                line = await self._first_line()
        except TimeoutError:
            raise NeverReady(self.run_id, timeout, setting, self.last_lines()) from None
        return _read_ready(line, self.run_id)

    async def _first_line(self) -> bytes:
        pipe = self._child.stdout
        if pipe is None or pipe.closed:
            raise ValueError("the ready line can be read once, inside the context")
        reading = asyncio.create_task(_read_line(pipe.fileno()))
        ending = asyncio.create_task(until_ended(self.identity.pid))
        try:
            await asyncio.wait({reading, ending}, return_when=asyncio.FIRST_COMPLETED)
            if not ending.done() and reading.result():
                return reading.result()
            await ending
            raise ServerDied(self.run_id, reap(self.identity.pid), self.last_lines())
        finally:
            reading.cancel()
            ending.cancel()
            await asyncio.gather(reading, ending, return_exceptions=True)


def last_lines(path: Path, n: int = 20, since: int = 0) -> list[str]:
    """The last `n` lines of a text file, of what was written after byte `since`; none if there is no such file."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(since, size - TAIL))
            return file.read().decode(errors="replace").splitlines()[-n:]
    except FileNotFoundError:
        return []


def _await_mark(pid: int) -> None:
    """Return once the process can be found by its mark.

    For up to milliseconds after exec a process has no environment to show; whoever looks then would say that it is gone.
    Without an await, so that a cancellation cannot come in between.
    """
    deadline = time.monotonic() + MARK_LIMIT
    with suppress(PermissionError):
        while runs(pid) and run_id_of(pid) is None and time.monotonic() < deadline:
            time.sleep(0)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _ending(exit_status: int | None) -> str:
    if exit_status is not None and exit_status < 0:
        return f"was killed by {signal.Signals(-exit_status).name}"
    return "ended" if exit_status is None else f"ended with exit status {exit_status}"


def _told(lines: Sequence[str]) -> str:
    return "; it logged nothing" if not lines else "; its last lines:" + "".join(f"\n  {line}" for line in lines)


def _read_ready(line: bytes, run_id: str) -> dict[str, Any]:
    try:
        said = json.loads(line)
        ready = said["ready"]
    except (ValueError, LookupError, TypeError):
        ready = None
    if not isinstance(ready, dict):
        raise DeployFailed(f"the server of run {run_id} said {line[:200]!r} where its ready line was expected")
    return ready


async def _read_line(descriptor: int) -> bytes:
    """The first line from a pipe, or what there was when it was closed."""
    loop = asyncio.get_running_loop()
    line: asyncio.Future[bytes] = loop.create_future()
    read = bytearray()

    def take() -> None:
        chunk = os.read(descriptor, LINE_LIMIT)
        read.extend(chunk)
        if not line.done() and (not chunk or b"\n" in chunk or len(read) > LINE_LIMIT):
            line.set_result(bytes(read).partition(b"\n")[0])

    os.set_blocking(descriptor, False)
    loop.add_reader(descriptor, take)
    try:
        return await line
    finally:
        loop.remove_reader(descriptor)
