"""Scripted workers: real HTTP, real WebSockets, so that a task can be rehearsed before anyone is paid.

A bot is a worker without hands: it opens the page, asks for an agent, answers, asks for the next, until there is nothing left
for it. With `faults` it also does what people do: leaves in the middle, reloads the page, loses its connection. A worker who
left never comes back; a new one with another name comes in its place, as on a crowd site.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import aiohttp
import msgspec

from ..router import protocol as wire
from ..router.protocol import Packet, decode_frame
from .errors import FalseworkError
from .hook import Hook

HEARTBEAT = 5.0
COME_BACK_AFTER = 0.5
"""Seconds after which a bot asks again when others work on all that is left, or the server is not reachable."""
MOST_REFUSALS = 60
"""Requests in a row that get no answer before a bot gives up."""
REPLY_TIMEOUT = 30.0


class BotsGaveUp(FalseworkError):
    """The bots have done all they may, and units are left."""


class _Left(Exception):
    """A bot leaves in the middle of its work."""


class Bots:
    """`count` workers at a time. `think` is in seconds; `faults` is the probability of each kind of fault at each unit."""

    def __init__(
        self, url: str, hook: Hook, count: int, think: float = 0.0, faults: float = 0.0, seed: int = 0
    ) -> None:
        self.url, self.hook, self.count, self.think, self.faults, self.seed = url, hook, count, think, faults, seed

    async def work(self) -> None:
        """Until nothing is left for anybody. Raises BotsGaveUp if the run still needs other workers."""
        async with asyncio.TaskGroup() as group:
            places = [group.create_task(self._fill_place(place)) for place in range(self.count)]
        if "finished" not in {place.result() for place in places}:
            raise BotsGaveUp(f"{self.count} bots did all they may, and units are left; try more of them")

    async def _fill_place(self, place: int) -> str:
        """One worker after the other, until one has nothing left to do; returns why."""
        for generation in range(10_000):
            chance = random.Random(f"{self.seed}/{place}/{generation}")
            name = f"bot-{place}" if generation == 0 else f"bot-{place}-{generation}"
            with suppress(_Left):
                async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
                    return await _Bot(self, name, chance, session).work()
        raise BotsGaveUp("bots leave faster than work gets done; lower --bot-faults")


@dataclass
class _Agent:
    agent_id: str
    data: Any
    live: bool


class _Bot:
    """One worker."""

    def __init__(self, bots: Bots, name: str, chance: random.Random, session: aiohttp.ClientSession) -> None:
        self._bots, self._name, self._chance, self._session = bots, name, chance, session
        self._url, self._hook = bots.url, bots.hook

    async def work(self) -> str:
        """Unit after unit; returns the reason why there is no other. Raises _Left."""
        await self._open_page()
        while True:
            details = await self._request_agent()
            if details.agent_id is None:
                if details.failure_code != "all_in_work":
                    return details.failure_code or "refused"
                await asyncio.sleep(COME_BACK_AFTER)
                continue
            if details.agent_id.startswith("onboarding"):
                details = await self._do_onboarding(details.agent_id)
                if details.agent_id is None:
                    return details.failure_code or "refused"
            await self._do_unit(details)

    async def _open_page(self) -> None:
        for path in ("/", "/task_config.json"):
            async with self._session.get(self._url + path) as answer:
                await answer.read()

    async def _request_agent(self) -> _Details:
        registration = {"worker_name": self._name, "assignment_id": self._name, "agent_registration_id": self._name}
        return await self._ask_details("/request_agent", registration)

    async def _do_onboarding(self, agent_id: str) -> _Details:
        answer = {"USED_AGENT_ID": agent_id, "onboarding_data": self._hook.bot_answer({}, self._chance)}
        return await self._ask_details("/submit_onboarding", answer)

    async def _ask_details(self, path: str, provider_data: dict[str, Any]) -> _Details:
        """Ask until the task answers. Raises BotsGaveUp when it does not for a long time."""
        body = {"provider_data": provider_data, "client_timestamp": time.time()}
        for _ in range(MOST_REFUSALS):
            with suppress(aiohttp.ClientError):
                async with self._session.post(self._url + path, json=body) as answer:
                    content = await answer.read()
                    if answer.status == 200:
                        return msgspec.json.decode(content, type=_AgentDetails).data
                    if answer.status == 410:
                        return _Details(None, failure_code="finished")
            await asyncio.sleep(COME_BACK_AFTER)
        raise BotsGaveUp(f"{self._url}{path} does not answer")

    async def _do_unit(self, details: _Details) -> None:
        own = (details.init_task_data or {}).get("falsework", {})
        agent = _Agent(details.agent_id or "", own.get("data"), bool(own.get("live")))
        if self._happens():
            return  # the page is reloaded before it did anything: the next request gets the same agent
        async with self._session.ws_connect(self._url) as socket:
            if await self._work_on(agent, socket):
                await self._submit(agent)

    async def _work_on(self, agent: _Agent, socket: aiohttp.ClientWebSocketResponse[bool]) -> bool:
        """Think, and talk if the task is live. False if there is nothing to hand in. Raises _Left."""
        await self._say(socket, wire.ALIVE, agent, {"protocol": wire.PROTOCOL})
        if self._happens():
            await socket.close()
            raise _Left
        if self._happens():
            return False  # the connection is lost; the next request gets the same agent
        status = await self._await_status(socket, agent)
        if status == "in task" and agent.live:
            for update in self._hook.bot_updates(agent.data, self._chance):
                await self._say(socket, wire.MEPHISTO_BOUND_LIVE_UPDATE, agent, {**update, "update_id": self._new_id()})
        await asyncio.sleep(self._bots.think * self._chance.uniform(0.5, 1.5))
        return status in ("in task", "partner disconnect")

    async def _await_status(self, socket: aiohttp.ClientWebSocketResponse[bool], agent: _Agent) -> str:
        """Until the agent is no longer waiting; heartbeats meanwhile."""
        while True:
            try:
                message = await socket.receive(timeout=HEARTBEAT)
            except TimeoutError:
                await self._say(socket, wire.HEARTBEAT, agent, None)
                continue
            if message.type is not aiohttp.WSMsgType.TEXT:
                return "gone"
            for packet in decode_frame(message.data.encode()):
                status = _status_of(packet)
                if status not in (None, wire.NONE, "waiting"):
                    return str(status)

    async def _submit(self, agent: _Agent) -> None:
        """Hand in until it is taken, as falsework.js does."""
        body = {
            "USED_AGENT_ID": agent.agent_id,
            "final_data": self._hook.bot_answer(agent.data, self._chance),
            "client_timestamp": time.time(),
            "submission_id": self._new_id(),
        }
        for _ in range(MOST_REFUSALS):
            with suppress(aiohttp.ClientError):
                async with self._session.post(f"{self._url}/submit_task", json=body) as answer:
                    await answer.read()
                    if answer.status not in (503, 507):
                        return
            await asyncio.sleep(COME_BACK_AFTER)
        raise BotsGaveUp(f"{self._url} takes no submissions")

    async def _say(
        self, socket: aiohttp.ClientWebSocketResponse[bool], packet_type: str, agent: _Agent, data: Any
    ) -> None:
        packet = {"packet_type": packet_type, "subject_id": agent.agent_id, "client_timestamp": time.time()}
        with suppress(aiohttp.ClientConnectionError):
            await socket.send_json(packet if data is None else {**packet, "data": data})

    def _happens(self) -> bool:
        return self._chance.random() < self._bots.faults

    def _new_id(self) -> str:
        return UUID(int=self._chance.getrandbits(128), version=4).hex


class _Details(msgspec.Struct):
    agent_id: str | None
    init_task_data: dict[str, Any] | None = None
    failure_code: str | None = None


class _AgentDetails(msgspec.Struct):
    data: _Details


def _status_of(packet: Packet) -> str | None:
    if packet.packet_type not in (wire.UPDATE_STATUS, wire.HEARTBEAT):
        return None
    status: str | None = msgspec.json.decode(packet.data, type=dict[str, Any]).get("status")
    return status
