"""From a task file to its workers' submissions, and down again.

The story of one launch, in order: check, enter the run into the ledger, prepare, deploy, connect, publish, work until every
unit has its submissions, withdraw, take in what is still under way, shut down. Whatever happens, it shuts down.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from .architect import Presence, Site
from .cancellation import uncancelled
from .config import TaskFile
from .config.units import load_units
from .directories import new_run_id, run_directory
from .endings import RunEnded, end_after, end_when_idle, forever, until
from .errors import ConfigError, ConnectFailed, Problem
from .farewell import take_leave
from .heartbeat import beating
from .ledger import Ledger, RunRecord
from .owner import Owner
from .provider import Provider, make_provider
from .registry import architect_class
from .report import Reporter
from .run import Run
from .salvage import copy_upload, lies_here, salvage
from .states import State
from .work.assignments import Assignments, Counts
from .work.bots import Bots, BotsGaveUp
from .work.foreman import Foreman
from .work.hook import Hook, HookFailed
from .work.intake import Intake
from .work.roster import Roster
from .work.submissions import StoreError, Submissions

FAREWELL_TIMEOUT = 10.0
"""Seconds without anything arriving after which the server is not expected to hand over more, and is taken down."""
LARGEST_UNIT = 350 << 10
"""Bytes of a unit's JSON: a page gets it twice, and its past live updates, in one packet of 1 MiB."""
INTERRUPTED = "it was interrupted"


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
        self._architect = architect_class(task_file.architect.type)()
        self._hook = Hook.load(task_file.task.hook, self._reporter.say)
        self._lost = asyncio.Event()

    async def launch(self) -> Outcome:
        """Run the task to its end, and return what it came to.

        Raises ConfigError before anything exists; later whatever ended the run early, after it was taken down, or
        ShutdownFailed if something still stands.
        """
        units = load_units(self._file.task.units)
        self._check_bots()
        self._check_sizes(units)
        await type(self._architect).assert_task_args(self._file.architect, self._file.task)
        run = self._make_run(self._make_site())
        await self._enter(run, units)
        try:
            async with self._store(run, units) as foreman:
                await self._live(run, foreman)
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
        return Site(
            run_id=run_id,
            args=self._file.architect,
            task=self._file.task,
            directory=run_directory(run_id),
            token=secrets.token_hex(32),
            log=logging.LoggerAdapter(logging.getLogger("falsework.architect"), {"run": run_id}),
            lease=self._file.lifecycle.lease,
            grace=self._file.lifecycle.grace,
            idle_timeout=self._file.lifecycle.idle_timeout,
            max_lifetime=self._file.lifecycle.max_lifetime,
        )

    async def _enter(self, run: Run, units: list[Any]) -> None:
        """Give the run its directory's first files, and a place in the ledger."""
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
            _write_snapshot(site.directory, self._file, units)
            await uncancelled(self._ledger.create(record))
        except asyncio.CancelledError:  # comes only after it was entered
            await uncancelled(run.shutdown(INTERRUPTED))
            raise
        except BaseException:
            shutil.rmtree(site.directory)
            raise
        self._reporter.begun(site.run_id, site.directory)

    def _make_run(self, site: Site) -> Run:
        return Run(
            site,
            self._architect,
            self._ledger,
            self._file.lifecycle,
            say=self._reporter.say,
            on_state=self._reporter.state,
            clock=self._clock,
        )

    @asynccontextmanager
    async def _store(self, run: Run, units: list[Any]) -> AsyncIterator[Foreman]:
        """The foreman, with the stores of the run's directory open for it. Raises StoreError."""
        site, task = run.site, self._file.task
        assignments = Assignments(
            len(units), task.assignments_per_unit, together=task.together, units_per_worker=task.units_per_worker
        )
        roster, submissions = Roster(site.directory, assignments, self._clock), Submissions(site.directory)

        async def fetch(filename: str, directory: Path) -> Path:
            if run.state is not State.CONNECTED and lies_here(site.directory, filename):
                return await copy_upload(site.directory, filename, directory)
            return await self._architect.download_file(site, filename, directory)

        submissions.open()
        try:
            roster.open()
            intake = Intake(submissions, fetch, self._reporter, self._clock)
            foreman = Foreman(task, units, roster, intake, self._hook, self._reporter, self._clock)
            try:
                yield foreman
            finally:
                await foreman.stop()
                await roster.close()
        finally:
            await submissions.close()

    # While it stands

    async def _live(self, run: Run, foreman: Foreman) -> None:
        """From nothing to every unit done, and down again. Whatever was handed in is stored when it returns or raises."""
        reason = INTERRUPTED
        try:
            await self._serve(run, foreman)
            reason = "every unit has its submissions"
        except Exception as error:
            reason = str(error) or repr(error)
            raise
        finally:
            await uncancelled(self._end(run, foreman, reason))

    async def _end(self, run: Run, foreman: Foreman, reason: str) -> None:
        try:
            await run.shutdown(reason)
        finally:
            await foreman.stop()
            await salvage(run.site.directory, foreman, self._reporter)

    async def _serve(self, run: Run, foreman: Foreman) -> None:
        """Put it up, let people work, take in what they handed in. Returns when every unit is done."""
        bundle = await run.prepare()
        url = await run.deploy(bundle)
        await self._connect(run, foreman)
        if self._cleans_up_now():
            await run.cleanup()
        provider = make_provider(self._file.provider, self._reporter)
        async with beating(self._ledger, run.site.run_id):
            try:
                await provider.publish(url)
                await self._work(run, foreman, url)
            finally:
                await uncancelled(self._wind_up(run, foreman, provider))

    async def _connect(self, run: Run, foreman: Foreman) -> None:
        self._lost.clear()
        await run.connect(
            foreman.channel_opened, lambda channel_id: self._lost.set(), foreman.take, foreman.acked, foreman.attach
        )

    def _cleans_up_now(self) -> bool:
        policy = self._file.lifecycle.cleanup
        return policy == "after_deploy" or (policy == "auto" and not self._file.task.review)

    async def _work(self, run: Run, foreman: Foreman, url: str) -> None:
        """Until every unit is done. Raises RunEnded at a limit, ConnectFailed if the server is lost."""
        limits = self._file.lifecycle
        watches = (
            foreman.watch(),
            end_when_idle(limits.idle_timeout, lambda: foreman.last_heard, self._clock),
            end_after(limits.max_lifetime),
            self._stay_connected(run, foreman),
            self._rehearse(url),
        )
        await until(foreman.done, watches)

    async def _stay_connected(self, run: Run, foreman: Foreman) -> NoReturn:
        """Connect again for as long as the server is there."""
        while True:
            await self._lost.wait()
            await run.lose("the channel did not come back")
            presence = await self._architect.probe(run.site)
            if presence in (Presence.GONE, Presence.DOWN):
                raise ConnectFailed(f"the server is {presence}; its log says what happened")
            await self._connect(run, foreman)

    async def _rehearse(self, url: str) -> NoReturn:
        """Let bots do the work, if it is a rehearsal. Raises RunEnded if they cannot finish it."""
        if self._bots is not None:
            bots = Bots(url, self._hook, self._bots.count, self._bots.think, self._bots.faults, self._bots.seed)
            try:
                await bots.work()
            except (BotsGaveUp, HookFailed) as error:
                raise RunEnded(str(error)) from error
        await forever()  # people take over from here

    async def _wind_up(self, run: Run, foreman: Foreman, provider: Provider) -> None:
        """Invite nobody more, send everybody home, and take in what the server still holds."""
        await _told(provider.withdraw, self._reporter)
        await take_leave(run, foreman, self._reporter, FAREWELL_TIMEOUT)


async def _told(step: Callable[[], Awaitable[None]], reporter: Reporter) -> None:
    """A step on the way down: its error is told, and neither that nor its hanging keeps anything else from happening."""
    try:
        async with asyncio.timeout(FAREWELL_TIMEOUT):
            await step()
    except Exception as error:  # noqa: BLE001 - the way down goes on
        reporter.say(f"on the way down: {error!r}")


def _write_snapshot(directory: Path, file: TaskFile, units: list[Any]) -> None:
    """What the run was launched from, as it was then: its results can be read without the task's directory."""
    lines = b"".join(msgspec.json.encode(unit) + b"\n" for unit in units)
    (directory / "units.jsonl").write_bytes(lines)
    shutil.copyfile(file.file, directory / "task.yaml")
