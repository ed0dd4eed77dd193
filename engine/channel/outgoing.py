"""Packets that wait for a connection: in order, bounded, and as many as fit into each frame. No I/O."""

from __future__ import annotations

import asyncio
from collections import deque

MOST_QUEUED = 20_000
"""Packets kept while the connection is away; the oldest go first."""


class Outgoing:
    """A queue of encoded packets. `dropped` counts what was given up because the connection was away for too long."""

    def __init__(self) -> None:
        self.dropped = 0
        self._packets: deque[bytes] = deque()
        self._news = asyncio.Event()

    def __len__(self) -> int:
        return len(self._packets)

    def put(self, packet: bytes) -> None:
        """Queue a packet behind the others."""
        if len(self._packets) == MOST_QUEUED:
            self._packets.popleft()
            self.dropped += 1
        self._packets.append(packet)
        self._news.set()

    def put_back(self, packets: list[bytes]) -> None:
        """What was taken did not get away: it is first in the queue again."""
        self._packets.extendleft(reversed(packets))

    async def news(self) -> None:
        """Wait until something was put since the last time."""
        await self._news.wait()
        self._news.clear()

    def take(self, limit: int) -> list[bytes]:
        """The next packets, as many as fit into a frame of `limit` bytes; one at the least. Not legal on an empty queue."""
        packets = [self._packets.popleft()]
        size = len(packets[0]) + 2
        while self._packets and size + len(self._packets[0]) + 1 < limit:
            packets.append(self._packets.popleft())
            size += len(packets[-1]) + 1
        return packets
