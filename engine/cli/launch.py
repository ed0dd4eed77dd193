"""`launch`: a task from its file to its workers' submissions, and down again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import typer

from ..config import load_task_file
from ..errors import FalseworkError, ShutdownFailed
from ..launch.launcher import BotSettings, Outcome, TaskLauncher
from ..ledger.ledger import Ledger
from ..lifecycle.states import FINAL
from ..settings.quantities import parse_duration
from ..work.submissions import FILE_NAME
from . import signals
from .exits import Interrupted, StillStanding, told
from .progress import Progress
from .records import open_ledger
from .showing import showing
from .streams import print_if_read
from .sweep import tidied
from .tasks import warn_of_ignored
from .waydown import WayDown, what_stands


def bot_settings(count: int | None, think: str, faults: float, seed: int) -> BotSettings | None:
    """The bots that were asked for. Raises typer.BadParameter for settings of bots without bots."""
    try:
        seconds = parse_duration(think)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--think") from error
    if count is not None:
        return BotSettings(count, seconds, faults, seed)
    if seconds or faults or seed:
        raise typer.BadParameter("--think, --bot-faults and --bot-seed need --bots N")
    return None


def launch(file: Path, overrides: Sequence[str], bots: BotSettings | None, as_json: bool) -> None:
    """Run a task to its end and print what it came to, which is told as well if it ended early.

    Raises what ended it: ConfigError before anything exists, ShutdownFailed or StillStanding if something still stands,
    Interrupted.
    """
    task_file = load_task_file(file, overrides)
    warn_of_ignored(task_file)

    async def main(ledger: Ledger, progress: Progress) -> Outcome:
        tidying = await tidied(ledger, progress)
        launcher = TaskLauncher(task_file, ledger, reporter=progress, bots=bots, overrides=tuple(overrides))
        try:
            return await launcher.launch()
        finally:
            tidying.cancel()
            await asyncio.wait({tidying})

    see_it_through(main, task_file.lifecycle.shutdown.timeout, as_json)


def see_it_through(
    main: Callable[[Ledger, Progress], Awaitable[Outcome]], shutdown_timeout: float, as_json: bool
) -> None:
    """Drive a run to its end and print what it came to. Raises what ended it early, as it says at `launch`."""
    ledger = open_ledger()
    with showing() as progress:
        edge = WayDown(progress, ledger, shutdown_timeout)
        ended: FalseworkError | None = None
        try:
            signals.run(lambda: _guarded(main, ledger, progress), edge)
        except FalseworkError as error:
            ended = error
    if as_json and progress.run_id is not None:
        print_if_read(json.dumps(_result(progress, ended)))
    elif ended is None:
        print_if_read("\n".join(_summary(progress)))
    if ended is not None:
        raise _explained(ended, progress)


async def _guarded(
    main: Callable[[Ledger, Progress], Awaitable[Outcome]], ledger: Ledger, progress: Progress
) -> Outcome:
    """The ledger is closed at the end; an error says what stands."""
    try:
        return await main(ledger, progress)
    except FalseworkError as error:
        if progress.current is not FINAL:
            for line in what_stands(ledger, progress.run_id):
                error.add_note(line)
        raise
    finally:
        await ledger.close()


def _explained(error: FalseworkError, progress: Progress) -> FalseworkError:
    """The error, with where the run is now."""
    if progress.run_id is None:
        return Interrupted("interrupted, before anything was put up") if isinstance(error, Interrupted) else error
    if progress.current is FINAL:
        if isinstance(error, Interrupted):
            return Interrupted(f"interrupted; run {progress.run_id} is down")
        error.add_note(f"run {progress.run_id} is down; falsework show {progress.run_id} tells its story")
        return error
    return error if isinstance(error, ShutdownFailed) else StillStanding.because_of(error)


def _result(progress: Progress, error: FalseworkError | None) -> dict[str, Any]:
    counts = progress.counts
    return {
        "run_id": progress.run_id,
        "state": progress.current.value if progress.current else None,
        "url": progress.url,
        "directory": str(progress.directory),
        "units": counts.units if counts else None,
        "done": counts.done if counts else 0,
        "submissions": counts.counted if counts else 0,
        "extras": counts.extras if counts else 0,
        "error": "\n".join(told(error)) if error else None,
    }


def _summary(progress: Progress) -> list[str]:
    result = _result(progress, None)
    extras = f", and {result['extras']} that do not count" if result["extras"] else ""
    return [
        f"{progress.run_id}: {result['done']} of {result['units']} units done, {result['submissions']} submissions{extras}",
        f"submissions: {result['directory']}/{FILE_NAME}",
        f"as a table:  falsework export {progress.run_id}",
    ]
