"""From a task file to its workers' submissions, and down again.

The story of one launch, in order: check, enter the run into the ledger, prepare, deploy, connect, publish, work until every
unit has its submissions, withdraw, take in what is still under way, shut down. Whatever happens, it shuts down.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Self

import msgspec

from ..config import TaskFile, load_task_file
from ..contract.architect import Site
from ..contract.cancellation import uncancelled
from ..contract.provider import make_provider
from ..counts import Counts
from ..directories import new_run_id, run_directory, write_secret
from ..errors import ConfigError, Problem
from ..ledger.ledger import Ledger, RunRecord
from ..ledger.owner import Owner
from ..lifecycle.states import State
from ..report import Reporter
from ..run.hands import Hands, preflight
from ..run.run import Run
from ..settings.sections import TASK_FILE, LifecycleArgs, TaskArgs
from ..settings.units import UNITS_FILE, load_units
from ..work.bots import Bots, BotsGaveUp
from ..work.foreman import Foreman
from ..work.hook import Hook, HookFailed
from ..work.submissions import StoreError
from .endings import RunEnded, forever
from .serving import INTERRUPTED, Serving
from .takeover import TOKEN, site_of
from .workplace import workplace

LARGEST_UNIT = 350 << 10
"""Bytes of a unit's JSON: a page gets it twice, and its past live updates, in one packet of 1 MiB."""


@dataclass(frozen=True)
class BotSettings:
    """Scripted workers that rehearse a task. `think` is in seconds, `faults` a probability for each step."""

    count: int
    think: float = 0.0
    faults: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Outcome:
    """What a launch came to."""

    run_id: str
    state: State
    directory: Path
    counts: Counts


class TaskLauncher:
    """Launches one task file. `clock` gives seconds since the epoch."""

    def __init__(
        self,
        task_file: TaskFile,
        ledger: Ledger,
        *,
        reporter: Reporter | None = None,
        bots: BotSettings | None = None,
        overrides: tuple[str, ...] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._file, self._ledger, self._bots = task_file, ledger, bots
        self._reporter = reporter or Reporter()
        self._overrides, self._clock = overrides, clock
        self._hook = Hook.load(task_file.task.hook, self._reporter.say)

    @classmethod
    def of(cls, path: Path | str, ledger: Ledger, *, reporter: Reporter, overrides: Sequence[str]) -> Self:
        """The launcher of the task file at `path`, changed as on the command line. Raises ConfigError."""
        return cls(load_task_file(path, overrides), ledger, reporter=reporter, overrides=tuple(overrides))

    async def launch(self) -> Outcome:
        """Run the task to its end, and return what it came to.

        Raises ConfigError before anything exists; later whatever ended the run early, after it was taken down, or
        ShutdownFailed if something still stands.
        """
        units = load_units(self._file.task.units)
        self._check_bots()
        self._check_sizes(units)
        await preflight(self._file.architect, self._file.task, self._reporter.say)
        run = self._make_run(self._make_site())
        await self._enter(run, units)
        try:
            async with workplace(run, self._file.task, units, self._hook, self._reporter, self._clock) as foreman:
                await self._serve(run, foreman)
                return Outcome(run.site.run_id, run.state, run.site.directory, foreman.counts)
        except StoreError as error:
            await uncancelled(run.shutdown(str(error)))  # quiet, unless the store could not be opened
            raise

    # Before anything stands

    def _check_bots(self) -> None:
        needed = self._file.task.assignments_per_unit
        if self._bots is not None and self._bots.count < needed:
            raise ConfigError(
                Problem(
                    f"{self._bots.count} bots cannot do it: each unit needs {needed} different workers", key="--bots"
                )
            )

    def _check_sizes(self, units: list[Any]) -> None:
        large = [index for index, unit in enumerate(units) if len(msgspec.json.encode(unit)) > LARGEST_UNIT]
        if large:
            raise ConfigError(
                Problem(
                    f"unit {large[0] + 1} (and {len(large) - 1} others) is larger than {LARGEST_UNIT} bytes of JSON; put "
                    f"what is large into the task's static directory, and its name into the unit",
                    str(self._file.task.units),
                )
            )

    def _make_site(self) -> Site:
        run_id = new_run_id(self._file.task.name)
        return site_of(run_id, run_directory(run_id), self._file, secrets.token_hex(32))

    async def _enter(self, run: Run, units: list[Any]) -> None:
        """Give the run a place in the ledger, then its directory's first files: what is in no ledger is never removed."""
        site = run.site
        record = RunRecord(
            run_id=site.run_id,
            architect=self._file.architect.type,
            directory=site.directory,
            task_file=self._file.file,
            overrides=self._overrides,
            owner=Owner.this_process(),
        )
        try:
            await uncancelled(self._ledger.create(record))
        except asyncio.CancelledError:  # comes only after it was entered
            await uncancelled(run.shutdown(INTERRUPTED))
            raise
        except BaseException:
            shutil.rmtree(site.directory)
            raise
        try:
            _write_snapshot(site, self._file, units)
        except OSError as error:
            await uncancelled(run.shutdown(f"its directory cannot be written: {error}"))
            raise
        self._reporter.begun(site.run_id, site.directory)

    def _make_run(self, site: Site) -> Run:
        return Run(
            Hands.of(self._file.architect.type, site, self._reporter.say),
            self._ledger,
            self._file.lifecycle,
            on_state=self._reporter.state,
            clock=self._clock,
        )

    # While it stands

    async def _serve(self, run: Run, foreman: Foreman) -> None:
        lifecycle = self._file.lifecycle
        await Serving(
            run,
            foreman,
            make_provider(self._file.provider, self._reporter),
            self._ledger,
            self._reporter,
            self._clock,
            rehearse=self._rehearse,
            cleans_up=cleans_up_after_deploy(lifecycle, self._file.task),
        ).live(lambda: self._put_up(run))

    async def _put_up(self, run: Run) -> str:
        return await run.deploy(await run.prepare())

    async def _rehearse(self, url: str) -> NoReturn:
        """Let bots do the work, if it is a rehearsal. Raises RunEnded if they cannot finish it."""
        if self._bots is not None:
            bots = Bots(url, self._hook, self._bots.count, self._bots.think, self._bots.faults, self._bots.seed)
            try:
                await bots.work()
            except (BotsGaveUp, HookFailed) as error:
                raise RunEnded(str(error)) from error
        await forever()  # people take over from here


def cleans_up_after_deploy(lifecycle: LifecycleArgs, task: TaskArgs) -> bool:
    """Whether what deploying needed goes at once, or is kept for a review."""
    return lifecycle.cleanup == "after_deploy" or (lifecycle.cleanup == "auto" and not task.review)


def _write_snapshot(site: Site, file: TaskFile, units: list[Any]) -> None:
    """What the run was launched from, as it was then, and its token: another process can take it up from here."""
    lines = b"".join(msgspec.json.encode(unit) + b"\n" for unit in units)
    (site.directory / UNITS_FILE).write_bytes(lines)
    shutil.copyfile(file.file, site.directory / TASK_FILE)
    write_secret(site.directory / TOKEN, site.token)
