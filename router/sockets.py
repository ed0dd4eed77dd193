"""The WebSockets: frames in and out, and slow readers. What is said over them is the switchboard's business.

Packets for one peer that are queued in one turn of the loop leave as one frame, where the other end takes arrays. Writing
never waits: the transport buffers, and a peer that lets its buffer grow for too long, or too far, is dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import cast

from aiohttp import ClientConnectionResetError, WSCloseCode, WSMsgType, web

from .protocol import Limits, encode_frame

FRAME_OVERHEAD = 2
STALLED_ABOVE = 1 << 16
"""Bytes in a peer's buffer from which it counts as behind."""


class Socket:
    """One peer: a page or the launcher."""

    __slots__ = ("_closing", "_outgoing", "_sockets", "_transport", "batches", "response", "session", "stalled_since")

    def __init__(
        self, response: web.WebSocketResponse[bool], transport: asyncio.Transport, session: str | None, sockets: Sockets
    ) -> None:
        self.response, self.session, self.batches = response, session, False
        self.stalled_since: float | None = None
        self._transport, self._sockets = transport, sockets
        self._outgoing: list[bytes] = []
        self._closing: tuple[int, str] | None = None

    def send(self, packet: bytes) -> None:
        """Queue a packet; it leaves at the end of this turn."""
        if not self._outgoing:
            self._sockets.wake(self)
        self._outgoing.append(packet)

    def close(self, code: int, reason: str) -> None:
        """Send what is queued, then close."""
        self._closing = (code, reason)
        self._sockets.wake(self)

    def abort(self) -> None:
        """Drop the connection without a word."""
        self._transport.abort()

    def unread(self) -> int:
        """Bytes that the peer has not taken yet."""
        return self._transport.get_write_buffer_size()

    async def flush(self, frame_limit: int) -> None:
        """Write what is queued. Does not wait: `writer_limit` is out of reach, so no drain ever happens."""
        packets, self._outgoing = self._outgoing, []
        try:
            for frame in _frames(packets, frame_limit) if self.batches else packets:
                await self.response.send_frame(frame, WSMsgType.TEXT)
        except (ClientConnectionResetError, RuntimeError):
            return  # it is gone; its reader notices
        if self._closing is not None:
            self._sockets.finish(self, *self._closing)


class Sockets:
    """All open sockets, and the one task that writes to them."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.dropped_slow = 0
        self._open: set[Socket] = set()
        self._ready: list[Socket] = []
        self._woken = asyncio.Event()
        self._closing: set[asyncio.Task[bool]] = set()

    def __len__(self) -> int:
        return len(self._open)

    async def open(self, request: web.Request, session: str | None) -> Socket:
        """Take the WebSocket handshake of a request."""
        response: web.WebSocketResponse[bool] = web.WebSocketResponse(
            heartbeat=self.limits.ping,
            compress=False,
            max_msg_size=self.limits.frame,
            writer_limit=1 << 62,
            decode_text=False,
        )
        await response.prepare(request)
        transport = cast(asyncio.Transport, request.transport)  # the handshake was just answered over it
        socket = Socket(response, transport, session, self)
        self._open.add(socket)
        return socket

    def closed(self, socket: Socket) -> None:
        """The socket's reader has ended."""
        self._open.discard(socket)

    def wake(self, socket: Socket) -> None:
        """Something is queued for this socket."""
        self._ready.append(socket)
        if len(self._ready) == 1:
            self._woken.set()

    async def write(self) -> None:
        """Write to whoever has something queued, once a turn, for ever."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            ready, self._ready = self._ready, []
            for socket in ready:
                await socket.flush(self.limits.frame)

    def drop_slow(self, now: float) -> None:
        """Drop who is too far, or for too long, behind. Call it a few times a second."""
        for socket in list(self._open):
            unread = socket.unread()
            if unread < STALLED_ABOVE:
                socket.stalled_since = None
                continue
            if socket.stalled_since is None:
                socket.stalled_since = now
            if unread > self.limits.peer_bytes or now - socket.stalled_since > self.limits.peer_stall:
                self.dropped_slow += 1
                socket.abort()

    def finish(self, socket: Socket, code: int, reason: str) -> None:
        """Close in a task of its own, as the other end may take its time to answer."""
        closing = asyncio.ensure_future(socket.response.close(code=code, message=reason.encode()[:123]))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def close_all(self, timeout: float) -> None:
        """Tell everybody that the server goes, wait for their answers up to `timeout` seconds, and drop the rest."""
        for socket in list(self._open):
            socket.close(WSCloseCode.GOING_AWAY, "the server is shutting down")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if self._closing:
            await asyncio.wait(self._closing, timeout=timeout)
        for socket in list(self._open):
            socket.abort()


def _frames(packets: list[bytes], limit: int) -> Iterator[bytes]:
    """Pack packets into as few frames as the limit allows, in order."""
    batch: list[bytes] = []
    size = FRAME_OVERHEAD
    for packet in packets:
        if batch and size + len(packet) + 1 > limit:
            yield encode_frame(batch)
            batch, size = [], FRAME_OVERHEAD
        batch.append(packet)
        size += len(packet) + 1
    if batch:
        yield encode_frame(batch)
