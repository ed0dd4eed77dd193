"""`restart: on-failure`: the router is killed while workers and a launcher are attached, and nobody loses anything."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import aiohttp
import msgspec
import psutil
import pytest
from falsework.architects.local.architect import LocalArchitect
from falsework.architects.machine import process
from falsework.engine.channel.channel import Channel
from falsework.engine.channel.listener import Ears
from falsework.engine.contract.architect import Presence, Site
from falsework.router.wire import protocol as wire
from falsework.router.wire.protocol import Envelope, Packet

from ..conftest import pid_of, up
from ..shipping.node_installed import node_home  # noqa: F401

PATIENCE = 30.0
TRIES_AGAIN = (404, 503)

pytestmark = pytest.mark.slow


class Crew:
    """The launcher's side: gives agents out, keeps what comes, acknowledges it."""

    def __init__(self, architect: LocalArchitect, site: Site) -> None:
        self.stored: list[Any] = []
        self.opened = 0
        self.heard_updates: set[str] = set()
        self._agents: set[str] = set()
        (self.channel,) = architect.get_channels(site, Ears(self._open, received=self._take))

    async def attach(self) -> Channel:
        await self.channel.open(PATIENCE, PATIENCE)
        return self.channel

    async def until_stored(self, count: int) -> None:
        await soon(lambda: len(self.stored) >= count)

    async def until_opened(self, times: int) -> None:
        await soon(lambda: self.opened >= times)

    def _open(self, channel_id: str) -> None:
        """A router that was started again knows nobody."""
        self.opened += 1
        for agent_id in self._agents:
            self.channel.send(Envelope(wire.UPDATE_STATUS, agent_id, {"status": "in task"}))

    def _take(self, channel_id: str, packet: Packet) -> None:
        data = msgspec.json.decode(packet.data)
        if packet.packet_type == wire.REGISTER_AGENT:
            agent_id = data["provider_data"]["unit"]
            self._agents.add(agent_id)
            details = {"request_id": data["request_id"], "agent_id": agent_id}
            self.channel.send(Envelope(wire.AGENT_DETAILS, channel_id, details))
        elif packet.packet_type == wire.MEPHISTO_BOUND_LIVE_UPDATE:
            self.heard_updates.add(packet.subject_id or "")
        elif packet.number is not None and self.channel.router_epoch is not None:
            self.stored.append(data)
            self.channel.acknowledge(self.channel.router_epoch, packet.number)


class Worker:
    """Does units one after the other, and insists, as falsework.js does."""

    def __init__(self, url: str, name: str) -> None:
        self.url, self.name = url, name
        self.told: list[str] = []
        """What it was told that it is saved."""
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def do(self, units: int) -> None:
        for number in range(units):
            unit = f"{self.name}-{number}"
            body = {"USED_AGENT_ID": unit, "final_data": unit, "submission_id": f"of {unit}"}
            await self._ask("/request_agent", {"provider_data": {"unit": unit}}, unit)
            await self._ask("/submit_task", body, unit)
            self.told.append(unit)

    async def speak_up(self) -> None:
        """Over a socket, as the page of a new unit does that comes back after its connection broke."""
        unit = f"{self.name}-live"
        await self._ask("/request_agent", {"provider_data": {"unit": unit}}, unit)
        async with self._session.ws_connect(self.url) as socket:
            for packet_type in (wire.ALIVE, wire.MEPHISTO_BOUND_LIVE_UPDATE):
                await socket.send_json({"packet_type": packet_type, "subject_id": unit, "data": {"update_id": 1}})
            await socket.receive_json()

    async def close(self) -> None:
        await self._session.close()

    async def _ask(self, path: str, body: Any, unit: str) -> None:
        while (status := await self._try(path, body)) != 200:
            assert status is None or status in TRIES_AGAIN, (path, status)
            if status == 404:
                await self._try("/request_agent", {"provider_data": {"unit": unit}})
            await asyncio.sleep(0.01)

    async def _try(self, path: str, body: Any) -> int | None:
        text = io.BytesIO(json.dumps(body).encode())
        headers = {"Content-Type": "application/json"}
        with suppress(aiohttp.ClientError, OSError):
            async with self._session.post(self.url + path, data=text, headers=headers) as answer:
                return answer.status
        return None


@pytest.fixture(params=["python", "node"])
async def serving(request: pytest.FixtureRequest, site: Site) -> AsyncIterator[LocalArchitect]:
    """A real router under its supervisor, up."""
    if request.param == "node":
        request.getfixturevalue("node_home")
    site.args = replace(site.args, router=request.param, restart="on-failure")
    architect = LocalArchitect()
    await up(architect, site)
    yield architect
    await architect.shutdown(site)
    assert await architect.probe(site) is Presence.GONE


def router_of(site: Site) -> psutil.Process:
    (router,) = psutil.Process(pid_of(site)).children()
    return router


async def kill_router(site: Site) -> psutil.Process:
    """Kill it, and wait for the one that takes its place."""
    dead = router_of(site)
    dead.kill()
    await soon(lambda: not dead.is_running() and bool(psutil.Process(pid_of(site)).children()))
    return router_of(site)


async def soon(condition: Callable[[], bool]) -> None:
    """Wait until it holds, where nothing says so by itself."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_what_was_acknowledged_is_delivered_once_however_often_the_router_is_killed(
    serving: LocalArchitect, site: Site
) -> None:
    crew, url = Crew(serving, site), site.url or ""
    channel = await crew.attach()
    workers = [Worker(url, f"w{number}") for number in range(8)]
    working = asyncio.gather(*(worker.do(25) for worker in workers))
    for kills in range(1, 5):
        await crew.until_stored(len(crew.stored) + 15)
        assert not working.done()
        await kill_router(site)
        await crew.until_opened(kills + 1)
    async with asyncio.timeout(PATIENCE):
        await working
    await crew.until_stored(200)
    told = [unit for worker in workers for unit in worker.told]
    assert Counter(crew.stored) == Counter(told)
    await asyncio.gather(*(worker.speak_up() for worker in workers))
    assert crew.heard_updates == {f"{worker.name}-live" for worker in workers}
    assert await serving.probe(site) is Presence.UP
    assert channel.router_epoch is not None
    for worker in workers:
        await worker.close()
    await channel.close()


async def test_a_router_comes_back_while_its_launcher_is_away_and_gives_what_it_holds(
    serving: LocalArchitect, site: Site
) -> None:
    first = Crew(serving, site)
    await first.attach()
    worker = Worker(site.url or "", "ann")
    await worker._ask("/request_agent", {"provider_data": {"unit": "ann-0"}}, "ann-0")
    await first.channel.close()
    assert await worker._try("/submit_task", {"USED_AGENT_ID": "ann-0", "final_data": "held"}) == 200
    await kill_router(site)
    assert await serving.probe(site) is Presence.UP
    site.epoch += 1
    second = Crew(serving, site)
    await second.attach()
    await soon(lambda: bool(second.stored))
    assert (first.stored, second.stored) == ([], ["held"])
    await worker.close()
    await second.channel.close()


async def test_an_orphan_whose_supervisor_was_killed_serves_on_and_is_taken_down(
    serving: LocalArchitect, site: Site
) -> None:
    orphan = router_of(site)
    os.kill(pid_of(site), signal.SIGKILL)
    process.reap(pid_of(site))
    assert await serving.probe(site) is Presence.UP
    await serving.shutdown(site)
    assert not process.runs(orphan.pid)
