"""One schedule: a launch in a simulated world, what befalls it, who takes it up, and how it ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

import tenacity
from falsework.engine.launch import takeover
from falsework.engine.launch.takeover import Settings
from falsework.engine.ledger import ledger as ledger_module
from falsework.engine.ledger.owner import Owner
from falsework.engine.lifecycle.states import FINAL, State
from falsework.engine.run import hands
from falsework.engine.run.run import Run
from falsework.engine.settings.sections import DeployArgs, LifecycleArgs, ShutdownArgs

from .backend import SimulatedArchitect
from .choices import Choices
from .clock import JumpingLoop, Stuck
from .commands import RUN_ID, Commands
from .durable import SharedDatabase
from .fate import Fate
from .processes import Processes, is_alive, this_process
from .provider import LEDGER_LATENCY, Provider
from .watch import Violation, Watch

MOST_STEPS = 10_000
"""Of one schedule; whoever needs more goes round in circles."""
TURBULENT_RESCUES = 3
"""How often somebody takes the run up while things still go wrong, at most."""
UNHURRIED = LifecycleArgs()
HURRIED = LifecycleArgs(
    deploy=DeployArgs(attempts=2, attempt_timeout=30.0, timeout=100.0),
    shutdown=ShutdownArgs(attempts=3, timeout=60.0),
    prepare_timeout=10.0,
    connect_timeout=10.0,
)


class Schedule:
    """Played once. The architect and the Run may be mutants."""

    def __init__(
        self,
        data: bytes,
        database: SharedDatabase,
        architect: type[SimulatedArchitect] = SimulatedArchitect,
        run: type[Run] = Run,
    ) -> None:
        choices = self._choices = Choices(data)
        loop = self._loop = JumpingLoop(is_alive, lambda: choices.pick(*LEDGER_LATENCY))  # type: ignore[abstract]
        self.watch = Watch(RUN_ID, database.durable, loop.time)
        self._database, self._architect_class, self._run_class = database, architect, run
        self._provider = Provider(loop, choices, self.watch, RUN_ID)
        self._stubborn = choices.pick(256, 16, 4, 2)
        limits = choices.pick(UNHURRIED, HURRIED)
        self._processes = Processes(loop, self.watch.note)
        self._commands = Commands(choices, self.watch, loop.time, limits, self._make_architect, run)
        self._fate = Fate(choices, loop, self.watch, self._provider, database, self._processes, self._commands)
        self.rescues = 0
        """How often somebody took the run up after whoever had it was gone."""

    @property
    def befallen(self) -> Counter[str]:
        """What befell it, how often."""
        return self._fate.befallen

    def play(self) -> State | None:
        """From the launch to the end; returns where the run rests, None if it died before it was entered anywhere.

        Raises Violation, with the story, where the promise was broken.
        """
        self._database.begin(self.watch)
        try:
            with self._in_the_engine():
                self._play()
            return self.watch.state
        except Violation as violation:
            for line in self.watch.story():
                violation.add_note(line)
            raise
        finally:
            self._database.end()
            self._loop.bury()

    def _play(self) -> None:
        self._processes.start(self._commands.launch)
        self._until_processes_end()
        self._rescue()
        self._loop.run_dry()
        self._see_the_end()
        self._raise_violation()

    @contextmanager
    def _in_the_engine(self) -> Iterator[None]:
        """What the engine finds by itself is this schedule's, as long as this lasts."""
        clock = SimpleNamespace(monotonic=self._loop.time)  # tenacity counts the seconds by itself
        settings = Settings(cast(Any, SimpleNamespace()), None, UNHURRIED)
        with ExitStack() as stack:
            for target, name, replacement in (
                (tenacity, "time", clock),
                (ledger_module, "Database", lambda url, busy_timeout: self._database),
                (takeover, "architect_class", lambda name: self._make_architect),
                (hands, "architect_class", lambda name: self._make_architect),
                (takeover, "settings_of", lambda record: settings),
                (takeover, "Run", self._run_class),
                (Owner, "this_process", lambda: this_process().owner),
            ):
                stack.enter_context(mock.patch.object(target, name, replacement))
            yield

    def _make_architect(self) -> SimulatedArchitect:
        return self._architect_class(self._provider, self._choices, self.watch, self._loop.time, self._stubborn)

    # Playing

    def _until_processes_end(self) -> None:
        while self._processes.living:
            try:
                self._loop.step()
            except Stuck:
                if (waiting := self._processes.newest) is not None:
                    self.watch.blame(f"{waiting} waits for what will never happen")
            self._fate.step()
            if self._loop.steps > MOST_STEPS:
                self.watch.blame("it never ends")
            for process in self._processes.ended():
                self.watch.ended(process)
            self._raise_violation()

    def _raise_violation(self) -> None:
        if self._loop.broken:
            self.watch.blame(f"a callback raised {self._loop.broken}")
        if self.watch.violation is not None:
            raise Violation(self.watch.violation)

    def _rescue(self) -> None:
        """Until it is down, somebody takes it up again and again; at last in a world that is calm."""
        while self.watch.state not in (None, FINAL) and self.rescues <= TURBULENT_RESCUES:
            self.rescues += 1
            if self.rescues > TURBULENT_RESCUES or (self.rescues > 1 and self._fate.is_spent):
                self.rescues = TURBULENT_RESCUES + 1
                self._fate.calm_down()
            self._processes.start(self._commands.take_up)
            self._until_processes_end()

    def _see_the_end(self) -> None:
        """Nothing stands, or it is exactly what cannot be taken down, and the ledger names it."""
        own, watch = self._provider.own(), self.watch
        if watch.state is None or watch.state is FINAL:
            if own:
                watch.blame(f"{sorted(own)} stands in the end, and the run is {watch.state}")
        elif watch.state is not State.SHUTDOWN_FAILED or not self._provider.has_immortals():
            watch.blame(f"the run rests in {watch.state}, although it could be taken down")
        elif watch.recorded != own:
            watch.blame(f"{sorted(own)} stands in the end, and the ledger says {sorted(watch.recorded)}")
