"""What workers hand in, on its way to the disk: files that come late, or never, and a disk that takes nothing for a while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from falsework.engine.channel.download import FileMissing
from falsework.engine.errors import ChannelError
from falsework.engine.work import intake as intakes
from falsework.engine.work.intake import MOST_AT_ONCE, Intake, Sender
from falsework.engine.work.submissions import StoreFailed, Submission, Submissions, read
from falsework.router.wire.protocol import Packet, UploadedFile

from ..full_disk import full_disk
from ..workshop import Listener

SENDER = Sender("ann", 3, "visit")


class Server:
    """Has files. `trouble` is what the next attempts at fetching come to."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.trouble: list[Exception] = []
        self.fetched: list[str] = []

    async def fetch(self, filename: str, directory: Path) -> Path:
        if self.trouble:
            raise self.trouble.pop(0)
        if filename not in self.files:
            raise FileMissing(f"no file {filename}")
        self.fetched.append(filename)
        path = directory / filename
        path.write_bytes(self.files[filename])
        return path


Keep = Callable[..., Awaitable[None]]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(intakes, "MOST_WAIT", 0.001)
    return Server()


@pytest.fixture
async def submissions(tmp_path: Path) -> AsyncIterator[Submissions]:
    store = Submissions(tmp_path)
    store.open()
    yield store
    await store.close()


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def intake(server: Server, submissions: Submissions, listener: Listener) -> Intake:
    return Intake(submissions, server.fetch, listener, lambda: 12.5)


def _packet(number: int = 1, data: bytes = b'{"n":1}', *files: str, data_file: str | None = None) -> Packet:
    uploaded = [UploadedFile("photo", f"my {name}", "7bit", "image/png", "/x", name, f"/x/{name}", 3) for name in files]
    return Packet("submit_unit", "agent", msgspec.Raw(data), number=number, files=uploaded, data_file=data_file)


def _stored(directory: Path) -> list[Submission]:
    return list(read(directory))


async def test_it_is_on_the_disk_when_it_is_kept(intake: Intake, tmp_path: Path) -> None:
    await intake.keep("e", _packet(), "unit", SENDER, True)
    (submission,) = _stored(tmp_path)
    assert (submission.worker_id, submission.unit, submission.registration_id) == SENDER
    assert (submission.received_at, submission.counted, submission.number) == (12.5, True, 1)
    assert intake.has("e", 1)
    assert intake.acked("e") == 1
    assert intake.all_acked() == {"e": 1}


async def test_a_repeat_is_stored_once(intake: Intake, tmp_path: Path) -> None:
    await asyncio.gather(*(intake.keep("e", _packet(), "unit", SENDER, True) for _ in range(3)))
    assert len(_stored(tmp_path)) == 1


async def test_files_come_before_the_record_that_speaks_of_them(intake: Intake, server: Server, tmp_path: Path) -> None:
    server.files["f1"] = b"abc"
    await intake.keep("e", _packet(1, b'{"n":1,"files":[{}],"filesByFields":{}}', "f1"), "unit", SENDER, True)
    (submission,) = _stored(tmp_path)
    assert bytes(submission.data) == b'{"n":1}'
    (file,) = submission.files
    assert (tmp_path / file.path).read_bytes() == b"abc"
    assert (file.field, file.name, file.mimetype, file.size) == ("photo", "my f1", "image/png", 3)


async def test_a_connection_that_is_away_is_waited_for(
    intake: Intake, server: Server, tmp_path: Path, listener: Listener
) -> None:
    server.files = {"f1": b"abc", "f2": b"def"}
    server.trouble = [ChannelError("away"), OSError("no space"), ChannelError("away")]
    await intake.keep("e", _packet(1, b"{}", "f1", "f2"), "unit", SENDER, True)
    assert [file.size for file in _stored(tmp_path)[0].files] == [3, 3]
    assert len([line for line in listener.lines if "trying again" in line]) == 3


async def test_what_was_fetched_is_not_fetched_again(intake: Intake, server: Server) -> None:
    server.files = {"f1": b"abc", "f2": b"def"}
    with full_disk("submissions"):
        keeping = asyncio.create_task(intake.keep("e", _packet(1, b"{}", "f1", "f2"), "unit", SENDER, True))
        while server.fetched != ["f1", "f2"]:  # noqa: ASYNC110 - the double has no event to wait for
            await asyncio.sleep(0)
    await keeping
    assert server.fetched == ["f1", "f2"]


