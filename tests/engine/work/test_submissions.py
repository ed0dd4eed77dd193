"""The store of a run, with real files and real processes."""

from __future__ import annotations

import asyncio
import hashlib
import os
import resource
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from falsework.engine.work.submissions import (
    StoreDamaged,
    StoredFile,
    StoreFailed,
    StoreInUse,
    Submission,
    Submissions,
    read,
)


def submission(number: int, data: Any = None, *, epoch: str = "e1", **changes: Any) -> Submission:
    raw = data if isinstance(data, msgspec.Raw) else msgspec.Raw(msgspec.json.encode(data))
    facts: dict[str, Any] = {
        "kind": "unit",
        "unit": 0,
        "worker_id": "worker",
        "agent_id": f"agent{number}",
        "data": raw,
        "router_epoch": epoch,
        "number": number,
        "received_at": 1_700_000_000.5,
        "counted": True,
    }
    return Submission(**{**facts, **changes})


def numbers(directory: Path) -> list[int]:
    return [record.number for record in read(directory)]


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[Submissions]:
    opened = Submissions(tmp_path)
    opened.open()
    yield opened
    await opened.close()


async def test_everything_about_a_submission_comes_back(store: Submissions) -> None:
    stored = submission(
        1, {"text": "ä\n"}, submitted_at=1.25, assignment_id="as1", registration_id="r1", unit=4, counted=False
    )
    assert await store.store(stored)
    assert list(store) == [stored]


async def test_a_repeat_is_dropped(store: Submissions) -> None:
    assert await store.store(submission(1, "first"))
    assert not await store.store(submission(1, "second"))
    assert [bytes(record.data) for record in store] == [b'"first"']


async def test_a_repeat_that_comes_while_the_first_is_written_is_dropped(store: Submissions) -> None:
    stored = await asyncio.gather(*(store.store(submission(1, text)) for text in "abc"))
    assert stored == [True, False, False]
    assert numbers(store.directory) == [1]


async def test_what_is_acknowledged_has_no_gaps(store: Submissions) -> None:
    for number, acked in ((2, {}), (3, {}), (1, {"e1": 3}), (5, {"e1": 3})):
        await store.store(submission(number))
        assert store.acked == acked
    assert [store.has("e1", number) for number in (0, 3, 4, 5)] == [False, True, False, True]


async def test_a_restarted_launcher_knows_what_it_has(store: Submissions) -> None:
    for number in (1, 2, 4):
        await store.store(submission(number))
    await store.store(submission(1, epoch="e2"))
    await store.close()
    store.open()
    assert store.acked == {"e1": 2, "e2": 1}
    assert store.has("e1", 4)
    assert not await store.store(submission(4))
    await store.store(submission(3))
    assert store.acked["e1"] == 4


async def test_a_torn_last_line_is_cut_off_and_stored_again(store: Submissions) -> None:
    for number in (1, 2):
        await store.store(submission(number))
    await store.close()
    path = store.directory / "submissions.jsonl"
    os.truncate(path, path.stat().st_size - 5)
    assert numbers(store.directory) == [1]
    store.open()
    assert store.acked == {"e1": 1}
    await store.store(submission(2))
    assert numbers(store.directory) == [1, 2]


@pytest.mark.parametrize("damage", [b'{"kind": "un\n', b'{"kind": 3}\n', b'{"kind": "unit", "number": "x"}\n'])
async def test_damage_in_the_middle_is_an_error(store: Submissions, damage: bytes) -> None:
    await store.store(submission(1))
    await store.close()
    path = store.directory / "submissions.jsonl"
    path.write_bytes(damage + path.read_bytes())
    with pytest.raises(StoreDamaged, match=r"submissions\.jsonl:1"):
        store.open()
    with pytest.raises(StoreDamaged, match=r"submissions\.jsonl:1"):
        list(read(store.directory))


async def test_a_line_that_is_no_submission_is_named(store: Submissions) -> None:
    await store.store(submission(1))
    with (store.directory / "submissions.jsonl").open("ab") as file:
        file.write(b'{"kind": "unit", "number": 2}\n')
    with pytest.raises(StoreDamaged, match=r"submissions\.jsonl:2: not a submission"):
        list(read(store.directory))


