"""Where one run's work is done: its foreman, with the stores of its directory open for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ..lifecycle.states import State
from ..report import Reporter
from ..run.run import Run
from ..settings.sections import TaskArgs
from ..work.assignments import Assignments
from ..work.foreman import Foreman
from ..work.hook import Hook
from ..work.intake import Intake
from ..work.roster import Roster
from ..work.submissions import Submissions
from .salvage import copy_upload, lies_here


@asynccontextmanager
async def workplace(
    run: Run,
    task: TaskArgs,
    units: list[Any],
    hook: Hook,
    reporter: Reporter,
    clock: Callable[[], float],
    *,
    admits: bool = True,
) -> AsyncIterator[Foreman]:
    """The foreman of a run, who knows what was done before; one that does not `admits` takes in only. Raises StoreError."""
    directory = run.site.directory
    assignments = Assignments(
        len(units), task.assignments_per_unit, together=task.together, units_per_worker=task.units_per_worker
    )
    roster, submissions = Roster(directory, assignments, clock), Submissions(directory)
    submissions.open()
    try:
        roster.open()
        intake = Intake(submissions, _fetching(run), reporter, clock)
        foreman = Foreman(task, units, roster, intake, hook, reporter, clock, admits=admits)
        try:
            foreman.restore(submissions)
            yield foreman
        finally:
            await foreman.stop()
            await roster.close()
    finally:
        await submissions.close()


def _fetching(run: Run) -> Callable[[str, Path], Any]:
    """How an upload is had: from the server, or from what it left on this machine."""

    async def fetch(filename: str, directory: Path) -> Path:
        if (
            run.state is not State.CONNECTED
            and run.hands.remains is not None
            and lies_here(run.hands.remains, filename)
        ):
            return await copy_upload(run.hands.remains, filename, directory)
        return await run.hands.download_file(filename, directory)

    return fetch
