"""What was handed in and the launcher does not have yet, in memory. No I/O, no clock."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Iterator

from falsework.router.wire.protocol import Envelope, encode


class Held:
    """Durable packets: counted up without gaps, and kept until the launcher's cumulative acknowledgement."""

    def __init__(self) -> None:
        self.router_epoch = secrets.token_hex(8)
        self.numbered = 0
        """The number of the last durable packet."""
        self.acknowledged = 0
        self._packets: deque[bytes] = deque()

    def __len__(self) -> int:
        return len(self._packets)

    def __iter__(self) -> Iterator[bytes]:
        """What the launcher has not acknowledged, oldest first."""
        return iter(self._packets)

    def add(self, envelope: Envelope) -> bytes:
        """Number a packet and keep it; returns it encoded."""
        self.numbered += 1
        envelope.number = self.numbered
        packet = encode(envelope)
        self._packets.append(packet)
        return packet

    def acknowledge(self, router_epoch: str, number: int) -> None:
        """Drop what is safe with the launcher: everything up to `number`, if the word is about this epoch."""
        if router_epoch != self.router_epoch:
            return
        while self._packets and self.acknowledged < number:
            self._packets.popleft()
            self.acknowledged += 1
