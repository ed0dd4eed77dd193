"""Real processes that outlive their launcher: start one, wait until it is ready, know it again, take it down.

Process ids are reused, so a process is ours only if its id, its start time and the run id in its environment all agree.
Nothing here belongs to one backend: what a server is called with is the architect's business. POSIX only.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
from falsework.engine.errors import ArchitectError, DeployFailed, TransientError

RUN_ID = "FALSEWORK_RUN_ID"
"""The mark: every process of a run, and whatever it starts in turn, has the run id in this environment variable."""

CLOCK_SLACK = 2.0
"""Seconds by which two readings of one start time may differ: psutil adds a boot time that moves when the clock is set."""
KILL_LIMIT = 5.0
"""Seconds for a process to end after SIGKILL. Only one that the kernel is holding takes longer than milliseconds."""
MARK_LIMIT = 1.0
"""Seconds for a new process to show its environment. Only one that overwrites it at once takes longer than milliseconds."""
LINE_LIMIT = 1 << 16
"""Bytes of a ready line. More is somebody else's output."""
TAIL = 1 << 16
"""Bytes at the end of a log file that are searched for its last lines."""
GLANCE = 0.02
"""Seconds between two looks at a process where the system cannot tell when it ends (no pidfd)."""

_children: dict[int, subprocess.Popen[bytes]] = {}
"""What this process started and has not reaped yet. Kept here, since a Popen that is collected complains of a live child."""


@dataclass(frozen=True)
class ProcessIdentity:
    """Which process is meant: its id, and its start time in seconds since the epoch."""

    pid: int
    started: float


@dataclass(frozen=True)
class MarkedProcess:
    """A process that carries a run id in its environment, whoever started it."""

    run_id: str
    identity: ProcessIdentity
    command: tuple[str, ...]


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
        ending = asyncio.create_task(_ended(self.identity.pid))
        try:
            await asyncio.wait({reading, ending}, return_when=asyncio.FIRST_COMPLETED)
            if not ending.done() and reading.result():
                return reading.result()
            await ending
            raise ServerDied(self.run_id, _reap(self.identity.pid), self.last_lines())
        finally:
            reading.cancel()
            ending.cancel()
            await asyncio.gather(reading, ending, return_exceptions=True)


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
    _children[child.pid] = child
    _await_mark(child.pid)
    return StartedProcess(child, run_id, log, log_start)


def alive(identity: ProcessIdentity, run_id: str) -> bool:
    """Whether this very process of this run is running. A zombie is not.

    Raises ArchitectError if the process has that id and start time but belongs to a user who does not let us look.
    """
    _reap(identity.pid)
    try:
        return not _is_reused(identity) and _runs(identity.pid) and _run_id_of(identity.pid) == run_id
    except PermissionError as error:
        raise ArchitectError(
            f"process {identity.pid}, recorded for run {run_id}, belongs to another user; look as the user who launched it"
        ) from error


def find(run_id: str) -> list[ProcessIdentity]:
    """Every process on this machine that carries the run id, oldest first, without this one and those it runs under.

    (A shell that exports the run id, and whoever is asking from it, is not part of the run.) Processes of other users that
    cannot be looked at are left out.
    """
    return [found.identity for found in marked(run_id)]


def marked(run_id: str | None = None) -> list[MarkedProcess]:
    """What `find` finds, with its command line; of every run if no run id is given."""
    found = (_look_at(pid, mark) for pid, mark in _marks() if run_id in (None, mark))
    return sorted((one for one in found if one is not None), key=lambda one: one.identity.started)


async def terminate(identity: ProcessIdentity, run_id: str, grace: float = 5.0) -> None:
    """SIGTERM to the process and its group, SIGKILL after `grace` seconds; returns once all of it was seen to be gone.

    A process whose start time or run id does not agree is never signalled. Gone is success; may be repeated. What of the
    group outlives its leader and carries the run id is killed too. Raises ArchitectError if something is still there.
    """
    for number, limit in ((signal.SIGTERM, grace), (signal.SIGKILL, KILL_LIMIT)):
        if not alive(identity, run_id):
            break
        _signal(identity.pid, number)
        await _ended_within(identity.pid, limit)
    for member in _rest_of_group(identity, run_id):
        _signal(member.pid, signal.SIGKILL)
        await _ended_within(member.pid, KILL_LIMIT)
    if standing := [one.pid for one in (identity, *_rest_of_group(identity, run_id)) if alive(one, run_id)]:
        raise ArchitectError(
            f"run {run_id}: still there after SIGKILL: {', '.join(f'process {pid}' for pid in standing)}"
        )


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
        while _runs(pid) and _run_id_of(pid) is None and time.monotonic() < deadline:
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


async def _ended_within(pid: int, limit: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(limit):
            await _ended(pid)
    _reap(pid)


async def _ended(pid: int) -> None:
    """Wait until there is no such process, or only a zombie of it."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    except (AttributeError, OSError):  # another system than Linux, or one that withholds pidfds
        while _runs(pid):  # noqa: ASYNC110  (there is no event)
            await asyncio.sleep(GLANCE)
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _reap(pid: int) -> int | None:
    """The exit status of a child of ours that has ended; afterwards its id may be anybody's."""
    child = _children.get(pid)
    if child is None or child.poll() is None:
        return None
    _children.pop(pid, None)  # another thread may have looked as well
    return child.returncode


def _signal(pid: int, number: signal.Signals) -> None:
    """Signal the group if the process leads one, else the process alone. Call it right after `alive`."""
    try:
        if os.getpgid(pid) == pid:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise ArchitectError(f"process {pid} may not be signalled by this user: {error}") from error


def _is_reused(identity: ProcessIdentity) -> bool:
    """Whether the process id is now another process's."""
    try:
        return abs(psutil.Process(identity.pid).create_time() - identity.started) > CLOCK_SLACK
    except psutil.NoSuchProcess:
        return False


def _rest_of_group(leader: ProcessIdentity, run_id: str) -> list[ProcessIdentity]:
    if _is_reused(leader):
        return []
    try:
        os.killpg(leader.pid, 0)
    except ProcessLookupError:
        return []
    except PermissionError:
        pass
    return [member for member in find(run_id) if member.pid != leader.pid and _group_of(member.pid) == leader.pid]


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def _marks() -> Iterator[tuple[int, str]]:
    ours = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    for pid in psutil.pids():
        if pid in ours:
            continue
        with suppress(PermissionError):
            if mark := _run_id_of(pid):
                yield pid, mark


def _look_at(pid: int, run_id: str) -> MarkedProcess | None:
    try:
        process = psutil.Process(pid)
        return MarkedProcess(run_id, ProcessIdentity(pid, process.create_time()), tuple(process.cmdline()))
    except psutil.Error:
        return None


def _run_id_of(pid: int) -> str | None:
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
