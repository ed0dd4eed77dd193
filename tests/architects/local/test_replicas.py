"""`replicas: 3`: three routers on this machine that share a run's workers, with each of the routers that there are."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import aiohttp
import psutil
import pytest
from falsework.architects.local import replica_channels
from falsework.architects.local.architect import PROCESS, LocalArchitect
from falsework.architects.local.args import LocalArgs
from falsework.architects.local.replica import Replica, recorded, url_at
from falsework.architects.local.told import router_command
from falsework.architects.machine import process
from falsework.engine.channel.download import FileMissing
from falsework.engine.channel.listener import Ears
from falsework.engine.contract.architect import (
    Architect,
    Presence,
    Resource,
    Site,
)
from falsework.engine.errors import ConfigError
from falsework.engine.settings.fields import schema_for
from marshmallow import ValidationError

from ..conftest import Architects, up
from ..shipping.node_installed import node_home  # noqa: F401
from . import test_contract as test_local_contract

PATIENCE = 30.0
AT = {1: "eve", 2: "ann", 3: "bob"}
"""Whom the digests of their names send to which of three routers."""
UPLOAD = "0" * 32 + ".bin"
"""As a router names a file."""
AFTER_2_IS_LOST = 3
"""Where ann is sent then."""


@pytest.fixture(params=["python", "node"])
async def serving(
    request: pytest.FixtureRequest, site: Site, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[LocalArchitect]:
    """Three real routers, up, that nobody starts again."""
    if request.param == "node":
        request.getfixturevalue("node_home")
    monkeypatch.setattr(replica_channels, "GLANCE", 0.02)
    site.args = replace(site.args, router=request.param, replicas=3, restart="never")
    architect = LocalArchitect()
    await up(architect, site)
    yield architect
    await architect.shutdown(site)
    assert await architect.probe(site) is Presence.GONE
    assert site.resources == []


class Launcher:
    """The channels to the routers, open. It hears which of them are lost."""

    def __init__(self, architect: LocalArchitect, site: Site) -> None:
        self.lost: asyncio.Queue[str] = asyncio.Queue()
        self.opened: list[str] = []
        self.channels = architect.get_channels(site, Ears(self.opened.append, self.lost.put_nowait))

    async def __aenter__(self) -> Launcher:
        for channel in self.channels:
            await channel.open(PATIENCE, PATIENCE)
        return self

    async def __aexit__(self, *ended: object) -> None:
        for channel in self.channels:
            await channel.close()

    async def until_lost(self) -> str:
        async with asyncio.timeout(PATIENCE):
            return await self.lost.get()


def replica(site: Site, number: int) -> Replica:
    return recorded(site)[number - 1]


def kill(site: Site, number: int) -> None:
    identity = replica(site, number).identity
    assert identity is not None
    os.kill(identity.pid, signal.SIGKILL)
    psutil.Process(identity.pid).wait(PATIENCE)
    process.reap(identity.pid)


async def opened_at(url: str, path: str) -> str:
    """The address at which a browser ends up."""
    async with aiohttp.ClientSession() as session, session.get(url + path) as page:
        assert page.status == 200
        return str(page.url)


async def until_opened_at(url: str, path: str, expected: str) -> None:
    """Until a browser ends up there; the routers are told a moment after the launcher knows."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                if await opened_at(url, path) == expected + path:
                    return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.01)


@pytest.mark.slow
@pytest.mark.decisive
async def test_three_routers_go_up_and_come_down(serving: LocalArchitect, site: Site) -> None:
    names = [site.run_id, f"{site.run_id}/2", f"{site.run_id}/3"]
    assert [resource.name for resource in site.resources] == names
    assert site.url == url_at(site, replica(site, 1))
    assert await serving.probe(site) is Presence.UP
    assert [channel.channel_id for channel in serving.get_channels(site, Ears())] == names
    assert sorted(path.name for path in (site.directory / "data").iterdir()) == ["1", "2", "3"]
    left = [one.name for one in await serving.leftovers() if one.run_id == site.run_id]
    assert sorted(left) == names


@pytest.mark.slow
async def test_workers_are_sent_to_the_router_that_is_theirs(serving: LocalArchitect, site: Site) -> None:
    url = site.url or ""
    assert await opened_at(url, "/?worker_id=ann") == f"{url}/?worker_id=ann"  # no launcher has said anything yet
    async with Launcher(serving, site):
        for number, name in AT.items():
            path = f"/?worker_id={name}&assignment_id=a%26b"
            await until_opened_at(url, path, url_at(site, replica(site, number)) or "")
            for other in (1, 2, 3):
                await until_opened_at(
                    url_at(site, replica(site, other)) or "", path, url_at(site, replica(site, number)) or ""
                )


@pytest.mark.slow
async def test_a_browser_whose_link_names_nobody_ends_up_at_the_same_router_again(
    serving: LocalArchitect, site: Site
) -> None:
    url = site.url or ""
    async with Launcher(serving, site):
        await until_opened_at(url, "/?worker_id=ann", url_at(site, replica(site, 2)) or "")
        places = set()
        for _ in range(20):
            async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
                ended_up = []
                for _ in range(3):
                    async with browser.get(url) as page:
                        ended_up.append(str(page.url))
                assert len(set(ended_up)) == 1
                places.add(ended_up[0])
        assert len(places) > 1


