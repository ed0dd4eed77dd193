"""`falsework resume` and `collect`: the launcher was killed, its server and its workers were not."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from falsework.engine.work.submissions import read

from ..launching import processes_of, write_task
from ..serving import Worker
from .conftest import Falsework, UnderWay

pytestmark = pytest.mark.slow

Launching = Callable[..., UnderWay]


@pytest.fixture
async def workers() -> AsyncIterator[Callable[[str, str], Worker]]:
    """Pages of workers, closed at the end."""
    opened: list[Worker] = []

    def open_page(url: str, name: str) -> Worker:
        opened.append(Worker(url, name))
        return opened[-1]

    yield open_page
    for worker in opened:
        await worker.close()


@pytest.fixture
def task(tmp_path: Path) -> str:
    return str(write_task(tmp_path / "task", ["a", "b", "c"]))


def killed(under_way: UnderWay) -> str:
    """The launcher dies without a word; returns the run's id."""
    under_way.interrupt(signal.SIGKILL)
    under_way.end()
    return under_way.run_id


def answers(home: Path, run_id: str) -> list[Any]:
    return sorted(json.loads(bytes(one.data)) for one in read(home / "runs" / run_id))


@pytest.mark.decisive
async def test_a_resumed_run_goes_on_where_it_was(
    launching: Launching, falsework: Falsework, home: Path, task: str, workers: Callable[[str, str], Worker]
) -> None:
    under_way = launching(task)
    url = under_way.is_open()
    first, second = workers(url, "first"), workers(url, "second")
    before = await first.join(), await second.join()
    await first.submit("with the launcher")
    run_id = killed(under_way)
    assert (await second.submit("without a launcher"))[0] == 200  # told that it is safe
    resumed = launching(run_id, verb="resume")
    assert resumed.is_open() == url
    third = workers(url, "third")
    after = await third.join()
    assert after["init_task_data"]["falsework"]["index"] not in {
        told["init_task_data"]["falsework"]["index"] for told in before
    }
    assert (await third.submit("with the next launcher"))[0] == 200
    ended = resumed.end()
    assert ended.code == 0, ended.stderr
    assert answers(home, run_id) == ["with the launcher", "with the next launcher", "without a launcher"]
    assert processes_of(run_id) == []


async def test_who_is_at_work_keeps_its_agent(
    launching: Launching, falsework: Falsework, task: str, workers: Callable[[str, str], Worker]
) -> None:
    under_way = launching(task)
    page = workers(under_way.is_open(), "steady")
    told = await page.join()
    run_id = killed(under_way)
    resumed = launching(run_id, verb="resume")
    resumed.is_open()
    assert (await page.join())["agent_id"] == told["agent_id"]
    resumed.interrupt()
    assert resumed.end().code == 130
    assert processes_of(run_id) == []


async def test_a_run_whose_server_died_too_is_seen_down_with_all_it_held(
    launching: Launching, falsework: Falsework, home: Path, task: str, workers: Callable[[str, str], Worker]
) -> None:
    under_way = launching(task, "architect.restart=never")
    page = workers(under_way.is_open(), "first")
    await page.join()
    run_id = killed(under_way)
    assert (await page.submit("held"))[0] == 200
    for process in processes_of(run_id):
        os.kill(process, signal.SIGKILL)
    ended = falsework("resume", run_id)
    assert ended.code == 1, ended.stderr
    assert answers(home, run_id) == ["held"]
    assert falsework("ps", "--json").json == []


async def test_collecting_takes_in_what_is_held_and_leaves_the_run_alone(
    launching: Launching, falsework: Falsework, home: Path, task: str, workers: Callable[[str, str], Worker]
) -> None:
    under_way = launching(task)
    url = under_way.is_open()
    page, late = workers(url, "first"), workers(url, "late")
    await page.join()
    run_id = killed(under_way)
    await page.submit("held")
    collected = await asyncio.to_thread(falsework, "collect", run_id, "--json")
    assert collected.json == {"run_id": run_id, "collected": 1, "server_is_gone": False}, collected.stderr
    assert falsework("collect", run_id, "--json").json["collected"] == 0
    assert answers(home, run_id) == ["held"]
    assert falsework("show", run_id, "--json").json["state"] == "disconnected"
    resumed = launching(run_id, verb="resume")
    resumed.is_open()
    assert (await late.join())["agent_id"]
    resumed.interrupt()
    resumed.end()


async def test_what_a_server_left_on_this_machine_is_collected_once_the_run_is_down(
    launching: Launching, falsework: Falsework, home: Path, task: str, workers: Callable[[str, str], Worker]
) -> None:
    under_way = launching(task, "architect.restart=never")
    page = workers(under_way.is_open(), "first")
    await page.join()
    run_id = killed(under_way)
    await page.submit("held")
    for process in processes_of(run_id):
        os.kill(process, signal.SIGKILL)
    collected = falsework("collect", run_id, "--json")
    assert collected.json == {"run_id": run_id, "collected": 1, "server_is_gone": True}, collected.stderr
    assert falsework("show", run_id, "--json").json["state"] == "shut_down"
    assert answers(home, run_id) == ["held"]


@pytest.mark.parametrize("verb", ["resume", "collect"])
def test_a_run_whose_launcher_lives_is_left_to_it(
    launching: Launching, falsework: Falsework, task: str, verb: str
) -> None:
    under_way = launching(task)
    under_way.is_open()
    ended = falsework(verb, under_way.run_id)
    assert (ended.code, ended.stdout) == (2, "")
    assert f"its launcher lives, process {under_way.process.pid}" in ended.stderr
    under_way.interrupt()
    assert under_way.end().code == 130


def test_a_run_that_is_down_cannot_be_resumed(falsework: Falsework, task: str) -> None:
    run_id = falsework("launch", task, "--bots", "1", "--json").json["run_id"]
    ended = falsework("resume", run_id)
    assert (ended.code, ended.stderr.strip()) == (2, f"RUN: {run_id} is down; there is nothing to resume")


def test_a_run_without_a_server_cannot_be_resumed(
    launching: Launching, falsework: Falsework, slow_python: Path, task: str
) -> None:
    under_way = launching(task, f"architect.python={slow_python}")
    under_way.hear("deploying")
    run_id = killed(under_way)
    ended = falsework("resume", run_id)
    assert ended.code == 1
    assert f"`falsework shutdown {run_id}` takes it down" in ended.stderr
    assert falsework("shutdown", run_id).code == 0


def test_a_task_that_is_gone_meanwhile_cannot_be_resumed(
    launching: Launching, falsework: Falsework, tmp_path: Path
) -> None:
    path = write_task(tmp_path / "task", ["a"], hook="async def on_update(session, agent, update): ...\n")
    under_way = launching(str(path))
    under_way.is_open()
    run_id = killed(under_way)
    (tmp_path / "task" / "hook.py").unlink()
    ended = falsework("resume", run_id)
    assert ended.code == 2
    assert f"{path}: " in ended.stderr
    assert "put it and the files that it names back" in ended.stderr
    assert falsework("shutdown", run_id).code == 0
