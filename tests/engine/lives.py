"""Runs for tests: a life in a directory of its own, with a real ledger, that agrees with its ledger in the end."""

from __future__ import annotations

import asyncio
import itertools
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from falsework.engine.channel.listener import Ears
from falsework.engine.contract.architect import Architect, Site
from falsework.engine.contract.bundle import Bundle
from falsework.engine.errors import FalseworkError
from falsework.engine.ledger.ledger import Ledger, RunRecord
from falsework.engine.ledger.owner import Owner
from falsework.engine.lifecycle.states import FAILURES, State
from falsework.engine.run.hands import Hands
from falsework.engine.run.limit import SETTLE_TIMEOUT
from falsework.engine.run.run import Run
from falsework.engine.settings.sections import DeployArgs, LifecycleArgs, ShutdownArgs
from falsework.engine.testing import BrokenArchitect, ImmortalServer, InMemoryArchitect

AT_ONCE = LifecycleArgs(
    deploy=DeployArgs(attempts=3, wait_min=0, wait_max=0), shutdown=ShutdownArgs(attempts=3, wait_min=0, wait_max=0)
)
"""Three attempts, and no wait between them."""
SOON = 0.01
"""Seconds of a limit that a test waits for."""

WAYS: dict[State, tuple[Callable[[], InMemoryArchitect], str]] = {
    State.CONFIGURED: (InMemoryArchitect, ""),
    State.PREPARED: (InMemoryArchitect, "prepare"),
    State.DEPLOYED: (InMemoryArchitect, "prepare deploy"),
    State.CONNECTED: (InMemoryArchitect, "prepare deploy connect"),
    State.DISCONNECTED: (InMemoryArchitect, "prepare deploy connect lose"),
    State.PREPARE_FAILED: (lambda: BrokenArchitect("prepare"), "prepare"),
    State.DEPLOY_FAILED: (lambda: BrokenArchitect("deploy"), "prepare deploy"),
    State.CONNECT_FAILED: (lambda: BrokenArchitect("connect"), "prepare deploy connect"),
    State.SHUTDOWN_FAILED: (lambda: ImmortalServer(survives=3), "prepare deploy shutdown"),
    State.SHUT_DOWN: (InMemoryArchitect, "prepare shutdown"),
}
"""For each state at rest, an architect and the actions that lead there."""


@dataclass
class Life:
    """A run and all that it deals with. `said` and `visited` are what it told."""

    run: Run
    site: Site
    architect: Any
    ledger: Ledger
    file: Path
    said: list[str] = field(default_factory=list)
    visited: list[State] = field(default_factory=list)
    said_something: asyncio.Event = field(default_factory=asyncio.Event)

    def say(self, line: str) -> None:
        self.said.append(line)
        self.said_something.set()

    async def drive(self, actions: str) -> None:
        """Do these actions, one after the other."""
        for action in actions.split():
            await self.do(action)

    async def do(self, action: str) -> Any:
        """One action of the run, by its name."""
        match action:
            case "deploy":
                return await self.run.deploy(self.bundle)
            case "connect":
                return await self.run.connect(Ears())
            case "lose":
                return await self.run.lose("the cable")
            case "shutdown":
                return await self.run.shutdown("the day is over")
            case _:
                return await getattr(self.run, action)()

    @property
    def bundle(self) -> Bundle:
        return Bundle(self.site.directory / "bundle", self.site.run_id, "none", (), ())

    def replace_architect(self, architect: Architect) -> None:
        """From now on the run has this one."""
        self.run.hands._architect = architect

    def assert_agrees(self) -> None:
        """The ledger and the run tell the same."""
        assert self.ledger.story(self.site.run_id) == self.run.story
        assert self.ledger.run(self.site.run_id).state is self.run.state


@asynccontextmanager
async def living(
    directory: Path,
    architect: Architect | None = None,
    limits: LifecycleArgs = AT_ONCE,
    *,
    run_id: str = "caption-7f3a9c",
    agrees: bool = True,
    **options: Any,
) -> AsyncIterator[Life]:
    """A run that was just entered into a ledger, which waits for nobody who holds it."""
    architect = architect or InMemoryArchitect()
    file = directory / "ledger.db"
    ledger = Ledger.at(file, busy_timeout=0)
    try:
        await ledger.create(RunRecord(run_id, "memory", directory, directory / "task.yaml", Owner.this_process()))
        site = Site(run_id, None, cast(Any, SimpleNamespace()), directory, "token", logging.getLogger("test"))
        life = Life(cast(Run, None), site, architect, ledger, file)
        say, settle_timeout = options.pop("say", life.say), options.pop("settle_timeout", SETTLE_TIMEOUT)
        hands = Hands(architect, site, say, settle_timeout)
        life.run = Run(hands, ledger, limits, **{"on_state": life.visited.append, **options})
        yield life
        if agrees:
            life.assert_agrees()
    finally:
        await ledger.close()


@asynccontextmanager
async def at_rest(directory: Path, state: State, **options: Any) -> AsyncIterator[Life]:
    """A run that has come to rest in `state`."""
    make, actions = WAYS[state]
    async with living(directory, make(), **options) as life:
        try:
            await life.drive(actions)
        except FalseworkError:
            assert state in FAILURES
        assert life.run.state is state
        yield life


@contextmanager
def held(file: Path) -> Iterator[None]:
    """Somebody else holds this ledger, so that it cannot be written."""
    connection = sqlite3.connect(file, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")
    finally:
        connection.close()


@contextmanager
def counted_steps(number: int) -> Iterator[asyncio.Event]:
    """An event that is set in the step of this number, among all steps of the tasks that are made from now on."""
    loop, reached, steps = asyncio.get_running_loop(), asyncio.Event(), itertools.count(1)

    def step() -> None:
        if next(steps) == number:
            reached.set()

    def make_task(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
        return asyncio.Task(_Counted(work, step), loop=loop, **options)

    loop.set_task_factory(make_task)
    try:
        yield reached
    finally:
        loop.set_task_factory(None)


class _Counted(Coroutine[Any, Any, Any]):
    """A coroutine that says when it takes a step."""

    def __init__(self, work: Coroutine[Any, Any, Any], on_step: Callable[[], None]) -> None:
        self._work, self._on_step = work, on_step

    def send(self, value: Any) -> Any:
        self._on_step()
        return self._work.send(value)

    def throw(self, *error: Any) -> Any:
        self._on_step()
        return self._work.throw(*error)

    def close(self) -> None:
        self._work.close()

    def __await__(self) -> Any:
        return self._work.__await__()
