"""Launches for real: a task file, the launcher in this process, a server process, and what is left of it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from falsework.engine.config import load_task_file
from falsework.engine.launch.launcher import BotSettings, Outcome, TaskLauncher
from falsework.engine.ledger.ledger import Ledger
from falsework.engine.lifecycle.states import State
from falsework.engine.report import Reporter
from falsework.engine.work.submissions import Submission, read

from .serving import PATIENCE, Worker

EXAMPLES = Path(__file__).parents[2] / "examples"


class Watcher(Reporter):
    """Sees a launch from the outside."""

    def __init__(self) -> None:
        self.states: list[State] = []
        self.lines: list[str] = []
        self.run_id = ""
        self.directory = Path()
        self.url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.when: dict[State, Callable[[], object]] = {}

    def say(self, text: str) -> None:
        self.lines.append(text)

    def begun(self, run_id: str, directory: Path) -> None:
        self.run_id, self.directory = run_id, directory

    def state(self, state: State) -> None:
        self.states.append(state)
        self.when.get(state, lambda: None)()

    def published(self, url: str) -> None:
        self.url.set_result(url)

    def said(self, words: str) -> bool:
        return any(words in line for line in self.lines)


class Launch:
    """One launch, under way or over."""

    def __init__(self, home: Path, task: Path, overrides: tuple[str, ...], bots: BotSettings | None) -> None:
        self.home, self.watcher = home, Watcher()
        self.ledger = Ledger.at(home / "ledger.db")
        self.launcher = TaskLauncher(
            load_task_file(task, overrides), self.ledger, reporter=self.watcher, bots=bots, overrides=overrides
        )
        self.work: asyncio.Task[Outcome] = asyncio.create_task(self.launcher.launch())
        self.workers: list[Worker] = []

    async def url(self) -> str:
        """Where it serves, once it does."""
        either: set[asyncio.Future[Any]] = {self.work, self.watcher.url}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE)
        if self.work.done():
            self.work.result()
        return await self.watcher.url

    async def worker(self, name: str) -> Worker:
        """Somebody who follows the link and gets an agent."""
        worker = Worker(await self.url(), name)
        self.workers.append(worker)
        await worker.join()
        return worker

    async def end(self) -> Outcome:
        """What it came to. Raises what ended it."""
        async with asyncio.timeout(60):
            return await self.work

    def stored(self) -> list[Submission]:
        return list(read(self.watcher.directory))

    def processes(self) -> list[int]:
        """What is left of it on this machine."""
        return processes_of(self.watcher.run_id)

    def assert_down(self) -> None:
        """It is shut down, the ledger knows, and nothing is left."""
        run = self.ledger.run(self.watcher.run_id)
        assert run.state is State.SHUT_DOWN
        assert self.ledger.resources(run.run_id) == []
        assert self.processes() == []


@asynccontextmanager
async def launched(home: Path, task: Path, *overrides: str, bots: BotSettings | None = None) -> AsyncIterator[Launch]:
    """A launch, which is over in any case when this is left."""
    launch = Launch(home, task, overrides, bots)
    try:
        yield launch
    finally:
        launch.work.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await launch.work
        for worker in launch.workers:
            await worker.close()
        await launch.ledger.close()


def write_task(directory: Path, units: list[Any], *, hook: str | None = None, **sections: Any) -> Path:
    """A task of that kind in `directory`; `sections` go into the file, `task` beside the name."""
    static = directory / "static"
    static.mkdir(parents=True)
    (static / "index.html").write_text("<!doctype html><title>harbour</title>")
    (directory / "units.jsonl").write_text("".join(json.dumps(unit) + "\n" for unit in units))
    task = {"name": "harbour", "static": "static", "units": "units.jsonl", **sections.pop("task", {})}
    if hook is not None:
        (directory / "hook.py").write_text(hook)
        task["hook"] = "hook.py"
    architect = {"type": "local", "restart": "never", **sections.pop("architect", {})}
    document = {"task": task, "architect": architect, **sections}
    (directory / "task.yaml").write_text(json.dumps(document))  # which is YAML
    return directory / "task.yaml"


def processes_of(run_id: str) -> list[int]:
    """The processes that carry the run's id in their environment, zombies left out."""
    mark = f"FALSEWORK_RUN_ID={run_id}".encode()
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if mark in environ.read_bytes().split(b"\0"):
                found.append(int(environ.parent.name))
    return found


def assert_done_as_asked(submissions: list[Submission], units: int, per_unit: int) -> None:
    """Each unit as often as asked, by different workers; nobody twice on a unit; every packet once."""
    counted = [one for one in submissions if one.kind == "unit" and one.counted]
    assert Counter(one.unit for one in counted) == dict.fromkeys(range(units), per_unit)
    pairs = Counter((one.worker_id, one.unit) for one in submissions if one.kind == "unit")
    assert set(pairs.values()) == {1}
    packets = Counter((one.router_epoch, one.number) for one in submissions)
    assert set(packets.values()) == {1}
    epochs = {epoch for epoch, _ in packets}
    assert len(epochs) == 1
    assert sorted(number for _, number in packets) == list(range(1, len(packets) + 1))
