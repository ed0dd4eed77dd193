"""What processes do: a launch as launcher.py does it with its Run, and `falsework shutdown` as the command line does it.

Run, Account, retries, Ledger, take_over and heartbeats are the engine's own; what a launcher does besides is left out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from falsework.engine.channel.listener import Ears
from falsework.engine.contract.architect import Site
from falsework.engine.contract.cancellation import uncancelled
from falsework.engine.launch import takeover
from falsework.engine.launch.heartbeat import beating
from falsework.engine.ledger.ledger import Ledger, RunRecord
from falsework.engine.lifecycle.states import FINAL
from falsework.engine.report import Reporter
from falsework.engine.run.hands import Hands
from falsework.engine.run.run import Run
from falsework.engine.settings.sections import LifecycleArgs

from .backend import SimulatedArchitect
from .choices import Choices
from .processes import Process, this_process
from .watch import Watch

RUN_ID = "caption-7f3a90"


class Telling(Reporter):
    """Puts what is said into the story."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def say(self, text: str) -> None:
        self._watch.note(text, this_process())


class Commands:
    """The commands of one schedule. `clock` is the simulated time, `limits` those of the launch."""

    def __init__(
        self,
        choices: Choices,
        watch: Watch,
        clock: Callable[[], float],
        limits: LifecycleArgs,
        make_architect: Callable[[], SimulatedArchitect],
        run_class: type[Run],
    ) -> None:
        self._choices, self._watch, self._clock, self._limits = choices, watch, clock, limits
        self._make_architect, self._run_class = make_architect, run_class
        self._reporter = Telling(watch)

    async def launch(self) -> None:
        """The life of a launcher."""
        process, ledger = this_process(), Ledger("shared", self._clock)
        run = self._make_run(ledger)
        try:
            try:
                await uncancelled(ledger.create(self._record(run, process)))
            except asyncio.CancelledError:  # comes only after it was entered
                process.run = run
                await uncancelled(run.shutdown("interrupted"))
                raise
            process.run = run
            try:
                await self._serve(run, ledger)
            finally:
                await uncancelled(run.shutdown("the launch is over"))
        finally:
            await uncancelled(_leave(process, ledger))

    async def take_up(self) -> None:
        """`falsework shutdown`, for an owner that is gone, or is taken for that."""
        process, ledger = this_process(), Ledger("shared", self._clock)
        try:
            record = ledger.run(RUN_ID)
            if record.state is FINAL:
                return
            process.run = await takeover.take_over(ledger, record, self._reporter)
            await uncancelled(process.run.shutdown("falsework shutdown"))
        finally:
            await uncancelled(_leave(process, ledger))

    async def call_shutdown(self, run: Run) -> None:
        """Somebody else in the process calls shutdown; when that returns, it is down."""
        await run.shutdown("somebody asked")
        if self._watch.state is not FINAL:
            self._watch.blame(f"shutdown returned, and the run is {self._watch.state}")

    def _make_run(self, ledger: Ledger) -> Run:
        task = cast(Any, SimpleNamespace())
        site = Site(RUN_ID, None, task, Path("/nowhere"), "token", logging.getLogger("model"))
        hands = Hands(self._make_architect(), site, self._reporter.say)
        return self._run_class(hands, ledger, self._limits, clock=self._clock)

    def _record(self, run: Run, process: Process) -> RunRecord:
        directory = run.site.directory
        return RunRecord(RUN_ID, "simulated", directory, directory / "task.yaml", process.owner)

    async def _serve(self, run: Run, ledger: Ledger) -> None:
        bundle = await run.prepare()
        await run.deploy(bundle)
        await self._connect(run)
        await run.cleanup()
        async with beating(ledger, run.site):
            for _ in range(self._choices.pick(0, 0, 0, 1, 2)):
                await run.lose("the cable")
                await self._connect(run)
            await asyncio.sleep(self._choices.pick(0.0, 25.0))

    async def _connect(self, run: Run) -> None:
        await run.connect(Ears())


async def _leave(process: Process, ledger: Ledger) -> None:
    """The end of a process: whoever asked it for anything has an answer, and nothing that was asked for is under way."""
    run = process.run
    asked = [*process.callers, *([run._shutdown] if run is not None and run._shutdown is not None else [])]
    if under_way := [task for task in asked if not task.done()]:
        await asyncio.wait(under_way)
        await _leave(process, ledger)
        return
    process.is_leaving = True
    await ledger.close()
