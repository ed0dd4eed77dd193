"""Every verb comes to its end, with a valid ledger, whatever the architect hangs in and however often it is cancelled there.

Real processes; what hangs gets tenths of seconds where it would get ten.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from falsework.engine.contract.registry import GROUP

from ..launching import write_task
from . import conftest
from .conftest import Ended, Falsework, UnderWay

pytestmark = pytest.mark.slow

Launching = Callable[..., UnderWay]
MULE = """
import os
from falsework.engine.testing import MuleArchitect
class Mule(MuleArchitect):
    methods = frozenset(os.environ.get("MULE", "").split())
    blocks = bool(os.environ.get("MULE_BLOCKS"))
"""
COMMAND = f"""#!{sys.executable}
from falsework.engine.run import limit
limit.SETTLE_TIMEOUT = 0.2
from falsework.engine.run import hands
from falsework.engine.run.limit import Limit
for name in ("PROBE_LIMIT", "LOG_LIMIT", "LEFTOVERS_LIMIT", "PREFLIGHT_LIMIT", "CLEANUP_LIMIT"):
    setattr(hands, name, Limit(0.3, name))
from falsework.engine.cli import main
main()
"""


@pytest.fixture(autouse=True)
def mule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed architect called mule, and a command that is not patient with it."""
    site = tmp_path / "site"
    metadata = site / "mule_of_a_test-1.0.dist-info"
    metadata.mkdir(parents=True)
    (site / "mule_of_a_test.py").write_text(MULE)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: mule_of_a_test\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{GROUP}]\nmule = mule_of_a_test:Mule\n")
    command = tmp_path / "impatient-falsework"
    command.write_text(COMMAND)
    command.chmod(0o700)
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.setattr(conftest, "COMMAND", command)


@pytest.fixture
def task(tmp_path: Path) -> str:
    shutdown = {"attempts": 2, "wait_min": 0, "timeout": 3}
    lifecycle = {"shutdown": shutdown, "cleanup": "after_deploy"}
    file = write_task(tmp_path / "task", ["a"], lifecycle=lifecycle)
    file.write_text(json.dumps({**json.loads(file.read_text()), "architect": {"type": "mule"}}))
    return str(file)


