"""The durable record of runs, their transitions and their resources. SQLite by default, PostgreSQL by URL.

A write is on the disk when its call returns. Writes that come while one is under way leave together in the next
transaction (group commit), each in a savepoint of its own, so that one that fails takes no other with it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, Row

from .architect import Resource
from .errors import LedgerError
from .owner import Owner
from .states import INITIAL, State, Trigger

BUSY_TIMEOUT = 15.0
"""Seconds to wait for another process that holds the ledger."""
SCHEMA = 1

_metadata = sa.MetaData()
_about = sa.Table("about", _metadata, sa.Column("schema", sa.Integer, nullable=False))
_runs = sa.Table(
    "runs",
    _metadata,
    sa.Column("run_id", sa.String, primary_key=True),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("architect", sa.String, nullable=False),
    sa.Column("directory", sa.String, nullable=False),
    sa.Column("task_file", sa.String, nullable=False),
    sa.Column("overrides", sa.JSON, nullable=False),
    sa.Column("url", sa.String),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("owner_host", sa.String, nullable=False),
    sa.Column("owner_pid", sa.Integer, nullable=False),
    sa.Column("owner_started", sa.Float, nullable=False),
    sa.Column("heartbeat", sa.Float, nullable=False),
    sa.Column("started", sa.Float, nullable=False),
    sa.Column("ended", sa.Float),
)
_transitions = sa.Table(
    "transitions",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("run_id", sa.String, sa.ForeignKey("runs.run_id"), nullable=False, index=True),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("trigger", sa.String, nullable=False),
    sa.Column("source", sa.String, nullable=False),
    sa.Column("dest", sa.String, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("error", sa.String),
)
_resources = sa.Table(
    "resources",
    _metadata,
    sa.Column("run_id", sa.String, sa.ForeignKey("runs.run_id"), primary_key=True),
    sa.Column("kind", sa.String, primary_key=True),
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("facts", sa.JSON, nullable=False),
    sa.Column("announced", sa.Float, nullable=False),
    sa.Column("gone", sa.Float),
)


@dataclass(frozen=True)
class RunRecord:
    """One run as the ledger has it. Times are seconds since the epoch."""

    run_id: str
    architect: str
    directory: Path
    task_file: Path
    owner: Owner
    overrides: tuple[str, ...] = ()
    state: State = INITIAL
    url: str | None = None
    epoch: int = 1
    heartbeat: float = 0.0
    started: float = 0.0
    ended: float | None = None


@dataclass(frozen=True)
class Step:
    """One transition of a run, with why it happened and what went wrong."""

    at: float
    trigger: Trigger
    source: State
    dest: State
    reason: str = ""
    error: str | None = None

    def __str__(self) -> str:
        clock = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.at))
        told = f"{clock} {self.source} → {self.dest}"
        for more in (self.reason, self.error):
            if more:
                told += f": {more}"
        return told


class Ledger:
    """All runs. `clock` gives seconds since the epoch. Close it at the end."""

    def __init__(self, url: str, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._queue: list[tuple[Callable[[Connection], Any], asyncio.Future[Any]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "ledger")
        self._engine = _open_for_writing(url)
        self._reader = _create_engine(url, isolation_level="AUTOCOMMIT")

    @classmethod
    def at(cls, path: Path, clock: Callable[[], float] = time.time) -> Ledger:
        """The SQLite ledger in this file."""
        return cls(f"sqlite:///{path}", clock)

    # Writing

    async def create(self, run: RunRecord) -> RunRecord:
        """Enter a new run, durably, before anything is done for it."""
        now = self._clock()
        run = replace(run, started=now, heartbeat=now)
        await self._write(lambda connection: connection.execute(_runs.insert().values(_columns(run))))
        return run

    async def record(self, run_id: str, step: Step) -> None:
        """Enter a transition. Raises LedgerError if the run is not in the state that it is said to leave."""
        changed: dict[str, Any] = {"state": step.dest.value, "heartbeat": step.at}
        if step.dest is State.SHUT_DOWN:
            changed["ended"] = step.at

        def write(connection: Connection) -> None:
            where = (_runs.c.run_id == run_id) & (_runs.c.state == step.source.value)
            if connection.execute(_runs.update().where(where).values(changed)).rowcount != 1:
                raise LedgerError(f"run {run_id} is not {step.source} in the ledger: another process has moved it")
            connection.execute(_transitions.insert().values(run_id=run_id, **_step_columns(step)))

        await self._write(write)

    async def record_resource(self, run_id: str, resource: Resource, stands: bool) -> None:
        """Enter that a resource is about to stand, what is known of it, or that it is gone."""
        now = self._clock()

        def write(connection: Connection) -> None:
            where = (
                (_resources.c.run_id == run_id)
                & (_resources.c.kind == resource.kind)
                & (_resources.c.name == resource.name)
            )
            changed = {"facts": dict(resource.facts), "gone": None if stands else now}
            if connection.execute(_resources.update().where(where).values(changed)).rowcount == 0:
                row = {"run_id": run_id, "kind": resource.kind, "name": resource.name, "announced": now, **changed}
                connection.execute(_resources.insert().values(row))

        await self._write(write)

    async def record_url(self, run_id: str, url: str) -> None:
        """Enter where the server answers."""
        await self._update(run_id, url=url)

    async def beat(self, run_id: str) -> None:
        """Say that the run's owner is alive."""
        await self._update(run_id, heartbeat=self._clock())

    async def close(self) -> None:
        """Finish what is queued. May be repeated."""
        while self._writer is not None:
            await asyncio.shield(self._writer)
        self._thread.shutdown()
        self._engine.dispose()
        self._reader.dispose()

    # Reading

    def run(self, run_id: str) -> RunRecord:
        """One run. Raises LedgerError if there is none of that id."""
        found = self._read(sa.select(_runs).where(_runs.c.run_id == run_id))
        if not found:
            raise LedgerError(f"no run {run_id!r} is known; `falsework ps --all` lists them")
        return _run_of(found[0])

    def runs(self, *, ended: bool = False) -> list[RunRecord]:
        """Runs, newest first; those that have ended only if asked for."""
        query = sa.select(_runs).order_by(_runs.c.started.desc())
        return [_run_of(row) for row in self._read(query if ended else query.where(_runs.c.ended.is_(None)))]

    def story(self, run_id: str) -> list[Step]:
        """A run's transitions, in order."""
        query = sa.select(_transitions).where(_transitions.c.run_id == run_id).order_by(_transitions.c.id)
        return [_step_of(row) for row in self._read(query)]

    def resources(self, run_id: str, *, gone: bool = False) -> list[Resource]:
        """A run's resources that stand, oldest first; those that are gone only if asked for."""
        query = sa.select(_resources).where(_resources.c.run_id == run_id).order_by(_resources.c.announced)
        rows = self._read(query if gone else query.where(_resources.c.gone.is_(None)))
        return [Resource(row.kind, row.name, dict(row.facts)) for row in rows]

    # Pieces

    async def _update(self, run_id: str, **changed: Any) -> None:
        await self._write(
            lambda connection: connection.execute(_runs.update().where(_runs.c.run_id == run_id).values(**changed))
        )

    def _read(self, query: sa.Select[Any]) -> Sequence[Row[Any]]:
        try:
            with self._reader.connect() as connection:
                return connection.execute(query).all()
        except sa.exc.SQLAlchemyError as error:
            raise _translated(error) from error

    async def _write(self, write: Callable[[Connection], Any]) -> None:
        """Returns when it is durable. A caller that is cancelled meanwhile does not stop the write."""
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._queue.append((write, done))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_queued())
        await asyncio.shield(done)

    async def _write_queued(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._queue:
                batch, self._queue = self._queue, []
                outcomes = await loop.run_in_executor(self._thread, self._commit, [write for write, _ in batch])
                for (_, done), outcome in zip(batch, outcomes, strict=True):
                    if done.done():
                        continue
                    if outcome is None:
                        done.set_result(None)
                    else:
                        done.set_exception(outcome)
        finally:
            self._writer = None

    def _commit(self, writes: list[Callable[[Connection], Any]]) -> list[LedgerError | None]:
        """Runs in the ledger's thread."""
        outcomes: list[LedgerError | None] = []
        try:
            with self._engine.begin() as connection:
                for write in writes:
                    outcomes.append(_try(connection, write))
        except sa.exc.SQLAlchemyError as error:
            return [_translated(error) for _ in writes]
        return outcomes


def _try(connection: Connection, write: Callable[[Connection], Any]) -> LedgerError | None:
    try:
        with connection.begin_nested():
            write(connection)
    except LedgerError as error:
        return error
    except sa.exc.IntegrityError as error:
        return _translated(error)
    return None


def _translated(error: sa.exc.SQLAlchemyError) -> LedgerError:
    cause = getattr(error, "orig", None) or error
    return LedgerError(f"the ledger could not be read or written: {cause}")


def _open_for_writing(url: str) -> Engine:
    engine = _create_engine(url)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        with engine.begin() as connection:
            _metadata.create_all(connection)
            schema = connection.scalar(sa.select(_about.c.schema))
            if schema is None:
                connection.execute(_about.insert().values(schema=SCHEMA))
    except sa.exc.SQLAlchemyError as error:
        engine.dispose()
        raise _translated(error) from error
    if schema not in (None, SCHEMA):
        engine.dispose()
        raise LedgerError(
            f"the ledger {url} has schema {schema}, this falsework reads {SCHEMA}: use the version that made it"
        )
    return engine


def _create_engine(url: str, **options: Any) -> Engine:
    if url.startswith("sqlite"):
        options["connect_args"] = {"timeout": BUSY_TIMEOUT, "check_same_thread": False}
    return sa.create_engine(url, **options)


def _prepare_sqlite(connection: Any, record: Any) -> None:
    """Durable at each commit, readable beside a writer. The driver's own transactions are off: they ignore savepoints."""
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _columns(run: RunRecord) -> dict[str, Any]:
    owner = {"owner_host": run.owner.host, "owner_pid": run.owner.pid, "owner_started": run.owner.started}
    plain = ("run_id", "architect", "url", "epoch", "heartbeat", "started", "ended")
    return {
        **{name: getattr(run, name) for name in plain},
        **owner,
        "state": run.state.value,
        "directory": str(run.directory),
        "task_file": str(run.task_file),
        "overrides": list(run.overrides),
    }


def _run_of(row: Row[Any]) -> RunRecord:
    return RunRecord(
        run_id=row.run_id,
        architect=row.architect,
        directory=Path(row.directory),
        task_file=Path(row.task_file),
        owner=Owner(row.owner_host, row.owner_pid, row.owner_started),
        overrides=tuple(row.overrides),
        state=State(row.state),
        url=row.url,
        epoch=row.epoch,
        heartbeat=row.heartbeat,
        started=row.started,
        ended=row.ended,
    )


def _step_columns(step: Step) -> dict[str, Any]:
    return {
        "at": step.at,
        "trigger": step.trigger.value,
        "source": step.source.value,
        "dest": step.dest.value,
        "reason": step.reason,
        "error": step.error,
    }


def _step_of(row: Row[Any]) -> Step:
    return Step(row.at, Trigger(row.trigger), State(row.source), State(row.dest), row.reason, row.error)
