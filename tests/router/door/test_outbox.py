from __future__ import annotations

import asyncio
import errno
import json
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from falsework.router.door import outbox as outbox_module
from falsework.router.door.outbox import DiskOutbox, MemoryOutbox, Outbox
from falsework.router.wire.journal import JournalDamaged
from falsework.router.wire.protocol import Envelope, UploadedFile

from ..disks import SlowDisk, disk_full_above


class Workers:
    """Those who hand things in, and what the outbox said meanwhile."""

    def __init__(self, make: Callable[[Callable[[], None], Callable[[tuple[str, ...]], None]], Outbox]) -> None:
        self.told_of_new = 0
        self.released: list[str] = []
        self._puts: list[asyncio.Task[None]] = []
        self.outbox = make(self._on_held, self.released.extend)

    async def hand_in(self, *envelopes: Envelope) -> None:
        """All of them at once; returns once they are held, whether their workers may be told so or not."""
        expected = self.outbox.held + len(envelopes)
        self._puts += [asyncio.create_task(self.outbox.put(envelope)) for envelope in envelopes]
        await self.until_held(expected)

    async def until_held(self, count: int) -> None:
        while self.outbox.held < count:  # noqa: ASYNC110
            await asyncio.sleep(0)

    def numbers(self, beyond: int = 0) -> list[int]:
        """The numbers of what is held, which the packets say too."""
        held = list(self.outbox.after(beyond))
        assert [json.loads(packet)["number"] for _, packet in held] == [number for number, _ in held]
        return [number for number, _ in held]

    def acknowledge(self, number: int) -> None:
        self.outbox.acknowledge(self.outbox.router_epoch, number)

    async def close(self) -> None:
        self.acknowledge(1 << 40)
        await asyncio.gather(*self._puts)
        await self.outbox.close()

    def _on_held(self) -> None:
        self.told_of_new += 1


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.jsonl"


@pytest.fixture(params=["disk", "memory"])
async def workers(request: pytest.FixtureRequest, path: Path) -> AsyncIterator[Workers]:
    on_disk = request.param == "disk"
    workers = Workers(lambda *calls: DiskOutbox(path, *calls) if on_disk else MemoryOutbox(*calls))
    yield workers
    await workers.close()


@pytest.fixture
async def on_disk(path: Path) -> AsyncIterator[Workers]:
    workers = Workers(lambda *calls: DiskOutbox(path, *calls))
    yield workers
    await workers.outbox.close()


def reopen(path: Path) -> Workers:
    return Workers(lambda *calls: DiskOutbox(path, *calls))


def envelope(text: str = "x", *files: str, data_file: str | None = None) -> Envelope:
    uploads = [UploadedFile("f", name, "7bit", "text/plain", "d", name, f"d/{name}", 3) for name in files]
    return Envelope("submit_unit", "a1", {"text": text}, files=uploads, data_file=data_file)


# Both kinds


async def test_packets_are_numbered_from_1_without_gaps_and_told_of(workers: Workers) -> None:
    await workers.hand_in(*(envelope(str(number)) for number in range(5)))
    assert workers.numbers() == [1, 2, 3, 4, 5]
    assert [json.loads(packet)["data"]["text"] for _, packet in workers.outbox.after(0)] == list("01234")
    assert workers.numbers(beyond=3) == [4, 5]
    assert workers.numbers(beyond=9) == []
    assert workers.told_of_new == 5


async def test_an_acknowledgement_releases_all_up_to_its_number(workers: Workers) -> None:
    await workers.hand_in(*(envelope() for _ in range(4)))
    workers.acknowledge(3)
    assert workers.outbox.held == 1
    assert workers.numbers() == [4]
    workers.acknowledge(2)
    workers.acknowledge(0)
    assert workers.numbers() == [4]
    await workers.hand_in(envelope())
    assert workers.numbers() == [4, 5]
    workers.acknowledge(99)
    assert workers.numbers() == []
    await workers.hand_in(envelope())
    assert workers.numbers() == [6]


async def test_a_word_about_another_epoch_releases_nothing(workers: Workers) -> None:
    await workers.hand_in(envelope())
    workers.outbox.acknowledge("another", 1)
    assert workers.outbox.held == 1


