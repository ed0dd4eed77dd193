"""Launching a user's own task file on a stage, so that a test can be its workers: the real launcher, and no other process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import msgspec
from falsework.engine.directories import home
from falsework.engine.launch.launcher import Outcome, TaskLauncher
from falsework.engine.ledger.ledger import Ledger
from falsework.engine.lifecycle.states import State
from falsework.engine.report import Reporter
from falsework.engine.work.submissions import Submission, read

from .server import MockServer
from .waits import News, NotSeen

ON_STAGE = "architect={type: mock, should_run_server: true}"


class Stage(Protocol):
    """What a launch has to know of where its architect plays."""

    timeout: float
    servers: list[MockServer]

    def heal(self) -> None:
        """Nothing goes wrong any more, and everybody who hangs goes on."""


class MockLaunch(Reporter):
    """One launch, under way or over. Its ledger and its run are under $FALSEWORK_HOME."""

    def __init__(self, stage: Stage, task_file: Path | str, overrides: Sequence[str]) -> None:
        """Raises ConfigError. Legal in a running loop; `launching` sees to its end."""
        overrides = (ON_STAGE, *overrides)
        self.run_id, self.directory, self.url = "", Path(), ""
        self.states: list[State] = []
        """The states that the run was in, in order."""
        self.lines: list[str] = []
        """What the run said."""
        self.ledger = Ledger.at(home() / "ledger.db")
        self._stage = stage
        self._is_told = False
        self._news = News(lambda: ", ".join(self.states))
        launcher = TaskLauncher.of(task_file, self.ledger, reporter=self, overrides=overrides)
        self._work = asyncio.create_task(launcher.launch(), name=f"launch of {task_file}")
        self._work.add_done_callback(lambda work: self._news.end("the launch ended"))

    async def server(self) -> MockServer:
        """The run's server, once the launcher is connected to it. Raises what ended the launch before."""
        await self.reached(State.CONNECTED)
        return self._stage.servers[-1]

    async def reached(self, state: State, timeout: float | None = None) -> None:
        """Until the run was in this state. Raises what ended the launch before, and NotSeen."""
        limit = self._stage.timeout if timeout is None else timeout
        try:
            await self._news.until(lambda: state in self.states or None, f"the state {state}", limit)
        except NotSeen:
            if self._work.done():
                await self.end()
            raise

    async def end(self) -> Outcome:
        """What the launch came to, once it is over and down. Raises what ended it early."""
        self._is_told = True
        return await asyncio.shield(self._work)

    async def over(self) -> None:
        """Until the launch is over, whatever it came to."""
        await asyncio.wait({self._work})

    def interrupt(self) -> None:
        """End it early, as Ctrl-C would: it is taken down, and `end` raises CancelledError."""
        self._is_told = True
        self._work.cancel()

    def submissions(self) -> list[Submission]:
        """What is stored by now."""
        return list(read(self.directory))

    def answers(self) -> list[Any]:
        """What the workers' answers among these say, as Python values."""
        return [msgspec.json.decode(one.data) for one in self.submissions() if one.kind == "unit"]

    async def close(self) -> None:
        """See it end, by itself or not, and close the ledger."""
        self._work.cancel()
        await asyncio.gather(self._work, return_exceptions=True)
        await self.ledger.close()

    @property
    def untold(self) -> BaseException | None:
        """What ended the launch early, where nobody asked."""
        if self._is_told or not self._work.done() or self._work.cancelled():
            return None
        return self._work.exception()

    # What the run tells

    def say(self, text: str) -> None:
        self.lines.append(text)

    def begun(self, run_id: str, directory: Path) -> None:
        self.run_id, self.directory = run_id, directory

    def state(self, state: State) -> None:
        self.states.append(state)
        self._news.wake()

    def published(self, url: str) -> None:
        self.url = url


@asynccontextmanager
async def launching(stage: Stage, task_file: Path | str, overrides: Sequence[str]) -> AsyncIterator[MockLaunch]:
    """A launch that is over and down when this is left; whoever hangs goes on then. Raises what ended it, if nobody asked."""
    launch = MockLaunch(stage, task_file, overrides)
    try:
        yield launch
        if launch.untold is not None:
            await launch.end()
    finally:
        stage.heal()
        await launch.close()
