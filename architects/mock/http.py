"""The loopback side of a mock server: Tornado's listener, its requests and its WebSockets. What is said is not known here."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any, Protocol

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream
from tornado.web import Application, HTTPError, RequestHandler
from tornado.websocket import WebSocketClosedError, WebSocketHandler

HOST = "127.0.0.1"
CLOSE_LIMIT = 1.0
"""Seconds for the other end to answer the closing of a connection, before it is cut."""
GOING_AWAY = 1001

log = logging.getLogger("falsework.mock")


class Answering(Protocol):
    """Who decides what is said."""

    run_id: str
    uploads: dict[str, bytes]

    def knows(self, token: str) -> bool:
        """Whether a request comes from the run's launcher."""

    def hear_frame(self, socket: LauncherSocket, frame: str | bytes) -> None:
        """A frame came."""

    def lose(self, socket: LauncherSocket) -> None:
        """A connection is gone."""


class Loopback:
    """Listens on the loopback for one server. Belongs to the loop in which it was started."""

    def __init__(self, server: Answering, frame_limit: int) -> None:
        mine = {"server": server, "loopback": self}
        routes: list[Any] = [
            (r"/", LauncherSocket, mine),
            (r"/is_alive", _IsAlive, mine),
            (r"/download_file/(.*)", _DownloadFile, mine),
        ]
        self._http = HTTPServer(
            Application(routes, log_function=_log_request, websocket_max_message_size=2 * frame_limit)
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listener: socket.socket | None = None
        self._open: set[LauncherSocket] = set()
        self._empty = asyncio.Event()

    def start(self, port: int) -> int:
        """Listen, on any free port if it is 0; returns the port. Raises OSError. Legal once, in a running loop."""
        self._loop = asyncio.get_running_loop()
        self._listener = socket.create_server((HOST, port))  # tornado's own way leaks it where the port is taken
        self._listener.setblocking(False)
        self._http.add_socket(self._listener)
        return int(self._listener.getsockname()[1])

    async def stop(self) -> None:
        """Take no more connections, close those that are there, cut those that do not let go. May be repeated."""
        self._http.stop()
        try:
            async with asyncio.timeout(CLOSE_LIMIT):
                for one in list(self._open):
                    one.close(GOING_AWAY, "the server is going down")
                while self._open:
                    self._empty.clear()
                    await self._empty.wait()
        except TimeoutError:
            log.info("cutting %d connections that did not let go", len(self._open))
        finally:
            self.cut()
        await self._http.close_all_connections()

    def cut(self) -> None:
        """The same at once, without a word, wherever this is called from."""
        if self._loop is not None and not self._loop.is_closed():
            self._http.stop()
            for one in list(self._open):
                one.cut()
        if self._listener is not None:
            self._listener.close()

    def opened(self, one: LauncherSocket) -> None:
        self._open.add(one)

    def closed(self, one: LauncherSocket) -> None:
        self._open.discard(one)
        self._empty.set()


class LauncherSocket(WebSocketHandler):
    """One connection of a launcher, or of somebody who would like to be one."""

    is_refused = False

    def initialize(self, server: Answering, loopback: Loopback) -> None:
        self._server, self._loopback = server, loopback
        self._stream: IOStream | None = None

    def open(self, *args: str, **kwargs: str) -> None:
        self.set_nodelay(True)
        self._stream = getattr(self.ws_connection, "stream", None)  # `close` forgets the connection, which may go on
        self._loopback.opened(self)

    def on_message(self, message: str | bytes) -> None:
        self._server.hear_frame(self, message)

    def on_close(self) -> None:
        self._loopback.closed(self)
        self._server.lose(self)

    def say(self, frame: bytes | str) -> bool:
        """Send a text frame; whether the connection was there to take it."""
        try:
            self.write_message(frame).add_done_callback(_seen)
        except WebSocketClosedError:
            return False
        return True

    def cut(self) -> None:
        """End the connection without a word, as a network does that fails."""
        if self._stream is not None:
            self._stream.close()


class _IsAlive(RequestHandler):
    def initialize(self, server: Answering, loopback: Loopback) -> None:
        self._server = server

    def get(self) -> None:
        self.write({"status": "Alive!", "run_id": self._server.run_id})


class _DownloadFile(RequestHandler):
    def initialize(self, server: Answering, loopback: Loopback) -> None:
        self._server = server

    def get(self, name: str) -> None:
        if not self._server.knows(self.request.headers.get("Authorization", "").removeprefix("Bearer ")):
            raise HTTPError(401)
        content = self._server.uploads.get(name)
        if content is None:
            raise HTTPError(404)
        self.set_header("Content-Type", "application/octet-stream")
        self.write(content)


def _log_request(handler: RequestHandler) -> None:
    log.debug("%s %s: %d", handler.request.method, handler.request.path, handler.get_status())


def _seen(written: asyncio.Future[None]) -> None:
    """What a connection could not take any more is said again, or lost, as on a real one."""
    if not written.cancelled():
        written.exception()
