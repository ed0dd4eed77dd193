"""Real processes known again and ended, the misbehaving ones in doubles/."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from falsework.architects.machine import child, process
from falsework.architects.machine.child import ServerDied
from falsework.architects.machine.mark import RUN_ID
from falsework.architects.machine.process import (
    ProcessIdentity,
    alive,
    find,
    marked,
    terminate,
)
from falsework.engine.errors import ArchitectError

from ..conftest import DOUBLES, PATIENCE, Start


@pytest.fixture
def bystander(tmp_path: Path) -> Iterator[ProcessIdentity]:
    """A process of another run, which nobody here may touch."""
    command = [sys.executable, str(DOUBLES / "polite.py")]
    with child.start(command, cwd=tmp_path, env=os.environ, run_id="a-bystander", log=tmp_path / "other") as started:
        yield started.identity
    assert alive(started.identity, "a-bystander")
    asyncio.run(terminate(started.identity, "a-bystander"))


async def test_a_process_says_that_it_is_ready_and_ends_when_asked(
    start: Start, run_id: str, bystander: ProcessIdentity
) -> None:
    with start("polite") as started:
        assert await started.ready_line(PATIENCE) == {"port": 1}
    assert alive(started.identity, run_id)
    assert find(run_id) == [started.identity]

    await terminate(started.identity, run_id)

    assert not alive(started.identity, run_id)
    assert find(run_id) == []


async def test_a_process_is_found_from_its_first_instant_on(start: Start, run_id: str) -> None:
    for _ in range(20):
        with start("never_ready") as started:
            assert find(run_id) == [started.identity]
        await terminate(started.identity, run_id)


async def test_terminating_twice_is_quiet(start: Start, run_id: str) -> None:
    with start("polite") as started:
        await started.ready_line(PATIENCE)
    await terminate(started.identity, run_id)
    await terminate(started.identity, run_id)


async def test_a_process_that_reuses_the_id_is_never_signalled(start: Start, run_id: str) -> None:
    with start("polite") as started:
        await started.ready_line(PATIENCE)
    earlier = ProcessIdentity(started.identity.pid, started.identity.started - 60)

    assert not alive(earlier, run_id)
    await terminate(earlier, run_id)
    await terminate(started.identity, "another-run")

    assert alive(started.identity, run_id)
    await terminate(started.identity, run_id)


async def test_a_process_that_ignores_sigterm_is_killed_after_the_grace(start: Start, run_id: str) -> None:
    with start("ignores_sigterm") as started:
        await started.ready_line(PATIENCE)
    await terminate(started.identity, run_id, grace=0.05)
    assert not alive(started.identity, run_id)


async def test_a_stopped_process_is_killed_after_the_grace(start: Start, run_id: str) -> None:
    with start("polite") as started:
        await started.ready_line(PATIENCE)
    os.kill(started.identity.pid, signal.SIGSTOP)
    await terminate(started.identity, run_id, grace=0.05)
    assert not alive(started.identity, run_id)


async def test_a_child_that_outlives_its_parent_goes_too(start: Start, run_id: str) -> None:
    with start("has_a_stubborn_child") as started:
        child = (await started.ready_line(PATIENCE))["child"]
    assert {identity.pid for identity in find(run_id)} == {started.identity.pid, child}

    await terminate(started.identity, run_id)

    assert find(run_id) == []


async def test_a_child_is_found_and_ended_after_its_parent_was_killed(start: Start, run_id: str) -> None:
    with start("has_a_stubborn_child") as started:
        await started.ready_line(PATIENCE)
    os.kill(started.identity.pid, signal.SIGKILL)

    await terminate(started.identity, run_id)

    assert find(run_id) == []


async def test_it_works_where_the_system_has_no_pidfd(
    start: Start, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    with start("dies_at_once") as started, pytest.raises(ServerDied, match="exit status 7"):
        await started.ready_line(PATIENCE)
    with start("ignores_sigterm") as started:
        await started.ready_line(PATIENCE)
    await terminate(started.identity, run_id, grace=0.05)
    assert find(run_id) == []


async def test_a_politely_ending_process_does_not_use_up_the_grace(start: Start, run_id: str) -> None:
    with start("polite") as started:
        await started.ready_line(PATIENCE)
    async with asyncio.timeout(PATIENCE):
        await terminate(started.identity, run_id, grace=3600)


async def test_an_unwatched_death_leaves_no_zombie_once_it_was_looked_at(start: Start, run_id: str) -> None:
    with start("polite") as started:
        await started.ready_line(PATIENCE)
    os.kill(started.identity.pid, signal.SIGKILL)
    await asyncio.to_thread(os.waitid, os.P_PID, started.identity.pid, os.WEXITED | os.WNOWAIT)
    assert not alive(started.identity, run_id)
    assert not psutil.pid_exists(started.identity.pid)


LAUNCHER = """
import asyncio, json, os, sys
from pathlib import Path
from falsework.architects.machine import child
directory, run_id, double = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
async def main():
    with child.start([sys.executable, double], cwd=directory, env=os.environ, run_id=run_id, log=directory / "log") as started:
        await started.ready_line(20)
    print(json.dumps([started.identity.pid, started.identity.started]), flush=True)
    os.kill(os.getpid(), 9)
