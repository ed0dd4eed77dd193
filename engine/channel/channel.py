"""The launcher's connection to one router: reconnects, resumes, drops repeats, never blocks who sends.

Its listener hears, as in Mephisto, of every (re)connection, of each packet, and once of a connection that is lost and does not
come back.
"""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from itertools import count

import aiohttp
import msgspec
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_delay, wait_random_exponential

from ...router.wire import protocol as wire
from ...router.wire.errors import Malformed
from ...router.wire.protocol import Envelope, Packet, encode
from ..errors import ChannelError, ConnectFailed
from .listener import Listener
from .outgoing import Outgoing

KEEP_ALIVE = 4.0
"""Seconds between signs of life; Mephisto's pages give up on a launcher that is silent for 20."""
PING = 20.0
HANDSHAKE_TIMEOUT = 10.0
"""Seconds for one attempt to connect and be welcomed."""
CLOSE_TIMEOUT = 2.0
"""Seconds that a router gets to answer the closing of the connection."""
RECONNECT_PAUSE = 0.1
"""Seconds before connecting again, so that a router that drops us at once is not asked without end."""
CONNECTIONS_PER_LAUNCHER = 1 << 32
"""Each launcher of a run has this many epochs, one a connection, so that its newest connection wins."""
REFUSALS = (wire.BAD_TOKEN, wire.DISPLACED, wire.MALFORMED)

log = logging.getLogger("falsework.channel")
_connections = count(1)
"""One count for all channels of this process: a channel that takes another's place must be the newer one to the router."""


class PacketTooLarge(ChannelError):
    """A packet that the router would not take; nothing was sent."""

    def __init__(self, packet_type: str, size: int, limit: int) -> None:
        self.packet_type, self.size, self.limit = packet_type, size, limit
        super().__init__(
            f"a packet {packet_type} of {size} bytes is over the router's limit of {limit}; "
            f"put what is large beside the page, in the task's static directory"
        )


class Channel(ABC):
    """What the launcher asks of a connection to a router."""

    channel_id: str
    acked: dict[str, int]
    """What is safe here, by router epoch; set it before `open`."""
    router_epoch: str | None
    """The epoch of the router at the other end, once open."""

    @property
    def is_connected(self) -> bool:
        """Whether the other end is there now; a channel that is open may be about to connect again."""
        return True

    @abstractmethod
    async def open(self, timeout: float, reconnect_timeout: float) -> None:
        """Connect within `timeout` seconds, then stay connected; raises ConnectFailed. Legal once."""

    @abstractmethod
    def send(self, envelope: Envelope) -> None:
        """Queue a packet; it leaves at the end of this turn of the loop, or after the next reconnection.

        Raises PacketTooLarge for one that the router would not take.
        """

    @abstractmethod
    def acknowledge(self, router_epoch: str, number: int) -> None:
        """Say that everything of this router epoch up to `number` is safe here."""

    @abstractmethod
    async def say_bye(self, timeout: float) -> bool:
        """Leave for good: wait until the router has handed over everything; False if it did not in time. May be repeated."""

    async def catch_up(self, timeout: float) -> bool:
        """Wait until all has come that the router held when it was connected to last; False if it did not in time."""
        return True

    @abstractmethod
    async def close(self) -> None:
        """Close the connection; its listener hears nothing after. May be repeated."""


