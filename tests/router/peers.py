"""What stands at the other end in tests without sockets: a peer that keeps what it is sent, and what is said to a router."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from falsework.router.wire.protocol import Packet


class RecordingPeer:
    """A peer that keeps what it was sent, and with what it was closed."""

    def __init__(self, session: str | None = None) -> None:
        self.session = session
        self.batches = False
        self.closed: tuple[int, str] | None = None
        self.sent: list[bytes] = []

    def send(self, packet: bytes) -> None:
        self.sent.append(packet)

    def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)

    def received(self) -> list[dict[str, Any]]:
        """The packets that came since it was asked last."""
        packets = [json.loads(packet) for packet in self.sent]
        self.sent.clear()
        return packets

    def received_types(self) -> list[str]:
        """Only what they are."""
        return [packet["packet_type"] for packet in self.received()]


def said(packet_type: str, subject_id: str | None = None, data: Any = None, **more: Any) -> Packet:
    """A packet as it comes out of a frame."""
    return Packet(packet_type, subject_id, msgspec.Raw(json.dumps({} if data is None else data).encode()), **more)
