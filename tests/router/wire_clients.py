"""What vectors speak to a router with: browsers with cookies of their own, sockets, multipart bodies. No router's code in it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from io import BytesIO
from typing import Any

import aiohttp
from yarl import URL

BOUNDARY = b"----a-boundary-of-the-vectors"
PATIENCE = 10.0
"""Seconds that anything expected may take to come."""


class Browser:
    """One cookie jar, and what is asked by HTTP with it."""

    def __init__(self) -> None:
        connector = aiohttp.TCPConnector(force_close=True, socket_factory=_narrow_socket)
        self.session = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.CookieJar(unsafe=True), auto_decompress=False
        )

    async def ask(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (names in lower case) and body of the answer. The path goes out as it is written."""
        address, data = URL(url, encoded=True), None if body is None else BytesIO(body)
        async with self.session.request(method, address, headers=headers, data=data, allow_redirects=False) as answer:
            content = await answer.read()
            return answer.status, {name.lower(): value for name, value in answer.headers.items()}, content

    async def connect(self, url: str) -> SocketClient:
        """A WebSocket that comes with this browser's cookies."""
        return SocketClient(await self.session.ws_connect(url, max_msg_size=0))

    async def close(self) -> None:
        """Close whatever is open."""
        await self.session.close()


class SocketClient:
    """One WebSocket. It reads only while somebody waits for a packet, so it is a slow reader by nature."""

    def __init__(self, connection: aiohttp.ClientWebSocketResponse[bool]) -> None:
        self.connection = connection
        self.subject: str | None = None
        """The first subject that it named: its agent, or `mephisto`."""
        self.frame_size = 0
        """Bytes of the last frame that came."""
        self._rest: deque[Any] = deque()

    async def send_frame(self, frame: str | bytes) -> None:
        """One text or binary frame."""
        if isinstance(frame, str):
            await self.connection.send_str(frame)
        else:
            await self.connection.send_bytes(frame)

    async def packet(self) -> Any:
        """The next packet, whichever frame it comes in."""
        if not self._rest:
            frame = await self.frame()
            self._rest.extend(frame if isinstance(frame, list) else [frame])
        return self._rest.popleft()

    async def frame(self) -> Any:
        """The next frame as it came: a packet, or a list of them."""
        if self._rest:
            raise AssertionError(f"a frame is expected in the middle of another one, of which is left: {self._rest}")
        message = await self.connection.receive(timeout=PATIENCE)
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise AssertionError(f"expected a packet, but the socket closed with {self.connection.close_code}")
        self.frame_size = len(message.data.encode())
        return json.loads(message.data)

    async def close_code(self) -> int | None:
        """The code with which the other end closed; 1006 if it dropped the connection. What came before is passed over."""
        with suppress(aiohttp.ClientConnectionResetError):  # it wanted to answer a ping that came before
            async with asyncio.timeout(PATIENCE):
                while (await self.connection.receive()).type is aiohttp.WSMsgType.TEXT:
                    pass
        return self.connection.close_code or aiohttp.WSCloseCode.ABNORMAL_CLOSURE

    async def close(self) -> None:
        """Say that it goes, and go."""
        await self.connection.close()

    def drop(self) -> None:
        """Go without a word."""
        transport = self.connection.get_extra_info("socket")
        if transport is not None:
            transport.shutdown(socket.SHUT_RDWR)


def multipart(fields: list[dict[str, Any]]) -> bytes:
    """The body of a form: each field has a name, and a value, or a filename and a content."""
    lines = []
    for field in fields:
        disposition = f'form-data; name="{field["name"]}"'.encode()
        if "filename" in field:
            disposition += b'; filename="' + _bytes(field["filename"]) + b'"'
        lines += [b"--" + BOUNDARY, b"Content-Disposition: " + disposition]
        lines += [f"{name}: {value}".encode() for name, value in field.get("headers", {}).items()]
        lines += [b"", _bytes(field.get("content", field.get("value", "")))]
    return b"\r\n".join([*lines, b"--" + BOUNDARY + b"--", b""])


async def ask_and_hang_up(
    port: int, method: str, path: str, headers: Mapping[str, str], body: bytes, sent: int
) -> None:
    """Promise the whole body, send only the first bytes of it, and drop the connection."""
    promised = {"Host": f"127.0.0.1:{port}", **headers, "Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in promised.items())
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body[:sent])
    await writer.drain()
    writer.close()
    await writer.wait_closed()


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


def _narrow_socket(address: Any) -> socket.socket:
    """Takes little ahead of its reader, so that a slow reader is noticed by the other end, and not by the kernel alone."""
    narrow = socket.socket(address[0], address[1], address[2])
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    return narrow
