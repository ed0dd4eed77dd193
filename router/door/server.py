"""The router as a server: HTTP and WebSocket on one port, its outbox, its time, its start and its end."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from contextlib import suppress
from typing import Any

from aiohttp import web

from ..board.agents import Peer
from ..board.launcher_link import HandshakeRefused
from ..board.lease import Lease
from ..board.switchboard import Instant, Switchboard
from ..wire import protocol as wire
from ..wire.agreed import AGREED
from ..wire.errors import Malformed, Refused
from ..wire.outbox_file import OUTBOX, UPLOADS
from ..wire.protocol import Limits, Packet, decode_frame
from .data_directory import DataDirectory
from .delivery import Delivery
from .frames import MESSAGE_TOO_BIG, TEXT
from .lease_memory import LeaseMemory
from .outbox import DiskOutbox, MemoryOutbox, Outbox
from .pages import Pages
from .refusals import http_log
from .routes import Parts, Routes, protect
from .settings import BACKLOG, Settings
from .sockets import Listener, Socket, Sockets
from .uploads import Uploads

TICK = 0.25
STOP_PATIENCE = 0.3
"""Seconds that sockets get to answer the closing of a server that ends."""
log = logging.getLogger("falsework.router")


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
        self.uploads = Uploads(settings.data / UPLOADS, self.limits)
        lease = self._take_up_lease()
        self.switchboard = Switchboard(
            settings.run_id, self.limits, settings.token, lease, self._acknowledge, self.outbox.submitted
        )
        self.sockets = Sockets(self.limits, self._hear, self._forget)
        guard_files = settings.token is None
        self.pages = Pages(self.switchboard, self.outbox, self.uploads, self._clock, guard_files=guard_files)
        self._runner: web.AppRunner | None = None
        self._ticking: asyncio.Task[None] | None = None

    async def start(self, listeners: list[socket.socket]) -> None:
        """Listen."""
        await self.sockets.choose_way()
        parts = Parts(self.settings, self.switchboard, self.pages, self.uploads, self.sockets, self.outbox, self._clock)
        routes = Routes(parts)
        app = web.Application(middlewares=[routes.explain_refusals], client_max_size=self.limits.submission)
        app.on_response_prepare.append(protect)
        app.add_routes([*self.pages.routes(), *routes.routes()])
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
        self.switchboard.waiting.refuse_all(AGREED.refusals.restarting)
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
        return DiskOutbox(self.settings.data / OUTBOX, self._deliver, self._discard_uploads)

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
        try:
            if kind != TEXT:
                raise Refused(AGREED.refusals.not_text)
            return decode_frame(frame)
        except Malformed as malformed:
            self.switchboard.refuse(socket, None, Refused.of(malformed))
        except Refused as refused:
            self.switchboard.refuse(socket, None, refused)
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


def _ignore(peer: Peer, packet: Packet, at: Instant) -> None:
    """What a socket says after it was refused."""
