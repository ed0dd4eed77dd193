"""Connections that send bytes as they are: frames and requests that no well-behaved client would make."""

from __future__ import annotations

import asyncio
import json
import os
import struct
from contextlib import suppress
from typing import Any

PATIENCE = 20.0
HUNG = 0.25
"""Seconds for an answer; the router itself answers within milliseconds, or waits for more."""
HANDSHAKE = b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
HANDSHAKE += b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def frame(first: int, content: bytes, is_masked: bool = True, length: int | None = None) -> bytes:
    """A frame as a client writes it; `length` is what it says of its length, if that is not the truth."""
    said = len(content) if length is None else length
    mask = os.urandom(4) if is_masked else b""
    bit = 0x80 if is_masked else 0
    if said < 126:
        head = struct.pack("!BB", first, bit | said)
    elif said < 1 << 16:
        head = struct.pack("!BBH", first, bit | 126, said)
    else:
        head = struct.pack("!BBQ", first, bit | 127, said)
    if is_masked:
        key = (mask * (len(content) // 4 + 1))[: len(content)]
        content = (int.from_bytes(content, "big") ^ int.from_bytes(key, "big")).to_bytes(len(content), "big")
    return head + mask + content


async def ask(port: int, request: bytes) -> int | None:
    """Send the bytes of a request; the status of the answer. None if it is not whole, and the router waits for the rest."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = (await _heard(reader, writer, HUNG)).removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    return int(answer.split(b" ")[1]) if answer.startswith(b"HTTP/") else None


async def throw(port: int, *thrown: bytes) -> None:
    """Open a WebSocket, throw these bytes, say goodbye, and wait until the router has closed it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HANDSHAKE)
    answer = await reader.readuntil(b"\r\n\r\n")
    if not answer.startswith(b"HTTP/1.1 101 "):
        raise AssertionError(f"the handshake was answered with {answer!r}")
    with suppress(ConnectionError):  # it has heard enough
        writer.write(b"".join(thrown) + frame(0x88, b"\x03\xe8"))
        await writer.drain()
        writer.write_eof()
    await _heard(reader, writer, PATIENCE)


async def _heard(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, patience: float) -> bytes:
    """All that it says until it closes the connection, or until somebody has waited for long enough."""
    heard = b""
    with suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(patience):
            while chunk := await reader.read(1 << 16):
                heard += chunk
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
    return heard
