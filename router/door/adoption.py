"""Listening in the place of routers of the same run that are gone, so that their links and open pages find somebody."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable

from aiohttp import web

from ..process.listening import BACKLOG, open_listeners
from ..wire.protocol import Refused


class Adoption:
    """The ports that one router took over. What listens there ends with `runner`."""

    def __init__(self, host: str, runner: web.AppRunner) -> None:
        self._host, self._runner = host, runner
        self._listening: dict[int, asyncio.Task[None]] = {}

    def adopt(self, ports: Iterable[int]) -> None:
        """Listen on these too. May be repeated. Raises Refused if some cannot be had; on the others it listens."""
        refused: list[str] = []
        for port in sorted(set(ports) - set(self._listening)):
            try:
                listeners = open_listeners(self._host, port)
            except OSError as error:
                refused.append(f"port {port} ({error.strerror})")
            else:
                self._listening[port] = asyncio.create_task(self._serve(listeners))
        if refused:
            raise Refused(409, "cannot_listen", f"cannot listen in the place of a lost router: {', '.join(refused)}")

    async def _serve(self, listeners: list[socket.socket]) -> None:
        for listener in listeners:
            await web.SockSite(self._runner, listener, backlog=BACKLOG).start()