@contextmanager
def full_disk(path: Path, room: int) -> Iterator[None]:
    """No file may grow beyond what `path` has now and `room` bytes more; a write that would is cut short, then refused."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_full_disk_is_a_clear_error_and_a_later_store_works(store: Submissions) -> None:
    await store.store(submission(1))
    with full_disk(store.directory / "submissions.jsonl", room=20):
        for _ in range(2):
            with pytest.raises(StoreFailed, match=r"cannot be written .* store it again"):
                await store.store(submission(2))
    assert (store.acked, store.has("e1", 2)) == ({"e1": 1}, False)
    assert await store.store(submission(2))
    assert numbers(store.directory) == [1, 2]


async def test_a_store_goes_on_when_its_caller_is_cancelled(store: Submissions) -> None:
    storing = asyncio.create_task(store.store(submission(1)))
    await asyncio.sleep(0)
    storing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await storing
    await store.close()
    assert numbers(store.directory) == [1]
    assert store.has("e1", 1)


OPEN_AND_WAIT = """
import sys
from pathlib import Path
from falsework.engine.work.submissions import Submissions
store = Submissions(Path(sys.argv[1]))
store.open()
print("open", flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
@pytest.mark.decisive
def test_a_second_process_is_refused_until_the_first_is_dead(tmp_path: Path) -> None:
    first = subprocess.Popen(
        [sys.executable, "-c", OPEN_AND_WAIT, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with first:
        assert first.stdout
        assert first.stdout.readline() == b"open\n"
        with pytest.raises(StoreInUse, match="another process is storing"):
            Submissions(tmp_path).open()
        first.kill()
    second = Submissions(tmp_path)
    second.open()
    asyncio.run(second.close())


STORE_FOR_EVER = """
import asyncio, itertools, sys
from pathlib import Path
import msgspec
from falsework.engine.work.submissions import Submission, Submissions

async def main():
    store = Submissions(Path(sys.argv[1]))
    store.open()
    for number in itertools.count(1):
        await store.store(Submission(
            kind="unit", unit=0, worker_id="w", agent_id=f"a{number}", data=msgspec.Raw(b"1"),
            router_epoch="e", number=number, received_at=0.0, counted=True,
        ))
        print(number, flush=True)

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.decisive
def test_what_a_killed_launcher_acknowledged_is_there(tmp_path: Path) -> None:
    launcher = subprocess.Popen([sys.executable, "-c", STORE_FOR_EVER, tmp_path], stdout=subprocess.PIPE)
    with launcher:
        assert launcher.stdout
        for _ in range(20):
            launcher.stdout.readline()
        launcher.send_signal(signal.SIGKILL)
        rest = launcher.stdout.read().split()
    acknowledged = int(rest[-1]) if rest else 20
    resumed = Submissions(tmp_path)
    resumed.open()
    assert resumed.acked["e"] in (acknowledged, acknowledged + 1)
    asyncio.run(resumed.close())


def saved_file(store: Submissions, agent_id: str, content: bytes = b"picture") -> StoredFile:
    path = store.files_directory(agent_id) / "7f.bin"
    path.write_bytes(content)
    return store.describe(path, field="photo", name="../../etc/me.png", mimetype="image/png")


async def test_files_are_described_by_what_is_in_them(store: Submissions) -> None:
    file = saved_file(store, "agent1")
    assert file.path == "files/agent1/7f.bin"
    assert (file.size, file.sha256) == (7, hashlib.sha256(b"picture").hexdigest())
    await store.store(submission(1, files=[file]))
    assert next(iter(store)).files == [file]


@pytest.mark.parametrize(
    "path", ["../secret", "files/agent1/../agent2/x", "files/agent2/x", "/etc/passwd", "files/agent1"]
)
async def test_a_file_is_in_its_agents_directory_or_nothing_is_stored(store: Submissions, path: str) -> None:
    file = msgspec.structs.replace(saved_file(store, "agent1"), path=path)
    with pytest.raises(ValueError, match="is not in files/agent1/"):
        await store.store(submission(1, files=[file]))
    assert numbers(store.directory) == []


async def test_a_submission_whose_file_is_missing_is_not_stored(store: Submissions) -> None:
    file = msgspec.structs.replace(saved_file(store, "agent1"), path="files/agent1/gone")
    with pytest.raises(StoreFailed, match="No such file"):
        await store.store(submission(1, files=[file]))
    assert numbers(store.directory) == []


@pytest.mark.parametrize("agent_id", ["", ".", "..", "a/b", "a\0", "é", ".hidden", "x" * 201])
async def test_an_agent_id_is_a_plain_name_or_gets_no_directory(store: Submissions, agent_id: str) -> None:
    with pytest.raises(ValueError, match="is no agent id"):
        store.files_directory(agent_id)


async def test_data_with_line_breaks_stays_in_one_line(store: Submissions) -> None:
    await store.store(submission(1, msgspec.Raw(b'{\r\n "a" : [1,\n2.50]\n}')))
    await store.store(submission(2))
    assert [bytes(record.data) for record in store] == [b'{"a":[1,2.50]}', b"null"]


@pytest.mark.parametrize("data", [b"{", b"", b'"\xff"', b"NaN", b"1 2"])
async def test_data_that_is_no_json_is_refused_and_harms_nothing(store: Submissions, data: bytes) -> None:
    with pytest.raises(ValueError, match="no JSON"):
        await store.store(submission(1, msgspec.Raw(data)))
    await store.store(submission(1))
    assert numbers(store.directory) == [1]


async def test_data_that_is_nested_too_deep_is_kept_as_text(store: Submissions) -> None:
    deep, wide = b"[" * 5000 + b"]" * 5000, b'["[[",' + b"[[]]," * 1000 + b'"\\"[["]'
    await store.store(submission(1, msgspec.Raw(deep)))
    await store.store(submission(2, msgspec.Raw(wide)))
    kept = [msgspec.json.decode(record.data) for record in store]
    assert kept == [deep.decode(), msgspec.json.decode(wide)]


async def test_large_data_comes_back_whole(store: Submissions) -> None:
    await store.store(submission(1, {"text": "x" * 3_000_000}))
    assert len(bytes(next(iter(store)).data)) == 3_000_011


async def test_revoked_submissions_count_no_more(store: Submissions) -> None:
    await store.store(submission(1))
    await store.store(submission(2))
    await store.store(submission(3, kind="metadata", agent_id="agent1"))
    await store.revoke(["agent1"])
    await store.revoke([])
    assert [(record.number, record.counted) for record in store] == [(1, False), (2, True), (3, True)]
    await store.close()
    store.open()
    assert store.acked == {"e1": 3}


async def test_numbers_begin_at_one(store: Submissions) -> None:
    with pytest.raises(ValueError, match="numbered from 1"):
        await store.store(submission(0))


def test_a_run_without_submissions_has_none(tmp_path: Path) -> None:
    assert list(read(tmp_path)) == []


async def test_a_store_that_is_not_open_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not open"):
        await Submissions(tmp_path).store(submission(1))


def test_a_directory_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(StoreFailed, match="cannot be written"):
        Submissions(tmp_path / "run").open()
