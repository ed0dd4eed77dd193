"""`falsework sweep`: whatever dead launchers left behind comes down, and nothing else does."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from falsework.engine.cli.records import open_ledger
from falsework.engine.ledger.ledger import RunRecord
from falsework.engine.ledger.owner import Owner

from ..launching import processes_of, write_task
from .conftest import COMMAND, HEEDING_SIGNALS, Falsework, UnderWay

pytestmark = pytest.mark.slow

Launching = Callable[..., UnderWay]


@pytest.fixture
def task(tmp_path: Path) -> str:
    return str(write_task(tmp_path / "task", ["a", "b"]))


def left_serving(launching: Launching, *arguments: str) -> str:
    """A run that served workers when its launcher was killed; its id."""
    under_way = launching(*arguments)
    under_way.is_open()
    return _killed(under_way)


def left_half_made(launching: Launching, slow_python: Path, task: str) -> str:
    """A run whose launcher was killed while it deployed, with a process that stands; its id."""
    under_way = launching(task, f"architect.python={slow_python}")
    under_way.hear("deploying")
    while not processes_of(under_way.run_id):
        pass
    return _killed(under_way)


def _killed(under_way: UnderWay) -> str:
    under_way.interrupt(signal.SIGKILL)
    under_way.end()
    return under_way.run_id


def owned_by(run_id: str, owner: Owner) -> None:
    """Enter another owner into the ledger, whose heartbeat is old."""

    async def claim() -> None:
        ledger = open_ledger()
        ledger._clock = lambda: 1000.0
        await ledger.claim(ledger.run(run_id), owner)
        await ledger.close()

    asyncio.run(claim())


@pytest.mark.decisive
def test_what_was_half_made_and_what_served_comes_down(
    launching: Launching, falsework: Falsework, slow_python: Path, task: str
) -> None:
    alive = launching(task)
    alive.is_open()
    dead = {left_serving(launching, task), left_half_made(launching, slow_python, task)}
    ended = falsework("sweep", "--yes", "--json")
    assert ended.code == 0, ended.stderr
    assert set(ended.json["down"]) == dead
    assert [processes_of(run_id) for run_id in dead] == [[], []]
    assert processes_of(alive.run_id)
    reasons = [falsework("show", run_id, "--json").json["story"][-2]["reason"] for run_id in dead]
    assert reasons == ["swept: its launcher is gone"] * 2
    alive.interrupt()
    assert alive.end().code == 130


def test_nothing_to_sweep_is_said_and_makes_nothing(falsework: Falsework, home: Path) -> None:
    assert (falsework("sweep").stdout, falsework("sweep").code) == ("nothing to sweep\n", 0)
    assert not (home / "ledger.db").exists()


def test_where_nobody_can_be_asked_nothing_is_taken_down(launching: Launching, falsework: Falsework, task: str) -> None:
    run_id = left_serving(launching, task)
    ended = falsework("sweep")
    assert ended.code == 2
    assert f"{run_id}: served workers" in ended.stderr
    assert "--yes" in ended.stderr
    assert processes_of(run_id)
    assert falsework("sweep", "--yes").code == 0


def test_two_sweeps_at_once_do_not_fight(launching: Launching, task: str, slow_python: Path) -> None:
    dead = [left_half_made(launching, slow_python, task) for _ in range(3)]
    command = [*HEEDING_SIGNALS, COMMAND, "sweep", "--yes", "--json"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert [processes_of(run_id) for run_id in dead] == [[], [], []]


def test_a_process_id_that_was_reused_is_not_taken_for_the_launcher(
    launching: Launching, falsework: Falsework, task: str
) -> None:
    run_id = left_serving(launching, task)
    somebody = psutil.Process()
    owned_by(run_id, Owner(Owner.this_process().host, somebody.pid, somebody.create_time() - 3600))
    assert falsework("sweep", "--yes", "--json").json["down"] == [run_id]


def test_a_launcher_whose_clock_was_set_is_not_taken_for_dead() -> None:
    owner = Owner.this_process()
    assert replace(owner, started=owner.started - 3600).is_alive(unheard=12.0)


def test_a_run_of_another_host_is_left_alone_unless_told(launching: Launching, falsework: Falsework, task: str) -> None:
    run_id = left_serving(launching, task)
    owned_by(run_id, Owner("elsewhere.example", os.getpid(), 0.0))
    ended = falsework("sweep", "--yes", "--json")
    assert (ended.json["down"], ended.json["elsewhere"]) == ([], [run_id])
    assert processes_of(run_id)
    assert falsework("sweep", "--yes", "--elsewhere", "--json").json["down"] == [run_id]
    assert processes_of(run_id) == []


def test_without_a_ledger_the_mark_is_enough(launching: Launching, falsework: Falsework, home: Path, task: str) -> None:
    dead = [left_serving(launching, task), left_serving(launching, task)]
    for file in home.glob("ledger.db*"):
        file.unlink()
    assert falsework("sweep", "--yes").stdout == "nothing to sweep\n"
    ended = falsework("sweep", "--provider", "--yes", "--json")
    assert ended.code == 0, ended.stderr
    assert set(ended.json["down"]) == set(dead)
    assert [processes_of(run_id) for run_id in dead] == [[], []]


def test_what_was_launched_from_another_home_is_not_this_ones_to_sweep(
    launching: Launching, falsework: Falsework, tmp_path: Path, task: str
) -> None:
    run_id = left_serving(launching, task)
    ended = falsework("sweep", "--provider", "--yes", FALSEWORK_HOME=str(tmp_path / "another home"))
    assert f"{run_id} at local was not launched from here" in ended.stderr
    assert processes_of(run_id)
    assert falsework("sweep", "--yes").code == 0


def test_a_launch_first_sweeps_what_was_half_made_and_only_reports_what_served(
    launching: Launching, falsework: Falsework, task: str, slow_python: Path
) -> None:
    half_made, served = left_half_made(launching, slow_python, task), left_serving(launching, task)
    ended = falsework("launch", task, "--bots", "1")
    assert ended.code == 0, ended.stderr
    assert processes_of(half_made) == []
    assert processes_of(served)
    assert f"run {served} served workers, and its launcher is gone: `falsework resume {served}`" in ended.stderr
    assert falsework("sweep", "--yes", "--json").json["down"] == [served]


def test_a_run_whose_server_ended_by_itself_is_swept_by_a_launch(
    launching: Launching, falsework: Falsework, task: str
) -> None:
    run_id = left_serving(launching, task)
    for process in sorted(processes_of(run_id)):
        os.kill(process, signal.SIGKILL)
    assert falsework("launch", task, "--bots", "1").code == 0
    assert falsework("show", run_id, "--json").json["state"] == "shut_down"


def test_an_interrupted_sweep_finishes_what_it_began(launching: Launching, falsework: Falsework, task: str) -> None:
    dead = [left_serving(launching, task) for _ in range(3)]
    sweep = subprocess.Popen(
        [*HEEDING_SIGNALS, COMMAND, "sweep", "--yes"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert sweep.stderr is not None
    for line in sweep.stderr:
        if "shutting_down" in line or "shut_down" in line:
            break
    sweep.send_signal(signal.SIGTERM)
    sweep.communicate(timeout=60)
    assert sweep.returncode in (0, 130)
    assert falsework("sweep", "--yes").code == 0
    assert [processes_of(run_id) for run_id in dead] == [[], [], []]


def test_a_directory_that_is_gone_keeps_nothing_up(
    launching: Launching, falsework: Falsework, home: Path, task: str
) -> None:
    run_id = left_serving(launching, task)
    ledger = open_ledger()
    record: RunRecord = ledger.run(run_id)
    asyncio.run(ledger.close())
    subprocess.run(["rm", "-r", str(record.directory)], check=True)
    ended = falsework("sweep", "--yes", "--json")
    assert ended.json["down"] == [run_id], ended.stderr
    assert processes_of(run_id) == []
