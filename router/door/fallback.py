"""The slower way to have a WebSocket: aiohttp's own WebSocketResponse, for a version of it that does not let go of connections.

It leans on nothing that aiohttp does not document. A socket writes its frames to the transport itself, as it does in the
faster way (handover.py); only what comes in is read by aiohttp, which keeps a request and two tasks for each socket.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal, Protocol

from aiohttp import WebSocketError, WSMsgType, web

from . import frames
from .handover import read_handshake

KINDS = {
    WSMsgType.TEXT: frames.TEXT,
    WSMsgType.BINARY: frames.BINARY,
    WSMsgType.PING: frames.PING,
    WSMsgType.PONG: frames.PONG,
}
"""What aiohttp hands on as it came. It ends what it finds at fault by itself, with the code that frames.py would say."""


class Hearer(Protocol):
    """What is told of one connection: each message, and its end."""

    def hear(self, kind: int, content: bytes) -> None:
        """Take a message or a control frame."""

    def fail(self, code: int, reason: str) -> None:
        """Know that nothing could be made of what came."""

    def connection_lost(self, error: Exception | None) -> None:
        """Know that the connection has ended."""


async def lend(
    request: web.Request, make: Callable[[asyncio.Transport], Hearer], limit: int, patience: float
) -> web.StreamResponse:
    """Answer a request's handshake, and tell what `make(transport)` returns whatever comes, until the connection ends.

    `limit` is in bytes for one message; `patience`, in seconds, is what the other end gets to answer a close. Returns what
    the request's handler must return. Raises Refused for what is no handshake; then nothing has happened.
    """
    _, transport = read_handshake(request)
    response: web.WebSocketResponse[Literal[False]] = web.WebSocketResponse(
        timeout=patience, autoclose=False, autoping=False, compress=False, max_msg_size=limit, decode_text=False
    )
    await response.prepare(request)
    hearer = make(transport)
    try:
        await _read_all(response, hearer)
    finally:
        hearer.connection_lost(None)
    return response


async def _read_all(response: web.WebSocketResponse[Literal[False]], hearer: Hearer) -> None:
    while (message := await response.receive()).type in KINDS:
        hearer.hear(KINDS[message.type], message.data)
    if message.type is WSMsgType.CLOSE:
        hearer.hear(frames.CLOSE, _closing_content(message.data, message.extra))
    elif isinstance(message.data, WebSocketError):
        hearer.fail(message.data.code, str(message.data))


def _closing_content(code: int, reason: str | None) -> bytes:
    return code.to_bytes(2) + (reason or "").encode() if code else b""
