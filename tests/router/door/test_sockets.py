"""Sockets over real connections: the taking over, closing, pings and slow readers. Time is handed in."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from falsework.router.door import frames, handover
from falsework.router.door.frames import (
    BINARY,
    CLOSE,
    FINAL,
    MESSAGE_TOO_BIG,
    PING,
    PROTOCOL_ERROR,
    TEXT,
)
from falsework.router.door.sockets import CLOSE_PATIENCE, Socket, Sockets
from falsework.router.wire.agreed import AGREED
from falsework.router.wire.errors import Refused
from falsework.router.wire.protocol import Limits

LIMITS = Limits(frame=1000, ping=20.0, peer_bytes=1 << 20, peer_stall=30.0)
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
MASK = bytes(4)
"""Leaves a payload as it is."""


def said(first: int, payload: bytes = b"") -> bytes:
    """A short frame of a client."""
    return bytes([first, 0x80 | len(payload)]) + MASK + payload


class Client:
    """The other end, as bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def frame(self) -> tuple[int, bytes]:
        """The next frame: its kind and its payload."""
        first, length = await self.reader.readexactly(2)
        if length == 126:
            length = int.from_bytes(await self.reader.readexactly(2))
        return first & 0x0F, await self.reader.readexactly(length)

    async def is_dropped(self) -> bool:
        try:
            return not await self.reader.read()
        except ConnectionResetError:
            return True


def not_handed_over(request: object, make: object) -> object:
    """As if a name of aiohttp's that nobody promised were gone."""
    raise AttributeError("'RequestHandler' object has no attribute 'set_parser'")


class House:
    """A server whose only page is a socket, and who is there."""

    def __init__(self) -> None:
        self.sockets = Sockets(LIMITS, self._hear, self._miss)
        self.heard: asyncio.Queue[tuple[Socket, int, bytes]] = asyncio.Queue()
        self.gone: asyncio.Queue[Socket] = asyncio.Queue()
        self.now = float(math.ceil(asyncio.get_running_loop().time()))  # whole, so that sums of it are exact
        self._clients: list[Client] = []

    async def open(self) -> None:
        await self.sockets.choose_way()
        app = web.Application()
        app.router.add_get("/", self._serve)
        self.runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()

    async def close(self) -> None:
        await self.sockets.close_all(0)
        for client in self._clients:
            client.writer.close()
        await self.runner.cleanup()

    async def dial(self, request: bytes = HANDSHAKE) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.runner.addresses[0][1]))
        self._clients.append(client)
        client.writer.write(request)
        return client

    async def visit(self) -> tuple[Client, Socket]:
        """A client whose handshake was taken, and its socket."""
        client = await self.dial()
        assert b" 101 " in await client.reader.readuntil(b"\r\n\r\n")
        client.writer.write(said(FINAL | TEXT, b"hello"))
        socket, _, _ = await self.heard.get()
        return client, socket

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self.sockets.tend(self.now)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self.sockets.open(request, "a session")
        except Refused as refused:
            return web.Response(status=refused.status, text=refused.message)

    def _hear(self, socket: Socket, kind: int, content: bytes) -> None:
        self.heard.put_nowait((socket, kind, content))

    def _miss(self, socket: Socket) -> None:
        self.gone.put_nowait(socket)


HANDED_OVER, SLOWER = "handed over", "the slower way"


@pytest.fixture(params=[HANDED_OVER, SLOWER])
async def house(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    """With an aiohttp that lets go of connections, and with one that does not."""
    if request.param == SLOWER:
        monkeypatch.setattr(handover, "hand_over", not_handed_over)
    house = House()
    await house.open()
    yield house
    await house.close()


async def test_this_version_of_aiohttp_lets_go_of_connections() -> None:
    fault = await handover.what_is_wrong()
    assert fault is None, (
        f"aiohttp {aiohttp.__version__} does not hand WebSockets over any more: {fault}. Routers take the slower way with it "
        "(router/door/fallback.py), which costs what docs/performance.md says: mend router/door/handover.py for this version"
    )


async def test_an_aiohttp_that_does_not_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "hand_over", not_handed_over)
    assert "no attribute 'set_parser'" in (await handover.what_is_wrong() or "")