@pytest.fixture
def balking(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """From now on mules hang in these methods."""

    def balk(*methods: str, blocks: bool = False) -> None:
        monkeypatch.setenv("MULE", " ".join(methods))
        monkeypatch.setenv("MULE_BLOCKS", "1" if blocks else "")

    return balk


Balking = Callable[..., None]


def left_by_its_launcher(launching: Launching, task: str) -> str:
    """A connected run whose launcher was killed; its id."""
    under_way = launching(task)
    under_way.is_open()
    under_way.interrupt(signal.SIGKILL)
    under_way.end()
    return under_way.run_id


def finish(falsework: Falsework, balking: Balking, run_id: str) -> None:
    """The next verb finds a valid ledger, and brings the run down once nothing hangs any more."""
    balking()
    assert falsework("shutdown", run_id).code == 0
    assert falsework("show", run_id, "--json").json["state"] == "shut_down"


@pytest.mark.parametrize(
    "method, code, state",
    [
        ("prepare", 130, "shut_down"),
        ("deploy", 3, "shutdown_failed"),
        ("cleanup", 130, "shut_down"),
    ],
)
def test_a_launch_ends_after_the_first_interrupt(
    launching: Launching, falsework: Falsework, balking: Balking, task: str, method: str, code: int, state: str
) -> None:
    balking(method)
    under_way = launching(task)
    under_way.hear({"prepare": "preparing", "deploy": "deploying", "cleanup": "connected"}[method])
    time.sleep(0.1)  # it says so before it begins
    under_way.interrupt()
    ended = under_way.end()
    assert (ended.code, f"{method} goes on, 0.2 s after it was cancelled" in ended.stderr) == (code, True), ended.stderr
    assert f"left behind, since it does not end: {method}" in ended.stderr
    assert falsework("show", under_way.run_id, "--json").json["state"] == state
    finish(falsework, balking, under_way.run_id)


@pytest.mark.parametrize("method", ["probe", "shutdown"])
def test_a_launch_that_cannot_be_taken_down_says_what_stands(
    launching: Launching, falsework: Falsework, balking: Balking, task: str, method: str
) -> None:
    balking(method)
    under_way = launching(task)
    under_way.is_open()
    under_way.interrupt()
    ended = under_way.end()
    assert ended.code == 3, ended.stderr
    assert f"finish the job: falsework shutdown {under_way.run_id}" in ended.stderr
    finish(falsework, balking, under_way.run_id)


def test_a_preflight_that_does_not_end_ends_the_launch(falsework: Falsework, balking: Balking, task: str) -> None:
    balking("assert_task_args")
    for verb in ("launch", "check"):
        ended = falsework(verb, task)
        assert ended.code == 1, ended.stderr
        assert "PREFLIGHT_LIMIT" in ended.stderr
    assert falsework("ps", "--all").stdout == ""


def verbs(falsework: Falsework, verb: str, run_id: str) -> Ended:
    return falsework("sweep", "--yes") if verb == "sweep" else falsework(verb, run_id)


@pytest.mark.parametrize("verb", ["shutdown", "sweep"])
@pytest.mark.parametrize("method, code", [("probe", 3), ("shutdown", 3), ("log_tail", 0), ("download_file", 0)])
def test_a_dead_launchers_run_is_taken_down_or_said_to_stand(
    launching: Launching, falsework: Falsework, balking: Balking, task: str, verb: str, method: str, code: int
) -> None:
    run_id = left_by_its_launcher(launching, task)
    balking(method)
    ended = verbs(falsework, verb, run_id)
    assert ended.code == code, ended.stderr
    if code:
        assert f"falsework shutdown {run_id}" in ended.stderr
    finish(falsework, balking, run_id)


def test_providers_that_do_not_answer_are_said_to_be_unasked(falsework: Falsework, balking: Balking) -> None:
    balking("leftovers")
    ended = falsework("sweep", "--provider", "--yes")
    assert ended.code == 0, ended.stderr
    assert "mule cannot be asked what stands there" in ended.stderr


@pytest.mark.parametrize("method", ["probe", "log_tail", "shutdown"])
def test_a_run_that_is_resumed_ends_as_a_launch_does(
    launching: Launching, falsework: Falsework, balking: Balking, task: str, method: str
) -> None:
    run_id = left_by_its_launcher(launching, task)
    balking(method)
    under_way = launching(run_id, verb="resume")
    under_way.is_open()
    under_way.interrupt()
    ended = under_way.end()
    assert ended.code == (130 if method == "log_tail" else 3), ended.stderr
    finish(falsework, balking, run_id)


@pytest.mark.parametrize("verb, method, code", [("collect", "probe", 0), ("logs", "log_tail", 1)])
def test_what_only_takes_in_or_reads_ends(
    launching: Launching, falsework: Falsework, balking: Balking, task: str, verb: str, method: str, code: int
) -> None:
    run_id = left_by_its_launcher(launching, task)
    balking(method)
    ended = falsework(verb, run_id)
    assert ended.code == code, ended.stderr
    assert f"left behind, since it does not end: {method}" in ended.stderr
    finish(falsework, balking, run_id)


def test_what_asks_the_ledger_alone_asks_no_architect(
    launching: Launching, falsework: Falsework, balking: Balking, task: str
) -> None:
    run_id = left_by_its_launcher(launching, task)
    balking("assert_task_args", "prepare", "deploy", "probe", "download_file", "cleanup", "log_tail", "shutdown")
    assert run_id in falsework("ps").stdout
    assert falsework("show", run_id, "--json").json["state"] == "connected"
    finish(falsework, balking, run_id)


def test_the_third_interrupt_leaves_although_the_loop_does_not_turn(
    launching: Launching, falsework: Falsework, balking: Balking, task: str
) -> None:
    balking("deploy", blocks=True)
    under_way = launching(task)
    under_way.hear("deploying")
    time.sleep(0.5)  # until the loop stands still
    for _ in range(3):
        under_way.interrupt()
        time.sleep(0.1)  # two that come at once count as one
    ended = under_way.end()
    assert ended.code == 3, ended.stderr
    assert f"finish the job: falsework shutdown {under_way.run_id}" in ended.stderr
    finish(falsework, balking, under_way.run_id)
