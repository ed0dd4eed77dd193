"""Taking up a run whose launcher is gone, from the ledger and the run's directory alone.

What the dead launcher had in mind is not known here; what it recorded is enough to take the run down, and to find what it
was launched with. Who may be taken for dead is the caller's to decide.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from ..config import TaskFile, load_task_file
from ..contract.architect import Site
from ..contract.registry import architect_class
from ..errors import ArchitectError, ConfigError
from ..ledger.ledger import Ledger, RunRecord, Step
from ..ledger.owner import Owner
from ..lifecycle.states import WORK, Trigger
from ..report import Reporter
from ..run.hands import Hands
from ..run.run import Run
from ..settings.sections import TASK_FILE, LifecycleArgs, ProviderArgs, TaskArgs
from ..settings.units import UNITS_FILE

TOKEN = "token"
"""In a run's directory: its token, beside the copy of its task file."""


@dataclass(frozen=True)
class Settings:
    """What a run was launched with, as far as it is still known."""

    task: TaskArgs
    architect: Any
    lifecycle: LifecycleArgs
    provider: ProviderArgs = ProviderArgs()
    is_complete: bool = False
    """Whether the task's hook and all else that serving needs is known too."""


async def take_over(ledger: Ledger, record: RunRecord, reporter: Reporter, settings: Settings | None = None) -> Run:
    """Make this process the owner of a run, and return the run as its launcher left it, at rest. `shutdown` is legal then.

    Work that the launcher did not finish is recorded as failed first. Call it only for a run whose owner is gone. Raises
    RunTakenOver if another process was faster, ConfigError or ArchitectError if the run's architect cannot be had here.
    `settings` are what it was launched with, for who has read them.
    """
    settings = settings or settings_of(record)
    architect_class(record.architect)
    record = await _at_rest(ledger, await ledger.claim(record, Owner.this_process()), dead=record.owner)
    return run_of(ledger, record, settings, reporter)


def run_of(ledger: Ledger, record: RunRecord, settings: Settings, reporter: Reporter) -> Run:
    """The run as the ledger has it, for whoever owns it; whoever does not may look at it, and call nothing else."""
    site = site_of(record.run_id, record.directory, settings, _token(record.directory))
    site.epoch, site.url, site.resources = record.epoch, record.url, ledger.resources(record.run_id)
    run = Run(
        Hands.of(record.architect, site, reporter.say),
        ledger,
        settings.lifecycle,
        on_state=reporter.state,
        state=record.state,
    )
    run.story = ledger.story(record.run_id)
    return run


def site_of(run_id: str, directory: Path, settings: Settings | TaskFile, token: str) -> Site:
    """The site of a run with these settings, of which nothing else is known yet."""
    return Site(
        run_id=run_id,
        args=settings.architect,
        task=settings.task,
        directory=directory,
        token=token,
        log=logging.LoggerAdapter(logging.getLogger("falsework.architect"), {"run": run_id}),
        lease=settings.lifecycle.lease,
        grace=settings.lifecycle.grace,
        idle_timeout=settings.lifecycle.idle_timeout,
        max_lifetime=settings.lifecycle.max_lifetime,
    )


def settings_of(record: RunRecord) -> Settings:
    """From the run's own copy of its task file, as far as the files that it names are still there; else from the task file
    itself; else the architect's defaults.

    Raises ConfigError if there is no such architect, ArchitectError if it has no defaults.
    """
    for source in _sources(record):
        try:
            loaded = load_task_file(source.file, [*record.overrides, *source.overrides], source.base)
        except ConfigError:
            continue
        if loaded.architect.type == record.architect:
            return Settings(loaded.task, loaded.architect, loaded.lifecycle, loaded.provider, source.is_complete)
    name = record.run_id.rpartition("-")[0]
    task = TaskArgs(name, static=record.directory, units=record.directory / UNITS_FILE)
    return Settings(task, _defaults(record), LifecycleArgs())


class _Source(NamedTuple):
    file: Path
    base: Path | None
    overrides: Sequence[str] = ()
    is_complete: bool = True


def _sources(record: RunRecord) -> Iterator[_Source]:
    """The copy of the file that was launched, with the run's own units, page and, at last, no hook; then the file itself."""
    copy, base = record.directory / TASK_FILE, record.task_file.parent
    units = f"task.units={json.dumps(str(record.directory / UNITS_FILE))}"
    static = f"task.static={json.dumps(str(record.directory / 'bundle' / 'static'))}"
    yield _Source(copy, base, (units,))
    yield _Source(copy, base, (units, static))
    yield _Source(copy, base, (units, static, "task.hook=null"), is_complete=False)
    yield _Source(record.task_file, None, is_complete=False)


def _defaults(record: RunRecord) -> Any:
    try:
        return architect_class(record.architect).ArgsClass(type=record.architect)
    except TypeError as error:
        raise ArchitectError(
            f"run {record.run_id} cannot be taken up without the settings of its architect {record.architect!r}: "
            f"put its task file back to {record.task_file}"
        ) from error


async def _at_rest(ledger: Ledger, record: RunRecord, dead: Owner) -> RunRecord:
    """The run, where the work that its launcher had under way has been recorded as failed."""
    if record.state not in WORK:
        return record
    _, failure = WORK[record.state]
    error = f"its launcher {dead} ended in the middle of it"
    step = Step(time.time(), Trigger.FAILED, record.state, failure, error=error)
    await ledger.record(record.run_id, step, record.epoch)
    return replace(record, state=failure)


def _token(directory: Path) -> str:
    """The run's token; without it nothing can be fetched, but all can be taken down."""
    try:
        return (directory / TOKEN).read_text()
    except OSError:
        return ""
