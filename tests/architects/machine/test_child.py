"""Real processes started and waited for, the misbehaving ones in doubles/."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import psutil
import pytest
from falsework.architects.machine import child
from falsework.architects.machine.child import NeverReady, ServerDied, last_lines
from falsework.architects.machine.process import alive, find, terminate
from falsework.engine.errors import DeployFailed

from ..conftest import PATIENCE, Start


async def test_a_process_leads_a_session_of_its_own(start: Start, run_id: str) -> None:
    with start("polite") as started:
        await started.ready_line(PATIENCE)
    assert os.getsid(started.identity.pid) == os.getpgid(started.identity.pid) == started.identity.pid
    await terminate(started.identity, run_id)


async def test_a_death_before_the_ready_line_is_told_at_once_with_the_last_lines(start: Start) -> None:
    with start("dies_at_once") as started, pytest.raises(ServerDied) as died:
        await started.ready_line(PATIENCE)
    assert died.value.exit_status == 7
    assert died.value.lines[-1] == "no such flavour: plum"
    assert "no such flavour: plum" in str(died.value)


async def test_a_later_attempt_does_not_tell_an_earlier_ones_lines(start: Start) -> None:
    for _ in range(2):
        with start("dies_at_once") as started, pytest.raises(ServerDied) as died:
            await started.ready_line(PATIENCE)
        assert len(died.value.lines) == 3


async def test_a_death_by_a_signal_names_it(start: Start) -> None:
    with start("is_killed_at_once") as started, pytest.raises(ServerDied, match="was killed by SIGKILL"):
        await started.ready_line(PATIENCE)


async def test_a_death_is_noticed_while_a_child_holds_the_output_open(start: Start, run_id: str) -> None:
    with start("dies_while_its_child_holds_the_output") as started, pytest.raises(ServerDied) as died:
        await started.ready_line(PATIENCE)
    assert died.value.exit_status == 3
    await terminate(started.identity, run_id)


@pytest.mark.parametrize("double", ["never_ready", "closes_its_output"])
async def test_silence_ends_at_the_limit_and_names_what_moves_it(start: Start, run_id: str, double: str) -> None:
    with start(double) as started, pytest.raises(NeverReady, match=r"within 0.2 s \(raise architect.ready_timeout"):
        await started.ready_line(0.2, "architect.ready_timeout")
    assert alive(started.identity, run_id)
    await terminate(started.identity, run_id)


async def test_a_line_that_is_not_a_ready_line_is_refused(start: Start, run_id: str) -> None:
    with start("talks_nonsense") as started, pytest.raises(DeployFailed, match="have fun"):
        await started.ready_line(PATIENCE)
    await terminate(started.identity, run_id)


async def test_the_ready_line_is_read_once_and_inside_the_context(start: Start, run_id: str) -> None:
    with start("polite") as started:
        await started.ready_line(PATIENCE)
    with pytest.raises(ValueError, match="inside the context"):
        await started.ready_line(PATIENCE)
    await terminate(started.identity, run_id)


async def test_a_wait_for_the_ready_line_can_be_cancelled(start: Start, run_id: str) -> None:
    with start("never_ready") as started:
        waiting = asyncio.create_task(started.ready_line(PATIENCE))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert find(run_id) == [started.identity]
    await terminate(started.identity, run_id)


def test_a_program_that_is_not_there_is_a_clear_error(tmp_path: Path, run_id: str) -> None:
    with pytest.raises(DeployFailed, match="no-such-program"):
        child.start(["no-such-program"], cwd=tmp_path, env=os.environ, run_id=run_id, log=tmp_path / "log")


async def test_the_log_is_private(start: Start, run_id: str, tmp_path: Path) -> None:
    with start("polite") as started:
        await started.ready_line(PATIENCE)
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600
    await terminate(started.identity, run_id)


async def test_no_descriptor_and_no_zombie_is_left(start: Start, run_id: str) -> None:
    async def once() -> None:
        with start("polite") as started:
            await started.ready_line(PATIENCE)
        await terminate(started.identity, run_id)
        with start("dies_at_once") as started, pytest.raises(ServerDied):
            await started.ready_line(PATIENCE)

    await once()
    before = psutil.Process().num_fds()
    await once()
    assert psutil.Process().num_fds() == before
    assert psutil.Process().children() == []


def test_the_last_lines_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert last_lines(log) == []
    log.write_bytes(b"".join(b"line %d\n" % number for number in range(100_000)) + b"half \xff")
    assert last_lines(log, n=2) == ["line 99999", "half \ufffd"]
    assert last_lines(log, since=log.stat().st_size - 6) == ["half \ufffd"]
    assert len(last_lines(log)) == 20
