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
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from .architect import Presence, Site
from .assignments import Assignments, Counts
from .bots import Bots, BotsGaveUp
from .config import TaskFile
from .directories import new_run_id, run_directory
from .errors import ConfigError, ConnectFailed, FalseworkError, LedgerError, Problem
from .foreman import Foreman
from .hook import Hook
from .intake import Intake
from .ledger import Ledger, RunRecord
from .owner import Owner
from .provider import make_provider
from .registry import architect_class
from .report import Reporter
from .roster import Roster
from .run import Run
from .states import State
from .submissions import Submissions
from .units import load_units

FAREWELL_TIMEOUT = 10.0
"""Seconds that the server gets to hand over what it still holds before it is taken down."""
HEARTBEAT = 10.0
"""Seconds between two signs of life in the ledger."""


class RunEnded(FalseworkError):
    """The run ended before every unit had its submissions; the reason says why."""


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
        await type(self._architect).assert_task_args(self._file.architect, self._file.task)
        site = await self._enter(units)
        async with self._store(site, units) as foreman:
            run = self._make_run(site)
            reason = "it was interrupted"
            try:
                await self._live(run, foreman)
                reason = "every unit has its submissions"
            except Exception as error:
                reason = str(error)
                raise
            finally:
                await run.shutdown(reason)
            return Outcome(site.run_id, run.state, site.directory, foreman.counts)

    # Before anything stands

    def _check_bots(self) -> None:
        needed = self._file.task.assignments_per_unit
        if self._bots is not None and self._bots.count < needed:
            raise ConfigError(
                Problem(
                    f"{self._bots.count} bots cannot do it: each unit needs {needed} different workers", key="--bots"
                )
            )

    async def _enter(self, units: list[Any]) -> Site:
        """Give the run an id, a directory and a place in the ledger."""
        run_id, token = new_run_id(self._file.task.name), secrets.token_hex(32)
        directory = run_directory(run_id)
        _write_snapshot(directory, self._file, units)
        record = RunRecord(
            run_id=run_id,
            architect=self._file.architect.type,
            directory=directory,
            task_file=self._file.file,
            overrides=self._overrides,
            owner=Owner.this_process(),
        )
        await self._ledger.create(record)
        self._reporter.begun(run_id, directory)
        return Site(
            run_id=run_id,
            args=self._file.architect,
            task=self._file.task,
            directory=directory,
            token=token,
            log=logging.LoggerAdapter(logging.getLogger("falsework.architect"), {"run": run_id}),
            lease=self._file.lifecycle.lease,
            grace=self._file.lifecycle.grace,
        )

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
    async def _store(self, site: Site, units: list[Any]) -> AsyncIterator[Foreman]:
        """The foreman, with the stores of the run's directory open for it."""
        task = self._file.task
        assignments = Assignments(
            len(units), task.assignments_per_unit, together=task.together, units_per_worker=task.units_per_worker
        )
        roster, submissions = Roster(site.directory, assignments, self._clock), Submissions(site.directory)

        async def fetch(filename: str, directory: Path) -> Path:
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
        """Put it up, let people work, take in what they handed in. Returns when every unit is done."""
        bundle = await run.prepare()
        url = await run.deploy(bundle)
        await self._connect(run, foreman)
        if self._cleans_up_now():
            await run.cleanup()
        provider = make_provider(self._file.provider, self._reporter)
        async with _beating(self._ledger, run.site.run_id):
            try:
                await provider.publish(url)
                await self._work(run, foreman, url)
            finally:
                await _told(provider.withdraw, self._reporter)
                await self._take_in_the_rest(run, foreman)

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
        watches = [
            asyncio.create_task(foreman.watch()),
            asyncio.create_task(self._end_when_idle(foreman, limits.idle_timeout)),
            asyncio.create_task(_end_after(limits.max_lifetime)),
            asyncio.create_task(self._stay_connected(run, foreman)),
            asyncio.create_task(self._rehearse(url)),
        ]
        done = asyncio.create_task(foreman.done.wait())
        try:
            ended, _ = await asyncio.wait({done, *watches}, return_when=asyncio.FIRST_COMPLETED)
            if done not in ended:
                for watch in ended:
                    watch.result()
        finally:
            for task in (done, *watches):
                task.cancel()
            await asyncio.gather(done, *watches, return_exceptions=True)

    async def _end_when_idle(self, foreman: Foreman, timeout: float | None) -> None:
        if timeout is None:
            await asyncio.Event().wait()
            return
        left = timeout
        while left > 0:
            await asyncio.sleep(left)
            left = foreman.last_heard + timeout - self._clock()
        raise RunEnded(f"no worker was heard for {timeout:g} s (lifecycle.idle_timeout)")

    async def _stay_connected(self, run: Run, foreman: Foreman) -> None:
        """Connect again for as long as the server is there."""
        while True:
            await self._lost.wait()
            await run.lose("the channel did not come back")
            presence = await self._architect.probe(run.site)
            if presence in (Presence.GONE, Presence.DOWN):
                raise ConnectFailed(f"the server is {presence}; its log says what happened")
            await self._connect(run, foreman)

    async def _rehearse(self, url: str) -> None:
        """Let bots do the work, if it is a rehearsal. Raises RunEnded if they cannot finish it."""
        if self._bots is not None:
            bots = Bots(url, self._hook, self._bots.count, self._bots.think, self._bots.faults, self._bots.seed)
            try:
                await bots.work()
            except BotsGaveUp as error:
                raise RunEnded(str(error)) from error
        await asyncio.Event().wait()  # people take over from here

    async def _take_in_the_rest(self, run: Run, foreman: Foreman) -> None:
        """Send everybody home, and wait, within bounds, for what the server still holds."""
        if run.state is not State.CONNECTED:
            return
        await foreman.expire_all()
        farewells = await asyncio.gather(*(channel.say_bye(FAREWELL_TIMEOUT) for channel in run.channels))
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_TIMEOUT):
                await foreman.settle()
        if not all(farewells):
            self._reporter.say(
                f"the server did not hand over everything within {FAREWELL_TIMEOUT:g} s; see its directory"
            )


@asynccontextmanager
async def _beating(ledger: Ledger, run_id: str) -> AsyncIterator[None]:
    """Sign the ledger now and then, so that others see that the run's owner is alive."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(HEARTBEAT)
            with suppress(LedgerError):  # a missed sign of life is no reason to end a run
                await ledger.beat(run_id)

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)


async def _end_after(seconds: float | None) -> None:
    if seconds is None:
        await asyncio.Event().wait()
    else:
        await asyncio.sleep(seconds)
        raise RunEnded(f"the run has lasted {seconds:g} s (lifecycle.max_lifetime)")


async def _told(step: Callable[[], Awaitable[None]], reporter: Reporter) -> None:
    """A step on the way down: its error is told, and keeps nothing else from happening."""
    try:
        await step()
    except Exception as error:  # noqa: BLE001 - the way down goes on
        reporter.say(f"on the way down: {error!r}")


def _write_snapshot(directory: Path, file: TaskFile, units: list[Any]) -> None:
    """What the run was launched from, as it was then: its results can be read without the task's directory."""
    lines = b"".join(msgspec.json.encode(unit) + b"\n" for unit in units)
    (directory / "units.jsonl").write_bytes(lines)
    shutil.copyfile(file.file, directory / "task.yaml")