asyncio.run(main())
"""


async def test_a_server_survives_its_launcher_and_another_process_ends_it(tmp_path: Path, run_id: str) -> None:
    launcher = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", LAUNCHER, str(tmp_path), run_id, str(DOUBLES / "polite.py")],
        capture_output=True,
        check=False,
    )
    assert launcher.returncode == -signal.SIGKILL
    identity = ProcessIdentity(*json.loads(launcher.stdout))
    assert find(run_id) == [identity]
    await terminate(identity, run_id)
    assert find(run_id) == []


def test_whoever_asks_and_the_shell_it_asks_from_are_not_part_of_the_run(run_id: str) -> None:
    asking = f"from falsework.architects.machine.process import find; print(find({run_id!r}))"
    shell = subprocess.run(
        ["sh", "-c", f'{sys.executable} -c "{asking}"; true'],
        env={**os.environ, RUN_ID: run_id},
        capture_output=True,
        text=True,
        check=True,
    )
    assert shell.stdout.strip() == "[]"


async def test_marked_processes_of_every_run_are_listed(start: Start, run_id: str, bystander: ProcessIdentity) -> None:
    with start("polite") as started:
        await started.ready_line(PATIENCE)
    listed = {found.identity: (found.run_id, found.command[-1]) for found in marked()}
    assert listed[started.identity] == (run_id, str(DOUBLES / "polite.py"))
    assert listed[bystander][0] == "a-bystander"
    await terminate(started.identity, run_id)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look as another user")
async def test_what_may_not_be_looked_at_is_an_error_and_not_gone(start: Start, run_id: str) -> None:
    with start("polite") as started:
        await started.ready_line(PATIENCE)
    nobody = 65534
    asking = (
        "import asyncio, os\n"
        "from falsework.architects.machine.process import *; from falsework.architects.machine.process import alive\n"
        f"os.setuid({nobody})\n"
        f"alive(ProcessIdentity({started.identity.pid}, {started.identity.started}), {run_id!r})"
    )
    command = [sys.executable, "-c", asking]
    asked = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert "ArchitectError" in asked.stderr
    assert "belongs to another user" in asked.stderr
    await terminate(started.identity, run_id)


async def test_what_cannot_be_ended_is_named(start: Start, run_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with start("ignores_sigterm") as started:
        await started.ready_line(PATIENCE)
    with monkeypatch.context() as patched:
        patched.setattr(process, "KILL_LIMIT", 0.05)
        patched.setattr(os, "killpg", lambda pid, number: None)
        with pytest.raises(ArchitectError, match=f"process {started.identity.pid}"):
            await terminate(started.identity, run_id, grace=0.05)
    await terminate(started.identity, run_id, grace=0.05)
