"""A FALSEWORK_HOME that 0.1.0 made: runs in every state that their launchers can have left, and one that is still at work."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..engine.crashes.aftermath import bury
from ..engine.crashes.crowd import PICTURE, WITH_A_FILE, text_of
from ..engine.launching import write_task
from ..engine.serving import Worker
from .old_version import LONGEST, OldVersion, said_by

ONE_ATTEMPT = "lifecycle.shutdown.attempts=1"

RUNS: dict[str, dict[str, Any]] = {
    "configured": {"stops_at": "configured"},
    "preparing": {"stops_in": "prepare"},
    "prepared": {"stops_at": "prepared"},
    "prepare-failed": {"fails": "prepare", "stops_at": "prepare_failed"},
    "deploying": {"stops_in": "deploy"},
    "deployed": {"stops_at": "deployed"},
    "deploy-failed": {"fails": "deploy", "stops_at": "deploy_failed"},
    "connecting": {"stops_at": "connecting"},
    "connect-failed": {"fails": "connect", "stops_at": "connect_failed"},
    "connected": {},
    "disconnected": {"loses": True, "stops_at": "disconnected"},
    "shutting-down": {"interrupts": True, "stops_at": "shutting_down"},
    "shutdown-failed": {"interrupts": True, "fails": "shutdown", "with": [ONE_ATTEMPT], "stops_at": "shutdown_failed"},
    "shut-down": {"with": ["--bots", "1"]},
    "at-work": {"beats": 0.1},
}
"""What old_commands.py is asked for, to have a run in each state. `connected` and `at-work` are what people work on."""
SERVING, AT_WORK, DOWN = "connected", "at-work", "shut-down"
HALF_MADE = ("preparing", "deploying", "shutting-down")
MOVING = ("owner_alive", "seconds")
"""What a run's listing says of the moment at which it is made."""
UNITS = ["a", "b", "c", "d"]


@dataclass
class OldRun:
    """A run of 0.1.0, and what its launcher has told so far."""

    run_id: str = ""
    pid: int = 0
    url: str = ""
    stopped: bool = False
    ended: int | None = None


@dataclass
class People:
    """Who works on a run: `acknowledged` were told that their answer is saved."""

    url: str = ""
    acknowledged: set[str] = field(default_factory=set)
    workers: dict[str, Worker] = field(default_factory=dict)

    async def join(self, *names: str) -> None:
        for name in names:
            self.workers[name] = Worker(self.url, name)
            assert (await self.workers[name].join())["agent_id"]

    async def hand_in(self, *names: str) -> None:
        for name in names:
            worker, answer = self.workers[name], {"text": text_of(name)}
            picture = {"picture": PICTURE} if name == WITH_A_FILE else {}
            status, told = await (worker.submit_files(answer, **picture) if picture else worker.submit(answer))
            assert status == 200, told
            self.acknowledged.add(name)

    async def leave(self) -> None:
        for worker in self.workers.values():
            await worker.close()


class OldHome:
    """The home at `directory`. Of the run that served, ann's answer was stored by its launcher, bob's and eve's came after
    that was killed, and joe is still at it."""

    def __init__(self, directory: Path, old: OldVersion, task: Path) -> None:
        self.directory, self.old, self.task = directory, old, task
        self.runs: dict[str, OldRun] = {}
        self.people = People()
        self._process: asyncio.subprocess.Process | None = None

    def __getitem__(self, name: str) -> str:
        """The id of a run, by its name in RUNS."""
        return self.runs[name].run_id

    async def launch(self, names: Iterable[str]) -> None:
        """Launch all of them at once, since each launch sweeps what is dead; then kill those that are not to go on."""
        self.runs = {name: OldRun() for name in names}
        self._process = await self.old.start(self.directory, {name: self._command(name) for name in self.runs})
        await self._until(self._have_all_come_to_rest)
        if SERVING in self.runs:
            await self._have_people_work_on(self.runs[SERVING])
        for name, run in self.runs.items():
            if run.ended is None and name != AT_WORK:
                os.kill(run.pid, signal.SIGKILL)
        await self._until(lambda: all(run.ended is not None for name, run in self.runs.items() if name != AT_WORK))
        if SERVING in self.runs:
            await self.people.hand_in("bob", "eve")

    async def end_of(self, name: str) -> int:
        """The exit code of a run's launcher, once it has ended."""
        await self._until(lambda: self.runs[name].ended is not None)
        code = self.runs[name].ended
        assert code is not None
        return code

    def said_by(self, name: str) -> str:
        """What a launcher told its user."""
        return "".join(said_by(self.directory, name))

    async def end(self) -> None:
        """End whatever is left of it."""
        await self.people.leave()
        for run in self.runs.values():
            if run.pid and run.ended is None:
                with suppress(ProcessLookupError):
                    os.kill(run.pid, signal.SIGKILL)
        if self._process is not None:
            await self._process.communicate()
        await bury(self.directory)

    async def _have_people_work_on(self, run: OldRun) -> None:
        self.people.url = run.url
        await self.people.join("ann", "bob", "eve", "joe")
        await self.people.hand_in("ann")
        store = self.directory / "runs" / run.run_id / "submissions.jsonl"
        await self._until_so(lambda: store.exists() and text_of("ann") in store.read_text())

    def _command(self, name: str) -> dict[str, Any]:
        arranged = dict(RUNS[name])
        options = arranged.pop("with", [])
        return {"arguments": ["launch", str(self.task), f"task.name={name}", *options], **arranged}

    def _have_all_come_to_rest(self) -> bool:
        open_for_work = (SERVING, AT_WORK)
        return all(
            run.stopped or run.ended is not None or (name in open_for_work and run.url)
            for name, run in self.runs.items()
        )

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Hear what the launchers tell until something is so."""
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(LONGEST):
                while not condition():
                    told = json.loads(await self._process.stdout.readline())
                    run = self.runs[told.pop("command")]
                    for fact, value in told.items():
                        setattr(run, fact, value)
        except TimeoutError:
            raise AssertionError(
                "\n".join(f"{name}: {run}\n{self.said_by(name)}" for name, run in self.runs.items())
            ) from None

    async def _until_so(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(LONGEST):
            while not condition():  # noqa: ASYNC110 - there is no event
                await asyncio.sleep(0.01)


@asynccontextmanager
async def old_home(directory: Path, old: OldVersion, *names: str) -> AsyncIterator[OldHome]:
    """A home with these runs; all of it has ended when this is left."""
    task = write_task(directory.with_name("task"), UNITS, architect={"restart": "on-failure"})
    home = OldHome(directory, old, task)
    try:
        await home.launch(names)
        yield home
    finally:
        await home.end()


def contents_of(ledger: Path) -> list[str]:
    """Everything that is in a ledger, and its tables."""
    with closing(sqlite3.connect(ledger)) as connection:
        return list(connection.iterdump())


def answers(home: OldHome, name: str) -> list[str]:
    """What was handed in to a run, sorted, from its own file."""
    lines = (home.directory / "runs" / home[name] / "submissions.jsonl").read_text().splitlines()
    return sorted(text for line in lines if (text := json.loads(line).get("data", {}).get("text")))


def assert_says_what_was_said(now: Any, before: Any) -> None:
    """Whatever 0.1.0 said is still said, in the same order; more may be said of it."""
    if isinstance(before, dict):
        for fact in before.keys() - set(MOVING):
            assert_says_what_was_said(now[fact], before[fact])
    elif isinstance(before, list):
        for one_now, one_before in zip(now, before, strict=True):
            assert_says_what_was_said(one_now, one_before)
    else:
        assert now == before
