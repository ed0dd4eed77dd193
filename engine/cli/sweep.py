"""`sweep`: see down whatever a dead launcher left behind, and what `launch` sweeps before it begins."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from typing import NoReturn

import typer

from ..errors import ConfigError, FalseworkError, Problem, ShutdownFailed
from ..launch.strays import Stray, end_stray, find_strays
from ..launch.sweeper import Sweeper, Swept, Verdict
from ..ledger.ledger import Ledger, RunRecord
from . import signals
from .exits import Exit
from .output import print_json
from .progress import Progress
from .records import open_existing_ledger, open_ledger
from .showing import showing
from .signals import Edge, leave_with
from .story import finishing

PATIENCE = 15.0
"""Seconds that a launch waits for what it sweeps before it begins; the rest goes on beside it."""
WORDS = {
    Verdict.ABANDONED: "half made or half taken down, and its launcher is gone",
    Verdict.SERVING: "served workers, and its launcher is gone; `falsework resume` would take it up",
    Verdict.ELSEWHERE: "launched on another host, and not heard of lately",
}


class SweepEdge(Edge):
    """What a sweep answers to a signal: what it has begun it finishes, and it begins nothing more."""

    def __init__(self, progress: Progress, ledger: Ledger) -> None:
        self._progress, self._ledger = progress, ledger

    def is_ending(self) -> bool:
        return False

    def stopping(self) -> None:
        self._progress.say("stopping: what is being taken down is finished, nothing more is begun")

    def waiting(self, left: int) -> None:
        again = "once more" if left == 1 else f"{left} more times"
        self._progress.say(f"waiting for what is being taken down; Ctrl-C {again} leaves at once; sweep again later")

    def leave(self) -> NoReturn:
        leave_with(["left at once; another `falsework sweep` finishes the job"], Exit.STANDING)


def sweep(elsewhere: bool, provider: bool, yes: bool, as_json: bool) -> None:
    """Sweep, after asking unless `yes`. Raises ConfigError if nobody can be asked, ShutdownFailed if something stands."""
    ledger = open_ledger() if provider else open_existing_ledger()
    if ledger is None:
        _print(Swept(), [], as_json)
        return
    with showing() as progress:
        swept, ended = signals.run(
            lambda: _sweep(ledger, progress, elsewhere, provider, yes), SweepEdge(progress, ledger)
        )
    _print(swept, ended, as_json)
    if swept.failed:
        raise _still_standing(ledger, swept)


async def _sweep(
    ledger: Ledger, progress: Progress, elsewhere: bool, provider: bool, yes: bool
) -> tuple[Swept, list[Stray]]:
    try:
        sweeper = Sweeper(ledger, progress.say, time.time, serving=True, elsewhere=elsewhere)
        finding = find_strays(ledger, progress.say, elsewhere=elsewhere)
        strays = [stray async for stray in finding] if provider else []
        found = sweeper.judged()
        due = [run for verdict in WORDS if elsewhere or verdict is not Verdict.ELSEWHERE for run in found[verdict]]
        if not due and not strays:
            return await sweeper.sweep(only=()), []
        progress.close()
        _ask(_listed(found, strays), yes)
        swept = await sweeper.sweep(only=[run.run_id for run in due])
        return swept, await _end_strays(strays, swept, progress)
    finally:
        await ledger.close()


def _listed(found: dict[Verdict, list[RunRecord]], strays: Sequence[Stray]) -> list[str]:
    lines = [f"{run.run_id}: {words}" for verdict, words in WORDS.items() for run in found[verdict]]
    for stray in strays:
        things = ", ".join(f"{one.kind} {one.name}" for one in stray.leftovers)
        lines.append(f"{stray.run_id}: no ledger here knows it; at {stray.architect}: {things}")
    return lines


def _ask(lines: Sequence[str], yes: bool) -> None:
    """Raises ConfigError if nobody is there to be asked, typer.Abort if the answer is no."""
    for line in lines:
        print(line, file=sys.stderr)
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigError(Problem("nobody is here to be asked; --yes takes all of these down", key="sweep"))
    typer.confirm("Take these down?", abort=True, err=True)


async def _end_strays(strays: Sequence[Stray], swept: Swept, progress: Progress) -> list[Stray]:
    ended = []
    for stray in strays:
        try:
            await end_stray(stray, progress.say)
            ended.append(stray)
        except FalseworkError as error:
            swept.failed[stray.run_id] = error
    return ended


def _print(swept: Swept, strays: Sequence[Stray], as_json: bool) -> None:
    down = [*(run.run_id for run in swept.down), *(stray.run_id for stray in strays)]
    left = [run.run_id for run in swept.elsewhere]
    if as_json:
        failed = {run_id: str(error) for run_id, error in swept.failed.items()}
        print_json({"down": down, "elsewhere": left, "failed": failed})
        return
    for run_id in down:
        print(f"{run_id} is down")
    for run in swept.elsewhere:
        print(
            f"{run.run_id} was launched on {run.owner.host}: sweep there, or here with --elsewhere if that host is gone"
        )
    if not down and not left and not swept.failed:
        print("nothing to sweep")


def _still_standing(ledger: Ledger, swept: Swept) -> ShutdownFailed:
    failed = ShutdownFailed("something still stands", list(swept.failed.values()))
    for run_id in swept.failed:
        failed.add_note(finishing(run_id))
    return failed


async def tidied(ledger: Ledger, progress: Progress) -> asyncio.Task[None]:
    """Sweep what was half made or half taken down, before a launch; returns the task of what takes longer than PATIENCE."""

    async def tidy() -> None:
        try:
            swept = await Sweeper(ledger, progress.say, time.time).sweep()
        except FalseworkError as error:
            progress.say(f"what other launchers left behind could not be looked at: {error}")
            return
        for run in swept.serving:
            verbs = f"`falsework resume {run.run_id}` takes it up, `falsework shutdown {run.run_id}` takes it down"
            progress.say(f"run {run.run_id} served workers, and its launcher is gone: {verbs}")
        for run_id, reason in swept.failed.items():
            progress.say(f"run {run_id} still stands ({reason}); {finishing(run_id)}")

    task = asyncio.create_task(tidy(), name="sweep before the launch")
    await asyncio.wait({task}, timeout=PATIENCE)
    return task
