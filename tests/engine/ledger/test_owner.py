"""Whose a run is: a process that lives is told from one that is gone, and from another that has its number now."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import replace

import psutil
import pytest
from falsework.engine.ledger.owner import Owner


def start_sleeper() -> subprocess.Popen[bytes]:
    """A process that lives until its input is closed."""
    return subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)


def owner_of(pid: int) -> Owner:
    return replace(Owner.this_process(), pid=pid, started=psutil.Process(pid).create_time())


def test_this_process_is_alive() -> None:
    owner = Owner.this_process()
    assert (owner.host, owner.pid) == (socket.gethostname(), os.getpid())
    assert owner.is_on_this_host()
    assert owner.is_alive()
    assert str(owner) == f"{socket.gethostname()}:{os.getpid()}"


def test_a_process_is_alive_until_it_ends() -> None:
    process = start_sleeper()
    owner = owner_of(process.pid)
    assert owner.is_alive()
    process.communicate()
    assert not owner.is_alive()


def test_a_process_that_ended_and_was_not_waited_for_is_not_alive() -> None:
    process = start_sleeper()
    owner = owner_of(process.pid)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE
    assert not owner.is_alive()
    process.communicate()


def test_another_process_of_the_same_number_is_not_the_owner() -> None:
    assert not replace(Owner.this_process(), started=Owner.this_process().started - 60).is_alive()


def test_a_clock_that_is_read_a_little_differently_tells_nobody_dead() -> None:
    assert replace(Owner.this_process(), started=Owner.this_process().started + 1).is_alive()


def test_a_process_that_may_not_be_looked_at_is_not_taken_for_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: psutil.Process) -> float:
        raise psutil.AccessDenied(self.pid)

    owner = Owner.this_process()
    monkeypatch.setattr(psutil.Process, "create_time", refuse)
    assert owner.is_alive()


def test_a_process_of_another_host_cannot_be_looked_at_from_here() -> None:
    owner = replace(Owner.this_process(), host="elsewhere")
    assert not owner.is_on_this_host()
    with pytest.raises(ValueError, match=r"can only be looked at on elsewhere"):
        owner.is_alive()
