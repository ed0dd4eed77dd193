"""What the ledger keeps: its values, the tables that hold them, the statements that write them, and rows read back as values.

Nothing here opens a database. Parameters of a statement that begin with `of_` find the row, those named after columns set them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from ..contract.architect import Resource
from ..lifecycle.states import INITIAL, State, Trigger
from .owner import Owner

SCHEMA = 1

metadata = sa.MetaData()
about = sa.Table("about", metadata, sa.Column("schema", sa.Integer, nullable=False))
runs = sa.Table(
    "runs",
    metadata,
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
transitions = sa.Table(
    "transitions",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("run_id", sa.String, sa.ForeignKey("runs.run_id"), nullable=False, index=True),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("trigger", sa.String, nullable=False),
    sa.Column("source", sa.String, nullable=False),
    sa.Column("dest", sa.String, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("error", sa.String),
)
resources = sa.Table(  # a row for each time that a resource stood; `id` gives their order, as clocks may be set back
    "resources",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("run_id", sa.String, sa.ForeignKey("runs.run_id"), nullable=False, index=True),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("facts", sa.JSON, nullable=False),
    sa.Column("announced", sa.Float, nullable=False),
    sa.Column("gone", sa.Float),
)
owners = sa.Table(  # a row for each launcher that the run has had
    "owners",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("run_id", sa.String, sa.ForeignKey("runs.run_id"), nullable=False, index=True),
    sa.Column("host", sa.String, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("started", sa.Float, nullable=False),
    sa.Column("since", sa.Float, nullable=False),
    sa.Column("last_heard", sa.Float),
)

_of_run = runs.c.run_id == sa.bindparam("of_run")
_of_epoch = sa.bindparam("of_epoch", type_=sa.Integer)

ENTER_RUN = runs.insert()
ENTER_STEP = transitions.insert()
ENTER_RESOURCE = resources.insert()
ENTER_OWNER = owners.insert()
CHANGE_RUN = runs.update().where(_of_run)
CHANGE_OWNED_RUN = runs.update().where(_of_run & (runs.c.epoch == _of_epoch))
LEAVE_STATE = runs.update().where(
    _of_run & (runs.c.state == sa.bindparam("of_state")) & (_of_epoch.is_(None) | (runs.c.epoch == _of_epoch))
)
CHANGE_STANDING = resources.update().where(
    resources.c.gone.is_(None)
    & (resources.c.run_id == sa.bindparam("of_run"))
    & (resources.c.kind == sa.bindparam("of_kind"))
    & (resources.c.name == sa.bindparam("of_name"))
)
FIND_RUN = sa.select(runs).where(_of_run)
FIND_RUNS = sa.select(runs).order_by(runs.c.started.desc(), runs.c.run_id)
FIND_STORY = sa.select(transitions).where(transitions.c.run_id == sa.bindparam("of_run")).order_by(transitions.c.id)
FIND_RESOURCES = sa.select(resources).where(resources.c.run_id == sa.bindparam("of_run")).order_by(resources.c.id)
FIND_OWNERS = sa.select(owners).where(owners.c.run_id == sa.bindparam("of_run")).order_by(owners.c.id)


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


@dataclass(frozen=True)
class Standing:
    """One time that a resource stood, in seconds since the epoch; `gone` is None while it stands."""

    resource: Resource
    announced: float
    gone: float | None


@dataclass(frozen=True)
class Ownership:
    """A launcher of a run, since when it is that, and when the one before it was last heard of (None for the first)."""

    owner: Owner
    since: float
    last_heard: float | None


def columns_of_run(run: RunRecord) -> dict[str, Any]:
    """A run as a row of `runs`."""
    plain = ("run_id", "architect", "url", "epoch", "heartbeat", "started", "ended")
    return {
        **{name: getattr(run, name) for name in plain},
        "owner_host": run.owner.host,
        "owner_pid": run.owner.pid,
        "owner_started": run.owner.started,
        "state": run.state.value,
        "directory": str(run.directory),
        "task_file": str(run.task_file),
        "overrides": list(run.overrides),
    }


def columns_of_step(step: Step) -> dict[str, Any]:
    """A step as a row of `transitions`, but for its run."""
    return {
        "at": step.at,
        "trigger": step.trigger.value,
        "source": step.source.value,
        "dest": step.dest.value,
        "reason": step.reason,
        "error": step.error,
    }


def columns_of_owner(run: RunRecord, last_heard: float | None) -> dict[str, Any]:
    """A run's owner, from now on, as a row of `owners`."""
    owner = run.owner
    row = {"run_id": run.run_id, "host": owner.host, "pid": owner.pid, "started": owner.started}
    return {**row, "since": run.heartbeat, "last_heard": last_heard}


def run_of(row: Row[Any]) -> RunRecord:
    """A row of `runs` as what it says."""
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


def step_of(row: Row[Any]) -> Step:
    """A row of `transitions` as what it says."""
    return Step(row.at, Trigger(row.trigger), State(row.source), State(row.dest), row.reason, row.error)


def resources_of(rows: Iterable[Row[Any]]) -> list[Resource]:
    """Rows of `resources` as what they say: each resource once, as it was last, in the order of the last announcements."""
    found: dict[tuple[str, str], Resource] = {}
    for row in rows:
        found.pop((row.kind, row.name), None)
        found[row.kind, row.name] = Resource(row.kind, row.name, dict(row.facts))
    return list(found.values())


def standing_of(row: Row[Any]) -> Standing:
    """A row of `resources` as what it says."""
    return Standing(Resource(row.kind, row.name, dict(row.facts)), row.announced, row.gone)


def ownership_of(row: Row[Any]) -> Ownership:
    """A row of `owners` as what it says."""
    return Ownership(Owner(row.host, row.pid, row.started), row.since, row.last_heard)
