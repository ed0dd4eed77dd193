"""One WebSocket of a mock server: a launcher's or a page's. What is said over it is not known here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from falsework.router.wire.errors import Refused
from falsework.router.wire.protocol import Packet, encode_frame
from tornado.iostream import IOStream
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from .board import MockBoard
from .pages import count_refusal

MESSAGE_TOO_BIG = 1009
LONGEST_REASON = 120
"""Bytes of a reason for closing: no close frame holds many more."""


class Listening(Protocol):
    """Who hears what sockets say."""

    def hear_frame(self, socket: Socket, frame: str | bytes) -> None:
        """A frame came."""

    def lose(self, socket: Socket) -> None:
        """A connection is gone."""


class Socket(WebSocketHandler):
    """One peer of the board. Packets that are queued in one turn of the loop share a frame, where the other end takes that."""

    def initialize(self, board: MockBoard, server: Listening, sockets: set[Socket], left: asyncio.Event) -> None:
        """`left` is set whenever one of `sockets`, which are open, is gone."""
        self.session: str | None = None
        self.batches = False
        self.listener: Callable[[Socket, Packet], None] | None = None
        """Where its packets go, once the first one has said who is there."""
        self.is_closing = False
        self._board, self._server, self._sockets, self._left = board, server, sockets, left
        self._queue: list[bytes] = []
        self._stream: IOStream | None = None

    async def get(self, *arguments: str, **named: str) -> None:
        """A handshake; or a visitor, who hears whether workers are let in, for there is no page here."""
        if self.request.headers.get("Upgrade", "").lower() == "websocket":
            await super().get(*arguments, **named)
        else:
            self._receive()

    def open(self, *arguments: str, **named: str) -> None:
        self.set_nodelay(True)
        self.session = self.get_cookie(self._board.cookie)
        self._stream = getattr(self.ws_connection, "stream", None)  # `close` forgets the connection, which may go on
        self._sockets.add(self)

    def on_message(self, message: str | bytes) -> None:
        if self.is_closing:
            return
        if len(message.encode() if isinstance(message, str) else message) > self._board.limits.frame:
            self._board.switchboard.counters["refused_frame_too_large"] += 1
            self.close(MESSAGE_TOO_BIG, "message too big")
        else:
            self._server.hear_frame(self, message)

    def on_close(self) -> None:
        self._sockets.discard(self)
        self._left.set()
        self._server.lose(self)

    def send(self, packet: bytes) -> None:
        """Queue a packet; it leaves at the end of this turn."""
        if not self._queue:
            asyncio.get_running_loop().call_soon(self._flush)
        self._queue.append(packet)

    def say(self, frame: str | bytes) -> None:
        """Send this very text, behind what is queued."""
        self._flush()
        self._write(frame)

    def close(self, code: int | None = None, reason: str | None = None) -> None:
        """Send what is queued, then close. Whatever the other end still says is not heard."""
        self._flush()
        self.is_closing = True
        super().close(code, (reason or "").encode()[:LONGEST_REASON].decode(errors="ignore"))

    def cut(self) -> None:
        """End the connection without a word, as a network does that fails."""
        self.is_closing = True
        if self._stream is not None:
            self._stream.close()

    def _flush(self) -> None:
        packets, self._queue = self._queue, []
        if self.batches and sum(map(len, packets)) + len(packets) < self._board.limits.frame:
            packets = [encode_frame(packets)] if packets else []
        for frame in packets:
            self._write(frame)

    def _write(self, frame: str | bytes) -> None:
        """What a connection cannot take any more is said again, or lost, as on any other router's."""
        try:
            self.write_message(frame).add_done_callback(_seen)
        except WebSocketClosedError:
            return

    def _receive(self) -> None:
        self.set_header("Content-Type", "text/html; charset=utf-8")
        try:
            if self.get_cookie(self._board.cookie) is None:
                self._board.switchboard.check_admission(self._board.at())
        except Refused as refused:
            count_refusal(self, self._board, refused)
            self.finish(refused.message)
        else:
            self.finish(f"The mock server of run {self._board.run_id} lets workers in, and has no page.")


def _seen(written: asyncio.Future[None]) -> None:
    if not written.cancelled():
        written.exception()
