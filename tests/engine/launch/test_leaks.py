"""Two hundred launches in one process, one after another: it is afterwards what it was before."""

from __future__ import annotations

import asyncio
import gc
import threading
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from falsework.architects.mock.stage import MockStage

from ..launching import write_task

pytestmark = pytest.mark.slow

LAUNCHES, WARM_UP = 200, 20
GROWTH = 6 << 20
"""Bytes that the launches after the first few may add to this process: what was allocated once is kept for a while."""


class Holding(NamedTuple):
    """What this process holds."""

    descriptors: int
    tasks: int
    threads: int


def held() -> Holding:
    gc.collect()
    return Holding(psutil.Process().num_fds(), len(asyncio.all_tasks()), threading.active_count())


def memory() -> int:
    gc.collect()
    return psutil.Process().memory_info().rss


async def launch_once(stage: MockStage, task: Path, number: int) -> None:
    """A whole launch over real sockets: a worker comes, hands in, and the run is down."""
    async with stage.launch(task) as launch:
        server = await launch.server()
        told = await server.answer_to(server.register_mock_agent(f"worker-{number}"))
        await server.acknowledged(server.submit_mock_unit(told["agent_id"], {"number": number}))
        await launch.end()
    assert launch.answers() == [{"number": number}]


async def launch_many(task: Path, numbers: range) -> None:
    for number in numbers:
        with MockStage() as stage:
            await launch_once(stage, task, number)


async def test_launches_leave_nothing_in_the_process_that_launched(tmp_path: Path) -> None:
    task = write_task(tmp_path / "task", ["a"])
    await launch_many(task, range(WARM_UP))
    before, bytes_before = held(), memory()
    await launch_many(task, range(WARM_UP, WARM_UP + LAUNCHES))
    assert held() == before
    assert memory() - bytes_before < GROWTH
