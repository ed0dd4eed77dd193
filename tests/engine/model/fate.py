"""What befalls a launch from outside: interrupted, killed, asked to shut down, taken for dead, a full disk, no network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from .choices import Choices
from .clock import JumpingLoop
from .commands import Commands
from .durable import SharedDatabase
from .processes import Processes
from .provider import Provider
from .watch import Watch


class Fate:
    """A few events, each so many steps after the one before. `befallen` counts those that came."""

    def __init__(
        self,
        choices: Choices,
        loop: JumpingLoop,
        watch: Watch,
        provider: Provider,
        database: SharedDatabase,
        processes: Processes,
        commands: Commands,
    ) -> None:
        self._choices, self._loop, self._watch = choices, loop, watch
        self._provider, self._database, self._processes, self._commands = provider, database, processes, commands
        self._coming = [self._event() for _ in range(choices.pick(0, 1, 1, 2, 3, 4))]
        self.befallen: Counter[str] = Counter()

    @property
    def is_spent(self) -> bool:
        """Whether nothing more will come."""
        return not self._coming

    def step(self) -> None:
        """A step was taken: if it is time for something, it happens."""
        if not self._coming:
            return
        left, happening = self._coming[0]
        if left > 0:
            self._coming[0] = left - 1, happening
            return
        self._coming.pop(0)
        happening()
        self.befallen[happening.__name__.strip("_")] += 1

    def calm_down(self) -> None:
        """From here on nothing goes wrong."""
        self._choices.calm, self._database.is_down, self._coming = True, False, []
        self._watch.note("from here on nothing goes wrong")

    def _event(self) -> tuple[int, Callable[[], None]]:
        """After how many steps what happens."""
        byte = self._choices.byte()
        happening = self._choices.pick(
            self._interrupt,
            self._kill,
            self._kill,
            self._ask_for_shutdown,
            self._turn_away,
            self._mistake,
            self._fill_disk,
            self._cut_off,
        )
        return byte * byte // 200, happening

    def _interrupt(self) -> None:
        """Ctrl-C."""
        if (process := self._processes.newest) is not None and process.main is not None:
            self._watch.note("is interrupted", process)
            process.main.cancel()

    def _kill(self) -> None:
        if (process := self._processes.newest) is not None:
            self._watch.note("is killed", process)
            process.kill()

    def _ask_for_shutdown(self) -> None:
        """Somebody else in the process calls shutdown."""
        process = self._processes.newest
        if process is not None and process.run is not None and not process.is_leaving:
            self._watch.note("is asked to shut down", process)
            process.callers.append(process.spawn(self._commands.call_shutdown(process.run)))

    def _turn_away(self) -> None:
        """Whoever called shutdown is cancelled."""
        for process in self._processes.living:
            for caller in process.callers:
                caller.cancel()

    def _mistake(self) -> None:
        """Another process takes the owner for dead."""
        if self._watch.state is not None:
            self._watch.note(f"{self._processes.newest} is taken for dead")
            self._processes.start(self._commands.take_up)

    def _fill_disk(self) -> None:
        """The ledger cannot be written for a while."""
        self._database.is_down = True
        self._watch.note("the ledger's disk is full")
        self._loop.call_later(self._choices.pick(1.0, 20.0, 200.0), self._empty_disk)

    def _empty_disk(self) -> None:
        self._database.is_down = False
        self._watch.note("the ledger's disk has room again")

    def _cut_off(self) -> None:
        """Nothing reaches the provider for a while."""
        self._provider.outage_until = self._loop.now + self._choices.pick(10.0, 100.0, 1000.0)
        self._watch.note("the provider is out of reach")