class WebSocketChannel(Channel):
    """A channel to a falsework router."""

    def __init__(
        self,
        channel_id: str,
        url: str,
        *,
        token: str,
        epoch: int,
        listener: Listener,
    ) -> None:
        self.channel_id, self.url = channel_id, url
        self.acked = {}
        self.router_epoch = None
        self._token, self._launcher_epoch = token, epoch
        self._listener = listener
        self._received: dict[str, int] = {}
        self._outgoing = Outgoing()
        self._has_farewell = False
        self._over = asyncio.Event()
        """Set when the router has said farewell, or the connection is lost for good."""
        self._awaited = 0
        self._caught_up = asyncio.Event()
        """Set when as many durable packets have come as the router held when it said welcome."""
        self._socket: aiohttp.ClientWebSocketResponse[bool] | None = None
        self._session: aiohttp.ClientSession | None = None
        self._frame_limit = wire.Limits().frame
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def is_connected(self) -> bool:
        return self._socket is not None and not self._socket.closed

    @property
    def dropped(self) -> int:
        """Packets given up because the connection was away for too long."""
        return self._outgoing.dropped

    async def open(self, timeout: float, reconnect_timeout: float) -> None:
        self._session = aiohttp.ClientSession()
        try:
            await self._connect(timeout)
        except BaseException:
            await self.close()
            raise
        for work in (self._stay_connected(reconnect_timeout), self._keep_alive()):
            task = asyncio.create_task(work)
            task.add_done_callback(self._ended)
            self._tasks.append(task)

    def send(self, envelope: Envelope) -> None:
        packet = encode(envelope)
        if len(packet) > self._frame_limit:
            raise PacketTooLarge(envelope.packet_type, len(packet), self._frame_limit)
        self._outgoing.put(packet)

    def acknowledge(self, router_epoch: str, number: int) -> None:
        if number > self.acked.get(router_epoch, 0):
            self.acked[router_epoch] = number
            data = {"router_epoch": router_epoch, "number": number}
            self.send(Envelope(wire.ACK, wire.LAUNCHER_SUBJECT, data))

    async def say_bye(self, timeout: float) -> bool:
        self.send(Envelope(wire.BYE, wire.LAUNCHER_SUBJECT, {}))
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._over.wait()
        return self._has_farewell

    async def catch_up(self, timeout: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._caught_up.wait()
        return self._caught_up.is_set()

    async def close(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._over.set()
        if self._socket is not None:
            await self._socket.close()
        if self._session is not None:
            await self._session.close()
            await asyncio.sleep(0)  # aiohttp closes its transports in the next turn

    # Connecting

    async def _connect(self, timeout: float) -> None:
        """Connect and shake hands, again and again until `timeout`. Raises ConnectFailed; a refusal is final at once."""
        errors: list[BaseException | None] = []

        def note(state: RetryCallState) -> None:
            errors.append(state.outcome.exception() if state.outcome else None)

        attempts = AsyncRetrying(
            retry=retry_if_exception_type((aiohttp.ClientError, OSError)),
            wait=wait_random_exponential(multiplier=0.1, max=5),
            stop=stop_after_delay(timeout),
            before_sleep=note,
            reraise=True,
        )
        try:
            async with asyncio.timeout(timeout):
                handshake: tuple[aiohttp.ClientWebSocketResponse[bool], list[Packet]] = await attempts(
                    self._shake_hands
                )
        except (aiohttp.ClientError, OSError) as error:
            cause = errors[-1] if errors and isinstance(error, TimeoutError) else error
            told = str(cause) or repr(cause)
            raise ConnectFailed(f"no connection to {self.url} within {timeout:g} s: {told}") from error
        self._socket, early = handshake
        self._listener.opened(self.channel_id)
        # Whose page fell silent while nobody listened; from now on the router says so by itself.
        self.send(Envelope(wire.REQUEST_STATUSES, wire.LAUNCHER_SUBJECT, {}, server_timestamp=time.time()))
        for packet in early:
            self._take(packet)

    async def _shake_hands(self) -> tuple[aiohttp.ClientWebSocketResponse[bool], list[Packet]]:
        """One attempt: the connection, and what the router said right behind its welcome."""
        session = self._session
        if session is None or session.closed:
            raise ConnectFailed(f"channel {self.channel_id} is closed")
        async with asyncio.timeout(HANDSHAKE_TIMEOUT):
            socket = await session.ws_connect(
                self.url,
                heartbeat=PING,
                max_msg_size=0,
                decode_text=False,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT),
            )
            try:
                await socket.send_frame(self._hello(), aiohttp.WSMsgType.TEXT)
                return socket, await self._read_welcome(socket)
            except BaseException:
                await socket.close()
                raise

    def _hello(self) -> bytes:
        epoch = self._launcher_epoch * CONNECTIONS_PER_LAUNCHER + next(_connections)
        hello = {"token": self._token, "protocol": wire.PROTOCOL, "epoch": epoch, "acked": self.acked}
        return encode(Envelope(wire.ALIVE, wire.LAUNCHER_SUBJECT, hello, server_timestamp=time.time()))

    async def _read_welcome(self, socket: aiohttp.ClientWebSocketResponse[bool]) -> list[Packet]:
        answer = await socket.receive()
        if answer.type is not aiohttp.WSMsgType.TEXT:
            code, reason = socket.close_code, str(answer.extra or "")
            if code in REFUSALS:
                raise ConnectFailed(f"the router at {self.url} refused this launcher ({code}): {reason}")
            raise aiohttp.ClientConnectionError(f"closed with code {code} before it said welcome")
        try:
            first, *early = await _packets_of(answer.data)
            welcome = wire.decode(bytes(first.data), _WELCOME, "a welcome with router_epoch and limits")
        except (Malformed, ValueError) as error:
            raise ConnectFailed(f"what answers at {self.url} is no falsework router: {error}") from error
        self.router_epoch = welcome.router_epoch
        self._await(welcome.held)
        self._frame_limit = welcome.limits.get("frame", self._frame_limit)
        return early

    # The tasks of an open channel

    async def _stay_connected(self, reconnect_timeout: float) -> None:
        while self._socket is not None:
            lost = await self._serve(self._socket)
            if self._has_farewell:
                return
            log.warning("connection to %s lost: %s", self.url, lost)
            try:
                if self._socket.close_code == wire.DISPLACED:
                    raise ConnectFailed("another launcher took over this run")
                await asyncio.sleep(RECONNECT_PAUSE)
                await self._connect(reconnect_timeout)
            except ConnectFailed as error:
                self._give_up(str(error))
                return

    async def _serve(self, socket: aiohttp.ClientWebSocketResponse[bool]) -> str:
        """Hand up what comes and send what is queued until the connection ends; returns how it ended."""
        writing = asyncio.create_task(self._write(socket))
        try:
            return await self._listen(socket)
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse[bool]) -> str:
        """What is no packet ends the connection."""
        try:
            async for message in socket:
                if message.type is aiohttp.WSMsgType.BINARY:
                    raise Malformed("expected text, found a binary frame")
                if message.type is aiohttp.WSMsgType.TEXT:
                    for packet in await _packets_of(message.data):
                        self._take(packet)
        except Malformed as malformed:
            await socket.close(code=wire.MALFORMED, message=b"that was no packet")
            return f"it sent something that is no packet ({malformed})"
        return f"close code {socket.close_code}"

    async def _write(self, socket: aiohttp.ClientWebSocketResponse[bool]) -> None:
        while True:
            while self._outgoing and not socket.closed:
                packets = self._outgoing.take(self._frame_limit)
                try:
                    await socket.send_frame(wire.encode_frame(packets), aiohttp.WSMsgType.TEXT)
                except BaseException:
                    self._outgoing.put_back(packets)  # said again on the next connection
                    raise
            await self._outgoing.news()

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(KEEP_ALIVE)
            self.send(Envelope(wire.HEARTBEAT, wire.LAUNCHER_SUBJECT, {}, server_timestamp=time.time()))

    def _take(self, packet: Packet) -> None:
        """Hand a packet up, unless it is a repeat."""
        if packet.packet_type == wire.BYE:
            self._has_farewell = True
            self._over.set()
            return
        if packet.number is not None and self.router_epoch is not None:
            self._await(self._awaited - 1)
            seen = max(self._received.get(self.router_epoch, 0), self.acked.get(self.router_epoch, 0))
            if packet.number <= seen:
                return
            self._received[self.router_epoch] = packet.number
        self._listener.received(self.channel_id, packet)

    def _await(self, packets: int) -> None:
        self._awaited = packets
        if packets > 0:
            self._caught_up.clear()
        else:
            self._caught_up.set()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A task that fails, by a callback that raises for example, must not leave a channel that only looks open."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._give_up(f"it failed: {error!r}")

    def _give_up(self, reason: str) -> None:
        if not self._over.is_set():
            log.warning("channel %s is lost: %s", self.channel_id, reason)
            self._over.set()
            self._listener.lost(self.channel_id)


class _Welcome(msgspec.Struct):
    run_id: str
    router_epoch: str
    held: int = 0
    limits: dict[str, int] = {}


_WELCOME = msgspec.json.Decoder(_Welcome)


async def _packets_of(frame: bytes) -> list[Packet]:
    """The packets of a frame. Raises Malformed.

    How deep is too deep depends on the stack of who asks. A worker's answer that the router took must not be too deep here,
    so what is nested deeply is read again in a thread, whose stack is empty.
    """
    try:
        return wire.decode_frame(frame)
    except Malformed as malformed:
        if not isinstance(malformed.__cause__, RecursionError):
            raise
        return await asyncio.to_thread(wire.decode_frame, frame)
