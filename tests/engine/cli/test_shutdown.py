"""`falsework shutdown`, with the launcher alive, dead, and elsewhere."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from falsework.engine.cli.records import open_ledger
from falsework.engine.ledger.ledger import RunRecord
from falsework.engine.ledger.owner import Owner

from .conftest import COMMAND, HEEDING_SIGNALS, QUESTION, Falsework, UnderWay, runs

pytestmark = pytest.mark.slow

Launching = Callable[..., UnderWay]


@pytest.mark.decisive
def test_from_another_terminal_the_launcher_takes_it_down(launching: Launching, falsework: Falsework) -> None:
    under_way = launching(QUESTION)
    under_way.is_open()
    ended = falsework("shutdown", under_way.run_id, "--json")
    assert ended.code == 0, ended.stderr
    assert ended.json == {"run_id": under_way.run_id, "state": "shut_down", "standing": []}
    assert f"asking its launcher, process {under_way.process.pid}," in ended.stderr
    assert under_way.end().code == 130


def test_after_its_launcher_was_killed_the_ledger_is_enough(
    launching: Launching, falsework: Falsework, server_of: Callable[[str], int]
) -> None:
    under_way = launching(QUESTION)
    under_way.is_open()
    server = server_of(under_way.run_id)
    under_way.interrupt(signal.SIGKILL)
    under_way.end()
    assert ", gone" in falsework("ps").stdout
    ended = falsework("shutdown", under_way.run_id)
    assert ended.code == 0, ended.stderr
    assert not runs(server)
    last = falsework("show", under_way.run_id, "--json").json["story"][-2]
    assert (last["state"], last["reason"]) == ("shutting_down", "falsework shutdown, after its launcher was gone")


def test_two_that_take_it_down_at_once_do_not_fight(launching: Launching, falsework: Falsework) -> None:
    under_way = launching(QUESTION)
    under_way.is_open()
    under_way.interrupt(signal.SIGKILL)
    under_way.end()
    command = [*HEEDING_SIGNALS, COMMAND, "shutdown", under_way.run_id, "--json"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert all('"state": "shut_down"' in stdout for stdout, _ in said)


def test_a_launcher_killed_while_deploying_leaves_nothing_either(
    launching: Launching, falsework: Falsework, server_of: Callable[[str], int], slow_python: Path
) -> None:
    under_way = launching(QUESTION, f"architect.python={slow_python}")
    under_way.hear("deploying")
    while not falsework("show", under_way.run_id, "--json").json["resources"]:
        pass
    under_way.interrupt(signal.SIGKILL)
    under_way.end()
    assert falsework("shutdown", under_way.run_id).code == 0
    story = falsework("show", under_way.run_id, "--json").json["story"]
    assert [one["state"] for one in story][-3:] == ["deploy_failed", "shutting_down", "shut_down"]
    assert "ended in the middle of it" in story[-3]["error"]


def test_a_task_that_is_gone_meanwhile_keeps_nothing_up(
    launching: Launching, falsework: Falsework, tmp_path: Path
) -> None:
    falsework("new", tmp_path / "task")
    under_way = launching(str(tmp_path / "task"))
    under_way.is_open()
    under_way.interrupt(signal.SIGKILL)
    under_way.end()
    (tmp_path / "task" / "task.yaml").unlink()
    assert falsework("shutdown", under_way.run_id).code == 0


def test_what_is_down_stays_down_quietly(falsework: Falsework) -> None:
    run_id = falsework("launch", QUESTION, "--bots", "1", "--json").json["run_id"]
    ended = falsework("shutdown", run_id)
    assert (ended.code, ended.stdout, ended.stderr) == (0, "", "")


def test_not_waiting_for_the_launcher_is_said_with_what_stands(
    launching: Launching, falsework: Falsework, server_of: Callable[[str], int]
) -> None:
    under_way = launching(QUESTION, "architect.stop_grace=0.2s")
    under_way.is_open()
    server = server_of(under_way.run_id)
    os.kill(under_way.process.pid, signal.SIGSTOP)  # a launcher that hangs
    try:
        ended = interrupted_shutdown(under_way.run_id)
    finally:
        os.kill(under_way.process.pid, signal.SIGCONT)
    assert ended[0] == 3
    assert f"still standing: process {under_way.run_id} (pid {server}," in ended[1]
    assert under_way.end().code == 130  # it has got the SIGTERM


def test_a_run_of_another_host_is_left_alone_unless_forced(falsework: Falsework, home: Path) -> None:
    record_run(home, Owner("elsewhere.example", 1, 0.0))
    refused = falsework("shutdown", "task-000001")
    assert refused.code == 2
    assert "was launched on elsewhere.example" in refused.stderr
    assert falsework("ps", "--json").json[0]["owner_alive"] is None
    assert falsework("shutdown", "task-000001", "--force").code == 0
    assert falsework("ps").stdout == ""


def test_a_run_whose_backend_is_not_installed_is_said_to_stand(falsework: Falsework, home: Path) -> None:
    record_run(home, Owner("elsewhere.example", 1, 0.0), architect="clouds")
    ended = falsework("shutdown", "task-000001", "--force", "--json")
    assert ended.code == 3
    assert "no architect is called 'clouds'" in ended.stderr
    assert ended.json["state"] == "configured"


def interrupted_shutdown(run_id: str) -> tuple[int, str]:
    """A `falsework shutdown` that is interrupted while it waits for the launcher."""
    command = [*HEEDING_SIGNALS, COMMAND, "shutdown", run_id]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        said += process.stderr.read()
    return process.returncode, said


def record_run(home: Path, owner: Owner, architect: str = "local") -> None:
    async def record() -> None:
        ledger = open_ledger()
        directory = home / "runs" / "task-000001"
        await ledger.create(RunRecord("task-000001", architect, directory, Path("gone.yaml"), owner))
        await ledger.close()

    asyncio.run(record())
