"""The durable record of runs, their transitions and their resources. SQLite by default, PostgreSQL by URL.

A write is on the disk when its call returns, and also when its call ends in a cancellation: that waits for the write. Writes
that come while one is under way leave together in the next transaction (group commit); one that fails takes no other with it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from ..contract.architect import Resource
from ..contract.cancellation import uncancelled
from ..errors import LedgerError
from ..lifecycle.states import State
from . import tables as tables
from .database import Database, Write
from .owner import Owner
from .tables import Ownership as Ownership
from .tables import RunRecord as RunRecord
from .tables import Standing as Standing
from .tables import Step as Step

BUSY_TIMEOUT = 15.0
"""Seconds to wait for another process that holds the ledger."""

_CLAIMED = ("owner_host", "owner_pid", "owner_started", "epoch", "heartbeat")


class RunTakenOver(LedgerError):
    """Another process has made itself the run's owner: the run, and its server, are that one's to end."""


class Ledger:
    """All runs. `clock` gives seconds since the epoch. Write to it from one event loop; close it at the end."""

    def __init__(
        self, url: str | sa.URL, clock: Callable[[], float] = time.time, *, busy_timeout: float = BUSY_TIMEOUT
    ) -> None:
        self._clock = clock
        self._database = Database(url, busy_timeout)
        self._thread = ThreadPoolExecutor(1, "ledger")
        self._queue: list[tuple[Write, asyncio.Future[None]]] = []
        self._commit: asyncio.Future[list[LedgerError | None]] | None = None
        self._closed = False

    @classmethod
    def at(cls, path: Path, clock: Callable[[], float] = time.time, *, busy_timeout: float = BUSY_TIMEOUT) -> Ledger:
        """The SQLite ledger in this file."""
        return cls(sa.URL.create("sqlite", database=str(path)), clock, busy_timeout=busy_timeout)

    # Writing

    async def create(self, run: RunRecord) -> RunRecord:
        """Enter a new run, durably, before anything is done for it."""
        now = self._clock()
        run = replace(run, started=now, heartbeat=now)
        row, owner = tables.columns_of_run(run), tables.columns_of_owner(run, last_heard=None)

        def write(connection: Connection) -> None:
            connection.execute(tables.ENTER_RUN, row)
            connection.execute(tables.ENTER_OWNER, owner)

        await self._write(write)
        return run

    async def record(self, run_id: str, step: Step, epoch: int | None = None) -> None:
        """Enter a transition of the launcher of this `epoch` (None: of anybody).

        Raises RunTakenOver if the run has another epoch by now, LedgerError if it is not in the state that the step leaves.
        """
        changed = {"state": step.dest.value, "heartbeat": step.at, "ended": None}
        if step.dest is State.SHUT_DOWN:
            changed["ended"] = step.at
        leaving = {"of_run": run_id, "of_state": step.source.value, "of_epoch": epoch, **changed}
        row = {"run_id": run_id, **tables.columns_of_step(step)}

        def write(connection: Connection) -> None:
            if connection.execute(tables.LEAVE_STATE, leaving).rowcount != 1:
                found = _owned(connection, run_id, epoch)
                raise LedgerError(
                    f"run {run_id} is {found.state} in the ledger, not {step.source}: it was changed there"
                )
            connection.execute(tables.ENTER_STEP, row)

        await self._write(write)

    async def record_resource(self, run_id: str, resource: Resource, stands: bool, epoch: int | None = None) -> None:
        """Enter that a resource is about to stand, what is known of it, or that it is gone.

        Raises RunTakenOver if it is about to stand and the run has another epoch than `epoch` by now (None: whatever it has).
        """
        now = self._clock()
        found = {"of_run": run_id, "of_kind": resource.kind, "of_name": resource.name}
        changed = {"facts": dict(resource.facts), "gone": None if stands else now}
        row = {"run_id": run_id, "kind": resource.kind, "name": resource.name, "announced": now, **changed}

        def write(connection: Connection) -> None:
            if stands:
                _owned(connection, run_id, epoch)
            if connection.execute(tables.CHANGE_STANDING, {**found, **changed}).rowcount == 0 and stands:
                connection.execute(tables.ENTER_RESOURCE, row)

        await self._write(write)

    async def record_url(self, run_id: str, url: str) -> None:
        """Enter where the server answers."""
        await self._change(run_id, url=url)

    async def claim(self, run: RunRecord, owner: Owner) -> RunRecord:
        """Make `owner` the run's owner, under its next epoch; returns the run as it is now: its last owner may have gone on.

        Raises RunTakenOver if somebody else was faster.
        """
        claiming = replace(run, owner=owner, epoch=run.epoch + 1, heartbeat=self._clock())
        changed = {name: tables.columns_of_run(claiming)[name] for name in _CLAIMED}
        claim = {"of_run": run.run_id, "of_epoch": run.epoch, **changed}
        row = tables.columns_of_owner(claiming, last_heard=run.heartbeat)
        claimed: list[Row[Any]] = []

        def write(connection: Connection) -> None:
            if connection.execute(tables.CHANGE_OWNED_RUN, claim).rowcount != 1:
                _owned(connection, run.run_id, run.epoch)
            connection.execute(tables.ENTER_OWNER, row)
            claimed[:] = connection.execute(tables.FIND_RUN, {"of_run": run.run_id}).all()

        await self._write(write)
        return tables.run_of(claimed[0])

    async def beat(self, run_id: str, epoch: int) -> None:
        """Say that the run's owner, its launcher of this `epoch`, is alive. Raises RunTakenOver if it is that no more."""
        beat = {"of_run": run_id, "of_epoch": epoch, "heartbeat": self._clock()}

        def write(connection: Connection) -> None:
            if connection.execute(tables.CHANGE_OWNED_RUN, beat).rowcount != 1:
                _owned(connection, run_id, epoch)

        await self._write(write)

    async def close(self) -> None:
        """Finish what is queued. May be repeated; afterwards every other call raises LedgerError."""
        self._closed = True
        while self._commit is not None:
            await asyncio.wait({self._commit})
        self._thread.shutdown()
        self._database.close()

    # Reading

    def run(self, run_id: str) -> RunRecord:
        """One run. Raises LedgerError if there is none of that id."""
        found = self._read(tables.FIND_RUN, of_run=run_id)
        if not found:
            raise _unknown(run_id)
        return tables.run_of(found[0])

    def runs(self, *, ended: bool = False) -> list[RunRecord]:
        """Runs, newest first; those that have ended only if asked for."""
        query = tables.FIND_RUNS if ended else tables.FIND_RUNS.where(tables.runs.c.ended.is_(None))
        return [tables.run_of(row) for row in self._read(query)]

    def story(self, run_id: str) -> list[Step]:
        """A run's transitions, in order."""
        return [tables.step_of(row) for row in self._read(tables.FIND_STORY, of_run=run_id)]

    def resources(self, run_id: str, *, gone: bool = False) -> list[Resource]:
        """A run's resources that stand, in the order of their announcements; those that are gone only if asked for."""
        query = tables.FIND_RESOURCES
        if not gone:
            query = query.where(tables.resources.c.gone.is_(None))
        return tables.resources_of(self._read(query, of_run=run_id))

    def standings(self, run_id: str) -> list[Standing]:
        """Each time that a resource of a run stood, in the order of the announcements."""
        return [tables.standing_of(row) for row in self._read(tables.FIND_RESOURCES, of_run=run_id)]

    def owners(self, run_id: str) -> list[Ownership]:
        """The launchers that a run has had, in order."""
        return [tables.ownership_of(row) for row in self._read(tables.FIND_OWNERS, of_run=run_id)]

    # Pieces

    async def _change(self, run_id: str, **changed: Any) -> None:
        def write(connection: Connection) -> None:
            if connection.execute(tables.CHANGE_RUN, {"of_run": run_id, **changed}).rowcount != 1:
                raise _unknown(run_id)

        await self._write(write)

    def _read(self, query: sa.Select[Any], **parameters: Any) -> list[Row[Any]]:
        self._assert_open()
        return list(self._database.read(query, parameters))

    async def _write(self, write: Write) -> None:
        """Returns when it is durable. A caller that is cancelled meanwhile gets its CancelledError when it is durable."""
        self._assert_open()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((write, done))
        if self._commit is None:
            self._commit_queue()
        await uncancelled(done)

    def _commit_queue(self) -> None:
        """Give all that is queued to the ledger's thread. No task: what cancels every task must not cut off a write."""
        batch, self._queue = self._queue, []
        writes = [write for write, _ in batch]
        self._commit = asyncio.get_running_loop().run_in_executor(self._thread, self._database.commit, writes)
        self._commit.add_done_callback(lambda commit: self._committed(commit, [done for _, done in batch]))

    def _committed(self, commit: asyncio.Future[list[LedgerError | None]], waiting: list[asyncio.Future[None]]) -> None:
        self._commit = None
        if self._queue:
            self._commit_queue()
        for done, error in zip(waiting, commit.result(), strict=True):
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

    def _assert_open(self) -> None:
        if self._closed:
            raise LedgerError("the ledger is closed: nothing can be read from it or written to it any more")


def _owned(connection: Connection, run_id: str, epoch: int | None) -> Row[Any]:
    """The run's row, for a writer. Raises RunTakenOver if it is another launcher's, LedgerError if there is none."""
    found = connection.execute(tables.FIND_RUN, {"of_run": run_id}).one_or_none()
    if found is None:
        raise _unknown(run_id)
    if epoch is not None and found.epoch != epoch:
        owner = tables.run_of(found).owner
        raise RunTakenOver(f"run {run_id} was taken over by another process, {owner}: leave it to that one")
    return found


def _unknown(run_id: str) -> LedgerError:
    return LedgerError(f"no run {run_id!r} is known; `falsework ps --all` lists them")
