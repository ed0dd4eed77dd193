"""The router as a server: HTTP and WebSocket on one port, static files, metrics, start and end."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import Any

from aiohttp import web

from ..board.agents import Peer
from ..board.launcher_link import HandshakeRefused
from ..board.lease import Lease
from ..board.switchboard import Instant, Switchboard
from ..process.data_directory import DataDirectory
from ..process.lease_memory import LeaseMemory
from ..process.listening import BACKLOG
from ..process.settings import Settings
from ..wire import protocol as wire
from ..wire.protocol import (
    Limits,
    Malformed,
    Packet,
    Refused,
    decode_frame,
)
from .delivery import Delivery
from .frames import MESSAGE_TOO_BIG, TEXT
from .metrics import render
from .outbox import DiskOutbox, MemoryOutbox, Outbox
from .pages import Pages
from .policy import EVERYWHERE, page_headers
from .refusals import http_log, plain_page, refusal
from .sockets import Listener, Socket, Sockets
from .spreading import Spreading
from .uploads import Uploads

TICK = 0.25
STOP_PATIENCE = 0.3
"""Seconds that sockets get to answer the closing of a server that ends."""
log = logging.getLogger("falsework.router")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Router:
    """One router. `start`, then wait for `over` or a signal, then `stop`."""

    def __init__(self, settings: Settings, memory: LeaseMemory) -> None:
        """Raises OSError, JournalDamaged or DataDirectoryError where the data directory cannot be used."""
        self.settings, self.limits = settings, Limits().override(settings.limits)
        self._data, self._memory = DataDirectory(settings.data, settings.run_id), memory
        self.over = asyncio.Event()
        """Set when the lease, and what it leaves, has ended."""
        self._loop = asyncio.get_running_loop()
        self._delivery: Delivery | None = None
        self.outbox = self._make_outbox()
        self.uploads = Uploads(settings.data / "uploads", self.limits)
        lease = self._take_up_lease()
        self.switchboard = Switchboard(
            settings.run_id, self.limits, settings.token, lease, self._acknowledge, self.outbox.submitted
        )
        self.sockets = Sockets(self.limits, self._hear, self._forget)
        guard_files = settings.token is None
        self.pages = Pages(self.switchboard, self.outbox, self.uploads, self._clock, guard_files=guard_files)
        self._spreading = Spreading(self.switchboard)
        self._page_headers = page_headers(settings.content_security_policy, settings.frame_ancestors)
        self._client_files = Path(str(resources.files("falsework.router"))) / "client"
        self._runner: web.AppRunner | None = None
        self._ticking: asyncio.Task[None] | None = None

    async def start(self, listeners: list[socket.socket]) -> None:
        """Listen."""
        await self.sockets.choose_way()
        app = web.Application(middlewares=[self._explain_refusals], client_max_size=self.limits.submission)
        app.on_response_prepare.append(_protect)
        app.add_routes(self.pages.routes())
        app.add_routes(
            [
                web.get("/", self._root),
                web.get("/task_index", self._index),
                web.get("/welcome", self._index),
                web.get("/metrics", self._metrics),
                web.get("/download_file/{name:.*}", self._download),
                web.get("/{path:.+}", self._static),
            ]
        )
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=http_log(self.switchboard.counters),
            auto_decompress=False,  # no page compresses what it sends
            shutdown_timeout=STOP_PATIENCE,
        )
        await self._runner.setup()
        for listener in listeners:
            await web.SockSite(self._runner, listener, backlog=BACKLOG).start()
        self._ticking = asyncio.create_task(self._tick())

    async def stop(self) -> None:
        """Answer who waits, close the sockets, write out what is held."""
        for waiting in list(self.switchboard.waiting.values()):
            waiting.settle(
                Refused(503, "restarting", "The server is going down. Please try again soon.", retry_after=5)
            )
        self.switchboard.waiting.clear()
        await self.sockets.close_all(STOP_PATIENCE)
        if self._runner is not None:
            await self._runner.cleanup()
        await self.outbox.close()
        if self._ticking is not None:
            self._ticking.cancel()
            with suppress(asyncio.CancelledError):
                await self._ticking
        self._data.release()

    # Time

    def _clock(self) -> Instant:
        return Instant(self._loop.time(), time.time())

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            at = self._clock()
            self.switchboard.tick(at)
            self.sockets.tend(at.now)
            self._memory.save(self.switchboard.lease.state)
            self._check_over(at)

    def _take_up_lease(self) -> Lease:
        at, settings, left = self._clock(), self.settings, None
        if settings.max_lifetime is not None:
            left = settings.max_lifetime - self._data.age(at.wall)
        return Lease(
            settings.lease,
            settings.grace,
            at.now,
            idle_timeout=settings.idle_timeout,
            lifetime_left=left,
            before=self._memory.load(),
        )

    def _check_over(self, at: Instant) -> None:
        attended = self.switchboard.link.peer is not None
        lease = self.switchboard.lease
        if not self.pages.keeping and lease.is_over(at.now, self.outbox.held, is_attended=attended):
            self.switchboard.say_farewell()
            self.over.set()

    # Durable packets to the launcher

    def _make_outbox(self) -> Outbox:
        if self.settings.outbox == "launcher":
            return MemoryOutbox(self._deliver, self._discard_uploads)
        return DiskOutbox(self.settings.data / "outbox.jsonl", self._deliver, self._discard_uploads)

    def _deliver(self) -> None:
        if self._delivery is not None:
            self._delivery.pump()

    def _acknowledge(self, router_epoch: str, number: int) -> None:
        self.outbox.acknowledge(router_epoch, number)
        if self._delivery is not None and router_epoch == self.outbox.router_epoch:
            self._delivery.acknowledged(number)
        if self.switchboard.lease.is_closed:
            self._check_over(self._clock())

    def _discard_uploads(self, names: tuple[str, ...]) -> None:
        """The launcher has fetched them, unless it is one that fetches later without saying so."""
        if self.switchboard.link.protocol:
            self.uploads.discard(names)

    # Sockets

    def _hear(self, socket: Socket, kind: int, frame: bytes) -> None:
        at = self._clock()
        for packet in self._packets_of(socket, kind, frame):
            if socket.listener is None:
                socket.listener = self._introduce(socket, packet, at)
            else:
                socket.listener(socket, packet, at)

    def _packets_of(self, socket: Socket, kind: int, frame: bytes) -> list[Packet]:
        if kind != TEXT:
            self.switchboard.refuse(socket, None, Refused(400, "not_text", "frames are JSON text"))
            return []
        try:
            return decode_frame(frame)
        except Malformed as malformed:
            self.switchboard.refuse(socket, None, Refused(400, "malformed", str(malformed)))
            return []

    def _introduce(self, socket: Socket, packet: Packet, at: Instant) -> Listener:
        """The first packet says who is there: a launcher, or a page."""
        if packet.packet_type != wire.ALIVE or packet.subject_id != wire.LAUNCHER_SUBJECT:
            self.switchboard.page_said(socket, packet, at)
            return self.switchboard.page_said
        try:
            hello = self.switchboard.attach_launcher(socket, packet, self._welcome, at)
        except HandshakeRefused as refused:
            log.warning("refused a launcher: %s", refused.reason)
            socket.close(refused.code, refused.reason)
            return _ignore
        except Malformed as malformed:
            socket.close(wire.MALFORMED, str(malformed))
            return _ignore
        log.info("launcher attached, protocol %d, epoch %d", hello.protocol, hello.epoch)
        acknowledges = hello.protocol >= 1
        self._delivery = Delivery(self.outbox, socket, self.limits.outbox_window, acknowledges=acknowledges)
        self._delivery.pump()
        return self._launcher_said

    def _launcher_said(self, peer: Peer, packet: Packet, at: Instant) -> None:
        self.switchboard.launcher_said(peer, packet, at)
        if packet.packet_type in (wire.LEASE, wire.DRAIN, wire.BYE):
            self._memory.save(self.switchboard.lease.state)
        if packet.packet_type == wire.BYE:
            self._check_over(at)

    def _welcome(self) -> dict[str, Any]:
        return {
            "protocol": wire.PROTOCOL,
            "run_id": self.settings.run_id,
            "router_epoch": self.outbox.router_epoch,
            "held": self.outbox.held,
            "limits": {name: getattr(self.limits, name) for name in ("frame", "submission", "upload", "upload_files")},
        }

    def _forget(self, socket: Socket) -> None:
        if socket.close_code == MESSAGE_TOO_BIG:
            self.switchboard.counters["refused_frame_too_large"] += 1
        if self.switchboard.link.peer is socket:
            log.info("launcher gone, close code %s", socket.close_code)
            self._delivery = None
        self.switchboard.launcher_gone(socket, self._clock())
        self.switchboard.page_gone(socket)

    # Files

    async def _root(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self.sockets.open(request, self.pages.session(request))
        return await self._index(request)

    async def _index(self, request: web.Request) -> web.StreamResponse:
        visitor = self._spreading.visitor(request)
        if visitor is None:
            return self._page(request)
        answer: web.StreamResponse | None = self._spreading.elsewhere(request, visitor, self.pages.session(request))
        if answer is None:
            answer = self._page(request)
        self._spreading.remember(answer, visitor)
        return answer

    def _page(self, request: web.Request) -> web.StreamResponse:
        if self.pages.session(request) is None:
            try:
                self.switchboard.check_admission(self._clock())
            except Refused as refused:
                self.switchboard.counters[f"refused_{refused.error}"] += 1
                return plain_page(refused, self._page_headers)
        return self._file("index.html")

    async def _static(self, request: web.Request) -> web.StreamResponse:
        return self._file(request.match_info["path"])

    def _file(self, path: str) -> web.FileResponse:
        for root in (self.settings.static, self._client_files):
            found = _inside(root, path)
            if found is not None:
                return web.FileResponse(found, headers={"Cache-Control": "no-cache", **self._page_headers})
        raise web.HTTPNotFound

    async def _download(self, request: web.Request) -> web.StreamResponse:
        if not self.switchboard.link.knows(request.headers.get("Authorization", "").removeprefix("Bearer ")):
            self.switchboard.counters["refused_download"] += 1
            raise Refused(401, "not_the_launcher", "Only this run's launcher may fetch files.")
        headers = {"Content-Disposition": "attachment"}
        return web.FileResponse(self.uploads.path(request.match_info["name"]), headers=headers)

    async def _metrics(self, request: web.Request) -> web.Response:
        at = self._clock()
        gauges = {
            "sockets": len(self.sockets),
            "agents": len(self.switchboard.agents),
            "requests_waiting": len(self.switchboard.waiting),
            "outbox_held": self.outbox.held,
            "launcher_attached": int(self.switchboard.link.peer is not None),
            "launcher_silence_seconds": at.now - self.switchboard.link.heard,
        }
        left = self.switchboard.lease.lifetime_left(at.now)
        if left is not None:
            gauges["lifetime_left_seconds"] = left
        totals = {
            "peers_dropped_slow": self.sockets.dropped_slow,
            "launcher_packets_dropped": self.switchboard.link.dropped,
        }
        return web.Response(text=render(gauges, {**self.switchboard.counters, **totals}))

    @web.middleware
    async def _explain_refusals(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Errors reach a page as JSON {error, message}, with a sentence that a worker can read."""
        try:
            return await handler(request)
        except Refused as error:
            refused = error
        except Malformed as error:
            refused = Refused(400, "malformed", str(error))
        except (ConnectionError, web.RequestPayloadError):
            refused = Refused(400, "cut_off", "The request did not arrive whole. Please try again.")
        except web.HTTPRequestEntityTooLarge:
            refused = Refused(413, "too_large", f"The limit for one answer is {self.limits.submission} bytes.")
        self.switchboard.counters[f"refused_{refused.error}"] += 1
        return refusal(refused)


def _ignore(peer: Peer, packet: Packet, at: Instant) -> None:
    """What a socket says after it was refused."""


def _inside(root: Path, path: str) -> Path | None:
    """The file of that name under `root`, or None: nothing outside, no links out, no directories."""
    try:
        found = (root / path.lstrip("/")).resolve(strict=True)
    except (OSError, ValueError):
        return None
    return found if found.is_file() and found.is_relative_to(root.resolve()) else None


async def _protect(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(EVERYWHERE)
