"""Scripted workers: real HTTP, real WebSockets, so that a task can be rehearsed before anyone is paid.

A bot is a worker without hands: it opens the page, asks for an agent, answers, asks for the next, until there is nothing left
for it. With `faults` it also does what people do: leaves in the middle, reloads the page, loses its connection. A worker who
left never comes back; a new one with another name comes in its place, as on a crowd site, and in that of one for whom there is
nothing left as well.
"""

from __future__ import annotations

import asyncio
import io
import random
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import aiohttp
import msgspec

from ...router.wire import protocol as wire
from ...router.wire.protocol import Packet, decode_frame
from ..errors import FalseworkError
from .assignments import WAITING
from .hook import Hook

HEARTBEAT = 5.0
LOOKS = 3
"""Heartbeats in a row at which everybody waits for a partner before that is for ever."""
COME_BACK_AFTER = 0.5
"""Seconds after which a bot asks again when others work on all that is left, or the server is not reachable."""
MOST_GENERATIONS = 10_000
"""Workers who may leave one after the other in one bot's place."""
MOST_REFUSALS = 60
"""Attempts in a row at something that fail before a bot gives up."""
REPLY_TIMEOUT = aiohttp.ClientTimeout(total=30)
JSON = {"Content-Type": "application/json"}
AWAY = 503
TAKE_AGAIN = frozenset({AWAY, 507})
"""Answers to a submission that is to be handed in again."""
REFUSED = frozenset({400, 413})
"""Answers to a submission that will never be taken as it is."""
NO_AGENT = {410: "finished", 404: "start_again"}
"""Answers to who asks for an agent, as the reasons that a launcher would give."""
COME_BACK = frozenset({"all_in_work", "cannot_save", "start_again"})
"""Why there is no agent now, but may be one later."""


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
        self.places = count
        """Where somebody is."""
        self.waiting: set[str] = set()
        """Who waits for a partner, by name."""

    async def work(self) -> None:
        """Until nothing is left for anybody. Raises BotsGaveUp if the run still needs other workers, HookFailed."""
        try:
            async with asyncio.TaskGroup() as group:
                places = [group.create_task(self._fill_place(place)) for place in range(self.count)]
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        reasons = {place.result() for place in places}
        if "finished" not in reasons:
            told = ", ".join(sorted(reasons))
            raise BotsGaveUp(f"{self.count} bots did all they may ({told}), and units are left; try more of them")

    async def _fill_place(self, place: int) -> str:
        """One worker after the other, until there is nothing left to do; returns why."""
        for generation in range(MOST_GENERATIONS):
            chance = random.Random(f"{self.seed}/{place}/{generation}")
            name = f"bot-{place}" if generation == 0 else f"bot-{place}-{generation}"
            with suppress(_Left):
                async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
                    reason = await _Bot(self, name, chance, session).work()
                if reason != "nothing_left" or not self.faults:
                    self.places -= 1
                    return reason
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
        self._refusals: Counter[str] = Counter()

    async def work(self) -> str:
        """Unit after unit; returns the reason why there is no other. Raises _Left, BotsGaveUp, HookFailed."""
        await self._open_page()
        while True:
            details = await self._request_agent()
            if details.agent_id is not None and details.agent_id.startswith("onboarding"):
                details = await self._do_onboarding(details.agent_id)
            if details.agent_id is not None:
                await self._do_unit(details)
            elif details.failure_code in COME_BACK:
                await asyncio.sleep(COME_BACK_AFTER)
            else:
                return details.failure_code or "refused"

    async def _open_page(self) -> None:
        """By a link that names the worker, as several servers know by it whose he is."""
        link = urlencode({"worker_id": self._name, "assignment_id": self._name})
        for path in (f"/?{link}", "/task_config.json"):
            while (await self._ask("GET", path))[0] == AWAY:
                await self._come_back_later(path)

    async def _request_agent(self) -> _Details:
        registration = {"worker_name": self._name, "assignment_id": self._name, "agent_registration_id": self._name}
        return await self._ask_details("/request_agent", registration)

    async def _do_onboarding(self, agent_id: str) -> _Details:
        answer = {"USED_AGENT_ID": agent_id, "onboarding_data": self._hook.bot_answer({}, self._chance)}
        return await self._ask_details("/submit_onboarding", answer)

    async def _ask_details(self, path: str, provider_data: dict[str, Any]) -> _Details:
        """Ask until the task answers. Raises BotsGaveUp when it does not for a long time."""
        body = {"provider_data": provider_data, "client_timestamp": time.time()}
        while True:
            status, content = await self._ask("POST", path, body)
            if status == 200:
                del self._refusals[path]
                return msgspec.json.decode(content, type=_AgentDetails).data
            if status in NO_AGENT:
                return _Details(None, failure_code=NO_AGENT[status])
            await self._come_back_later(path)

    async def _do_unit(self, details: _Details) -> None:
        own = (details.init_task_data or {}).get("falsework", {})
        agent = _Agent(details.agent_id or "", own.get("data"), bool(own.get("live")))
        if self._happens():
            return  # the page is reloaded before it did anything: the next request gets the same agent
        try:
            async with self._session.ws_connect(self._url) as socket:
                if await self._work_on(agent, socket):
                    await self._submit(agent)
        except aiohttp.ClientError:
            await self._come_back_later("the WebSocket")

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
        await self._think(socket, agent)
        return status in ("in task", "partner disconnect")

    async def _think(self, socket: aiohttp.ClientWebSocketResponse[bool], agent: _Agent) -> None:
        """With heartbeats, as the page of a worker who thinks for long is not a page that fell silent."""
        left = self._bots.think * self._chance.uniform(0.5, 1.5)
        while left > 0:
            await asyncio.sleep(min(left, HEARTBEAT))
            await self._say(socket, wire.HEARTBEAT, agent, None)
            left -= HEARTBEAT

    async def _await_status(self, socket: aiohttp.ClientWebSocketResponse[bool], agent: _Agent) -> str:
        """Until the agent is no longer waiting; heartbeats meanwhile. Raises BotsGaveUp if no partner can come."""
        looks = 0
        try:
            while True:
                status = await self._next_status(socket)
                if status is None:
                    looks = looks + 1 if len(self._bots.waiting) == self._bots.places else 0
                    if looks == LOOKS:
                        raise BotsGaveUp("all bots that are left wait for partners; try more of them")
                    await self._say(socket, wire.HEARTBEAT, agent, None)
                elif status == WAITING:
                    self._bots.waiting.add(self._name)
                elif status != wire.NONE:
                    return status
        finally:
            self._bots.waiting.discard(self._name)

    async def _next_status(self, socket: aiohttp.ClientWebSocketResponse[bool]) -> str | None:
        """The next one that is told, `gone` if the connection is; None if there was no word for as long as a heartbeat."""
        try:
            message = await socket.receive(timeout=HEARTBEAT)
        except TimeoutError:
            return None
        if message.type is not aiohttp.WSMsgType.TEXT:
            return "gone"
        told = [_status_of(packet) for packet in decode_frame(message.data.encode())]
        return next((status for status in reversed(told) if status is not None), wire.NONE)

    async def _submit(self, agent: _Agent) -> None:
        """Hand in until it is taken, as falsework.js does."""
        body = {
            "USED_AGENT_ID": agent.agent_id,
            "final_data": self._hook.bot_answer(agent.data, self._chance),
            "client_timestamp": time.time(),
            "submission_id": self._new_id(),
        }
        while True:
            status, content = await self._ask("POST", "/submit_task", body)
            if status in REFUSED:
                raise BotsGaveUp(f"what bots hand in is refused ({status}): {content[:500].decode(errors='replace')}")
            if status not in TAKE_AGAIN:
                self._refusals.clear()
                return
            await self._come_back_later("/submit_task")

    async def _ask(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        """The status and the body of the answer; AWAY where there is none."""
        try:
            content = io.BytesIO(msgspec.json.encode(body)) if body is not None else None
            async with self._session.request(
                method, self._url + path, data=content, headers=JSON, timeout=REPLY_TIMEOUT
            ) as answer:
                if answer.history:  # another server is to serve it, from now on
                    self._url = str(answer.url.origin())
                return answer.status, await answer.read()
        except (aiohttp.ClientError, TimeoutError):
            return AWAY, b""

    async def _come_back_later(self, what: str) -> None:
        """Something did not work. Raises BotsGaveUp once that has been so for a long time."""
        self._refusals[what] += 1
        if self._refusals[what] == MOST_REFUSALS:
            raise BotsGaveUp(f"{self._url} does not answer: {what} failed {MOST_REFUSALS} times in a row")
        await asyncio.sleep(COME_BACK_AFTER)

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
