"""The WebSockets: messages in, packets out, pings, slow readers.

What is said over them is the switchboard's business, how a frame looks that of frames.py. Packets for one peer that are
queued in one turn of the loop leave as one frame, where the other end takes arrays. Writing never waits: the transport
buffers, and a peer that lets its buffer grow for too long, or too far, is dropped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress

import aiohttp
from aiohttp import web

from ..board.agents import Peer
from ..board.switchboard import Instant
from ..wire.agreed import AGREED
from ..wire.protocol import Limits, Packet, encode_frame
from . import frames, handover
from .fallback import lend
from .frames import (
    FrameError,
    FrameReader,
    close_frame,
    frame_header,
)

ARRAY_OVERHEAD = 2
STALLED_ABOVE = 1 << 16
"""Bytes in a peer's buffer from which it counts as behind."""
CLOSE_PATIENCE = 5.0
"""Seconds that the other end gets to answer a close."""
Listener = Callable[[Peer, Packet, Instant], None]
log = logging.getLogger("falsework.router")


class Socket(asyncio.Protocol):
    """One peer: a page or the launcher."""

    __slots__ = (
        "_close_sent",
        "_closing",
        "_frames",
        "_outgoing",
        "_sockets",
        "_transport",
        "batches",
        "close_code",
        "heard",
        "listener",
        "pinged",
        "session",
    )

    def __init__(self, transport: asyncio.Transport, session: str | None, sockets: Sockets) -> None:
        self.session, self.batches = session, False
        self.listener: Listener | None = None
        """Where its packets go, once the first one has said who is there."""
        self.close_code = frames.ABNORMAL
        self.heard, self.pinged = True, False
        """Since the last look at who is silent: whether anything came, and whether it was asked for a sign of life."""
        self._transport, self._sockets = transport, sockets
        self._frames = FrameReader(sockets.limits.frame)
        self._outgoing: list[bytes] = []
        self._closing: tuple[int, str] | None = None
        self._close_sent = False

    def send(self, packet: bytes) -> None:
        """Queue a packet; it leaves at the end of this turn."""
        if not self._outgoing:
            self._sockets.wake(self)
        self._outgoing.append(packet)

    def close(self, code: int, reason: str) -> None:
        """Send what is queued, then close. Whatever the other end still says is not heard."""
        if self._closing is None:
            self._closing = (code, reason)
            self._sockets.wake(self)

    def abort(self) -> None:
        """Drop the connection without a word."""
        self._transport.abort()

    def ping(self) -> None:
        """Ask for a sign of life."""
        self.pinged = True
        self._write(frame_header(frames.PING, 0))

    def unread(self) -> int:
        """Bytes that the peer has not taken yet."""
        return self._transport.get_write_buffer_size()

    def flush(self) -> None:
        """Write what is queued."""
        if packets := self._outgoing:
            self._outgoing = []
            whole = _frames(packets, self._sockets.limits.frame) if self.batches else packets
            self._write(b"".join([part for frame in whole for part in (frame_header(frames.TEXT, len(frame)), frame)]))
        if self._closing is not None and not self._close_sent:
            self._close_sent = True
            self._write(close_frame(*self._closing))
            self._sockets.leaves(self)

    # What the transport says

    def data_received(self, data: bytes) -> None:
        self.heard = True
        if self.close_code != frames.ABNORMAL:
            return  # it said its last word, or nothing can be made of what it says
        try:
            for kind, content in self._frames.feed(data):
                self._take(kind, content)
        except FrameError as error:
            self.fail(error.code, error.reason)

    def pause_writing(self) -> None:
        self._sockets.falls_behind(self)

    def resume_writing(self) -> None:
        self._sockets.keeps_up(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._sockets.is_gone(self)

    # What is said of a connection that somebody else reads

    def hear(self, kind: int, content: bytes) -> None:
        """Take a message or a control frame that came."""
        self.heard = True
        try:
            self._take(kind, content)
        except FrameError as error:
            self.fail(error.code, error.reason)

    def fail(self, code: int, reason: str) -> None:
        """Close, as nothing can be made of what the other end says."""
        self.close_code = code
        self.close(code, reason)

    def _take(self, kind: int, content: bytes) -> None:
        if kind >= frames.CLOSE:
            self._control(kind, content)
        elif self._closing is None:
            self._sockets.on_message(self, kind, content)

    def _control(self, kind: int, content: bytes) -> None:
        if kind == frames.PING:
            self._write(frame_header(frames.PONG, len(content)) + content)
        elif kind == frames.CLOSE:
            self.close_code = frames.read_close(content)
            self.close(self.close_code, "")
            self.flush()
            self._transport.close()

    def _write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)


