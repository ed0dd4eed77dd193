from __future__ import annotations

import asyncio
import errno
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from falsework.router.wire import journal as journal_module
from falsework.router.wire.journal import Journal, JournalDamaged, read_records
from hypothesis import given
from hypothesis import strategies as st

from ..disks import SlowDisk, disk_full_above

RECORDS = [b'{"n":1}', b'{"n":2,"text":"caf\xc3\xa9"}', b"[3]"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "records.jsonl"


@pytest.fixture
async def journal(path: Path) -> AsyncIterator[Journal]:
    journal = Journal(path)
    journal.open()
    yield journal
    await journal.close()


async def lines_after_reopening(path: Path) -> list[bytes]:
    again = Journal(path)
    records = again.open()
    await again.close()
    return [line for _, line in records]


async def test_what_was_appended_is_there_after_reopening(journal: Journal, path: Path) -> None:
    offsets = [await journal.append(line) for line in RECORDS]
    await journal.close()
    again = Journal(path)
    assert again.open() == list(zip(offsets, RECORDS, strict=True))
    assert [again.read(offset, len(line)) for offset, line in zip(offsets, RECORDS, strict=True)] == RECORDS
    await again.close()


async def test_a_new_journal_is_empty_and_private(journal: Journal, path: Path) -> None:
    assert journal.size == 0
    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_record_that_spans_lines_is_put_on_one(journal: Journal, path: Path) -> None:
    await journal.append(b'{\n "n": 1\n}')
    await journal.append(b"2")
    assert [line for _, line in read_records(path)[0]] == [b'{  "n": 1 }', b"2"]


async def test_appends_that_come_during_a_write_leave_together(
    journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SlowDisk(monkeypatch)
    first = asyncio.create_task(journal.append(b"0"))
    await asyncio.to_thread(disk.reached.wait)
    others = [asyncio.create_task(journal.append(b"%d" % number)) for number in range(1, 50)]
    await asyncio.sleep(0)
    disk.let_go()
    offsets = await asyncio.gather(first, *others)
    assert disk.syncs == 2
    assert offsets == sorted(offsets)
    assert [line for _, line in read_records(path)[0]] == [b"%d" % number for number in range(50)]


async def test_an_append_is_not_done_before_the_disk_says_so(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = SlowDisk(monkeypatch)
    append = asyncio.create_task(journal.append(b"1"))
    await asyncio.to_thread(disk.reached.wait)
    assert not append.done()
    assert not journal.idle
    disk.let_go()
    await append
    assert journal.idle


async def test_who_gives_up_waiting_takes_nothing_back(
    journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SlowDisk(monkeypatch)
    given_up = asyncio.create_task(journal.append(b"1"))
    await asyncio.to_thread(disk.reached.wait)
    given_up.cancel()
    disk.let_go()
    await journal.append(b"2")
    assert [line for _, line in read_records(path)[0]] == [b"1", b"2"]


async def test_a_note_leaves_with_the_next_write(journal: Journal, path: Path) -> None:
    journal.note(b'"note"')
    await journal.append(b"1")
    assert [line for _, line in read_records(path)[0]] == [b'"note"', b"1"]


# Crashes in the middle of an append


async def test_a_torn_tail_is_cut_off_wherever_it_was_torn(path: Path) -> None:
    whole = b"".join(line + b"\n" for line in RECORDS)
    last = len(RECORDS[-1]) + 1
    for torn in range(last):
        path.write_bytes(whole[: len(whole) - last + torn])
        journal = Journal(path)
        assert [line for _, line in journal.open()] == RECORDS[:-1], f"{torn} bytes of the last record"
        await journal.append(b'"next"')
        await journal.close()
        assert path.read_bytes() == b"".join(line + b"\n" for line in [*RECORDS[:-1], b'"next"'])


@given(st.lists(st.binary(max_size=20).map(lambda text: b'"' + text.hex().encode() + b'"'), max_size=5), st.data())
def test_however_much_of_a_journal_is_left_it_is_the_beginning(lines: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(line + b"\n" for line in lines)
    left = whole[: data.draw(st.integers(0, len(whole)))]
    with tempfile.NamedTemporaryFile() as file:
        file.write(left)
        file.flush()
        records, end = read_records(Path(file.name))
    assert [line for _, line in records] == lines[: len(records)]
    assert left[:end] == b"".join(line + b"\n" for line in lines[: len(records)])
    assert len(records) >= left.count(b"\n")


@pytest.mark.parametrize("zeros", [1, 4096, 10_000])
@pytest.mark.parametrize("behind", [b"", b"\n", b'"half a rec', b'"whole"\n', b'"whole"\n"two"\n'])
async def test_a_page_that_never_reached_the_disk_ends_the_journal(path: Path, zeros: int, behind: bytes) -> None:
    good = b"".join(line + b"\n" for line in RECORDS)
    path.write_bytes(good + b"\0" * zeros + behind)
    assert await lines_after_reopening(path) == RECORDS
    assert path.read_bytes() == good


async def test_a_last_line_that_is_no_json_is_cut_off(path: Path) -> None:
    path.write_bytes(b'1\n{"half":\n')
    assert await lines_after_reopening(path) == [b"1"]
    assert path.read_bytes() == b"1\n"


@pytest.mark.parametrize("damage", [b"{half", b"", b"caf\xe9 and more", b"1 2"])
async def test_damage_in_the_middle_is_an_error_that_names_the_line_and_changes_nothing(
    path: Path, damage: bytes
) -> None:
    content = b"1\n2\n" + damage + b"\n4\n"
    path.write_bytes(content)
    with pytest.raises(JournalDamaged, match=r"records\.jsonl:3: .*move it away") as raised:
        Journal(path).open()
    assert (raised.value.path, raised.value.line) == (path, 3)
    assert path.read_bytes() == content


async def test_a_record_nested_deeper_than_the_stack_is_none_the_worse(path: Path) -> None:
    deep = b"[" * 20_000 + b"]" * 20_000
    path.write_bytes(deep + b"\n1\n")
    assert await lines_after_reopening(path) == [deep, b"1"]


# Disks that fail


async def test_a_full_disk_fails_the_append_and_leaves_nothing_of_it(path: Path) -> None:
    failures: list[int] = []
    journal = Journal(path, failures.append)
    journal.open()
    await journal.append(b'"kept"')
    with disk_full_above(100):
        with pytest.raises(OSError) as raised:
            await journal.append(b'"' + b"x" * 200 + b'"')
        assert raised.value.errno in (errno.EFBIG, errno.ENOSPC)
        assert path.read_bytes() == b'"kept"\n'
        await journal.append(b'"fits"')
    await journal.append(b'"' + b"x" * 200 + b'"')
    await journal.close()
    assert failures == [1]
    assert [line[:6] for line in await lines_after_reopening(path)] == [b'"kept"', b'"fits"', b'"xxxxx']


async def test_what_is_queued_behind_a_failed_append_fails_with_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failures: list[int] = []
    journal = Journal(path, failures.append)
    journal.open()
    disk = SlowDisk(monkeypatch)
    monkeypatch.setattr(disk, "_fdatasync", _failing_sync)
    first = asyncio.create_task(journal.append(b"1"))
    await asyncio.to_thread(disk.reached.wait)
    behind = [asyncio.create_task(journal.append(b"2")), asyncio.create_task(journal.append(b"3"))]
    await asyncio.sleep(0)
    journal.note(b'"note"')
    disk.let_go()
    outcomes = await asyncio.gather(first, *behind, return_exceptions=True)
    assert all(isinstance(outcome, OSError) for outcome in outcomes)
    assert failures == [3]
    monkeypatch.undo()
    assert await journal.append(b"4") == 0
    await journal.close()
    assert path.read_bytes() == b"4\n"


async def test_an_append_that_could_not_be_taken_back_is_by_the_next(
    journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", _failing_sync)
        patch.setattr(os, "ftruncate", _failing_truncate)
        with pytest.raises(OSError):
            await journal.append(b'"lost"')
    assert path.read_bytes() == b'"lost"\n'
    await journal.append(b'"kept"')
    assert path.read_bytes() == b'"kept"\n'


async def test_a_write_that_takes_only_part_at_a_time_is_whole_in_the_end(
    journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, block: write(descriptor, block[:3]))
    await journal.append(b'"appended"')
    assert path.read_bytes() == b'"appended"\n'
    journal.replace(b'"replaced"')
    assert path.read_bytes() == b'"replaced"\n'


# Starting afresh


async def test_a_replaced_journal_has_one_record_and_goes_on_from_there(journal: Journal, path: Path) -> None:
    for line in RECORDS:
        await journal.append(line)
    journal.replace(b'"header"')
    offset = await journal.append(b'"next"')
    assert journal.read(offset, 6) == b'"next"'
    assert await lines_after_reopening(path) == [b'"header"', b'"next"']
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == [path.name]


async def test_a_journal_is_not_replaced_while_something_is_appended(journal: Journal, path: Path) -> None:
    append = asyncio.create_task(journal.append(b"1"))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="nothing is being appended"):
        journal.replace(b'"header"')
    await append
    assert path.read_bytes() == b"1\n"


async def test_a_replacement_for_which_there_is_no_room_leaves_the_journal_as_it_was(
    journal: Journal, path: Path
) -> None:
    await journal.append(b"1")
    with disk_full_above(4), pytest.raises(OSError):
        journal.replace(b'"header"')
    await journal.append(b"2")
    assert await lines_after_reopening(path) == [b"1", b"2"]


async def test_a_replaced_journal_is_written_to_even_if_its_name_is_not_known_to_be_durable(
    journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await journal.append(b"1")
    monkeypatch.setattr(journal_module, "sync_directory", _failing_sync_directory)
    with pytest.raises(OSError):
        journal.replace(b'"header"')
    await journal.append(b"2")
    assert path.read_bytes() == b'"header"\n2\n'


# The end


async def test_closing_waits_for_what_is_being_appended(journal: Journal, path: Path) -> None:
    appends = [asyncio.create_task(journal.append(b"%d" % number)) for number in range(20)]
    await asyncio.sleep(0)
    await journal.close()
    assert await asyncio.gather(*appends) == sorted(append.result() for append in appends)
    assert len(read_records(path)[0]) == 20


async def test_a_closed_journal_takes_nothing_more_and_may_be_closed_again(journal: Journal) -> None:
    await journal.close()
    await journal.close()
    with pytest.raises(ValueError, match="is not open"):
        await journal.append(b"1")
    with pytest.raises(ValueError, match="is not open"):
        journal.read(0, 1)


def _failing_sync(descriptor: int) -> None:
    raise OSError(errno.EIO, "the disk is broken")


def _failing_truncate(descriptor: int, size: int) -> None:
    raise OSError(errno.EIO, "the disk is broken")


def _failing_sync_directory(directory: Path) -> None:
    raise OSError(errno.EIO, "the disk is broken")
