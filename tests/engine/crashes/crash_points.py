"""The places at which a falsework command can be made to die by SIGKILL. They are found while it runs, not listed.

ledger     each transaction: before its commit, and after it
architect  each call of a method of the contract: before it, and after it returned
store      each line of a run's journals (submissions, agents): before it is given to the disk, and after it is there
await      each suspension of a task in the middle of Run: when it is suspended, and when it goes on

A point is known by what happens there and by how often that happened before: `ledger record, before its commit (3)`.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from falsework.engine.contract.architect import Architect
from falsework.engine.ledger.database import Database
from falsework.engine.run import run
from falsework.router.wire.journal import Journal
from sqlalchemy.engine.default import DefaultDialect


class CrashPoints:
    """Every point that this process reaches, in order, in the file `reached`; it dies at the one called `die_at`."""

    def __init__(self, reached: Path, die_at: str) -> None:
        self._reached = os.open(reached, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._die_at = die_at
        self._times: Counter[str] = Counter()
        self._lock = threading.Lock()

    def reach(self, what: str) -> None:
        with self._lock:
            self._times[what] += 1
            point = f"{what} ({self._times[what]})"
            os.write(self._reached, f"{point}\n".encode())
            if point == self._die_at:
                os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, architect: type[Architect]) -> None:
        """Count from now on, in whatever this process does."""
        _watch_ledger(self)
        _watch_architect(self, architect)
        _watch_store(self)
        _watch_awaits(self)


def _watch_ledger(points: CrashPoints) -> None:
    commit_writes, commit = Database.commit, DefaultDialect.do_commit
    under_way = ["schema"]  # what a ledger commits before its first write

    def named(database: Database, writes: Any) -> Any:
        under_way[:] = [write.__qualname__.split(".")[1].strip("_") for write in writes]
        return commit_writes(database, writes)

    def watched(dialect: DefaultDialect, connection: Any) -> None:
        name = " and ".join(under_way)
        points.reach(f"ledger {name}, before its commit")
        commit(dialect, connection)
        points.reach(f"ledger {name}, after its commit")

    _replace(Database, "commit", named)
    _replace(DefaultDialect, "do_commit", watched)


def _watch_architect(points: CrashPoints, architect: type[Architect]) -> None:
    for name in vars(Architect):
        method = inspect.getattr_static(architect, name)
        if name.startswith("_") or not callable(getattr(architect, name)) or isinstance(method, type):
            continue
        function = method.__func__ if isinstance(method, classmethod) else method
        watched = _watched(points, f"architect {name}", function)
        _replace(architect, name, classmethod(watched) if isinstance(method, classmethod) else watched)


def _watch_store(points: CrashPoints) -> None:
    append = Journal.append

    async def watched(journal: Journal, line: bytes) -> int:
        points.reach(f"store {journal.path.name}, before it is written")
        offset = await append(journal, line)
        points.reach(f"store {journal.path.name}, after it is written")
        return offset

    _replace(Journal, "append", watched)


def _watched(points: CrashPoints, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def call_and_wait(*arguments: Any, **named: Any) -> Any:
        points.reach(f"{name}, before")
        result = await function(*arguments, **named)
        points.reach(f"{name}, after")
        return result

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        points.reach(f"{name}, before")
        result = function(*arguments, **named)
        points.reach(f"{name}, after")
        return result

    return call_and_wait if inspect.iscoroutinefunction(function) else call


def _watch_awaits(points: CrashPoints) -> None:
    """In every loop that is made from now on; the command line makes its own with a Runner."""

    def make_task(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
        return asyncio.Task(_Stepped(work, points), loop=loop, **options)

    class WatchedRunner(asyncio.Runner):
        def __init__(self, *, debug: bool | None = None, loop_factory: Any = None) -> None:
            def make_loop() -> asyncio.AbstractEventLoop:
                loop: asyncio.AbstractEventLoop = (loop_factory or asyncio.new_event_loop)()
                loop.set_task_factory(make_task)
                return loop

            super().__init__(debug=debug, loop_factory=make_loop)

    _replace(asyncio, "Runner", WatchedRunner)


class _Stepped(Coroutine[Any, Any, Any]):
    """A task's coroutine. Says of each step whether it begins or ends in the middle of Run."""

    def __init__(self, work: Coroutine[Any, Any, Any], points: CrashPoints) -> None:
        self._work, self._points = work, points
        self._place: str | None = None

    def send(self, value: Any) -> Any:
        return self._step(self._work.send, value)

    def throw(self, *error: Any) -> Any:
        return self._step(self._work.throw, *error)

    def close(self) -> None:
        self._work.close()

    def __await__(self) -> Any:
        return self._work.__await__()

    def _step(self, step: Callable[..., Any], *arguments: Any) -> Any:
        if self._place is not None:
            self._points.reach(f"await in {self._place}, as it goes on")
        awaited = step(*arguments)
        self._place = _place_in_run(self._work)
        if self._place is not None:
            self._points.reach(f"await in {self._place}, suspended")
        return awaited


def _place_in_run(work: Any) -> str | None:
    """The innermost line of run.py at which a suspended coroutine waits; None if it does not wait there."""
    place = None
    while work is not None:
        frame = getattr(work, "cr_frame", None)
        if frame is not None and frame.f_code.co_filename == run.__file__:
            place = f"{frame.f_code.co_name}:{frame.f_lineno}"
        work = getattr(work, "cr_await", None) or getattr(work, "gi_yieldfrom", None)
    return place


def _replace(owner: Any, name: str, by: Any) -> None:
    setattr(owner, name, by)