class Sockets:
    """All open sockets."""

    def __init__(
        self,
        limits: Limits,
        on_message: Callable[[Socket, int, bytes], None],
        on_gone: Callable[[Socket], None],
    ) -> None:
        """`on_message(socket, kind, content)` is called for each message, TEXT or BINARY, in the turn in which it came."""
        self.limits, self.on_message, self._on_gone = limits, on_message, on_gone
        self.dropped_slow = 0
        self._loop = asyncio.get_running_loop()
        self._open: set[Socket] = set()
        self._ready: list[Socket] = []
        self._behind: dict[Socket, float] = {}
        self._leaving: dict[Socket, float] = {}
        self._pinged_at = self._loop.time()
        self._all_gone = asyncio.Event()
        self._hands_over = True

    def __len__(self) -> int:
        return len(self._open)

    async def choose_way(self) -> None:
        """Try whether aiohttp lets go of a connection; if not, take the slower way for all that open, and say so once."""
        if (fault := await handover.what_is_wrong()) is not None:
            self._hands_over = False
            told = "WebSockets take the slower way: aiohttp %s does not let go of a connection (%s)"
            log.warning(told, aiohttp.__version__, fault)

    async def open(self, request: web.Request, session: str | None) -> web.StreamResponse:
        """Answer a request's handshake and take its connection over; returns what its handler must. Raises Refused."""

        def make(transport: asyncio.Transport) -> Socket:
            transport.set_write_buffer_limits(STALLED_ABOVE, STALLED_ABOVE)
            socket = Socket(transport, session, self)
            self._open.add(socket)
            return socket

        if self._hands_over:
            return handover.hand_over(request, make)
        return await lend(request, make, self.limits.frame, CLOSE_PATIENCE)

    def wake(self, socket: Socket) -> None:
        """Something is queued for this socket."""
        if not self._ready:
            self._loop.call_soon(self._flush)
        self._ready.append(socket)

    def falls_behind(self, socket: Socket) -> None:
        """It does not take what it is sent."""
        self._behind[socket] = self._loop.time()

    def keeps_up(self, socket: Socket) -> None:
        """It has taken enough of it."""
        self._behind.pop(socket, None)

    def leaves(self, socket: Socket) -> None:
        """It was sent a close."""
        if socket in self._open:
            self._leaving[socket] = self._loop.time()

    def is_gone(self, socket: Socket) -> None:
        """Its connection has ended."""
        self._open.discard(socket)
        self._behind.pop(socket, None)
        self._leaving.pop(socket, None)
        if not self._open:
            self._all_gone.set()
        self._on_gone(socket)

    def tend(self, now: float) -> None:
        """Drop who is too far, or for too long, behind, or does not answer. Call it a few times a second."""
        if not self._hands_over:
            self._see_who_is_behind()
        for socket, since in list(self._behind.items()):
            if socket.unread() > self.limits.peer_bytes or now - since > self.limits.peer_stall:
                self.dropped_slow += 1
                socket.abort()
        for socket, since in list(self._leaving.items()):
            if now - since > CLOSE_PATIENCE:
                socket.abort()
        if now - self._pinged_at >= self.limits.ping / 2:
            self._pinged_at = now
            self._ping_the_silent()

    async def close_all(self, timeout: float) -> None:
        """Tell everybody that the server goes, wait for their answers up to `timeout` seconds, and drop the rest."""
        for socket in self._open:
            socket.close(AGREED.closings.going_away.code, AGREED.closings.going_away.reason)
        if self._open:
            self._all_gone.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._all_gone.wait(), timeout)
        for socket in list(self._open):
            socket.abort()

    def _flush(self) -> None:
        ready, self._ready = self._ready, []
        for socket in ready:
            socket.flush()

    def _see_who_is_behind(self) -> None:
        """In the slower way, it is aiohttp that a transport tells whose buffer is full."""
        for socket in self._open:
            if socket.unread() <= STALLED_ABOVE:
                self.keeps_up(socket)
            elif socket not in self._behind:
                self.falls_behind(socket)

    def _ping_the_silent(self) -> None:
        """One look at all of them each half period, as a timer for each costs memory, and time for each frame."""
        for socket in list(self._open):
            if socket.heard:
                socket.heard = socket.pinged = False
            elif socket.pinged:
                socket.abort()
            else:
                socket.ping()


def _frames(packets: list[bytes], limit: int) -> Iterator[bytes]:
    """Pack packets into as few frames as the limit allows, in order."""
    if sum(map(len, packets)) + len(packets) + ARRAY_OVERHEAD <= limit:
        yield encode_frame(packets)
        return
    batch: list[bytes] = []
    size = ARRAY_OVERHEAD
    for packet in packets:
        if batch and size + len(packet) + 1 > limit:
            yield encode_frame(batch)
            batch, size = [], ARRAY_OVERHEAD
        batch.append(packet)
        size += len(packet) + 1
    if batch:
        yield encode_frame(batch)