async def test_an_aiohttp_that_answers_and_keeps_the_connection_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "hand_over", lambda request, make: web.Response(text="late"))
    assert "the handshake was answered with b'HTTP/1.1 200" in (await handover.what_is_wrong() or "")


async def test_the_slower_way_is_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(handover, "hand_over", not_handed_over)
    house = House()
    with caplog.at_level(logging.INFO, "falsework.router"):
        await house.open()
    await house.close()
    (line,) = caplog.messages
    assert line.startswith(f"WebSockets take the slower way: aiohttp {aiohttp.__version__} does not let go")


@pytest.mark.parametrize("house", [HANDED_OVER], indirect=True)
async def test_aiohttp_lets_go_of_a_connection_that_was_taken_over(house: House) -> None:
    _, socket = await house.visit()
    assert house.runner.server is not None
    assert not house.runner.server.connections
    assert len(house.sockets) == 1
    assert socket.session == "a session"


async def test_what_comes_right_behind_the_handshake_is_heard(house: House) -> None:
    await house.dial(HANDSHAKE + said(FINAL | TEXT, b"early") + said(FINAL | BINARY, b"also")[:3])
    assert (await house.heard.get())[1:] == (TEXT, b"early")


@pytest.mark.parametrize(
    "spoilt, by",
    [(b"keep-alive, Upgrade", b"close"), (b": 13", b": 8"), (b"dGhlIHNhbXBsZSBub25jZQ==", b"a-key")],
    ids=["no upgrade", "an old version", "no key"],
)
async def test_what_is_no_handshake_gets_an_answer_in_http(house: House, spoilt: bytes, by: bytes) -> None:
    client = await house.dial(HANDSHAKE.replace(spoilt, by))
    assert (await client.reader.readline()).startswith(b"HTTP/1.1 400 ")
    assert len(house.sockets) == 0


async def test_packets_of_one_turn_leave_in_one_frame_where_the_other_end_takes_arrays(house: House) -> None:
    client, socket = await house.visit()
    for packet in (b"1", b"2"):
        socket.send(packet)
    assert [await client.frame(), await client.frame()] == [(TEXT, b"1"), (TEXT, b"2")]
    socket.batches = True
    for packet in (b"1", b"2"):
        socket.send(packet)
    assert await client.frame() == (TEXT, b"[1,2]")


async def test_no_frame_is_larger_than_the_limit(house: House) -> None:
    client, socket = await house.visit()
    socket.batches = True
    for _ in range(5):
        socket.send(b"1" * 400)
    sizes = [len((await client.frame())[1]) for _ in range(3)]
    assert sizes == [803, 803, 400]


async def test_a_ping_is_answered_and_a_close_too(house: House) -> None:
    client, socket = await house.visit()
    client.writer.write(said(FINAL | PING, b"there?") + said(FINAL | CLOSE, b"\x0f\xa1done"))
    assert await client.frame() == (frames.PONG, b"there?")
    assert await client.frame() == (CLOSE, b"\x0f\xa1")
    assert await client.is_dropped()
    assert await house.gone.get() is socket
    assert socket.close_code == 4001


async def test_what_is_queued_leaves_before_the_close_and_nothing_is_heard_after_it(house: House) -> None:
    client, socket = await house.visit()
    socket.send(b"last words")
    socket.close(4409, "somebody else is here")
    client.writer.write(said(FINAL | TEXT, b"wait"))
    assert await client.frame() == (TEXT, b"last words")
    assert await client.frame() == (CLOSE, b"\x11\x39somebody else is here")
    client.writer.write(said(FINAL | TEXT, b"wait!") + said(FINAL | CLOSE, b"\x11\x39"))
    await house.gone.get()
    assert house.heard.empty()


