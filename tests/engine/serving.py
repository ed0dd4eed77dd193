"""The workers who open a router's pages: real HTTP, real WebSockets, no hands."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import aiohttp

PATIENCE = 10.0
"""Seconds that anything expected may take to come."""


class Worker:
    """One browser with one page. `close` at the end."""

    def __init__(self, url: str, name: str) -> None:
        self.url, self.name, self.agent_id = url, name, ""
        self.session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        self._socket: aiohttp.ClientWebSocketResponse[bool] | None = None
        self._packets: list[dict[str, Any]] = []

    async def join(self, **registration: Any) -> dict[str, Any]:
        """Ask for an agent, as a page does when it is loaded; returns what it was told."""
        who = {"worker_name": self.name, "assignment_id": self.name, "agent_registration_id": f"{self.name}-1"}
        told = await self.post("/request_agent", {"provider_data": {**who, **registration}})
        return self._became(told)

    async def submit_onboarding(self, answer: Any) -> dict[str, Any]:
        told = await self.post(
            "/submit_onboarding", {"provider_data": {"USED_AGENT_ID": self.agent_id, "onboarding_data": answer}}
        )
        return self._became(told)

    async def submit(self, answer: Any, submission_id: str | None = None) -> tuple[int, Any]:
        """Hand in; the status of the answer, and the answer."""
        body = {"USED_AGENT_ID": self.agent_id, "final_data": answer}
        if submission_id is not None:
            body["submission_id"] = submission_id
        text = json.dumps({**body, "client_timestamp": time.time()}).encode()
        return await self.ask("/submit_task", data=io.BytesIO(text), headers={"Content-Type": "application/json"})

    async def submit_files(self, answer: Any, **files: bytes) -> tuple[int, Any]:
        """Hand in with files: field=content, the file is called like its field."""
        form = aiohttp.FormData()
        form.add_field("USED_AGENT_ID", self.agent_id)
        form.add_field("final_string_data", json.dumps(answer))
        for field, content in files.items():
            form.add_field(field, io.BytesIO(content), filename=f"{field}.bin", content_type="application/octet-stream")
        return await self.ask("/submit_task", data=form)

    async def submit_metadata(self, metadata: Any) -> tuple[int, Any]:
        return await self.ask("/submit_metadata", json={"USED_AGENT_ID": self.agent_id, "metadata": metadata})

    async def log_error(self, error: Any) -> tuple[int, Any]:
        return await self.ask("/log_error", json={"USED_AGENT_ID": self.agent_id, "error_data": error})

    async def post(self, path: str, body: Any) -> Any:
        status, told = await self.ask(path, json=body)
        assert status == 200, (status, told)
        return told

    async def open_socket(self) -> None:
        """As a page does that has an agent."""
        await self.close_socket()
        self._socket = await self.session.ws_connect(self.url, max_msg_size=0)
        await self.say("alive", {"protocol": 1})

    async def say(self, packet_type: str, data: Any) -> None:
        assert self._socket is not None
        packet = {"packet_type": packet_type, "subject_id": self.agent_id, "client_timestamp": time.time()}
        await self._socket.send_json({**packet, "data": data})

    async def send_update(self, update: dict[str, Any]) -> None:
        await self.say("mephisto_bound_live_update", {**update, "update_id": uuid4().hex})

    async def hear(self, which: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The next packet like that; others are passed over."""
        async with asyncio.timeout(PATIENCE):
            while True:
                while self._packets:
                    packet = self._packets.pop(0)
                    if which(packet):
                        return packet
                assert self._socket is not None
                message = await self._socket.receive()
                assert message.type is aiohttp.WSMsgType.TEXT, f"the socket of {self.name} closed"
                said = json.loads(message.data)
                self._packets.extend(said if isinstance(said, list) else [said])

    async def hear_status(self, status: str) -> None:
        """Until the page is told that its agent has this status."""
        await self.hear(lambda packet: packet["packet_type"] == "update_status" and packet["data"]["status"] == status)

    async def hear_update(self) -> dict[str, Any]:
        """The next live update."""
        packet = await self.hear(lambda packet: packet["packet_type"] == "client_bound_live_update")
        update: dict[str, Any] = packet["data"]
        return update

    async def close_socket(self) -> None:
        """The page is gone, without a word of why."""
        if self._socket is not None:
            await self._socket.close()
            self._socket = None
        self._packets.clear()

    async def close(self) -> None:
        await self.close_socket()
        await self.session.close()

    async def ask(self, path: str, **body: Any) -> tuple[int, Any]:
        """Status and JSON of the answer to a POST."""
        async with self.session.post(self.url + path, **body) as answer:
            return answer.status, await answer.json(content_type=None)

    def _became(self, told: Any) -> dict[str, Any]:
        details: dict[str, Any] = told["data"]
        self.agent_id = details["agent_id"] or ""
        return details


async def soon(condition: Callable[[], bool]) -> None:
    """Wait until it holds, where nothing says so by itself."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - there is no event
            await asyncio.sleep(0.01)
