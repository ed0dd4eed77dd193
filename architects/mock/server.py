"""A scripted server on the loopback, in the test's own event loop: it notes all that a launcher says, and says what it is told.

It speaks the launcher's side of the wire as a real router does. There are no pages: whoever writes the test is every worker.
What is said while no launcher is connected is said to the next one, so that a test need not wait before it speaks.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import uuid4

import msgspec
from falsework.router.wire import protocol as wire
from falsework.router.wire.protocol import (
    Envelope,
    Malformed,
    Packet,
    encode,
)

from .http import LauncherSocket, Loopback
from .waits import News
from .wire import MockWire, Refusal
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


class MockServer(MockWorkers):
    """One run's server. `timeout` is in seconds, for waits that name none."""

    def __init__(self, run_id: str, token: str, timeout: float = 10.0) -> None:
        super().__init__()
        limits = wire.Limits()
        self.run_id, self.timeout, self.port = run_id, timeout, 0
        self.router_epoch = uuid4().hex
        self.packets: list[HeardPacket] = []
        """All that launchers said, in order."""
        self.log: deque[str] = deque(maxlen=LINES_LOGGED)
        self._wire = MockWire(run_id, token, self.router_epoch, limits)
        self._loopback = Loopback(self, limits.frame)
        self._launcher: LauncherSocket | None = None
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
            self._end("the server was shut down")

    def cut(self) -> None:
        """The same at once, without a word to anybody, wherever this is called from."""
        self._loopback.cut()
        self._end("the server was cut off")

    # Speaking, beyond what workers say

    def send_packet(self, packet_type: str, subject_id: str, data: Any, *, durable: bool = False, **fields: Any) -> int:
        now = time.time()
        stamps = {"client_timestamp": now, "router_incoming_timestamp": now, "router_outgoing_timestamp": now}
        envelope = Envelope(packet_type, subject_id, data, **{**stamps, **fields})
        self.log.append(f"said {packet_type} of {subject_id}")
        packet = self._wire.hold(envelope) if durable else encode(envelope)
        if self._launcher is not None:
            self._launcher.say(packet)
        elif not durable:
            self._wire.keep(packet)
        return envelope.number or 0

    def send_frame(self, frame: str) -> None:
        """Say this very text to the launcher, packet or not. Raises ValueError if none is connected."""
        if self._launcher is None:
            raise ValueError(f"no launcher is connected to the server of run {self.run_id}: wait for `connected` first")
        self._launcher.say(frame)

    def disconnect_mock_agent(self, agent_id: str) -> None:
        self._wire.statuses[agent_id] = wire.DISCONNECT
        super().disconnect_mock_agent(agent_id)

    def drop_launcher(self, code: int | None = None, reason: str = "") -> None:
        """End the launcher's connection: with a close code, or without a word, as a network does that fails."""
        launcher, self._launcher = self._launcher, None
        if launcher is not None and code is None:
            launcher.cut()
        elif launcher is not None:
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
        return await self._until(lambda: self._wire.answers.get(request_id), f"an answer to {request_id!r}", timeout)

    async def acknowledged(self, number: int, timeout: float | None = None) -> None:
        """Until the launcher has said that every durable packet up to this number is safe with it."""
        await self._until(lambda: self._wire.acknowledged >= number or None, f"an ack of {number}", timeout)

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

    def knows(self, token: str) -> bool:
        """Whether this is the run's token."""
        return self._wire.knows(token)

    def hear_frame(self, socket: LauncherSocket, frame: str | bytes) -> None:
        """A frame came; what is no packet costs its sender the connection."""
        try:
            for packet in wire.decode_frame(frame.encode() if isinstance(frame, str) else frame):
                if not socket.is_refused:
                    self._hear(socket, packet)
        except Malformed as malformed:
            self._refuse(socket, Refusal(wire.MALFORMED, str(malformed)))
        self._news.wake()

    def lose(self, socket: LauncherSocket) -> None:
        """A connection is gone."""
        if socket is self._launcher:
            self._launcher = None
        self.log.append("a launcher left")
        self._news.wake()

    def _hear(self, socket: LauncherSocket, packet: Packet) -> None:
        packet.data = msgspec.Raw(bytes(packet.data))
        data = wire.decode(bytes(packet.data), _ANY, "JSON")
        self.packets.append(HeardPacket(packet.packet_type, packet.subject_id, data, packet))
        self.log.append(f"heard {packet.packet_type} of {packet.subject_id}")
        if socket is self._launcher:
            for answer in self._wire.hear(packet):
                socket.say(answer)
        else:
            self._greet(socket, packet)

    def _greet(self, socket: LauncherSocket, first: Packet) -> None:
        greeting = self._refusals.pop(0) if self._refusals else self._wire.greet(first, self._launcher is not None)
        if isinstance(greeting, Refusal):
            self._refuse(socket, greeting)
            return
        self.drop_launcher(wire.DISPLACED, "a newer launcher took over")
        self._launcher = socket
        for packet in greeting:
            socket.say(packet)

    def _refuse(self, socket: LauncherSocket, refusal: Refusal) -> None:
        self.log.append(f"refused a launcher ({refusal.code}): {refusal.reason}")
        socket.is_refused = True
        socket.close(refusal.code, refusal.reason.encode()[:120].decode(errors="ignore"))

    def _end(self, why: str) -> None:
        self._launcher = None
        self._news.end(why)

    async def _until(self, look: Callable[[], T | None], what: str, timeout: float | None) -> T:
        return await self._news.until(look, what, self.timeout if timeout is None else timeout)

    def _told(self) -> str:
        seen = Counter(packet.packet_type for packet in self.packets)
        return ", ".join(f"{name} ×{count}" for name, count in seen.items())


_ANY = msgspec.json.Decoder(Any)