async def test_uploads_are_released_with_the_packet_that_speaks_of_them(workers: Workers) -> None:
    await workers.hand_in(envelope("x", "one", "two"), envelope("y", "three", data_file="answer"), envelope("z"))
    assert workers.released == []
    workers.acknowledge(1)
    assert workers.released == ["one", "two"]
    workers.acknowledge(3)
    assert workers.released == ["one", "two", "three", "answer"]


async def test_who_gives_up_waiting_takes_nothing_back(workers: Workers) -> None:
    given_up = asyncio.create_task(workers.outbox.put(envelope("given up")))
    await asyncio.sleep(0)
    given_up.cancel()
    await workers.until_held(1)
    await workers.hand_in(envelope())
    assert workers.numbers() == [1, 2]


# On the disk


async def test_a_packet_is_on_the_disk_when_the_worker_is_told(on_disk: Workers, path: Path) -> None:
    await on_disk.outbox.put(envelope("kept"))
    assert json.loads(path.read_bytes().splitlines()[-1])["data"] == {"text": "kept"}


async def test_an_outbox_that_is_opened_again_has_its_epoch_its_numbers_and_what_was_not_acknowledged(
    on_disk: Workers, path: Path
) -> None:
    for number in range(4):
        await on_disk.outbox.put(envelope(str(number), f"file{number}"))
    on_disk.acknowledge(2)
    await on_disk.outbox.close()
    again = reopen(path)
    assert again.outbox.router_epoch == on_disk.outbox.router_epoch
    assert again.numbers() == [3, 4]
    await again.outbox.put(envelope())
    assert again.numbers() == [3, 4, 5]
    again.acknowledge(3)
    assert again.released == ["file2"]
    await again.outbox.close()


async def test_an_acknowledgement_that_was_lost_in_a_crash_costs_only_a_repeat(on_disk: Workers, path: Path) -> None:
    await on_disk.outbox.put(envelope())
    content = path.read_bytes()
    on_disk.acknowledge(1)
    await on_disk.outbox.close()
    assert len(path.read_bytes()) > len(content)
    path.write_bytes(content)
    again = reopen(path)
    assert again.numbers() == [1]
    await again.outbox.close()


async def test_two_outboxes_have_two_epochs(on_disk: Workers, tmp_path: Path) -> None:
    other = Workers(lambda *calls: DiskOutbox(tmp_path / "other.jsonl", *calls))
    assert other.outbox.router_epoch != on_disk.outbox.router_epoch
    await other.outbox.close()


async def test_numbers_have_no_gap_after_an_append_that_failed(on_disk: Workers, path: Path) -> None:
    await on_disk.outbox.put(envelope())
    with disk_full_above(path.stat().st_size + 50):
        outcomes = await asyncio.gather(
            *(on_disk.outbox.put(envelope("x" * 100)) for _ in range(3)), return_exceptions=True
        )
    assert [type(outcome) for outcome in outcomes] == [OSError] * 3
    assert on_disk.outbox.held == 1
    await on_disk.outbox.put(envelope())
    assert on_disk.numbers() == [1, 2]


