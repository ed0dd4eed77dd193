"""The router's own board, with what a mock server has in place of a disk and a process. No I/O but for a look at the clock.

What a packet means is the board's to say, here as in a router that is a process of its own. Durable packets are kept in
memory, and the server ends with whoever made it, never by itself.
"""

from __future__ import annotations

import time
from math import inf
from typing import Any

from falsework.router.board.agents import Peer
from falsework.router.board.lease import Lease
from falsework.router.board.switchboard import Instant, Switchboard
from falsework.router.wire import protocol as wire
from falsework.router.wire.agreed import AGREED, filled
from falsework.router.wire.errors import Malformed, Refused
from falsework.router.wire.protocol import Envelope, Limits, Packet, decode_frame

from .held import Held


class MockBoard:
    """One run's switchboard, and what is held for its launcher."""

    def __init__(self, run_id: str, token: str, limits: Limits) -> None:
        self.run_id, self.limits = run_id, limits
        self.cookie = filled(AGREED.pages.session_cookie, run_id=run_id)
        """Under which a browser says which session it is."""
        self.held = Held()
        self.uploads: dict[str, bytes] = {}
        """What can be downloaded, by name."""
        lease = Lease(inf, inf, time.monotonic())
        self.switchboard = Switchboard(run_id, limits, token, lease, self.held.acknowledge)

    def at(self) -> Instant:
        """Now, on both clocks."""
        return Instant(time.monotonic(), time.time())

    def packets_of(self, peer: Peer, frame: str | bytes) -> list[Packet]:
        """The packets of a frame; what is none is answered with an `error` packet."""
        try:
            if isinstance(frame, bytes):
                raise Refused(AGREED.refusals.not_text)
            return decode_frame(frame.encode())
        except Malformed as malformed:
            self.switchboard.refuse(peer, None, Refused.of(malformed))
        except Refused as refused:
            self.switchboard.refuse(peer, None, refused)
        return []

    def attach(self, launcher: Peer, packet: Packet) -> None:
        """Let a launcher in, and say to it all that waits. Raises HandshakeRefused or Malformed."""
        self.switchboard.attach_launcher(launcher, packet, self._welcome, self.at())
        for held in self.held:
            self.switchboard.link.send(held)

    def launcher_said(self, launcher: Peer, packet: Packet) -> None:
        """Serve a packet of the attached launcher. A `bye` is answered once nothing is held."""
        self.switchboard.launcher_said(launcher, packet, self.at())
        may_be_the_last = packet.packet_type in (wire.ACK, wire.BYE)
        if may_be_the_last and self.switchboard.lease.is_closed and not self.held:
            self.switchboard.say_farewell()

    def gone(self, peer: Peer) -> None:
        """Forget a socket that is closed."""
        self.switchboard.launcher_gone(peer, self.at())
        self.switchboard.page_gone(peer)

    def hold(self, envelope: Envelope) -> None:
        """Keep a durable packet, and say it to the launcher that is attached."""
        packet = self.held.add(envelope)
        if self.switchboard.link.peer is not None:
            self.switchboard.link.send(packet)

    def turn_away(self) -> None:
        """Answer every page whose request waits for the launcher: the server is going down."""
        self.switchboard.waiting.refuse_all(AGREED.refusals.restarting)

    def _welcome(self) -> dict[str, Any]:
        limits = {name: getattr(self.limits, name) for name in ("frame", "submission", "upload", "upload_files")}
        return {
            "protocol": wire.PROTOCOL,
            "run_id": self.run_id,
            "router_epoch": self.held.router_epoch,
            "held": len(self.held),
            "limits": limits,
        }