@pytest.mark.slow
async def test_a_router_that_is_lost_is_told_and_its_workers_go_to_others(serving: LocalArchitect, site: Site) -> None:
    lost, heir = replica(site, 2), replica(site, AFTER_2_IS_LOST)
    async with Launcher(serving, site) as launcher:
        await until_opened_at(site.url or "", "/?worker_id=ann", url_at(site, lost) or "")
        kill(site, 2)
        assert await launcher.until_lost() == lost.name
        assert await serving.probe(site) is Presence.DOWN
        for number in (1, 3):
            address = url_at(site, replica(site, number)) or ""
            await until_opened_at(address, "/?worker_id=ann", url_at(site, heir) or "")
        await until_opened_at(site.url or "", "/?worker_id=bob", url_at(site, replica(site, 3)) or "")
        assert await serving.probe(site) is Presence.DOWN


@pytest.mark.slow
async def test_the_router_that_is_left_serves_everybody(serving: LocalArchitect, site: Site) -> None:
    last = url_at(site, replica(site, 3)) or ""
    async with Launcher(serving, site) as launcher:
        for number in (1, 2):
            kill(site, number)
            assert await launcher.until_lost() == replica(site, number).name
        for worker in ("ann", "bob", "eve"):
            await until_opened_at(last, f"/?worker_id={worker}", last)
        kill(site, 3)
        assert await launcher.until_lost() == replica(site, 3).name
        assert await serving.probe(site) is Presence.GONE


@pytest.mark.slow
async def test_a_new_launcher_finds_the_routers_that_are_left(serving: LocalArchitect, site: Site) -> None:
    kill(site, 2)
    async with Launcher(serving, site) as launcher:
        assert launcher.opened == [site.run_id, f"{site.run_id}/3"]
        await until_opened_at(site.url or "", "/?worker_id=bob", url_at(site, replica(site, 3)) or "")


@pytest.mark.slow
async def test_an_upload_is_had_from_a_router_and_from_the_disk_of_one_that_is_gone(
    serving: LocalArchitect, site: Site, tmp_path: Path
) -> None:
    uploads = replica(site, 2).data / "uploads"
    uploads.mkdir(exist_ok=True)
    (uploads / UPLOAD).write_bytes(b"of ann")
    for name in ("standing", "gone"):
        (tmp_path / name).mkdir()
        path = await serving.download_file(site, UPLOAD, tmp_path / name)
        assert path.read_bytes() == b"of ann"
        if name == "standing":
            kill(site, 2)
    for missing in ("none.bin", f"../uploads/{UPLOAD}", "../outbox.jsonl"):
        with pytest.raises(FileMissing):
            await serving.download_file(site, missing, tmp_path)


@pytest.mark.slow
async def test_a_supervised_router_comes_back_and_is_not_lost(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica_channels, "GLANCE", 0.02)
    site.args = replace(site.args, replicas=2)
    serving = LocalArchitect()
    await up(serving, site)
    async with Launcher(serving, site) as launcher:
        identity = replica(site, 2).identity
        assert identity is not None
        (router,) = psutil.Process(identity.pid).children()
        router.kill()
        async with asyncio.timeout(PATIENCE):
            while len(launcher.opened) < 3:  # noqa: ASYNC110 - there is no event
                await asyncio.sleep(0.01)
        assert launcher.lost.empty()
        await until_opened_at(url_at(site, replica(site, 2)) or "", "/?worker_id=eve", site.url or "")
    await serving.shutdown(site)


@pytest.mark.slow
async def test_each_is_announced_before_it_is_made(architect: Architects, site: Site) -> None:
    standing: list[tuple[str, bool, int]] = []

    async def record(resource: Resource, stands: bool) -> None:
        standing.append((resource.name.partition("/")[2], bool(resource.facts), len(process.find(site.run_id))))

    site.record, site.args = record, replace(site.args, replicas=2)
    serving = architect("serves")
    await up(serving, site)
    assert standing[:4] == [("", False, 0), ("", True, 1), ("2", False, 1), ("2", True, 2)]
    await serving.shutdown(site)
    assert standing[-1][2] == 0


def test_each_router_has_its_own_data_and_port_and_none_ends_because_it_is_idle(site: Site) -> None:
    site.args, site.idle_timeout = replace(site.args, replicas=2, port=3000), 60.0
    second = Replica(2, f"{site.run_id}/2", site.directory / "data" / "2")
    command = router_command((), site, second)
    assert f"--data={site.directory}/data/2" in command
    assert "--port=0" in command
    assert not [flag for flag in command if flag.startswith("--idle-timeout")]


@pytest.mark.parametrize(
    "key, settings",
    [
        ("architect.public_url", {"public_url": "https://tasks.example.org"}),
        ("architect.replicas", {"server_source_path": "a-server"}),
    ],
)
async def test_what_goes_with_one_server_only_is_refused(site: Site, key: str, settings: dict[str, Any]) -> None:
    args = schema_for(LocalArgs).load({"type": "local", "replicas": 2, **settings})
    with pytest.raises(ConfigError) as refusal:
        await LocalArchitect.assert_task_args(args, site.task)
    assert key in {problem.key for problem in refusal.value.problems}


@pytest.mark.parametrize("wrong", [0, -1, 65, "many"])
def test_a_number_of_replicas_that_is_none_is_refused(wrong: Any) -> None:
    with pytest.raises(ValidationError):
        schema_for(LocalArgs).load({"type": "local", "replicas": wrong})


@pytest.mark.slow
class TestReplicas(test_local_contract.TestLocalArchitect):
    """Several routers keep the contract as one does."""

    most_cuts: ClassVar = 6
    ends_when_idle: ClassVar = False
    soon: ClassVar = 8.0

    @pytest.fixture
    def settings(self) -> dict[str, Any]:
        return {"router": "python", "replicas": 2, "stop_grace": "300ms"}

    async def standing(self, architect: Architect, site: Site) -> set[tuple[str, str]]:
        return {(PROCESS, one.name) for one in await architect.leftovers() if one.run_id == site.run_id}
