"""The worst that could happen: a worker was told "Submitted!", and the run ends without what was handed in."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import aiohttp
import msgspec
import pytest
from falsework.architects.local.architect import LocalArchitect
from falsework.engine.contract.architect import Site
from falsework.engine.launch import salvage as salvages
from falsework.engine.launch import serving
from falsework.engine.launch.endings import RunEnded
from falsework.engine.work.foreman import Foreman
from falsework.router.wire.protocol import Packet

from ..full_disk import full_disk
from ..launching import Launch, launched, write_task
from ..serving import Worker, soon

pytestmark = pytest.mark.slow

WORKERS = 16
HURRY = {"reconnect_timeout": "1s", "connect_timeout": "10s"}


class Crowd:
    """Workers who hand in as fast as they can, until they are refused. `told` is what each was told is safe."""

    def __init__(self, workers: list[Worker]) -> None:
        self.told: list[str] = []
        self.answers: Counter[int] = Counter()
        self._workers = workers

    async def work(self) -> None:
        await asyncio.gather(*(self._hand_in(worker) for worker in self._workers))

    async def _hand_in(self, worker: Worker) -> None:
        with suppress(aiohttp.ClientError):
            for number in range(10_000):
                handed_in = f"{worker.name}/{number}"
                is_last = number == 25 + len(worker.name)
                submit = worker.submit if is_last else worker.submit_metadata
                status, _ = await submit(handed_in)
                self.answers[status] += 1
                if status == 200:
                    self.told.append(handed_in)
                elif status == 410:
                    return


def _stored(launch: Launch) -> Counter[str]:
    """An answer that is no object and has files comes as {"data": answer}."""
    answers = [msgspec.json.decode(one.data) for one in launch.stored()]
    return Counter(answer["data"] if isinstance(answer, dict) else answer for answer in answers)


def _assert_nothing_is_lost(launch: Launch, told: list[str]) -> None:
    stored = _stored(launch)
    assert [one for one in told if one not in stored] == []
    assert set(stored.values()) <= {1}


async def _finish(launch: Launch) -> None:
    """The last unit is handed in."""
    await launch.workers[0].submit("the last one")


async def _cancel(launch: Launch) -> None:
    launch.work.cancel()


async def _signal_server(launch: Launch, number: signal.Signals) -> None:
    (pid,) = launch.processes()
    os.kill(pid, number)


async def _kill_server(launch: Launch) -> None:
    await _signal_server(launch, signal.SIGKILL)


async def _terminate_server(launch: Launch) -> None:
    await _signal_server(launch, signal.SIGTERM)


async def _wait(launch: Launch) -> None:
    """Until its lifetime is over."""


@pytest.mark.parametrize("outbox", ["disk", "launcher"])
@pytest.mark.parametrize("end", [_finish, _cancel, _kill_server, _terminate_server, _wait])
async def test_whatever_was_answered_while_the_run_ended_is_stored(
    home: Path, tmp_path: Path, end: Callable[[Launch], Awaitable[None]], outbox: str
) -> None:
    units = 1 if end is _finish else WORKERS
    lifetime = {"max_lifetime": "2s"} if end is _wait else {}
    task = write_task(
        tmp_path / "task",
        list(range(units)),
        task={"assignments_per_unit": WORKERS},
        architect={"type": "local", "outbox": outbox},
        lifecycle={**HURRY, **lifetime},
    )
    async with launched(home, task) as launch:
        crowd = Crowd([await launch.worker("x" * number) for number in range(1, WORKERS + 1)])
        working = asyncio.create_task(crowd.work())
        await soon(lambda: len(crowd.told) > 150)
        await end(launch)
        with suppress(Exception, asyncio.CancelledError):
            await launch.end()
        await working
        assert len(crowd.told) > 150
        _assert_nothing_is_lost(launch, crowd.told)
        launch.assert_down()


class Ears:
    """While they are shut, the launcher hears nothing of what is handed in, as if it were still on its way."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shut = False
        self.missed = 0
        take = Foreman.take

        def hear(foreman: Foreman, channel_id: str, packet: Packet) -> None:
            if self.shut and packet.number is not None:
                self.missed += 1
            else:
                take(foreman, channel_id, packet)

        monkeypatch.setattr(Foreman, "take", hear)


@pytest.fixture
def ears(monkeypatch: pytest.MonkeyPatch) -> Ears:
    monkeypatch.setattr(serving, "FAREWELL_TIMEOUT", 0.3)
    return Ears(monkeypatch)


