"""A foreman with its stores, behind a channel to a router in this process, and workers who come to it. No lifecycle."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from falsework.engine.channel.channel import WebSocketChannel
from falsework.engine.channel.download import download
from falsework.engine.channel.listener import Ears
from falsework.engine.counts import Counts
from falsework.engine.report import Reporter
from falsework.engine.settings.sections import TaskArgs
from falsework.engine.work.assignments import Assignments
from falsework.engine.work.foreman import Foreman
from falsework.engine.work.hook import Hook
from falsework.engine.work.intake import Intake
from falsework.engine.work.roster import Roster
from falsework.engine.work.submissions import Submission, Submissions, read

from ..router.router_here import RouterHere
from ..router.router_process import TOKEN
from .router_process import LIMITS, RouterProcess
from .serving import PATIENCE, Worker, soon

Router = RouterHere | RouterProcess


class Listener(Reporter):
    """Remembers what was said, and wakes who waits for something to be so."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._news = asyncio.Event()

    def say(self, text: str) -> None:
        self.lines.append(text)
        self._news.set()

    def progress(self, counts: Counts) -> None:
        self._news.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until it holds; looked at whenever something is said, or work moves on."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._news.clear()
                await self._news.wait()

    def said(self, words: str) -> bool:
        return any(words in line for line in self.lines)


class Workshop:
    """One run's foreman at work."""

    def __init__(self, directory: Path, router: Router, task: TaskArgs, units: list[Any]) -> None:
        self.directory, self.router, self.listener = directory, router, Listener()
        assignments = Assignments(
            len(units), task.assignments_per_unit, together=task.together, units_per_worker=task.units_per_worker
        )
        self.submissions = Submissions(directory)
        self.roster = Roster(directory, assignments, time.time)
        self.hook = Hook.load(task.hook, self.listener.say)
        self.intake = Intake(self.submissions, self.fetch, self.listener, time.time)
        self.foreman = Foreman(task, units, self.roster, self.intake, self.hook, self.listener, time.time)
        self.workers: list[Worker] = []
        self.lost = asyncio.Event()
        self.channel = WebSocketChannel(
            "harbour",
            router.url,
            token=TOKEN,
            epoch=1,
            listener=Ears(self.foreman.channel_opened, lambda channel_id: self.lost.set(), self.foreman.take),
        )

    async def fetch(self, filename: str, directory: Path) -> Path:
        return await download(self.router.url, filename, directory, TOKEN)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Workshop]:
        async with AsyncExitStack() as stack:
            self.submissions.open()
            stack.push_async_callback(self.submissions.close)
            self.roster.open()
            stack.push_async_callback(self.roster.close)
            stack.push_async_callback(self.foreman.stop)
            stack.push_async_callback(self.channel.close)
            self.foreman.attach([self.channel])
            await self.channel.open(PATIENCE, PATIENCE)
            watching = asyncio.create_task(self.foreman.watch())
            stack.push_async_callback(asyncio.gather, watching, return_exceptions=True)
            stack.callback(watching.cancel)
            stack.push_async_callback(self._send_home)
            yield self

    def worker(self, name: str) -> Worker:
        """Somebody new, or somebody in another browser."""
        self.workers.append(Worker(self.router.url, name))
        return self.workers[-1]

    async def at_work(self, name: str) -> Worker:
        """Somebody who has a unit, and whose page is open."""
        worker = self.worker(name)
        details = await worker.join()
        assert details["agent_id"], details
        await worker.open_socket()
        return worker

    def stored(self) -> list[Submission]:
        """What the store has on the disk."""
        return list(read(self.directory))

    async def until_stored(self, number: int) -> list[Submission]:
        """Wait until so many things are stored."""
        await soon(lambda: len(self.stored()) >= number)
        return self.stored()

    async def _send_home(self) -> None:
        for worker in self.workers:
            await worker.close()


def working(
    directory: Path, units: list[Any], *flags: str, hook: str | None = None, **task: Any
) -> AbstractAsyncContextManager[Workshop]:
    """A workshop for a task with these units; `flags` are the router's, `hook` the text of the hook file."""
    return _workshop(RouterHere(directory / "router", [*LIMITS, *flags]), directory, units, hook, task)


def working_for_a_process(
    directory: Path, units: list[Any], *, hook: str | None = None, **task: Any
) -> AbstractAsyncContextManager[Workshop]:
    """A workshop whose router can be killed."""
    return _workshop(RouterProcess(directory / "router"), directory, units, hook, task)


@asynccontextmanager
async def _workshop(
    router: Router, directory: Path, units: list[Any], hook: str | None, task: dict[str, Any]
) -> AsyncIterator[Workshop]:
    hook_file = None
    if hook is not None:
        hook_file = directory / "hook.py"
        hook_file.write_text(hook)
    (directory / "run").mkdir()
    args = TaskArgs("harbour", directory / "router" / "static", directory / "units.jsonl", hook=hook_file, **task)
    try:
        await router.start()
        async with Workshop(directory / "run", router, args, units).open() as workshop:
            yield workshop
    finally:
        await router.stop()
