"""The router is killed at each call that changes something on its disk; what was told to be saved is delivered once.

The calls are found by counting them, not by a list that somebody wrote: the story is told again and again, to a router that
dies at its first call, at its second one, and so on until it dies no more.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest

from .crash_story import LIMITS, Died, Story, World
from .router_process import RUN_ID, TOKEN

FOUNDRY = Path(__file__).with_name("crashing_router.py")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class Foundry:
    """Makes routers that die where they are told to, on a data directory."""

    def __init__(self, process: asyncio.subprocess.Process, directory: Path) -> None:
        self._process, self._directory = process, directory
        self.data = directory / "data"
        self.log, self._calls = directory / "stderr", directory / "calls"

    async def start(self, crash_at: int, mode: str) -> int:
        """A router; its port. Raises Died if it died before it was ready."""
        directory = self._directory
        argv = ["--static", directory / "static", "--data", self.data, "--token-file", directory / "token"]
        argv += ["--run-id", RUN_ID, "--max-lifetime", "1d", *LIMITS]
        told = {"argv": list(map(str, argv)), "crash_at": crash_at, "mode": mode}
        told |= {"log": str(self.log), "calls": str(self._calls)}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(told).encode() + b"\n")
        self._pid = (await self._hear())["pid"]
        said = await self._hear()
        if "ended" in said:
            assert said["ended"] == -signal.SIGKILL, self.log.read_text()
            raise Died
        port: int = said["ready"]["port"]
        return port

    async def end(self) -> int:
        """Tell the router to end, if it still lives; how it ended."""
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGTERM)
        return int((await self._hear())["ended"])

    def kill(self) -> None:
        """Whatever it is at."""
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)

    def calls(self) -> list[str]:
        """The calls of the last router."""
        return self._calls.read_text().split()

    async def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        said: dict[str, Any] = json.loads(await self._process.stdout.readline())
        return said


@pytest.fixture
async def foundry(tmp_path: Path) -> AsyncIterator[Foundry]:
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "index.html").touch()
    (tmp_path / "token").write_text(TOKEN)
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(FOUNDRY), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    foundry = Foundry(process, tmp_path)
    yield foundry
    foundry.kill()
    assert process.stdin is not None
    process.stdin.close()
    await process.communicate()


async def tell(foundry: Foundry, world: World, crash_at: int, mode: str) -> int:
    """The story to one router, which dies only if it is one that does; how it ended."""
    dies = suppress(Died) if crash_at else nullcontext()
    with dies:
        port = await foundry.start(crash_at, mode)
        with dies:
            await Story(world, port).tell()
        return await foundry.end()
    return -signal.SIGKILL


async def tell_and_tell_again(foundry: Foundry, crash_at: int, mode: str) -> int:
    """On an empty disk, to a router that dies and to the next one. How the first one ended."""
    shutil.rmtree(foundry.data, ignore_errors=True)
    world = World()
    ended = await tell(foundry, world, crash_at, mode)
    assert ended in (0, -signal.SIGKILL), foundry.log.read_text()
    calls = foundry.calls()
    assert await tell(foundry, world, 0, "") == 0, foundry.log.read_text()
    try:
        world.check()
        assert list((foundry.data / "uploads").glob("*.part")) == []
    except AssertionError as error:
        error.add_note(f"the router died ({mode}) at call {crash_at} of {' '.join(calls)}")
        raise
    return ended


@pytest.mark.parametrize("mode", ["before", "torn", "power"])
async def test_whatever_was_told_to_be_saved_is_delivered_once(
    foundry: Foundry, mode: str, record_property: Any
) -> None:
    crash_at, points = 0, 0
    while True:
        crash_at += 1
        ended = await tell_and_tell_again(foundry, crash_at, mode)
        if ended == 0:
            break
        points += 1
    record_property("crash_points", points)
    print(f"\n{points} crash points ({mode}) passed")
    assert points > 40
    assert "Traceback" not in foundry.log.read_text()


@pytest.mark.parametrize("mode", ["before", "power"])
async def test_a_router_that_dies_while_it_recovers_loses_nothing_either(foundry: Foundry, mode: str) -> None:
    world, crash_at = World(), 0
    await Story(world, await foundry.start(0, "")).hand_in_only()
    foundry.kill()
    await foundry.end()
    with (foundry.data / "outbox.jsonl").open("ab") as outbox:
        outbox.write(b'{"packet_type":"submit_unit","subj')
    (foundry.data / "uploads" / "half.part").write_bytes(b"half")
    left = foundry.data.with_name("left")
    shutil.copytree(foundry.data, left)
    while True:
        crash_at += 1
        shutil.rmtree(foundry.data)
        shutil.copytree(left, foundry.data)
        fresh = World()
        for work, before in zip(fresh.works, world.works, strict=True):
            work.told = before.told
        try:
            await foundry.start(crash_at, mode)
        except Died:
            assert await tell(foundry, fresh, 0, "") == 0
            fresh.check()
            continue
        await foundry.end()
        break
    assert crash_at > 5
