"""A scripted server on the loopback, in the test's own event loop: it notes all that a launcher says, and says what it is told.

It serves the router's own board (board.py), so a launcher and a page find there what a router of its own process would say.
There is no page to open: whoever writes the test is every worker. What is said while no launcher is connected is said to the
next one, so that a test need not wait before it speaks.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import msgspec
from falsework.router.board.launcher_link import HandshakeRefused
from falsework.router.wire import protocol as wire
from falsework.router.wire.errors import Malformed
from falsework.router.wire.protocol import Envelope, Limits, Packet, encode

from .board import MockBoard
from .http import Loopback
from .sockets import Socket
from .waits import News
from .workers import MockWorkers

T = TypeVar("T")
LINES_LOGGED = 1000
BACKGROUND = frozenset({wire.ALIVE, wire.HEARTBEAT, wire.REQUEST_STATUSES, wire.ACK, wire.CLIENT_BOUND_LIVE_UPDATE})
"""What does not count as a `last_packet`."""


@dataclass(frozen=True)
class HeardPacket:
    """A packet of the launcher, its data as Python values; `packet` has the rest of it."""

    packet_type: str
    subject_id: str | None
    data: Any
    packet: Packet


class Refusal(NamedTuple):
    """Why a launcher is not let in: the close code, and the reason."""

    code: int
    reason: str


class MockServer(MockWorkers):
    """One run's server. `timeout` is in seconds, for waits that name none."""

    def __init__(self, run_id: str, token: str, timeout: float = 10.0, limits: Limits | None = None) -> None:
        self._board = MockBoard(run_id, token, limits or Limits())
        super().__init__(self._board.uploads)
        self.run_id, self.timeout, self.port = run_id, timeout, 0
        self.router_epoch = self._board.held.router_epoch
        self.packets: list[HeardPacket] = []
        """All that launchers said, in order."""
        self.log: deque[str] = deque(maxlen=LINES_LOGGED)
        self._loopback = Loopback(self._board, self)
        self._answers: dict[str, dict[str, Any]] = {}
        """What each request for an agent was answered, by request id."""
        self._refusals: list[Refusal] = []
        self._news = News(self._told)

    # Up and down

    def start(self, port: int = 0) -> int:
        """Listen, on any free port if it is 0; returns the port. Raises OSError. Legal once, in a running loop."""
        self.port = self._loopback.start(port)
        return self.port

    async def stop(self) -> None:
        """Go down: nobody listens, every connection is closed. May be repeated, and finished by the next if cut off."""
        try:
            await self._loopback.stop()
        finally:
            self._news.end("the server was shut down")

    def cut(self) -> None:
        """Go down at once, without a word to anybody, wherever this is called from."""
        self._loopback.cut()
        self._news.end("the server was cut off")

    # Speaking, beyond what workers say

    def send_packet(self, packet_type: str, subject_id: str, data: Any, *, durable: bool = False, **fields: Any) -> int:
        now = time.time()
        stamps = {"client_timestamp": now, "router_incoming_timestamp": now, "router_outgoing_timestamp": now}
        envelope = Envelope(packet_type, subject_id, data, **{**stamps, **fields})
        self.log.append(f"said {packet_type} of {subject_id}")
        if durable:
            self._board.hold(envelope)
        else:
            self._board.switchboard.link.send(encode(envelope))
        return envelope.number or 0

    def send_frame(self, frame: str) -> None:
        """Say this very text to the launcher, packet or not. Raises ValueError if none is connected."""
        launcher = self._launcher
        if launcher is None:
            raise ValueError(f"no launcher is connected to the server of run {self.run_id}: wait for `connected` first")
        launcher.say(frame)

    def disconnect_mock_agent(self, agent_id: str) -> None:
        agents = self._board.switchboard.agents
        agents.set_status(agents.make_known(agent_id), wire.DISCONNECT)
        super().disconnect_mock_agent(agent_id)

    def drop_launcher(self, code: int | None = None, reason: str = "") -> None:
        """End the launcher's connection: with a close code, or without a word, as a network does that fails."""
        launcher = self._launcher
        if launcher is None:
            return
        self._board.switchboard.launcher_gone(launcher, self._board.at())
        if code is None:
            launcher.cut()
        else:
            launcher.close(code, reason)

    def refuse_launcher(self, code: int = wire.BAD_TOKEN, reason: str = "the test says so", times: int = 1) -> None:
        """Close the connections of the next launchers that say who they are, as often as told."""
        self._refusals += [Refusal(code, reason)] * times

    async def fall_silent(self) -> None:
        """Answer nobody any more, while it still stands: nobody listens, every connection is closed. May be repeated."""
        await self._loopback.stop()

    # Waiting. Each raises NotSeen, which says what came instead.

    async def connected(self, timeout: float | None = None) -> None:
        """Until a launcher is connected and welcome."""
        await self._until(lambda: self._launcher, "a launcher's connection", timeout)

    async def disconnected(self, timeout: float | None = None) -> None:
        """Until no launcher is connected."""
        await self._until(lambda: self._launcher is None or None, "the launcher leaving", timeout)

    async def heard(
        self,
        packet_type: str,
        subject_id: str | None = None,
        *,
        where: Callable[[HeardPacket], bool] = lambda packet: True,
        count: int = 1,
        timeout: float | None = None,
    ) -> HeardPacket:
        """The packet of this type, subject and kind, however long ago it came; with a `count`, that many of them, the last."""

        def look() -> HeardPacket | None:
            like = [
                one for one in self.packets if one.packet_type == packet_type and subject_id in (None, one.subject_id)
            ]
            found = [one for one in like if where(one)]
            return found[count - 1] if len(found) >= count else None

        about = f" of {subject_id}" if subject_id else ""
        return await self._until(look, f"packet {count} like {packet_type!r}{about}", timeout)

    async def answer_to(self, request_id: str, timeout: float | None = None) -> dict[str, Any]:
        """What a request for an agent was answered: `agent_id` (None: refused), `init_task_data`, `failure_reason`, …"""
        return await self._until(lambda: self._answers.get(request_id), f"an answer to {request_id!r}", timeout)

    async def acknowledged(self, number: int, timeout: float | None = None) -> None:
        """Until the launcher has said that every durable packet up to this number is safe with it."""
        await self._until(lambda: self._board.held.acknowledged >= number or None, f"an ack of {number}", timeout)

    # In Mephisto's words

    @property
    def last_alive_packet(self) -> HeardPacket | None:
        """The last `alive` that came."""
        return next((one for one in reversed(self.packets) if one.packet_type == wire.ALIVE), None)

    @property
    def last_packet(self) -> HeardPacket | None:
        """The last that came but for signs of life, acknowledgements and live updates."""
        return next((one for one in reversed(self.packets) if one.packet_type not in BACKGROUND), None)

    @property
    def actions_observed(self) -> int:
        """How many live updates came for workers' pages."""
        return sum(one.packet_type == wire.CLIENT_BOUND_LIVE_UPDATE for one in self.packets)

    # From the loopback

    def hear_frame(self, socket: Socket, frame: str | bytes) -> None:
        """Serve what came over a socket."""
        for packet in self._board.packets_of(socket, frame):
            if socket.is_closing:
                break
            if socket.listener is None:
                socket.listener = self._introduce(socket, packet)
            else:
                socket.listener(socket, packet)
        self._news.wake()

    def lose(self, socket: Socket) -> None:
        """Forget a socket whose connection is gone."""
        if socket.listener == self._launcher_said:
            self.log.append("a launcher left")
        self._board.gone(socket)
        self._news.wake()

    def _introduce(self, socket: Socket, packet: Packet) -> Callable[[Socket, Packet], None]:
        """The first packet says who is there: a launcher, or a page."""
        if packet.packet_type != wire.ALIVE or packet.subject_id != wire.LAUNCHER_SUBJECT:
            self._page_said(socket, packet)
            return self._page_said
        self._record(packet)
        refusal = self._refusals.pop(0) if self._refusals else self._attach(socket, packet)
        if refusal is not None:
            self.log.append(f"refused a launcher ({refusal.code}): {refusal.reason}")
            socket.close(refusal.code, refusal.reason)
        return self._launcher_said

    def _attach(self, socket: Socket, packet: Packet) -> Refusal | None:
        try:
            self._board.attach(socket, packet)
        except HandshakeRefused as refused:
            return Refusal(refused.code, refused.reason)
        except Malformed as malformed:
            return Refusal(wire.MALFORMED, str(malformed))
        return None

    def _page_said(self, socket: Socket, packet: Packet) -> None:
        self._board.switchboard.page_said(socket, packet, self._board.at())

    def _launcher_said(self, socket: Socket, packet: Packet) -> None:
        data = self._record(packet)
        self._board.launcher_said(socket, packet)
        if packet.packet_type == wire.AGENT_DETAILS and isinstance(data, dict):
            request_id = data.get("request_id")
            if isinstance(request_id, str):
                self._answers[request_id] = data

    def _record(self, packet: Packet) -> Any:
        """Note a packet of a launcher; returns its data as Python values."""
        packet.data = msgspec.Raw(bytes(packet.data))
        data = msgspec.json.decode(packet.data)
        self.packets.append(HeardPacket(packet.packet_type, packet.subject_id, data, packet))
        self.log.append(f"heard {packet.packet_type} of {packet.subject_id}")
        return data

    @property
    def _launcher(self) -> Socket | None:
        peer = self._board.switchboard.link.peer
        return peer if isinstance(peer, Socket) else None

    async def _until(self, look: Callable[[], T | None], what: str, timeout: float | None) -> T:
        return await self._news.until(look, what, self.timeout if timeout is None else timeout)

    def _told(self) -> str:
        seen = Counter(packet.packet_type for packet in self.packets)
        return ", ".join(f"{name} ×{count}" for name, count in seen.items())
