"""What a router says to its launcher: who may attach, what is held until it is acknowledged. No I/O, no clock.

The rules are those of a real router's launcher side; there are no pages here, whoever writes the test speaks for them.
"""

from __future__ import annotations

import hmac
from collections import deque
from dataclasses import asdict
from typing import Any, NamedTuple

import msgspec
from falsework.router.wire import protocol as wire
from falsework.router.wire.protocol import Envelope, Packet, encode


class Refusal(NamedTuple):
    """A launcher that is not let in: the close code, and the reason."""

    code: int
    reason: str


class MockWire:
    """One run's side of the wire. What is to be said comes back as encoded packets, in order."""

    def __init__(self, run_id: str, token: str, router_epoch: str, limits: wire.Limits) -> None:
        self.run_id, self.router_epoch, self.limits = run_id, router_epoch, limits
        self.numbered = 0
        """The number of the last durable packet."""
        self.acknowledged = 0
        self.statuses: dict[str, str] = {}
        """Of each agent that the launcher spoke of, or that was disconnected."""
        self.answers: dict[str, dict[str, Any]] = {}
        """What each request for an agent was answered, by request id."""
        self._token = token.encode()
        self._launcher_epoch = -1
        self._held: deque[tuple[int, bytes]] = deque()
        self._waiting: list[bytes] = []
        self._said_bye = False

    def knows(self, token: str) -> bool:
        """Whether this is the run's token, compared in constant time."""
        return hmac.compare_digest(self._token, token.encode(errors="surrogateescape"))

    def hold(self, envelope: Envelope) -> bytes:
        """Number a durable packet and keep it until it is acknowledged; returns it."""
        self.numbered += 1
        envelope.number = self.numbered
        packet = encode(envelope)
        self._held.append((self.numbered, packet))
        return packet

    def keep(self, packet: bytes) -> None:
        """Keep a packet that is not durable for the next launcher, as none is there."""
        self._waiting.append(packet)

    def greet(self, first: Packet, someone_is_attached: bool) -> Refusal | list[bytes]:
        """What a launcher hears that says its first packet: why it is refused, or its welcome and all that waits for it."""
        try:
            hello = wire.decode(bytes(first.data), _HELLO, "token, protocol, epoch, acked")
        except wire.Malformed as malformed:
            return Refusal(wire.MALFORMED, str(malformed))
        if first.packet_type != wire.ALIVE or hello.protocol != wire.PROTOCOL:
            return Refusal(wire.MALFORMED, f"expected an alive of protocol {wire.PROTOCOL}, found {first.packet_type}")
        if not self.knows(hello.token or ""):
            return Refusal(wire.BAD_TOKEN, "the token is wrong: only this run's launcher may attach")
        if hello.epoch < self._launcher_epoch or (someone_is_attached and hello.epoch == self._launcher_epoch):
            return Refusal(wire.DISPLACED, f"a launcher of epoch {self._launcher_epoch} is here")
        self._launcher_epoch = hello.epoch
        self._drop(hello.acked.get(self.router_epoch, 0))
        return [self._welcome(), *(packet for _, packet in self._held), *self._take_waiting()]

    def hear(self, packet: Packet) -> list[bytes]:
        """What is said to a packet of the launcher that is attached. Raises Malformed."""
        match packet.packet_type:
            case wire.ACK:
                return self._take_ack(packet)
            case wire.BYE:
                self._said_bye = True
                return self._farewell()
            case wire.REQUEST_STATUSES:
                return [self._statuses(packet)]
            case wire.AGENT_DETAILS:
                self._note_answer(packet)
            case wire.UPDATE_STATUS:
                said = wire.decode(bytes(packet.data), _STATUS, "status")
                self.statuses[packet.subject_id or ""] = said.status
        return []

    def _welcome(self) -> bytes:
        limits = {name: int(value) for name, value in asdict(self.limits).items()}
        data = {
            "protocol": wire.PROTOCOL,
            "run_id": self.run_id,
            "router_epoch": self.router_epoch,
            "held": len(self._held),
            "limits": limits,
        }
        return encode(Envelope(wire.WELCOME, wire.LAUNCHER_SUBJECT, data))

    def _take_waiting(self) -> list[bytes]:
        waiting, self._waiting = self._waiting, []
        return waiting

    def _take_ack(self, packet: Packet) -> list[bytes]:
        said = wire.decode(bytes(packet.data), _ACK, "router_epoch, number")
        if said.router_epoch == self.router_epoch:
            self._drop(said.number)
        return self._farewell()

    def _drop(self, number: int) -> None:
        """Everything up to `number` is safe with the launcher."""
        self.acknowledged = max(self.acknowledged, min(number, self.numbered))
        while self._held and self._held[0][0] <= number:
            self._held.popleft()

    def _farewell(self) -> list[bytes]:
        """The answer to a `bye`, which waits until nothing is held."""
        if not self._said_bye or self._held:
            return []
        self._said_bye = False
        return [encode(Envelope(wire.BYE, wire.LAUNCHER_SUBJECT, {"held": 0}))]

    def _statuses(self, request: Packet) -> bytes:
        asked_at = request.server_timestamp
        return encode(Envelope(wire.RETURN_STATUSES, wire.LAUNCHER_SUBJECT, self.statuses, client_timestamp=asked_at))

    def _note_answer(self, packet: Packet) -> None:
        wire.decode(bytes(packet.data), _DETAILS, "request_id, agent_id")
        details: dict[str, Any] = msgspec.json.decode(packet.data)
        self.answers[details["request_id"]] = details
        if details.get("agent_id"):
            self.statuses.setdefault(details["agent_id"], wire.NONE)


_HELLO = msgspec.json.Decoder(wire.Hello)
_ACK = msgspec.json.Decoder(wire.Acknowledgement)
_STATUS = msgspec.json.Decoder(wire.StatusUpdate)
_DETAILS = msgspec.json.Decoder(wire.AgentDetails)
