"""The launcher's connection to one router: reconnects, resumes, drops repeats, never blocks who sends.

Three callbacks, as in Mephisto: `on_channel_open(channel_id)` on every (re)connection, `on_message(channel_id, packet)` for
each packet, `on_catastrophic_disconnect(channel_id)` once, when the connection is lost and does not come back.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from ..router import protocol as wire
from ..router.journal import sync_directory
from ..router.protocol import Envelope, Packet, encode
from .errors import ChannelError, ConnectFailed

KEEP_ALIVE = 4.0
"""Seconds between requests for statuses; pages give up on a launcher that is silent for 20."""
PING = 20.0
MOST_QUEUED = 20_000
"""Packets kept while the connection is away; the oldest go first."""
CONNECTIONS_PER_LAUNCHER = 1 << 20
"""Each launcher of a run has this many epochs, one a connection, so that its newest connection wins."""
CHUNK = 1 << 18

log = logging.getLogger("falsework.channel")


class FileMissing(ChannelError):
    """The router has no file of that name; asking again does not help."""


class Channel(ABC):
    """What the launcher asks of a connection to a router."""

    channel_id: str
    acked: dict[str, int]
    """What is safe here, by router epoch; set it before `open`."""
    router_epoch: str | None
    """The epoch of the router at the other end, once open."""

    @abstractmethod
    async def open(self, timeout: float, reconnect_timeout: float) -> None:
        """Connect within `timeout` seconds, then stay connected; raises ConnectFailed. Legal once."""

    @abstractmethod
    def send(self, envelope: Envelope) -> None:
        """Queue a packet; it leaves at the end of this turn of the loop, or after the next reconnection."""

    @abstractmethod
    def acknowledge(self, router_epoch: str, number: int) -> None:
        """Say that everything of this router epoch up to `number` is safe here."""

    @abstractmethod
    async def say_bye(self, timeout: float) -> bool:
        """Leave for good: wait until the router has handed over everything; False if it did not in time."""

    @abstractmethod
    async def close(self) -> None:
        """Close the connection; no callback comes after. May be repeated."""


class WebSocketChannel(Channel):
    """A channel to a falsework router."""

    def __init__(
        self,
        channel_id: str,
        url: str,
        *,
        token: str,
        epoch: int,
        on_channel_open: Callable[[str], None],
        on_catastrophic_disconnect: Callable[[str], None],
        on_message: Callable[[str, Packet], None],
    ) -> None:
        self.channel_id, self.url = channel_id, url
        self.acked = {}
        self.router_epoch = None
        self.dropped = 0
        """Packets given up because the connection was away for too long."""
        self._token = token
        self._epoch = epoch * CONNECTIONS_PER_LAUNCHER
        self._on_open, self._on_lost, self._on_message = on_channel_open, on_catastrophic_disconnect, on_message
        self._received: dict[str, int] = {}
        self._outgoing: deque[bytes] = deque(maxlen=MOST_QUEUED)
        self._to_send = asyncio.Event()
        self._farewell = asyncio.Event()
        self._socket: aiohttp.ClientWebSocketResponse[bool] | None = None
        self._session: aiohttp.ClientSession | None = None
        self._frame_limit = wire.Limits().frame
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, timeout: float, reconnect_timeout: float) -> None:
        self._session = aiohttp.ClientSession()
        try:
            await self._connect(timeout)
        except BaseException:
            await self.close()
            raise
        self._tasks = [
            asyncio.create_task(self._stay_connected(reconnect_timeout)),
            asyncio.create_task(self._write()),
            asyncio.create_task(self._keep_alive()),
        ]

    def send(self, envelope: Envelope) -> None:
        if len(self._outgoing) == MOST_QUEUED:
            self.dropped += 1
        self._outgoing.append(encode(envelope))
        self._to_send.set()

    def acknowledge(self, router_epoch: str, number: int) -> None:
        if number > self.acked.get(router_epoch, 0):
            self.acked[router_epoch] = number
            data = {"router_epoch": router_epoch, "number": number}
            self.send(Envelope(wire.ACK, wire.LAUNCHER_SUBJECT, data))

    async def say_bye(self, timeout: float) -> bool:
        self.send(Envelope(wire.BYE, wire.LAUNCHER_SUBJECT, {}))
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._farewell.wait()
        return self._farewell.is_set()

    async def close(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()
        if self._session is not None:
            await self._session.close()
            await asyncio.sleep(0)  # aiohttp closes its transports in the next turn

    # Connecting

    async def _connect(self, timeout: float) -> None:
        """Connect and shake hands, again and again until `timeout`. Raises ConnectFailed; a refusal is final at once."""
        attempts = AsyncRetrying(
            retry=retry_if_exception_type((aiohttp.ClientError, OSError, TimeoutError)),
            wait=wait_random_exponential(multiplier=0.1, max=5),
            stop=stop_after_delay(timeout),
            reraise=True,
        )
        try:
            async with asyncio.timeout(timeout):
                self._socket = await attempts(self._shake_hands)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise ConnectFailed(f"no connection to {self.url} within {timeout:g} s: {error!r}") from error
        self._to_send.set()
        self._on_open(self.channel_id)

    async def _shake_hands(self) -> aiohttp.ClientWebSocketResponse[bool]:
        session = self._session
        if session is None:
            raise ChannelError(f"channel {self.channel_id} is not open")
        self._epoch += 1
        socket = await session.ws_connect(self.url, heartbeat=PING, max_msg_size=0, decode_text=False)
        hello = {"token": self._token, "protocol": wire.PROTOCOL, "epoch": self._epoch, "acked": self.acked}
        await socket.send_frame(
            encode(Envelope(wire.ALIVE, wire.LAUNCHER_SUBJECT, hello, server_timestamp=time.time())),
            aiohttp.WSMsgType.TEXT,
        )
        answer = await socket.receive(timeout=10)
        if answer.type is not aiohttp.WSMsgType.TEXT:
            await socket.close()
            self._explain_refusal(socket.close_code, str(answer.extra or ""))
        first, *rest = wire.decode_frame(answer.data)
        welcome = msgspec.json.decode(first.data, type=_Welcome)
        self.router_epoch = welcome.router_epoch
        self._frame_limit = welcome.limits.get("frame", self._frame_limit)
        for packet in rest:
            self._take(packet)
        return socket

    def _explain_refusal(self, code: int | None, reason: str) -> None:
        if code in (wire.BAD_TOKEN, wire.DISPLACED, wire.MALFORMED):
            raise ConnectFailed(f"the router at {self.url} refused this launcher ({code}): {reason}")
        raise aiohttp.ClientConnectionError(f"closed with code {code} before it said welcome")

    # The three tasks of an open channel

    async def _stay_connected(self, reconnect_timeout: float) -> None:
        while True:
            socket = self._socket
            if socket is None:
                return
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    for packet in wire.decode_frame(message.data):
                        self._take(packet)
            log.warning("connection to %s lost, close code %s", self.url, socket.close_code)
            try:
                if socket.close_code == wire.DISPLACED:
                    raise ConnectFailed("another launcher took over this run")
                await self._connect(reconnect_timeout)
            except ChannelError as error:
                log.warning("channel %s is lost: %s", self.channel_id, error)
                self._on_lost(self.channel_id)
                return

    async def _write(self) -> None:
        while True:
            await self._to_send.wait()
            self._to_send.clear()
            socket = self._socket
            while self._outgoing and socket is not None and not socket.closed:
                frame = self._next_frame()
                try:
                    await socket.send_frame(frame, aiohttp.WSMsgType.TEXT)
                except aiohttp.ClientConnectionResetError:
                    break  # live packets only: what must not be lost is asked for again by the router or the launcher

    def _next_frame(self) -> bytes:
        packets = [self._outgoing.popleft()]
        size = len(packets[0]) + 2
        while self._outgoing and size + len(self._outgoing[0]) + 1 < self._frame_limit:
            packets.append(self._outgoing.popleft())
            size += len(packets[-1]) + 1
        return wire.encode_frame(packets)

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(KEEP_ALIVE)
            request = Envelope(wire.REQUEST_STATUSES, wire.LAUNCHER_SUBJECT, {}, server_timestamp=time.time())
            self.send(request)

    def _take(self, packet: Packet) -> None:
        """Hand a packet up, unless it is a repeat."""
        if packet.packet_type == wire.BYE:
            self._farewell.set()
            return
        if packet.number is not None and self.router_epoch is not None:
            seen = max(self._received.get(self.router_epoch, 0), self.acked.get(self.router_epoch, 0))
            if packet.number <= seen:
                return
            self._received[self.router_epoch] = packet.number
        self._on_message(self.channel_id, packet)


class _Welcome(msgspec.Struct):
    run_id: str
    router_epoch: str
    limits: dict[str, int] = {}


async def download(url: str, filename: str, save_dir: Path, token: str) -> Path:
    """Fetch an uploaded file from a router. It appears in `save_dir` whole and fsynced, or not at all. Raises ChannelError."""
    target = save_dir / filename
    partial = save_dir / f".{filename}.part"
    headers = {"Authorization": f"Bearer {token}"}
    try:
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.get(f"{url}/download_file/{filename}") as answer,
        ):
            if answer.status == 404:
                raise FileMissing(f"{url} has no file {filename}")
            if answer.status != 200:
                raise ChannelError(f"{url} answered {answer.status} for the file {filename}: {await answer.text()}")
            with partial.open("wb") as stream:
                async for chunk in answer.content.iter_chunked(CHUNK):
                    await asyncio.to_thread(stream.write, chunk)
                await asyncio.to_thread(_settle, stream.fileno(), partial, target, stream.flush)
    except aiohttp.ClientError as error:
        raise ChannelError(f"the file {filename} did not arrive whole from {url}: {error!r}") from error
    finally:
        partial.unlink(missing_ok=True)
    return target


def _settle(descriptor: int, partial: Path, target: Path, flush: Callable[[], Any]) -> None:
    flush()
    os.fsync(descriptor)
    partial.rename(target)
    sync_directory(target.parent)
