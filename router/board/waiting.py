"""Pages' requests that the launcher must answer, held open until it does. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from ..wire.agreed import AGREED, Refusal
from ..wire.errors import Refused
from ..wire.protocol import Limits
from .launcher_link import LauncherLink

Settle = Callable[[bytes | Refused], None]


@dataclass(slots=True)
class Waiting:
    """A page's request that the launcher must answer."""

    request_id: str
    session: str
    since: float
    settle: Settle
    packet: bytes | None
    """What to say to a launcher that has not heard of it; None where the outbox carries it."""
    sent_on: int = 0
    """The launcher's connection on which it was said last; 0: not yet."""


class WaitingRequests:
    """All of them, in the order in which they came."""

    def __init__(self, limits: Limits, link: LauncherLink) -> None:
        self._limits, self._link = limits, link
        self._requests: dict[str, Waiting] = {}

    def __len__(self) -> int:
        return len(self._requests)

    def add(self, waiting: Waiting) -> None:
        """Hold one more open. Raises Refused where too many wait already."""
        if len(self) >= self._limits.waiting:
            raise Refused(AGREED.refusals.too_busy)
        self._requests[waiting.request_id] = waiting

    def take(self, request_id: str) -> Waiting | None:
        """The request of that id, which waits no longer; None if it did not wait."""
        return self._requests.pop(request_id, None)

    def refuse_all(self, refusal: Refusal) -> None:
        """Answer everybody who waits with this."""
        self.refuse_older(refusal, inf)

    def refuse_older(self, refusal: Refusal, time: float) -> None:
        """Answer those with this who have waited since before that time."""
        for waiting in [waiting for waiting in self._requests.values() if waiting.since < time]:
            del self._requests[waiting.request_id]
            waiting.settle(Refused(refusal))

    def offer(self, waiting: Waiting) -> None:
        """Say it to the launcher, if there is one."""
        if self._link.peer is not None and waiting.packet is not None:
            waiting.sent_on = self._link.connection
            self._link.send(waiting.packet)

    def offer_all(self, also_sent_before: bool = False) -> None:
        """Say the open requests to a launcher that just attached.

        Ours hears them on each connection, as it knows a repeat by its request id. Mephisto's acts on every copy, so its
        process hears each once: those never said at its first `alive`, the others only once it shows that it is a new one.
        """
        again = also_sent_before or self._link.protocol >= 1
        for waiting in self._requests.values():
            if waiting.sent_on == 0 or (again and waiting.sent_on != self._link.connection):
                self.offer(waiting)
