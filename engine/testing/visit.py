"""Both ends of a server for a test of it: a worker's page that speaks HTTP, and the launcher at the channels."""

from __future__ import annotations

import asyncio
import json
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec

from ...router.wire import protocol as wire
from ...router.wire.protocol import Envelope, Packet
from ..channel.channel import Channel
from ..channel.listener import Ears
from ..contract.architect import Architect, Site


class Reception:
    """The launcher's side of every channel: welcomes workers, and keeps what they hand in. Use it as a context.

    Nothing is acknowledged unless a test does, so the server holds what it has. `patience` is in seconds, for connecting.
    """

    def __init__(self, architect: Architect, site: Site, patience: float) -> None:
        self.opened: list[str] = []
        self.lost: list[str] = []
        self.submissions: asyncio.Queue[Packet] = asyncio.Queue()
        self._patience = patience
        self.channels: list[Channel] = architect.get_channels(
            site, Ears(self.opened.append, self.lost.append, self._take)
        )

    def acknowledge(self, submission: Packet) -> None:
        """Say to every server that the launcher has it."""
        for channel in self.channels:
            if channel.router_epoch is not None and submission.number is not None:
                channel.acknowledge(channel.router_epoch, submission.number)

    async def __aenter__(self) -> Self:
        try:
            for channel in self.channels:
                await channel.open(self._patience, self._patience)
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        for channel in self.channels:
            await channel.close()

    def _take(self, channel_id: str, packet: Packet) -> None:
        if packet.packet_type == wire.REGISTER_AGENT:
            request_id = msgspec.json.decode(packet.data)["request_id"]
            details = {"request_id": request_id, "agent_id": f"agent-{request_id}"}
            (channel,) = (channel for channel in self.channels if channel.channel_id == channel_id)
            channel.send(Envelope(wire.AGENT_DETAILS, channel_id, details))
        elif packet.packet_type == wire.SUBMIT_UNIT:
            self.submissions.put_nowait(packet)


async def hand_in(url: str, answer: Any, content: bytes) -> None:
    """Visit the page, and hand in an answer with a file of this content. Raises ClientResponseError if it is not taken."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), raise_for_status=True) as session:
        body = {"provider_data": {"worker_name": "ann"}}
        async with session.post(f"{url}/request_agent", json=body) as welcome:
            agent_id = (await welcome.json())["data"]["agent_id"]
        form = aiohttp.FormData({"USED_AGENT_ID": agent_id, "final_string_data": json.dumps(answer)})
        form.add_field("upload", content, filename="note.bin")
        async with session.post(f"{url}/submit_task", data=form) as said:
            await said.read()


async def fetch(url: str) -> bytes:
    """What a browser gets. Raises ClientResponseError for what is not there."""
    async with aiohttp.ClientSession(raise_for_status=True) as session, session.get(url) as answer:
        return await answer.read()
