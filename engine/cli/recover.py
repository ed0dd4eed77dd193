"""`resume` and `collect`: a run whose launcher is gone goes on, or what its server holds is taken in."""

from __future__ import annotations

from ..errors import ConfigError, Problem
from ..launch.launcher import Outcome
from ..launch.recovery import Collected
from ..launch.recovery import collect as collect_run
from ..launch.recovery import resume as resume_run
from ..launch.takeover import settings_of
from ..ledger.ledger import Ledger, RunRecord
from ..lifecycle.states import FINAL
from . import signals
from .launch import see_it_through
from .output import print_json
from .progress import Progress
from .records import is_owner_alive, open_ledger, reading_run
from .showing import showing
from .waydown import WayDown


def resume(text: str, as_json: bool) -> None:
    """Take a run up and see it to its end, as `launch` does. Raises ConfigError if it is not this command's to take up."""
    with reading_run(text) as (_, run):
        _check(run, "resume")

    async def main(ledger: Ledger, progress: Progress) -> Outcome:
        return await resume_run(ledger, run, progress)

    see_it_through(main, settings_of(run).lifecycle.shutdown.timeout, as_json)


def collect(text: str, as_json: bool) -> None:
    """Take in what a server holds. Raises ConfigError if that is its launcher's business."""
    with reading_run(text) as (_, run):
        if run.state is not FINAL:
            _check(run, "collect")
    ledger = open_ledger()
    with showing() as progress:
        collected = signals.run(lambda: _collect(ledger, run, progress), WayDown(progress, ledger))
    if as_json:
        print_json({"run_id": run.run_id, "collected": collected.stored, "server_is_gone": collected.is_gone})
    else:
        server = "is gone" if collected.is_gone else "stands"
        print(f"{run.run_id}: {collected.stored} submissions collected; its server {server}")


async def _collect(ledger: Ledger, run: RunRecord, progress: Progress) -> Collected:
    try:
        return await collect_run(ledger, run, progress)
    finally:
        await ledger.close()


def _check(run: RunRecord, verb: str) -> None:
    if run.state is FINAL:
        raise ConfigError(Problem(f"{run.run_id} is down; there is nothing to {verb}", key="RUN"))
    if is_owner_alive(run):
        raise ConfigError(
            Problem(f"its launcher lives, process {run.owner.pid}: there is nothing to {verb}", key="RUN")
        )
