"""A launcher that knows only Mephisto's packets: what Mephisto's own says and takes, and nothing of falsework."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

PATIENCE = 10.0
"""Seconds that anything expected may take to come."""
LARGEST_FRAME = 1 << 20
"""What Mephisto's channel reads at the most; a larger frame costs it the connection."""
EVERY_PACKET_HAS = {"packet_type", "subject_id", "data"}
SYSTEM, CHANNEL = "mephisto", "channel-1"


class MephistoLauncher:
    """One connection of it. Whoever asks for an agent gets `unit`, and the same agent when they ask again."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse[bool], unit: dict[str, Any], onboards: bool) -> None:
        self.unit, self._onboards = unit, onboards
        self._socket = socket
        self._heard: defaultdict[str, asyncio.Queue[dict[str, Any]]] = defaultdict(asyncio.Queue)
        self._agents: dict[str, str] = {}

    async def send(self, packet_type: str, subject_id: str, data: Any = None) -> None:
        """One packet, with every field that Mephisto's packets have, known or not."""
        unknown = dict.fromkeys(("client_timestamp", "router_incoming_timestamp", "router_outgoing_timestamp"))
        packet = {"packet_type": packet_type, "subject_id": subject_id, "data": data or {}, **unknown}
        await self._socket.send_str(json.dumps({**packet, "server_timestamp": time.time()}))

    async def hear(self, packet_type: str) -> dict[str, Any]:
        """The next packet of that type."""
        async with asyncio.timeout(PATIENCE):
            return await self._heard[packet_type].get()

    def has_heard(self, packet_type: str) -> bool:
        """Whether there is one that nobody asked for yet."""
        return not self._heard[packet_type].empty()

    async def statuses(self) -> dict[str, str]:
        """What the router says of its agents when it is asked."""
        await self.send("request_statuses", SYSTEM)
        told: dict[str, str] = (await self.hear("return_statuses"))["data"]
        return told

    async def listen(self) -> None:
        """Until the connection closes. Raises AssertionError for a frame that Mephisto's channel could not take."""
        async for frame in self._socket:
            assert frame.type is aiohttp.WSMsgType.TEXT, f"the connection of the launcher broke: {frame}"
            packet = json.loads(frame.data)
            assert isinstance(packet, dict), f"a frame that is no packet: {frame.data}"
            assert packet.keys() >= EVERY_PACKET_HAS, f"a packet that lacks something: {frame.data}"
            await self._take(packet)

    async def _take(self, packet: dict[str, Any]) -> None:
        match packet["packet_type"]:
            case "register_agent":
                await self._register(packet["data"])
            case "submit_onboarding":
                await self._give("agent-of-the-unit", "in task", packet["data"]["request_id"])
        self._heard[packet["packet_type"]].put_nowait(packet)

    async def _register(self, data: dict[str, Any]) -> None:
        registration = data["provider_data"]["agent_registration_id"]
        prefix = "onboarding" if self._onboards else "agent"
        agent = self._agents.setdefault(registration, f"{prefix}-{len(self._agents) + 1}")
        await self._give(agent, "onboarding" if self._onboards else "in task", data["request_id"])

    async def _give(self, agent_id: str, status: str, request_id: str) -> None:
        details = {"worker_id": "1", "agent_id": agent_id, "init_task_data": self.unit, "failure_reason": None}
        await self.send("agent_details", CHANNEL, {"request_id": request_id, **details})
        await self.send("update_status", agent_id, {"status": status})


@asynccontextmanager
async def attached(
    port: int, unit: dict[str, Any] | None = None, *, onboards: bool = False, again: bool = False
) -> AsyncIterator[MephistoLauncher]:
    """A launcher that listens until this is left. It says `alive` as Mephisto's does: twice, or once when it comes `again`."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"ws://127.0.0.1:{port}/", max_msg_size=LARGEST_FRAME) as socket,
    ):
        launcher = MephistoLauncher(socket, unit or {}, onboards)
        for _ in range(1 if again else 2):
            await launcher.send("alive", SYSTEM)
        async with asyncio.TaskGroup() as tasks:
            listening = tasks.create_task(launcher.listen())
            yield launcher
            listening.cancel()


async def refusal_of(port: int) -> int | None:
    """The close code with which a router answers such a launcher."""
    async with aiohttp.ClientSession() as session, session.ws_connect(f"ws://127.0.0.1:{port}/") as socket:
        await MephistoLauncher(socket, {}, False).send("alive", SYSTEM)
        answer = await socket.receive(PATIENCE)
        assert answer.type is aiohttp.WSMsgType.CLOSE, f"it is answered: {answer}"
        return socket.close_code
