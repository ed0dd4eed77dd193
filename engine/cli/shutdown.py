"""`shutdown`: take a run down from wherever. Its launcher does it, if it lives; else it is done here, from the ledger."""

from __future__ import annotations

import asyncio
import os
import signal

from ..errors import ConfigError, FalseworkError, Problem, ShutdownFailed
from ..launch.recovery import take_down
from ..launch.takeover import settings_of
from ..ledger.ledger import Ledger, RunRecord, RunTakenOver
from ..lifecycle.states import FINAL
from . import signals
from .exits import Interrupted
from .output import print_json
from .progress import Progress
from .records import is_owner_alive, open_ledger, reading_run
from .showing import showing
from .story import standing
from .waydown import WayDown, what_stands

GLANCE = 0.1
"""Seconds between two looks at what the run's launcher has done so far."""


class Waiting(WayDown):
    """Until it is done here, there is nothing to stop but waiting."""

    def stopping(self) -> None:
        self._progress.say("no longer waiting for its launcher, which goes on")


def shutdown(text: str, force: bool, as_json: bool) -> None:
    """See a run down. Raises ConfigError if that cannot be done from here, ShutdownFailed if something still stands."""
    with reading_run(text) as (_, run):
        _check_host(run, force)
    try:
        if run.state is not FINAL:
            _see_it_down(run)
    finally:
        if as_json:
            _print_result(run.run_id)


def _check_host(run: RunRecord, force: bool) -> None:
    if not force and run.state is not FINAL and not run.owner.is_on_this_host():
        advice = "take it down there, or with --force from here if that host is gone for good"
        raise ConfigError(Problem(f"{run.run_id} was launched on {run.owner.host}; {advice}", key="RUN"))


def _see_it_down(run: RunRecord) -> None:
    ledger = open_ledger()
    with showing() as progress:
        progress.run_id = run.run_id
        edge = Waiting(progress, ledger)
        signals.run(lambda: _bring_down(ledger, run.run_id, progress, edge), edge)


async def _bring_down(ledger: Ledger, run_id: str, progress: Progress, edge: WayDown) -> None:
    """Whatever happens on the way, the ledger has the last word on whether it is down."""
    try:
        while (run := ledger.run(run_id)).state is not FINAL:
            if is_owner_alive(run):
                await _leave_it_to_owner(ledger, run, progress)
            else:
                await _do_it_here(ledger, run, progress, edge)
    except (FalseworkError, asyncio.CancelledError) as error:
        if ledger.run(run_id).state is not FINAL:
            raise _not_down(error, ledger, run_id) from error
    finally:
        await ledger.close()


async def _leave_it_to_owner(ledger: Ledger, run: RunRecord, progress: Progress) -> None:
    """Ask the launcher, and wait until the run is down or the launcher is gone."""
    progress.say(f"asking its launcher, process {run.owner.pid}, to take {run.run_id} down, and waiting for it")
    try:
        os.kill(run.owner.pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise FalseworkError(f"process {run.owner.pid} belongs to another user: shut it down as that user") from error
    last = run.state
    while (run := ledger.run(run.run_id)).state is not FINAL and is_owner_alive(run):
        if run.state is not last:
            progress.say(f"its launcher: {run.state}")
            last = run.state
        await asyncio.sleep(GLANCE)


async def _do_it_here(ledger: Ledger, record: RunRecord, progress: Progress, edge: WayDown) -> None:
    progress.say(f"its launcher {record.owner} is gone; taking {record.run_id} down from the ledger")
    edge.limit = settings_of(record).lifecycle.shutdown.timeout
    try:
        await take_down(ledger, record, progress, "falsework shutdown, after its launcher was gone")
    except RunTakenOver as error:
        progress.say(str(error))


def _not_down(error: BaseException, ledger: Ledger, run_id: str) -> ShutdownFailed:
    inner = error if isinstance(error, FalseworkError) else Interrupted("interrupted while waiting")
    failed = inner if isinstance(inner, ShutdownFailed) else ShutdownFailed(f"{run_id} is not down yet", [inner])
    for line in what_stands(ledger, run_id):
        failed.add_note(line)
    return failed


def _print_result(run_id: str) -> None:
    with reading_run(run_id) as (ledger, run):
        print_json(
            {
                "run_id": run_id,
                "state": run.state.value,
                "standing": [standing(resource) for resource in ledger.resources(run_id)],
            }
        )
