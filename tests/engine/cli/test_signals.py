"""Ctrl-C, SIGTERM and a hang-up, in the middle of whatever."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import QUESTION, Falsework, UnderWay, runs

pytestmark = pytest.mark.slow

Launching = Callable[..., UnderWay]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.decisive
def test_the_first_signal_takes_everything_down(
    launching: Launching, falsework: Falsework, server_of: Callable[[str], int], number: signal.Signals
) -> None:
    under_way = launching(QUESTION)
    under_way.is_open()
    server = server_of(under_way.run_id)
    under_way.interrupt(number)
    ended = under_way.end()
    assert ended.code == 130
    assert f"interrupted; run {under_way.run_id} is down" in ended.stderr
    assert not runs(server)
    assert falsework("show", under_way.run_id, "--json").json["state"] == "shut_down"


def test_an_interrupted_deploy_takes_down_what_it_had_begun(
    launching: Launching, falsework: Falsework, server_of: Callable[[str], int], slow_python: Path
) -> None:
    under_way = launching(QUESTION, f"architect.python={slow_python}")
    under_way.hear("deploying")
    under_way.interrupt()
    assert under_way.end().code == 130
    shown = falsework("show", under_way.run_id, "--json").json
    assert [one["state"] for one in shown["story"]][-3:] == ["deploy_failed", "shutting_down", "shut_down"]
    assert all(not one["stands"] for one in shown["resources"])


def test_an_interrupt_once_it_is_going_down_says_what_is_waited_for_and_stops_nothing(
    launching: Launching, falsework: Falsework, server_of: Callable[[str], int]
) -> None:
    under_way = stubborn(launching, server_of, "architect.stop_grace=2s")
    under_way.interrupt()
    under_way.hear("shutting_down")
    server = server_of(under_way.run_id)
    answer = second_answer(under_way)
    assert f"waiting for process {under_way.run_id} (pid {server}," in answer
    assert "(lifecycle.shutdown.timeout); Ctrl-C once more leaves at once" in answer
    assert under_way.end().code == 130
    assert not runs(server)
    assert falsework("ps").stdout == ""


def test_the_third_leaves_at_once_and_says_what_stands(
    launching: Launching, falsework: Falsework, server_of: Callable[[str], int]
) -> None:
    under_way = stubborn(launching, server_of, "architect.stop_grace=0.2s")
    server = server_of(under_way.run_id)
    under_way.interrupt()
    assert "waiting for the server to hand over what it still holds" in second_answer(under_way)
    under_way.interrupt()
    ended = under_way.end()
    assert ended.code == 3
    assert f"still standing: process {under_way.run_id} (pid {server}," in ended.stderr
    assert f"finish the job: falsework shutdown {under_way.run_id}" in ended.stderr
    assert runs(server)
    assert falsework("shutdown", under_way.run_id).code == 0
    assert not runs(server)


def test_a_signal_that_is_ignored_stays_ignored(launching: Launching, monkeypatch: pytest.MonkeyPatch) -> None:
    """As under nohup."""
    monkeypatch.setattr(
        f"{__package__}.conftest.HEEDING_SIGNALS", ("env", "--default-signal=INT", "--ignore-signal=HUP")
    )
    under_way = launching(QUESTION, "--bots", "1", "--think", "0.3s")
    under_way.is_open()
    under_way.interrupt(signal.SIGHUP)
    assert under_way.end().code == 0


def stubborn(launching: Launching, server_of: Callable[[str], int], *arguments: str) -> UnderWay:
    """A run whose server answers nothing any more, SIGTERM included."""
    under_way = launching(QUESTION, *arguments)
    under_way.is_open()
    os.kill(server_of(under_way.run_id), signal.SIGSTOP)
    return under_way


def second_answer(under_way: UnderWay) -> str:
    """Interrupt once more; the line that comes back."""
    if "stopping:" not in under_way.heard:
        under_way.hear("stopping:")
    under_way.interrupt()
    return under_way.hear("waiting for")
