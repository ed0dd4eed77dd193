"""Runs falsework commands that die where they are told to, and the ones that come after them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .crowd import Crowd

PROGRAM = Path(__file__).with_name("crashing_falsework.py")
COMMAND = Path(sys.executable).with_name("falsework")
PATIENCE = 60.0
"""Seconds that a command may take."""


@dataclass(frozen=True)
class Ended:
    """How a command ended, and the points that it came by."""

    code: int
    stdout: str
    stderr: str
    reached: tuple[str, ...] = ()

    @property
    def was_killed(self) -> bool:
        return self.code == -signal.SIGKILL


class Foundry:
    """One command at a time, each a process of its own, all with what is under `directory`."""

    def __init__(self, process: asyncio.subprocess.Process, directory: Path) -> None:
        self._process, self._directory = process, directory
        self._pid = 0

    async def run(self, home: Path, *arguments: str, die_at: str = "", crowd: Crowd | None = None) -> Ended:
        """Run a command to its end. The crowd comes once it is open for work, and has done what it can when this returns."""
        told = {"arguments": arguments, "home": str(home), "die_at": die_at, "files": str(self._directory)}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(told).encode() + b"\n")
        self._pid = (await self._hear())["pid"]
        code = None
        try:
            async with asyncio.timeout(PATIENCE):
                code = await self._see_it_end(crowd or Crowd())
        finally:
            if code is None:
                await self._end()
        stdout, stderr, reached = (self._directory.joinpath(name) for name in ("stdout", "stderr", "reached"))
        return Ended(code, stdout.read_text(), stderr.read_text(), tuple(reached.read_text().splitlines()))

    def kill(self) -> None:
        """The command, whatever it is at."""
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)

    async def _see_it_end(self, crowd: Crowd) -> int:
        gone = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            while "ended" not in (heard := await self._hear()):
                group.create_task(crowd.work(heard["url"], gone))
            gone.set()
        return int(heard["ended"])

    async def _end(self) -> None:
        """What failed, or took too long."""
        self.kill()
        while "ended" not in await self._hear():
            pass

    async def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        said: dict[str, Any] = json.loads(await self._process.stdout.readline())
        return said


@asynccontextmanager
async def foundry_at(directory: Path) -> AsyncIterator[Foundry]:
    """A foundry, which is gone when this is left."""
    directory.mkdir()
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(PROGRAM), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        yield Foundry(process, directory)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.communicate()


async def installed(home: Path, *arguments: str) -> Ended:
    """The command as a user has it: the installed one, started afresh."""
    return await end_of(home, COMMAND, *arguments)


async def end_of(home: Path, *command: str | Path) -> Ended:
    """How a command of this home ends, which is started afresh."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, "FALSEWORK_HOME": str(home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(PATIENCE):
            stdout, stderr = await process.communicate()
    except BaseException:
        process.kill()
        await process.communicate()
        raise
    return Ended(process.returncode or 0, stdout.decode(), stderr.decode())