async def test_a_file_that_will_never_come_does_not_hold_the_answer_up(
    intake: Intake, server: Server, tmp_path: Path, listener: Listener
) -> None:
    server.files["f2"] = b"def"
    await intake.keep("e", _packet(1, b'{"n":1}', "f1", "f2"), "unit", SENDER, True)
    assert [file.name for file in _stored(tmp_path)[0].files] == ["my f2"]
    assert listener.said("the upload 'my f1' is lost")


async def test_an_answer_beside_the_packet_is_stored_in_it(intake: Intake, server: Server, tmp_path: Path) -> None:
    server.files["answer"] = b'{"text": "long"}'
    await intake.keep("e", _packet(1, b"{}", data_file="answer"), "unit", SENDER, True)
    assert bytes(_stored(tmp_path)[0].data) == b'{"text":"long"}'
    assert list((tmp_path / "files" / "agent").iterdir()) == []


async def test_an_answer_that_is_lost_does_not_hold_up_the_others(
    intake: Intake, tmp_path: Path, listener: Listener
) -> None:
    """Acknowledgements are cumulative: nothing behind it could be acknowledged."""
    await intake.keep("e", _packet(1, b"{}", "f1", data_file="answer"), "unit", SENDER, True)
    assert bytes(_stored(tmp_path)[0].data) == b"null"
    assert listener.said("an answer is lost")
    assert intake.acked("e") == 1


async def test_a_disk_that_is_full_is_waited_for_wherever_it_is_noticed(
    intake: Intake, server: Server, submissions: Submissions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files["f1"] = b"abc"
    make_directory = submissions.files_directory
    trouble = [StoreFailed(tmp_path, OSError(28, "No space left on device"))] * 2

    def refuse(agent_id: str) -> Path:
        if trouble:
            raise trouble.pop()
        return make_directory(agent_id)

    monkeypatch.setattr(submissions, "files_directory", refuse)
    await intake.keep("e", _packet(1, b"{}", "f1"), "unit", SENDER, True)
    assert len(_stored(tmp_path)) == 1


async def test_revoking_waits_for_the_disk_as_well(intake: Intake, tmp_path: Path, listener: Listener) -> None:
    await intake.keep("e", _packet(), "unit", SENDER, True)
    with full_disk("submissions"):
        revoking = asyncio.create_task(intake.revoke(["agent"]))
        await listener.until(lambda: listener.said("cannot be written"))
    await revoking
    assert not _stored(tmp_path)[0].counted


async def test_what_arrives_is_noticed_before_it_is_stored(submissions: Submissions, listener: Listener) -> None:
    seen: list[int] = []

    async def fetch_slowly(filename: str, directory: Path) -> Path:
        for size in (1, 2):
            (directory / filename).write_bytes(b"x" * size)
            seen.append(slow.arrived())
        return directory / filename

    slow = Intake(submissions, fetch_slowly, listener, lambda: 0.0)
    await slow.keep("e", _packet(1, b"{}", "f1"), "unit", SENDER, True)
    assert seen == [1, 2]
    assert slow.arrived() == 1


async def test_no_more_than_so_many_are_fetched_at_once(submissions: Submissions, listener: Listener) -> None:
    under_way = most = 0
    go_on = asyncio.Event()

    async def fetch(filename: str, directory: Path) -> Path:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await go_on.wait()
        under_way -= 1
        raise FileMissing(filename)

    intake = Intake(submissions, fetch, listener, lambda: 0.0)
    async with asyncio.TaskGroup() as group:
        for number in range(1, MOST_AT_ONCE + 20):
            group.create_task(intake.keep("e", _packet(number, b"{}", "f"), "unit", SENDER, True))
        while under_way < MOST_AT_ONCE:  # noqa: ASYNC110 - counted by the double
            await asyncio.sleep(0)
        go_on.set()
    assert most == MOST_AT_ONCE
    assert intake.acked("e") == MOST_AT_ONCE + 19
