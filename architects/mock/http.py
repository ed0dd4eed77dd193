"""The loopback side of a mock server: Tornado's listener, its life and its end."""

from __future__ import annotations

import asyncio
import logging
import socket

from falsework.router.wire.agreed import AGREED
from tornado.httpserver import HTTPServer
from tornado.ioloop import PeriodicCallback
from tornado.web import Application, RequestHandler

from .board import MockBoard
from .pages import Pages
from .sockets import Listening, Socket

HOST = "127.0.0.1"
CLOSE_LIMIT = 1.0
"""Seconds for the other end to answer the closing of a connection, before it is cut."""
GOING_AWAY = 1001
TICK = 0.25
"""Seconds between two looks at deadlines, and at pages that fell silent."""

log = logging.getLogger("falsework.mock")


class Loopback:
    """Listens on the loopback for one server. Belongs to the loop in which it was started."""

    def __init__(self, board: MockBoard, server: Listening) -> None:
        self._board = board
        self._open: set[Socket] = set()
        self._left = asyncio.Event()
        mine = {"board": board, "server": server, "sockets": self._open, "left": self._left}
        routes = [(r"/", Socket, mine), *Pages(board, self._open).routes()]
        self._http = HTTPServer(
            Application(
                list(routes),
                default_handler_class=_Nothing,
                log_function=_log_request,
                websocket_max_message_size=2
                * board.limits.frame,  # a frame over the limit is counted, but not any frame
            )
        )
        self._ticking = PeriodicCallback(lambda: board.switchboard.tick(board.at()), TICK * 1000)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listener: socket.socket | None = None

    def start(self, port: int) -> int:
        """Listen, on any free port if it is 0; returns the port. Raises OSError. Legal once, in a running loop."""
        self._loop = asyncio.get_running_loop()
        self._listener = socket.create_server((HOST, port))  # tornado's own way leaks it where the port is taken
        self._listener.setblocking(False)
        self._http.add_socket(self._listener)
        self._ticking.start()
        return int(self._listener.getsockname()[1])

    async def stop(self) -> None:
        """Take no more connections, close those that are there, cut those that do not let go. May be repeated."""
        self._http.stop()
        self._board.turn_away()
        try:
            async with asyncio.timeout(CLOSE_LIMIT):
                for one in list(self._open):
                    one.close(GOING_AWAY, "the server is going down")
                while self._open:
                    self._left.clear()
                    await self._left.wait()
        except TimeoutError:
            log.info("cutting %d connections that did not let go", len(self._open))
        finally:
            self.cut()
        await self._http.close_all_connections()

    def cut(self) -> None:
        """Stop listening and drop every connection, at once and without a word, wherever this is called from."""
        if self._loop is not None and not self._loop.is_closed():
            self._ticking.stop()
            self._http.stop()
            self._board.turn_away()
            for one in list(self._open):
                one.cut()
        if self._listener is not None:
            self._listener.close()


class _Nothing(RequestHandler):
    """What is asked for and is not there."""

    def set_default_headers(self) -> None:
        for name, value in AGREED.policy.everywhere.items():
            self.set_header(name, value)

    def prepare(self) -> None:
        self.set_status(404)
        self.finish()


def _log_request(handler: RequestHandler) -> None:
    log.debug("%s %s: %d", handler.request.method, handler.request.path, handler.get_status())
