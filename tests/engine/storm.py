"""A run under the command line whose processes are killed again and again, and a crowd that works through all of it.

Workers remember what they were told is safe. At the end that is compared with what is stored, and the machine is looked at.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from falsework.engine.work.submissions import read

from .launching import processes_of, write_task
from .serving import Worker

FALSEWORK = Path(sys.executable).with_name("falsework")
PAUSE = 0.05
"""Seconds before a page that was turned away asks again."""
LONGEST = 120.0
"""Seconds that a command may take to get where it should."""


class Victim:
    """One run, and the process that drives it now: its launcher, or whoever resumed it."""

    def __init__(self, home: Path, task: Path) -> None:
        self.home, self._task = home, task
        self.run_id = self.url = ""
        self.lines: list[str] = []
        self._process: asyncio.subprocess.Process | None = None
        self._hearing: asyncio.Task[None] | None = None
        self._open = asyncio.Event()

    async def launch(self) -> None:
        """Returns when workers may come."""
        await self._drive("launch", str(self._task))

    async def resume(self) -> None:
        """The same, after its driver was killed; unless that one was on its way down already, which ends this one."""
        url = self.url
        await self._drive("resume", self.run_id)
        assert self.url == url, f"resumed at {self.url}, not at {url}"

    async def kill_driver(self) -> None:
        """Without a word. Its server goes on."""
        assert self._process is not None
        self._process.kill()
        await self.ended()

    async def interrupt(self) -> int:
        """As Ctrl-C does; its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        return await self.ended()

    async def ended(self) -> int:
        """Its driver's exit code, once it has ended."""
        assert self._process is not None
        assert self._hearing is not None
        await self._hearing
        return await self._process.wait()

    def has_ended(self) -> bool:
        return self._process is None or self._process.returncode is not None

    def kill_router(self) -> None:
        """Without a word. Its supervisor, if it has one, starts another."""
        ours = processes_of(self.run_id)
        for pid in ours:
            if len(ours) == 1 or _parent(pid) in ours:
                os.kill(pid, signal.SIGKILL)

    def kill_server(self) -> None:
        """The router and what would start it again."""
        for pid in sorted(processes_of(self.run_id)):
            os.kill(pid, signal.SIGKILL)

    async def command(self, *arguments: str) -> Any:
        """Another command's JSON; it must succeed."""
        process = await self.start(*arguments)
        stdout, stderr = await asyncio.wait_for(process.communicate(), LONGEST)
        assert process.returncode == 0, (arguments, process.returncode, stderr.decode())
        return json.loads(stdout)

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        """Another command, under way."""
        return await asyncio.create_subprocess_exec(
            FALSEWORK,
            *arguments,
            env=self._environment(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    def stored(self) -> Counter[str]:
        """The answers in the store, and how often each is there."""
        return Counter(json.loads(bytes(one.data)) for one in read(self.home / "runs" / self.run_id))

    async def assert_clean(self) -> None:
        """It is down, the ledger knows, and nothing of it is left on this machine."""
        shown = await self.command("show", self.run_id, "--json")
        assert shown["state"] == "shut_down", shown
        assert not any(resource["stands"] for resource in shown["resources"]), shown
        assert processes_of(self.run_id) == []

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "FALSEWORK_HOME": str(self.home)}

    async def _drive(self, verb: str, argument: str) -> None:
        self._open.clear()
        self._process = await asyncio.create_subprocess_exec(
            FALSEWORK,
            verb,
            argument,
            env=self._environment(),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        self._hearing = asyncio.create_task(self._hear(self._process.stderr))
        opened = asyncio.create_task(self._open.wait())
        await asyncio.wait({opened, self._hearing}, return_when=asyncio.FIRST_COMPLETED, timeout=LONGEST)
        opened.cancel()
        if self._hearing.done():
            await self._process.wait()

    async def _hear(self, stderr: asyncio.StreamReader | None) -> None:
        assert stderr is not None
        async for raw in stderr:
            line = raw.decode().rstrip()
            self.lines.append(line)
            if line.startswith("run ") and not self.run_id:
                self.run_id = line.split()[1].rstrip(",")
            if line.startswith("open for work at "):
                self.url = line.split()[-1]
                self._open.set()


class Crowd:
    """Workers who each do one unit, whatever happens. `told` are the answers of which they were told that they are safe."""

    def __init__(self, url: str, size: int, at_once: int) -> None:
        self.told: list[str] = []
        self.over = asyncio.Event()
        self._url, self._size = url, size
        self._room = asyncio.Semaphore(at_once)
        self._news = asyncio.Condition()

    async def work(self) -> None:
        """Until everybody has handed in, or was told that there is nothing left, or it is over."""
        await asyncio.gather(*(self._come(f"worker-{number}") for number in range(self._size)))

    async def has_handed_in(self, count: int) -> None:
        """Until that many answers are safe, or it is over."""
        async with self._news:
            await self._news.wait_for(lambda: len(self.told) >= count or self.over.is_set())

    async def end(self) -> None:
        """It is over: nobody tries any more."""
        self.over.set()
        async with self._news:
            self._news.notify_all()

    async def _come(self, name: str) -> None:
        async with self._room:
            worker = Worker(self._url, name)
            try:
                while not self.over.is_set() and not await self._is_through(worker):  # noqa: ASYNC110 - a page asks again
                    await asyncio.sleep(PAUSE)
            finally:
                await worker.close()

    async def _is_through(self, worker: Worker) -> bool:
        """One attempt; whether there is nothing more for this worker to do."""
        who = {"worker_name": worker.name, "assignment_id": worker.name, "agent_registration_id": worker.name}
        try:
            if not worker.agent_id:
                status, told = await worker.ask("/request_agent", json={"provider_data": who})
                details = told["data"] if status == 200 else {}
                worker.agent_id = details.get("agent_id") or ""
                return details.get("failure_code") in ("finished", "nothing_left")
            status, _ = await worker.submit(worker.name, submission_id=worker.name)
        except (aiohttp.ClientError, OSError, ValueError, TimeoutError):
            return False
        if status == 200:
            await self._is_safe(worker.name)
        return status in (200, 410)

    async def _is_safe(self, answer: str) -> None:
        async with self._news:
            self.told.append(answer)
            self._news.notify_all()


@asynccontextmanager
async def storm(directory: Path, workers: int, at_once: int, **sections: Any) -> AsyncIterator[tuple[Victim, Crowd]]:
    """A launched run of as many units as there are workers, and the crowd at work. Both are over when this is left."""
    architect = {"type": "local", "restart": "on-failure", **sections.pop("architect", {})}
    task = write_task(directory / "task", list(range(workers)), architect=architect, **sections)
    victim = Victim(directory / "home", task)
    try:
        await victim.launch()
        crowd = Crowd(victim.url, workers, at_once)
        working = asyncio.create_task(crowd.work())
        try:
            yield victim, crowd
        finally:
            await crowd.end()
            await working
    finally:
        if not victim.has_ended():
            await victim.kill_driver()
        if victim.run_id:
            await victim.command("shutdown", victim.run_id, "--json")


def assert_nothing_lost(victim: Victim, crowd: Crowd) -> None:
    """Whatever was told safe is stored, and nothing is stored twice."""
    stored = victim.stored()
    lost = [answer for answer in crowd.told if answer not in stored]
    doubled = [answer for answer, count in stored.items() if count > 1]
    assert not lost, f"lost: {lost}"
    assert not doubled, f"doubled: {doubled}"


def _parent(pid: int) -> int:
    try:
        return psutil.Process(pid).ppid()
    except psutil.NoSuchProcess:
        return 0
