"""How a connection passes from aiohttp to a WebSocket: the handshake is answered, and aiohttp lets go of it.

aiohttp's own WebSocketResponse would keep the whole HTTP request and two tasks for as long as the socket is open, and wake
one of them for each message; docs/performance.md says what that costs. Letting go is nothing that aiohttp documents: whether
this version of it does is tried once when a router starts, and if not, fallback.py has the slower way.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import closing
from typing import Any, cast

from aiohttp import web

from ..wire.agreed import AGREED
from ..wire.errors import Refused
from .frames import handshake_answer, is_handshake_key

TRIAL_LIMIT = 5.0
"""Seconds for the trial, which takes a few milliseconds."""
_SILENT = logging.Logger("trial", logging.CRITICAL)
"""What aiohttp makes of a trial that fails is told in the trial's own words."""
_TRIAL_HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: trial\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def hand_over(request: web.BaseRequest, make: Callable[[asyncio.Transport], asyncio.Protocol]) -> web.StreamResponse:
    """Answer a request's handshake, and let what `make(transport)` returns speak over its connection from now on.

    Returns what the request's handler must return. Raises Refused for what is no handshake; then nothing has happened.
    """
    key, transport = read_handshake(request)
    http = request.protocol
    early = _Early()
    http.set_parser(cast(Any, early))
    http.transport = None  # else aiohttp would close what is not its own any more
    http.connection_lost(None)
    protocol = make(transport)
    transport.set_protocol(protocol)
    transport.write(handshake_answer(key))
    if early.data:
        protocol.data_received(early.data)
    return _Nothing()


def read_handshake(request: web.BaseRequest) -> tuple[str, asyncio.Transport]:
    """The client's key, and the connection that it came over. Raises Refused for what is no handshake."""
    headers, transport = request.headers, request.transport
    key = headers.get("Sec-WebSocket-Key", "")
    is_upgrade = "upgrade" in headers.get("Connection", "").lower() and headers.get("Sec-WebSocket-Version") == "13"
    if not is_upgrade or not is_handshake_key(key) or transport is None:
        raise Refused(AGREED.refusals.no_handshake)
    return key, transport


async def what_is_wrong() -> str | None:
    """Hand a connection over between two ends in this process. Returns why that does not work here; None where it does."""
    try:
        async with asyncio.timeout(TRIAL_LIMIT):
            return await _hand_one_over()
    except (OSError, EOFError, TimeoutError) as error:
        return repr(error)


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


class _Echo(asyncio.Protocol):
    """Says what it hears, for the trial."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)


async def _hand_one_over() -> str | None:
    failures: list[Exception] = []

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        try:
            return hand_over(request, _Echo)
        except (AttributeError, TypeError, ValueError, RuntimeError) as error:  # aiohttp would say no more than 500
            failures.append(error)
            return web.Response(status=500)

    server = web.Server(serve, logger=_SILENT)
    ours, theirs = socket.socketpair()
    with closing(ours), closing(theirs):
        await asyncio.get_running_loop().connect_accepted_socket(server, ours)
        fault = await _converse(theirs)
        if fault is None and server.connections:
            fault = "it still counts the connection as its own"
        await server.shutdown(0)
    return repr(failures[0]) if failures else fault


async def _converse(theirs: socket.socket) -> str | None:
    reader, writer = await asyncio.open_connection(sock=theirs)
    try:
        writer.write(_TRIAL_HANDSHAKE + b"early")
        answer = await reader.readuntil(b"\r\n\r\n")
        if b" 101 " not in answer:
            return f"the handshake was answered with {answer[:20]!r}"
        early = await reader.readexactly(5)
        writer.write(b"late")
        heard = early + await reader.readexactly(4)
        return None if heard == b"earlylate" else f"what came over the connection was {heard!r}"
    finally:
        writer.close()
        await writer.wait_closed()
