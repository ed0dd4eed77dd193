"""What a server on this machine held when it ended, read from its disk."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from falsework.engine.launch.salvage import copy_upload, lies_here, salvage
from falsework.engine.settings.sections import TaskArgs
from falsework.engine.work.assignments import Assignments
from falsework.engine.work.foreman import Foreman
from falsework.engine.work.hook import Hook
from falsework.engine.work.intake import Intake
from falsework.engine.work.roster import Roster
from falsework.engine.work.submissions import Submissions, read

from ..workshop import Listener

HEADER = b'{"router_epoch":"e1","next":1}\n'


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
async def foreman(tmp_path: Path, listener: Listener) -> AsyncIterator[Foreman]:
    async def fetch(filename: str, directory: Path) -> Path:
        return await copy_upload(tmp_path / "data", filename, directory)

    submissions, roster = Submissions(tmp_path), Roster(tmp_path, Assignments(2, 1), time.time)
    submissions.open()
    roster.open()
    hook = Hook.load(None, listener.say)
    task = TaskArgs("harbour", tmp_path, tmp_path)
    foreman = Foreman(task, [1, 2], roster, Intake(submissions, fetch, listener, time.time), hook, listener, time.time)
    yield foreman
    await foreman.stop()
    await roster.close()
    await submissions.close()


def _write_outbox(directory: Path, *lines: bytes) -> None:
    (directory / "data" / "uploads").mkdir(parents=True)
    (directory / "data" / "outbox.jsonl").write_bytes(HEADER + b"".join(lines))


def _packet(number: int) -> bytes:
    packet = {"packet_type": "submit_metadata", "subject_id": "a", "data": {"n": number}, "number": number}
    return msgspec.json.encode(packet) + b"\n"


def _numbers(directory: Path) -> list[int]:
    return sorted(one.number for one in read(directory))


async def test_a_server_that_was_elsewhere_left_nothing_here(
    tmp_path: Path, foreman: Foreman, listener: Listener
) -> None:
    await salvage(tmp_path / "data", foreman, listener)
    assert listener.lines == []


async def test_everything_is_stored_once_however_often_it_is_taken(
    tmp_path: Path, foreman: Foreman, listener: Listener
) -> None:
    _write_outbox(tmp_path, _packet(1), _packet(2), b'{"acked":1}\n', _packet(3))
    await salvage(tmp_path / "data", foreman, listener)
    await salvage(tmp_path / "data", foreman, listener)
    assert _numbers(tmp_path) == [1, 2, 3]
    assert listener.lines == []


async def test_a_line_that_the_server_did_not_finish_was_never_promised(
    tmp_path: Path, foreman: Foreman, listener: Listener
) -> None:
    _write_outbox(tmp_path, _packet(1), _packet(2)[:20])
    await salvage(tmp_path / "data", foreman, listener)
    assert _numbers(tmp_path) == [1]


@pytest.mark.parametrize("damage", [b"garbage\n", b'{"number":"one"}\n', b'{"number":5}\n', b"[]\n"])
async def test_an_outbox_that_cannot_be_read_is_told(
    tmp_path: Path, foreman: Foreman, listener: Listener, damage: bytes
) -> None:
    _write_outbox(tmp_path, _packet(1), damage, _packet(2))
    await salvage(tmp_path / "data", foreman, listener)
    assert listener.said("cannot be read")
    assert _numbers(tmp_path) == []


async def test_an_upload_is_copied_whole(tmp_path: Path) -> None:
    _write_outbox(tmp_path)
    (tmp_path / "data" / "uploads" / "f1").write_bytes(b"abc")
    assert lies_here(tmp_path / "data", "f1")
    assert not lies_here(tmp_path / "data", "f2")
    assert (await copy_upload(tmp_path / "data", "f1", tmp_path)).read_bytes() == b"abc"
    with pytest.raises(FileNotFoundError):
        await copy_upload(tmp_path / "data", "f2", tmp_path)
    assert not list(tmp_path.glob(".*.part"))
