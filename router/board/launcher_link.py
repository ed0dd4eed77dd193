"""The router's side of its launcher: who it is, what waits for it while it is away. No I/O, no clock."""

from __future__ import annotations

import hmac
from collections import deque

from ..wire.agreed import AGREED, Closing, filled
from ..wire.protocol import Hello, Limits
from .agents import Peer


class HandshakeRefused(Exception):
    """A launcher that is not let in; the close code and the reason."""

    def __init__(self, closing: Closing, **facts: object) -> None:
        """`facts` are those that the reason speaks of."""
        self.code, self.reason = closing.code, filled(closing.reason, **facts)
        super().__init__(self.reason)


class LauncherLink:
    """One launcher at most is attached. `token` None takes any launcher (an open router, on the loopback only)."""

    def __init__(self, token: str | None, limits: Limits, now: float) -> None:
        self._token = token
        self._limits = limits
        self.peer: Peer | None = None
        self.protocol = 0
        self.epoch = 0
        self.connection = 0
        """Counts the connections, so that what was sent on which can be told."""
        self.heard = now
        self.left = now
        """When the last launcher went away (or the router started)."""
        self._backlog: deque[bytes] = deque()
        self._backlog_bytes = 0
        self.dropped = 0
        """Packets that were given up because the launcher was away for too long."""

    def check(self, hello: Hello) -> None:
        """Raise HandshakeRefused unless this launcher may attach now."""
        if not self.knows(hello.token or ""):
            raise HandshakeRefused(AGREED.closings.bad_token)
        if hello.protocol == 0:
            return
        if hello.epoch < self.epoch or (self.peer is not None and hello.epoch == self.epoch):
            raise HandshakeRefused(AGREED.closings.not_newer, epoch=self.epoch, said=hello.epoch)

    def knows(self, token: str) -> bool:
        """Whether whoever says this is this run's launcher, in constant time. An open router believes anybody."""
        said = token.encode(errors="surrogateescape")
        return self._token is None or hmac.compare_digest(self._token.encode(), said)

    def attach(self, peer: Peer, hello: Hello, now: float) -> None:
        """Make this the launcher. The one before it, if still there, is closed."""
        if self.peer is not None:
            self.peer.close(AGREED.closings.displaced.code, AGREED.closings.displaced.reason)
        self.peer, self.protocol = peer, hello.protocol
        self.epoch = max(self.epoch, hello.epoch)
        self.connection += 1
        self.heard = now
        peer.batches = hello.protocol >= 1

    def detach(self, now: float) -> None:
        """The launcher's socket is gone."""
        self.peer, self.left = None, now

    def send(self, packet: bytes) -> None:
        """To the launcher, or kept for the next one; when too much is kept the oldest go, counted."""
        if self.peer is not None:
            self.peer.send(packet)
            return
        self._backlog.append(packet)
        self._backlog_bytes += len(packet)
        while (
            len(self._backlog) > self._limits.launcher_queue or self._backlog_bytes > self._limits.launcher_queue_bytes
        ):
            self._backlog_bytes -= len(self._backlog.popleft())
            self.dropped += 1

    def send_backlog(self) -> None:
        """Hand over what was kept, in order."""
        backlog, self._backlog, self._backlog_bytes = self._backlog, deque(), 0
        for packet in backlog:
            self.send(packet)

    def away_for(self, now: float) -> float:
        """Seconds without an attached launcher; 0 while there is one."""
        return 0.0 if self.peer is not None else now - self.left
