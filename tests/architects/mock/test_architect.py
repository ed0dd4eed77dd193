"""The mock architect as the engine calls it: it notes everything, and keeps the contract like any other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from falsework.architects.machine.address import run_id_at, url_of
from falsework.architects.mock.architect import (
    ANSWER_LIMIT,
    SERVER,
    MockArchitect,
    MockArgs,
)
from falsework.architects.mock.faults import NO_SERVER
from falsework.architects.mock.http import HOST
from falsework.architects.mock.server import MockServer
from falsework.architects.mock.stage import MockStage, current_stage
from falsework.engine.channel.download import FileMissing
from falsework.engine.channel.listener import Ears
from falsework.engine.config import load_task_file
from falsework.engine.contract.architect import (
    Architect,
    Presence,
    Resource,
    Site,
)
from falsework.engine.errors import ArchitectError, ConfigError, DeployFailed
from falsework.engine.launch.launcher import TaskLauncher
from falsework.engine.ledger.ledger import Ledger
from falsework.engine.ledger.owner import Owner
from falsework.engine.settings.fields import schema_for
from falsework.engine.testing import ArchitectContract
from falsework.router.wire.protocol import Envelope

from .tasks import new_site, up, write_task


class TestMockArchitect(ArchitectContract):
    """With a server and without one."""

    serves_workers = False
    outlives_its_process = False

    @pytest.fixture
    def architect(self, falsework_mock: MockStage) -> Architect:
        return MockArchitect()

    @pytest.fixture(params=[True, False], ids=["server", "no server"])
    def settings(self, request: pytest.FixtureRequest) -> Mapping[str, Any]:
        return {"should_run_server": request.param}

    async def standing(self, architect: Architect, site: Site) -> set[tuple[str, str]]:
        return {(SERVER, run_id) for run_id in current_stage().standing if run_id == site.run_id}

    async def destroy(self, site: Site) -> None:
        server = current_stage().standing.pop(site.run_id)
        if server is not None:
            await server.stop()

    async def silence(self, site: Site) -> None:
        await self.server_of(site).fall_silent()

    async def upload(self, site: Site) -> tuple[str, bytes]:
        server = self.server_of(site)
        server.uploads["photo"] = bytes(range(256)) * 4096
        return "photo", server.uploads["photo"]

    def server_of(self, site: Site) -> MockServer:
        server = current_stage().standing[site.run_id]
        if server is None:
            self.lacks("a server")
        return server

    @asynccontextmanager
    async def foreign(self, site: Site) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
        other = MockServer(site.run_id, site.token)
        url = url_of(HOST, other.start())

        async def still_stands() -> bool:
            return await run_id_at(url, ANSWER_LIMIT) == site.run_id

        yield still_stands
        await other.stop()

    @asynccontextmanager
    async def failing(self, site: Site) -> AsyncIterator[None]:
        current_stage().fail_transiently("deploy", after_effect=True)
        yield


# Without a server


async def test_without_a_server_calls_are_noted_in_order_with_what_they_were_given(
    falsework_mock: MockStage, tmp_path: Path
) -> None:
    site = new_site(tmp_path)
    await MockArchitect.assert_task_args(site.args, site.task)
    architect = await up(site)
    assert site.url == NO_SERVER
    assert await architect.probe(site) is Presence.UP
    await architect.cleanup(site)
    assert await architect.log_tail(site, 5) == []
    await architect.shutdown(site)
    assert await architect.probe(site) is Presence.GONE
    assert falsework_mock.actions == [
        "assert_task_args",
        "prepare",
        "deploy",
        "probe",
        "cleanup",
        "log_tail",
        "shutdown",
        "probe",
    ]
    assert {call.run_id for call in falsework_mock.calls[1:]} == {site.run_id}
    assert falsework_mock.calls[0].arguments == {"args": site.args, "task": site.task}
    assert falsework_mock.calls[2].arguments["bundle"].run_id == site.run_id
    assert falsework_mock.calls[5].arguments == {"lines": 5}
    assert falsework_mock.prepared
    assert falsework_mock.deployed
    assert falsework_mock.cleaned
    assert falsework_mock.did_shutdown
    assert site.resources == []


async def test_without_a_server_its_channel_opens_and_what_is_sent_is_kept(
    falsework_mock: MockStage, tmp_path: Path
) -> None:
    site, opened = new_site(tmp_path), list[str]()
    architect = await up(site)
    [channel] = architect.get_channels(site, Ears(opened.append, opened.append))
    await channel.open(1, 1)
    channel.send(Envelope("update_status", "agent", {"status": "completed"}))
    channel.acknowledge("epoch", 3)
    assert (opened, channel.acked) == ([site.run_id], {"epoch": 3})
    assert await channel.say_bye(1)
    await channel.close()
    assert [envelope.subject_id for envelope in falsework_mock.sent] == ["agent"]
    assert falsework_mock.actions[-2:] == ["get_channels", "connect"]


async def test_without_a_server_there_is_no_file_to_download(falsework_mock: MockStage, tmp_path: Path) -> None:
    site = new_site(tmp_path)
    architect = await up(site)
    with pytest.raises(FileMissing, match="has no server, and so no file photo"):
        await architect.download_file(site, "photo", tmp_path)


async def test_a_whole_launch_goes_through_without_a_server(falsework_mock: MockStage, tmp_path: Path) -> None:
    task = load_task_file(write_task(tmp_path / "task", [1]), ["architect={type: mock}", "lifecycle.max_lifetime=50ms"])
    ledger = Ledger.at(tmp_path / "ledger.db")
    with pytest.raises(Exception, match="max_lifetime"):
        await TaskLauncher(task, ledger).launch()
    await ledger.close()
    assert [action for action in falsework_mock.actions if action != "probe"] == [
        "assert_task_args",
        "prepare",
        "deploy",
        "get_channels",
        "connect",
        "cleanup",
        "log_tail",
        "shutdown",
    ]
    assert falsework_mock.standing == {}


# Settings


def test_its_settings_are_checked_like_any_others() -> None:
    section = {"type": "mock", "should_run_server": True, "port": 3000, "timeout": "2s"}
    assert schema_for(MockArgs).load(section) == MockArgs("mock", True, 3000, 2.0)
    problems = schema_for(MockArgs).validate({"type": "mock", "port": "3000", "timeout": "0s", "servr": 1})
    assert set(problems) == {"port", "timeout", "servr"}


async def test_a_port_that_is_taken_is_refused_before_anything_is_made(
    falsework_mock: MockStage, tmp_path: Path
) -> None:
    listener = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    try:
        site = new_site(tmp_path, should_run_server=True, port=port)
        with pytest.raises(ConfigError, match=f"port {port} is taken"):
            await MockArchitect.assert_task_args(site.args, site.task)
        with pytest.raises(DeployFailed, match=f"cannot listen on port {port}"):
            await up(site)
    finally:
        listener.close()
        await listener.wait_closed()


async def test_a_run_has_one_server_at_most(falsework_mock: MockStage, tmp_path: Path) -> None:
    site = new_site(tmp_path, should_run_server=True)
    architect = await up(site)
    with pytest.raises(DeployFailed, match="has a mock server already"):
        await up(site)
    await architect.shutdown(site)


async def test_channels_need_a_deployed_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="once the run is deployed"):
        MockArchitect().get_channels(new_site(tmp_path), Ears())


# Another process's server


async def recorded_by(owner: Owner, directory: Path) -> Site:
    site = new_site(directory, should_run_server=True)
    facts = {"host": owner.host, "pid": owner.pid, "started": owner.started}
    await site.announce(Resource(SERVER, site.run_id, facts))
    return site


async def test_the_server_of_a_process_that_lives_is_left_alone(falsework_mock: MockStage, tmp_path: Path) -> None:
    parent = psutil.Process().parent()
    assert parent is not None
    owner = replace(Owner.this_process(), pid=parent.pid, started=parent.create_time())
    site = await recorded_by(owner, tmp_path)
    assert await MockArchitect().probe(site) is Presence.UNKNOWN
    with pytest.raises(ArchitectError, match="is in the process .*, and ends with it"):
        await MockArchitect().shutdown(site)
    assert site.resources != []


async def test_the_server_of_a_process_that_ended_is_gone(falsework_mock: MockStage, tmp_path: Path) -> None:
    site = await recorded_by(replace(Owner.this_process(), started=1.0), tmp_path)
    assert await MockArchitect().probe(site) is Presence.GONE
    await MockArchitect().shutdown(site)
    assert site.resources == []


# Leaving nothing behind


async def test_a_stage_that_is_closed_cuts_off_what_stands(tmp_path: Path) -> None:
    with MockStage() as stage:
        site = new_site(tmp_path, should_run_server=True)
        await up(site)
        assert list(stage.standing) == [site.run_id]
    assert stage.standing == {}
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", stage.servers[0].port)


async def test_another_instance_takes_down_what_stands_on_the_same_stage(
    falsework_mock: MockStage, tmp_path: Path
) -> None:
    site = new_site(tmp_path, should_run_server=True)
    await up(site)
    another = MockArchitect()
    assert await another.probe(site) is Presence.UP
    assert [left.name for left in await another.leftovers()] == [site.run_id]
    await another.shutdown(site)
    assert await another.leftovers() == []
