"""How a connection passes from aiohttp to a WebSocket: the handshake is answered, and aiohttp lets go of it.

aiohttp's own WebSocketResponse would keep the whole HTTP request and two tasks for as long as the socket is open, and wake
one of them for each message; docs/performance.md says what that costs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from aiohttp import web

from ..wire.protocol import Refused
from .frames import handshake_answer, is_handshake_key


def hand_over(request: web.Request, make: Callable[[asyncio.Transport], asyncio.Protocol]) -> web.StreamResponse:
    """Answer a request's handshake, and let what `make(transport)` returns speak over its connection from now on.

    Returns what the request's handler must return. Raises Refused for what is no handshake; then nothing has happened.
    """
    answer = _answer_to(request)
    http = request.protocol
    transport = cast(asyncio.Transport, request.transport)
    early = _Early()
    http.set_parser(cast(Any, early))
    http.transport = None  # else aiohttp would close what is not its own any more
    http.connection_lost(None)
    protocol = make(transport)
    transport.set_protocol(protocol)
    transport.write(answer)
    if early.data:
        protocol.data_received(early.data)
    return _Nothing()


class _Nothing(web.StreamResponse):
    """The answer to a request that was handed over: nothing is left to be sent."""

    async def prepare(self, request: web.BaseRequest) -> None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


class _Early:
    """In the place of a parser: keeps what a hasty client sent right behind its handshake."""

    data = b""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.data += data
        return False, b""

    def feed_eof(self) -> None:
        """The connection is not aiohttp's any more."""


def _answer_to(request: web.Request) -> bytes:
    headers = request.headers
    key = headers.get("Sec-WebSocket-Key", "")
    is_upgrade = "upgrade" in headers.get("Connection", "").lower() and headers.get("Sec-WebSocket-Version") == "13"
    if not is_upgrade or not is_handshake_key(key) or request.transport is None:
        raise Refused(400, "no_handshake", "expected the handshake of a WebSocket, version 13")
    return handshake_answer(key)