async def test_a_packet_that_comes_just_as_an_append_fails_has_its_number_back_too(
    on_disk: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SlowDisk(monkeypatch)
    monkeypatch.setattr(disk, "_fdatasync", _failing_sync)
    failing = asyncio.create_task(on_disk.outbox.put(envelope("1")))
    await asyncio.to_thread(disk.reached.wait)
    hasty: list[asyncio.Task[None]] = []
    disk.let_go()
    while not failing.done():
        hasty.append(asyncio.create_task(on_disk.outbox.put(envelope("2"))))
        await asyncio.sleep(0)
    outcomes = await asyncio.gather(failing, *hasty, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {OSError}
    monkeypatch.undo()
    await on_disk.outbox.put(envelope("3"))
    assert on_disk.numbers() == [1]


async def test_a_file_that_has_grown_starts_afresh_once_nothing_is_held(
    on_disk: Workers, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "COMPACT_ABOVE", 1000)
    for _ in range(10):
        await on_disk.outbox.put(envelope("x" * 100))
    on_disk.acknowledge(9)
    await on_disk.outbox.put(envelope())
    assert path.stat().st_size > 1000
    on_disk.acknowledge(11)
    assert path.stat().st_size < 100
    await on_disk.outbox.put(envelope("after"))
    assert on_disk.numbers() == [12]
    await on_disk.outbox.close()
    again = reopen(path)
    assert again.outbox.router_epoch == on_disk.outbox.router_epoch
    assert again.numbers() == [12]
    await again.outbox.close()


async def test_a_file_for_whose_successor_there_is_no_room_goes_on(
    on_disk: Workers, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "COMPACT_ABOVE", 10)
    await on_disk.outbox.put(envelope())
    with disk_full_above(10):
        on_disk.acknowledge(1)
        assert on_disk.outbox.held == 0
        with pytest.raises(OSError):
            await on_disk.outbox.put(envelope())
    await on_disk.outbox.put(envelope())
    assert on_disk.numbers() == [2]


@pytest.mark.parametrize(
    "content, line",
    [
        (b'{"a":1}\n', 1),
        (b"5\n", 1),
        (b'{"router_epoch":"e","next":1}\n{"number":"one"}\n{"number":1}\n', 2),
        (b'{"router_epoch":"e","next":1}\n{"number":1}\n[]\n', 3),
    ],
)
async def test_a_file_that_is_no_outbox_is_an_error_that_names_the_line(
    tmp_path: Path, path: Path, content: bytes, line: int
) -> None:
    path.write_bytes(content)
    with pytest.raises(JournalDamaged) as raised:
        reopen(path)
    assert raised.value.line == line
    assert path.read_bytes() == content


async def test_an_outbox_that_is_opened_again_knows_who_handed_in_what_acknowledged_or_not(
    on_disk: Workers, path: Path
) -> None:
    for agent, submission in (("a1", "s1"), ("a2", None), ("a3", "s3")):
        await on_disk.outbox.put(Envelope("submit_unit", agent, {}, submission_id=submission))
    on_disk.acknowledge(1)
    assert on_disk.outbox.submitted == {}
    await on_disk.outbox.close()
    again = reopen(path)
    assert again.outbox.submitted == {"a1": "s1", "a3": "s3"}
    await again.outbox.close()


# In memory


async def test_a_worker_waits_until_the_launcher_has_it() -> None:
    workers = Workers(MemoryOutbox)
    puts = [asyncio.create_task(workers.outbox.put(envelope())) for _ in range(3)]
    await asyncio.sleep(0)
    assert workers.numbers() == [1, 2, 3]
    workers.acknowledge(2)
    done, waiting = await asyncio.wait(puts, return_when=asyncio.FIRST_COMPLETED)
    assert (done, waiting) == (set(puts[:2]), {puts[2]})
    workers.acknowledge(3)
    await asyncio.gather(*puts)


async def test_a_launcher_that_acknowledges_at_once_is_fast_enough() -> None:
    outbox: list[MemoryOutbox] = []
    outbox.append(MemoryOutbox(lambda: outbox[0].acknowledge(outbox[0].router_epoch, 1), lambda files: None))
    await outbox[0].put(envelope())
    assert outbox[0].held == 0


def _failing_sync(descriptor: int) -> Any:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


async def test_a_packet_that_is_on_the_disk_and_not_held_yet_keeps_the_file_from_starting_afresh(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "COMPACT_ABOVE", 10)
    outbox = DiskOutbox(path, lambda: None, lambda files: None)
    await outbox.put(Envelope("submit_unit", "a", {"text": "the first"}))
    enqueue = outbox._journal.enqueue

    def acknowledged_as_soon_as_it_is_written(line: bytes) -> asyncio.Future[int]:
        written = enqueue(line)
        written.add_done_callback(lambda _: outbox.acknowledge(outbox.router_epoch, 1))
        return written

    monkeypatch.setattr(outbox._journal, "enqueue", acknowledged_as_soon_as_it_is_written)
    await outbox.put(Envelope("submit_unit", "b", {"text": "the second"}))
    assert [json.loads(packet)["data"] for _, packet in outbox.after(0)] == [{"text": "the second"}]
    await outbox.close()
    again = DiskOutbox(path, lambda: None, lambda files: None)
    assert [json.loads(packet)["data"] for _, packet in again.after(0)] == [{"text": "the second"}]
    await again.close()
