"""Runs with several servers: workers are spread, one server is lost for good, and the run goes on and comes down."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from falsework.engine.launch.salvage import held_by_lost
from falsework.engine.work.submissions import Submission, read

from ..cli.conftest import (  # noqa: F401
    Falsework,
    UnderWay,
    falsework,
    launching,
)
from ..launching import (
    Launch,
    launched,
    processes_of,
    write_task,
)
from ..serving import Worker, soon
from ..workshop import working_for_a_process

pytestmark = pytest.mark.slow

SUBMITTED = (200, {"status": "Submitted!"})
AT_1, AT_2, AT_3 = ("eve", "fred", "hal"), ("ann", "kim", "dora"), ("bob", "ben", "lea")
"""Whom the digests of their names send to the first, the second and the third of three routers."""
THREE = {"type": "local", "replicas": 3}


async def arrive(launch: Launch, name: str) -> Worker:
    """Somebody who opens the printed link, is sent to a server, and gets an agent there."""
    worker = Worker(await launch.url(), name)
    launch.workers.append(worker)
    return await settle(worker)


async def visit(url: str, name: str, browsers: AsyncExitStack) -> Worker:
    """The same, by a link."""
    worker = Worker(url, name)
    browsers.push_async_callback(worker.close)
    return await settle(worker)


async def settle(worker: Worker) -> Worker:
    async with worker.session.get(f"{worker.url}/?worker_id={worker.name}") as page:
        assert page.status == 200
        worker.url = str(page.url.origin())
    await worker.join()
    return worker


def pid_of(launch: Launch, replica: int) -> int:
    """The process of the second or third server."""
    run_id = launch.watcher.run_id
    (found,) = (one for one in launch.ledger.resources(run_id) if one.name == f"{run_id}/{replica}")
    return int(found.facts["pid"])


def counted(launch: Launch) -> list[Submission]:
    return [one for one in launch.stored() if one.counted]


async def test_workers_are_spread_over_the_servers_and_the_task_is_finished(home: Path, tmp_path: Path) -> None:
    task = write_task(tmp_path / "task", list(range(9)), architect=THREE)
    async with launched(home, task) as launch:
        workers = [await arrive(launch, name) for name in (*AT_1, *AT_2, *AT_3)]
        places = [worker.url for worker in workers]
        assert len(set(places)) == 3
        assert places == [place for place in (places[0], places[3], places[6]) for _ in range(3)]
        for worker in workers:
            assert await worker.submit({"by": worker.name}) == SUBMITTED
        await launch.end()
        launch.assert_down()
        assert {one.unit for one in counted(launch)} == set(range(9))
        assert len({one.router_epoch for one in launch.stored()}) == 3


async def test_a_server_that_is_lost_costs_only_what_was_not_handed_in(home: Path, tmp_path: Path) -> None:
    task = write_task(tmp_path / "task", list(range(4)), architect=THREE)
    async with launched(home, task) as launch:
        eve, ann, kim, bob = [await arrive(launch, name) for name in ("eve", "ann", "kim", "bob")]
        assert ann.url == kim.url
        lost_agent = kim.agent_id
        assert await ann.submit({"by": "ann"}) == SUBMITTED
        os.kill(pid_of(launch, 2), signal.SIGKILL)
        await soon(lambda: launch.watcher.said("is lost"))
        moved = await arrive(launch, "kim")
        assert moved.url != kim.url
        assert moved.agent_id == lost_agent
        for worker in (eve, moved, bob):
            assert await worker.submit({"by": worker.name}) == SUBMITTED
        await launch.end()
        launch.assert_down()
        assert sorted(one.worker_id for one in counted(launch)) == ["ann", "bob", "eve", "kim"]
        assert {one.unit for one in counted(launch)} == set(range(4))


async def test_partners_on_other_servers_hear_that_a_server_is_lost(home: Path, tmp_path: Path) -> None:
    hook = "async def on_start(session):\n    pass\n"
    section = {"assignments_per_unit": 2, "together": True}
    task = write_task(tmp_path / "task", [1], hook=hook, task=section, architect=THREE)
    async with launched(home, task) as launch:
        eve, ann = await arrive(launch, "eve"), await arrive(launch, "ann")
        await eve.open_socket()
        await eve.hear_status("in task")
        await ann.open_socket()
        os.kill(pid_of(launch, 2), signal.SIGKILL)
        await eve.hear_status("partner disconnect")


async def test_the_run_goes_on_until_the_last_of_its_servers_is_lost(home: Path, tmp_path: Path) -> None:
    task = write_task(tmp_path / "task", [1, 2], architect={"type": "local", "replicas": 2})
    async with launched(home, task) as launch:
        await launch.url()
        for resource in launch.ledger.resources(launch.watcher.run_id):
            os.kill(resource.facts["pid"], signal.SIGKILL)
        with pytest.raises(Exception, match="gone|ended"):
            await launch.end()
        launch.assert_down()


async def test_what_a_lost_server_held_is_taken_from_its_disk_and_its_units_are_for_others(tmp_path: Path) -> None:
    async with working_for_a_process(tmp_path, [1, 2]) as shop:
        ann, ben = await shop.at_work("ann"), await shop.at_work("ben")
        await shop.channel.close()
        assert await ann.submit({"by": "ann"}) == SUBMITTED
        await shop.router.kill()
        assert await held_by_lost(shop.router.directory, {shop.channel.router_epoch}, shop.listener) == []
        (outbox,) = await held_by_lost(shop.router.directory, set(), shop.listener)
        (packet,) = outbox.packets
        shop.foreman.take_from_disk(outbox.router_epoch, packet)
        shop.foreman.channel_lost(shop.channel.channel_id, {packet.subject_id})
        (stored,) = await shop.until_stored(1)
        assert (stored.agent_id, stored.counted) == (ann.agent_id, True)
        assert (shop.foreman.counts.agents_open, shop.foreman.counts.places_free) == (0, 1)
        assert ben.agent_id != ann.agent_id


async def test_a_resumed_run_takes_in_what_a_server_held_that_is_gone(
    home: Path,
    tmp_path: Path,
    launching: Callable[..., UnderWay],  # noqa: F811
) -> None:
    task = write_task(tmp_path / "task", [1, 2, 3, 4], architect=THREE)
    under_way = launching(str(task))
    url = under_way.is_open()
    async with AsyncExitStack() as browsers:
        eve, ann, kim, bob = [await visit(url, name, browsers) for name in ("eve", "ann", "kim", "bob")]
        under_way.interrupt(signal.SIGKILL)
        under_way.end()
        for worker in (eve, ann):
            assert await worker.submit({"by": worker.name}) == SUBMITTED
        for process in processes_of(under_way.run_id):
            if "/data/2" in Path(f"/proc/{process}/cmdline").read_text():
                os.kill(process, signal.SIGKILL)
        resumed = launching(under_way.run_id, verb="resume")
        assert resumed.is_open() == url
        moved = await visit(url, "kim", browsers)
        assert moved.url != kim.url
        assert await moved.submit({"by": "kim"}) == SUBMITTED
        assert await bob.submit({"by": "bob"}) == SUBMITTED
        assert resumed.end().code == 0, resumed.heard
    stored = list(read(home / "runs" / under_way.run_id))
    assert sorted(one.worker_id for one in stored if one.counted) == ["ann", "bob", "eve", "kim"]
    assert processes_of(under_way.run_id) == []


def test_a_sweep_takes_down_all_servers_of_a_dead_launcher(
    home: Path,
    tmp_path: Path,
    launching: Callable[..., UnderWay],  # noqa: F811
    falsework: Falsework,  # noqa: F811
) -> None:
    task = write_task(tmp_path / "task", [1], architect={"type": "local", "replicas": 3, "restart": "on-failure"})
    under_way = launching(str(task))
    under_way.is_open()
    under_way.interrupt(signal.SIGKILL)
    under_way.end()
    assert len(processes_of(under_way.run_id)) == 6
    ended = falsework("shutdown", under_way.run_id)
    assert ended.code == 0, ended.stderr
    assert processes_of(under_way.run_id) == []
