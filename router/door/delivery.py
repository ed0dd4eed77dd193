"""Durable packets on their way to one attached launcher: in order, with a window, until acknowledged. No I/O of its own."""

from __future__ import annotations

from collections import deque

from ..board.agents import Peer
from .outbox import Outbox


class Delivery:
    """Sends what the outbox holds to `peer`, at most `window` bytes ahead of the acknowledgements."""

    def __init__(self, outbox: Outbox, peer: Peer, window: int, *, acknowledges: bool) -> None:
        """A launcher that does not know acknowledgements has a packet once it is sent to it."""
        self._outbox, self._peer, self._window = outbox, peer, window
        self._acknowledges = acknowledges
        self._sent = 0
        self._in_flight: deque[tuple[int, int]] = deque()
        self._in_flight_bytes = 0

    def pump(self) -> None:
        """Send what fits. Call it when something new is held, and after each acknowledgement."""
        for number, packet in self._outbox.after(self._sent):
            if self._in_flight and self._in_flight_bytes + len(packet) > self._window:
                return
            self._peer.send(packet)
            self._sent = number
            if self._acknowledges:
                self._in_flight.append((number, len(packet)))
                self._in_flight_bytes += len(packet)
        if not self._acknowledges:
            self._outbox.acknowledge(self._outbox.router_epoch, self._sent)

    def acknowledged(self, number: int) -> None:
        """The launcher has everything up to `number`; make room."""
        while self._in_flight and self._in_flight[0][0] <= number:
            self._in_flight_bytes -= self._in_flight.popleft()[1]
        self.pump()