async def test_who_does_not_answer_a_close_is_dropped(house: House) -> None:
    client, socket = await house.visit()
    socket.close(4409, "")
    await client.frame()
    house.wait(CLOSE_PATIENCE - 1)
    assert house.gone.empty()
    house.wait(2)
    assert await house.gone.get() is socket


NO_MASK, TOO_BIG = bytes([FINAL | TEXT, 1, 65]), bytes([FINAL | TEXT, 0xFE, 9, 9, *MASK])
RESERVED_BIT = said(FINAL | 0x40 | TEXT, b"x")


@pytest.mark.parametrize(
    "house, fault, code",
    [
        (HANDED_OVER, NO_MASK, PROTOCOL_ERROR),  # which aiohttp itself lets pass
        (HANDED_OVER, RESERVED_BIT, PROTOCOL_ERROR),
        (HANDED_OVER, TOO_BIG, MESSAGE_TOO_BIG),
        (SLOWER, RESERVED_BIT, PROTOCOL_ERROR),
        (SLOWER, TOO_BIG, MESSAGE_TOO_BIG),
    ],
    indirect=["house"],
)
async def test_who_breaks_the_protocol_is_told_and_not_heard_any_more(house: House, fault: bytes, code: int) -> None:
    client, socket = await house.visit()
    client.writer.write(fault + said(FINAL | TEXT, b"more"))
    kind, content = await client.frame()
    assert (kind, int.from_bytes(content[:2])) == (CLOSE, code)
    client.writer.write(said(FINAL | TEXT, b"and more"))
    client.writer.close()
    assert await house.gone.get() is socket
    assert socket.close_code == code
    assert house.heard.empty()


async def test_who_is_silent_is_pinged_and_who_stays_silent_is_dropped(house: House) -> None:
    client, socket = await house.visit()
    house.wait(LIMITS.ping / 2)
    house.wait(LIMITS.ping / 2)
    assert await client.frame() == (PING, b"")
    house.wait(LIMITS.ping / 2)
    assert await house.gone.get() is socket


async def test_who_answers_a_ping_is_not_dropped(house: House) -> None:
    client, _ = await house.visit()
    for _ in range(3):
        house.wait(LIMITS.ping / 2)
        house.wait(LIMITS.ping / 2)
        assert await client.frame() == (PING, b"")
        client.writer.write(said(FINAL | frames.PONG) + said(FINAL | PING))
        assert await client.frame() == (frames.PONG, b"")
    assert house.gone.empty()


async def test_a_slow_reader_is_dropped_after_a_while(house: House) -> None:
    client, socket = await house.visit()
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await _fill(socket, lambda: socket.unread() > 1 << 17)
    house.wait(LIMITS.peer_stall - 1)
    assert house.gone.empty()
    house.wait(2)
    assert await house.gone.get() is socket
    assert house.sockets.dropped_slow == 1


async def test_a_reader_that_leaves_too_much_unread_is_dropped_at_once(house: House) -> None:
    client, socket = await house.visit()
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await _fill(socket, lambda: socket.unread() > LIMITS.peer_bytes)
    house.wait(0)
    assert await house.gone.get() is socket


async def test_closing_all_waits_for_answers_and_drops_the_rest(house: House) -> None:
    polite, _ = await house.visit()
    await house.visit()
    closing = asyncio.create_task(house.sockets.close_all(0.05))
    assert await polite.frame() == (CLOSE, (1001).to_bytes(2) + b"the server is shutting down")
    polite.writer.write(said(FINAL | CLOSE, b"\x03\xe9"))
    await closing
    gone = [await house.gone.get(), await house.gone.get()]
    assert sorted(socket.close_code for socket in gone) == [AGREED.closings.going_away.code, frames.ABNORMAL]


async def _fill(socket: Socket, is_full: object) -> None:
    assert callable(is_full)
    while not is_full():
        socket.send(b"x" * (1 << 16))
        await asyncio.sleep(0)
