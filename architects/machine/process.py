"""Real processes that outlive their launcher: know one again, find those of a run, take them down.

Process ids are reused, so a process is ours only if its id, its start time and the run id in its environment all agree.
Nothing here belongs to one backend. How a process is started, and known to be ready, is in child.py. POSIX only.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass

import psutil
from falsework.engine.errors import ArchitectError

from .mark import marks, run_id_of

CLOCK_SLACK = 2.0
"""Seconds by which two readings of one start time may differ: psutil adds a boot time that moves when the clock is set."""
KILL_LIMIT = 5.0
"""Seconds for a process to end after SIGKILL. Only one that the kernel is holding takes longer than milliseconds."""
GLANCE = 0.02
"""Seconds between two looks at a process where the system cannot tell when it ends (no pidfd)."""

_children: dict[int, subprocess.Popen[bytes]] = {}
"""What this process started and has not reaped yet, by process id."""


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


class _Scans:
    """Looks at all processes, shared by those who ask at the same time: each gets a look that began after it asked."""

    def __init__(self) -> None:
        self._looking = threading.Lock()
        self._begun = 0
        self._last: tuple[int, list[tuple[int, str]]] = (0, [])

    def next(self) -> list[tuple[int, str]]:
        """The marked processes, as `marks` has them. From any thread."""
        asked = self._begun
        with self._looking:
            if self._last[0] <= asked:
                self._begun += 1
                self._last = (self._begun, list(marks()))
            return self._last[1]


_scans = _Scans()


def alive(identity: ProcessIdentity, run_id: str) -> bool:
    """Whether this very process of this run is running. A zombie is not.

    Raises ArchitectError if the process has that id and start time but belongs to a user who does not let us look.
    """
    reap(identity.pid)
    try:
        return not _is_reused(identity) and runs(identity.pid) and run_id_of(identity.pid) == run_id
    except PermissionError as error:
        raise ArchitectError(
            f"process {identity.pid}, recorded for run {run_id}, belongs to another user; look as the user who launched it"
        ) from error


def find(run_id: str) -> list[ProcessIdentity]:
    """Every process on this machine that carries the run id, oldest first; whom it leaves out is said at `marks`."""
    return [found.identity for found in marked(run_id)]


def marked(run_id: str | None = None) -> list[MarkedProcess]:
    """What `find` finds, with its command line; of every run if no run id is given."""
    found = (_look_at(pid, mark) for pid, mark in _scans.next() if run_id in (None, mark))
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
        await _until_ended_within(identity.pid, limit)
    if identity.pid in _children:  # one with threads looks like a zombie before the last of them has ended
        await _until_ended_within(identity.pid, KILL_LIMIT)
    for member in _rest_of_group(identity, run_id):
        _signal(member.pid, signal.SIGKILL)
        await _until_ended_within(member.pid, KILL_LIMIT)
    if standing := [one.pid for one in (identity, *_rest_of_group(identity, run_id)) if alive(one, run_id)]:
        raise ArchitectError(
            f"run {run_id}: still there after SIGKILL: {', '.join(f'process {pid}' for pid in standing)}"
        )


def adopt(child: subprocess.Popen[bytes]) -> None:
    """Keep a child until it is reaped, by whoever looks at it next: a Popen that is collected complains of a live child."""
    _children[child.pid] = child


async def until_ended(pid: int) -> None:
    """Return once there is no such process, or only a zombie of it."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    except (AttributeError, OSError):  # another system than Linux, or one that withholds pidfds
        while runs(pid):  # noqa: ASYNC110  (there is no event)
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


def runs(pid: int) -> bool:
    """Whether there is such a process, whosever it is; a zombie does not run."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def reap(pid: int) -> int | None:
    """The exit status of a child of ours that has ended, told once; afterwards its id may be anybody's. None otherwise."""
    child = _children.get(pid)
    if child is None or child.poll() is None:
        return None
    _children.pop(pid, None)  # another thread may have looked as well
    return child.returncode


def _is_reused(identity: ProcessIdentity) -> bool:
    """Whether the process id is now another process's."""
    try:
        return abs(psutil.Process(identity.pid).create_time() - identity.started) > CLOCK_SLACK
    except psutil.NoSuchProcess:
        return False


def _look_at(pid: int, run_id: str) -> MarkedProcess | None:
    try:
        process = psutil.Process(pid)
        return MarkedProcess(run_id, ProcessIdentity(pid, process.create_time()), tuple(process.cmdline()))
    except psutil.Error:
        return None


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


async def _until_ended_within(pid: int, limit: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(limit):
            await until_ended(pid)
    reap(pid)


def _rest_of_group(leader: ProcessIdentity, run_id: str) -> list[ProcessIdentity]:
    if _is_reused(leader):
        return []
    try:
        os.killpg(leader.pid, 0)
    except ProcessLookupError:
        return []
    except PermissionError:
        pass
    members = [pid for pid in psutil.pids() if pid != leader.pid and _group_of(pid) == leader.pid]
    ours = [_look_at(pid, run_id) for pid in members if _is_marked(pid, run_id)]
    return [member.identity for member in ours if member is not None]


def _is_marked(pid: int, run_id: str) -> bool:
    try:
        return run_id_of(pid) == run_id
    except PermissionError:
        return False


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None