@pytest.mark.parametrize("end", [_cancel, _kill_server, _terminate_server])
async def test_what_the_server_still_held_is_taken_from_its_disk(
    home: Path, tmp_path: Path, ears: Ears, end: Callable[[Launch], Awaitable[None]]
) -> None:
    task = write_task(tmp_path / "task", [1, 2, 3], lifecycle=HURRY)
    async with launched(home, task) as launch:
        ann, bob, cem = [await launch.worker(name) for name in ("ann", "bob", "cem")]
        assert (await ann.submit("heard"))[0] == 200
        await soon(lambda: len(launch.stored()) == 1)
        ears.shut = True
        assert (await bob.submit("held"))[0] == 200
        assert (await cem.submit_files("held with a file", photo=b"png" * 1000))[0] == 200
        await end(launch)
        with suppress(Exception, asyncio.CancelledError):
            await launch.end()
        ann_stored, bob_stored, cem_stored = launch.stored()
        assert [one.worker_id for one in (ann_stored, bob_stored, cem_stored)] == ["ann", "bob", "cem"]
        assert all(one.counted for one in launch.stored())
        (file,) = cem_stored.files
        assert (launch.watcher.directory / file.path).read_bytes() == b"png" * 1000
        launch.assert_down()


@pytest.mark.decisive
async def test_a_server_that_froze_gives_up_what_it_held(home: Path, tmp_path: Path, ears: Ears) -> None:
    task = write_task(tmp_path / "task", [1], architect={"type": "local", "stop_grace": "0.5s"}, lifecycle=HURRY)
    async with launched(home, task) as launch:
        worker = await launch.worker("ann")
        ears.shut = True
        assert (await worker.submit("held"))[0] == 200
        await _signal_server(launch, signal.SIGSTOP)
        launch.work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await launch.end()
        assert _stored(launch) == {"held": 1}
        launch.assert_down()


async def test_what_no_disk_takes_stays_where_it_is_and_is_told(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "FAREWELL_TIMEOUT", 0.3)
    monkeypatch.setattr(salvages, "PATIENCE", 0.3)
    async with launched(home, write_task(tmp_path / "task", [1], lifecycle={"max_lifetime": "1s"})) as launch:
        worker = await launch.worker("ann")
        with full_disk("submissions"):
            assert (await worker.submit("held"))[0] == 200
            with pytest.raises(RunEnded, match="max_lifetime"):
                await launch.end()
        assert launch.stored() == []
        outbox = launch.watcher.directory / "data" / "outbox.jsonl"
        assert launch.watcher.said(f"1 things that were handed in could not be stored, and are still in {outbox}")
        assert b'"held"' in outbox.read_bytes()
        launch.assert_down()


async def test_a_file_that_arrives_slowly_is_waited_for_as_long_as_it_arrives(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "FAREWELL_TIMEOUT", 0.4)
    fetched = asyncio.Event()

    async def download_slowly(architect: LocalArchitect, site: Site, filename: str, save_dir: Path) -> Path:
        partial = save_dir / f".{filename}.part"
        for size in range(1, 11):
            partial.write_bytes(b"x" * size)
            await asyncio.sleep(0.15)
        fetched.set()
        return partial.rename(save_dir / filename)

    monkeypatch.setattr(LocalArchitect, "download_file", download_slowly)
    async with launched(home, write_task(tmp_path / "task", [1, 2])) as launch:
        ann, bob = await launch.worker("ann"), await launch.worker("bob")
        assert (await ann.submit_files("slow", film=b"x" * 10))[0] == 200
        launch.work.cancel()
        assert (await bob.submit("quick"))[0] in (200, 410)
        with pytest.raises(asyncio.CancelledError):
            await launch.end()
        assert fetched.is_set()
        assert _stored(launch)["slow"] == 1
        assert not launch.watcher.said("nothing more")
        launch.assert_down()


async def test_the_last_unit_is_not_done_before_all_that_came_is_stored(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two hand in at the same time; the file of one takes longer than the other's word."""
    go_on = asyncio.Event()
    download = LocalArchitect.download_file

    async def download_late(architect: LocalArchitect, site: Site, filename: str, save_dir: Path) -> Path:
        await go_on.wait()
        return await download(architect, site, filename, save_dir)

    monkeypatch.setattr(LocalArchitect, "download_file", download_late)
    task = write_task(tmp_path / "task", [1], task={"assignments_per_unit": 2})
    async with launched(home, task) as launch:
        ann, bob = await launch.worker("ann"), await launch.worker("bob")
        assert (await ann.submit_files("slow", film=b"x" * 10))[0] == 200
        assert (await bob.submit("quick"))[0] == 200
        await soon(lambda: len(launch.stored()) == 1)
        status, told = await ann.submit_metadata("later")
        assert (status, told) == (200, {"status": "Submitted metadata"})
        await soon(lambda: len(launch.stored()) == 2)
        assert not launch.work.done()
        go_on.set()
        await launch.end()
        assert sorted(_stored(launch)) == ["later", "quick", "slow"]
