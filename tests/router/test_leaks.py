"""A thousand workers come and drop, again and again: the router is afterwards what it was before."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import aiohttp
import psutil
import pytest

from .router_process import ROUTERS, RouterCommand, RouterProcess

pytestmark = pytest.mark.slow

WORKERS, AT_ONCE = 1000, 250
WARM_UP, ROUNDS = 6, 8
"""A garbage collector lets memory grow for a few rounds before it looks at it."""
GROWTH = 4 << 20
"""Bytes by which its memory may still differ then."""
PATIENCE = 10.0
"""Seconds for a router to notice that connections are gone."""


class Holding(NamedTuple):
    """What a process holds: open descriptors, threads, bytes of memory."""

    descriptors: int
    threads: int
    memory: int


@pytest.fixture(params=ROUTERS, ids=lambda command: command.name)
def router(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RouterProcess]:
    command: RouterCommand = request.param
    process = RouterProcess(command, tmp_path, [], {}, is_open=False)
    process.start()
    yield process
    process.end()


def held_by(pid: int) -> Holding:
    process = psutil.Process(pid)
    return Holding(process.num_fds(), process.num_threads(), process.memory_info().rss)


async def come_and_drop(url: str) -> None:
    """Ask for something and open a socket; every second worker goes without saying so."""
    room = asyncio.Semaphore(AT_ONCE)

    async def worker(number: int) -> None:
        async with room, aiohttp.ClientSession() as session:
            async with session.get(f"{url}is_alive") as page:
                assert page.status == 200
            socket = await session.ws_connect(url)
            await socket.send_json({"packet_type": "alive", "subject_id": f"agent-{number}", "data": {"protocol": 1}})
            if number % 2:
                await socket.close()
            else:
                transport = socket.get_extra_info("socket")
                transport.shutdown(2)

    await asyncio.gather(*(worker(number) for number in range(WORKERS)))


async def until_all_are_gone(pid: int, before: Holding) -> Holding:
    """What the router holds once it has let go of every connection, or when it should have."""
    async with asyncio.timeout(PATIENCE):
        while held_by(pid).descriptors > before.descriptors:  # noqa: ASYNC110 - another process's descriptors
            await asyncio.sleep(0.05)
    return held_by(pid)


async def test_workers_who_come_and_drop_leave_nothing_in_the_router(router: RouterProcess) -> None:
    url = f"http://127.0.0.1:{router.port}/"
    at_first = held_by(router.pid)
    after = []
    for _ in range(ROUNDS):
        await come_and_drop(url)
        after.append(await until_all_are_gone(router.pid, at_first))
    assert [one.descriptors for one in after] == [at_first.descriptors] * ROUNDS
    assert len({one.threads for one in after}) == 1
    assert after[-1].memory - max(one.memory for one in after[:WARM_UP]) < GROWTH
