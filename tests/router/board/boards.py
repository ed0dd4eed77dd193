"""A switchboard with a launcher and pages that only record, and a clock that a test turns by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from falsework.router.board.lease import Lease
from falsework.router.board.switchboard import Instant, Switchboard
from falsework.router.board.waiting import Waiting
from falsework.router.wire.errors import Refused
from falsework.router.wire.protocol import Limits

from ..peers import RecordingPeer, said

WALL = 1_700_000_000.0
"""What the wall clock says when the monotonic one says 0."""


class Board:
    """One switchboard and what came out of it."""

    def __init__(self, token: str | None = "secret", lease: float = 900.0, **limits: Any) -> None:
        self.now = 0.0
        self.acknowledged: list[tuple[str, int]] = []
        self.answers: dict[str, bytes | Refused] = {}
        self.epochs = 0
        self.switchboard = Switchboard(
            "run-1",
            replace(Limits(), **limits),
            token,
            Lease(lease, 1000.0, 0.0),
            lambda router_epoch, number: self.acknowledged.append((router_epoch, number)),
        )

    @property
    def at(self) -> Instant:
        return Instant(self.now, WALL + self.now)

    def attach_launcher(self, protocol: int = 1, **hello: Any) -> RecordingPeer:
        """A launcher that is let in; what it is greeted with is taken off."""
        self.epochs += 1
        peer = RecordingPeer()
        data = {"token": "secret", "protocol": protocol, "epoch": self.epochs, **hello} if protocol else {}
        self.switchboard.attach_launcher(peer, said("alive", "mephisto", data), lambda: {"held": 0}, self.at)
        if protocol:
            peer.sent.pop(0)
        return peer

    def launcher_says(self, packet_type: str, subject_id: str | None = None, data: Any = None, **more: Any) -> None:
        peer = self.switchboard.link.peer
        assert isinstance(peer, RecordingPeer)
        self.switchboard.launcher_said(peer, said(packet_type, subject_id, data, **more), self.at)

    def request_agent(self, request_id: str, session: str = "of ann") -> None:
        """A page asks; what it is answered is in `answers`."""
        waiting = Waiting(
            request_id, session, self.now, lambda answer: self.answers.__setitem__(request_id, answer), b'"register"'
        )
        waiting.packet = b'{"packet_type": "register_agent", "subject_id": "' + request_id.encode() + b'", "data": {}}'
        self.switchboard.register(waiting, self.at)

    def give_agent(self, agent_id: str, session: str = "of ann") -> None:
        """A page asks for an agent and gets it."""
        self.request_agent(agent_id, session)
        self.launcher_says("agent_details", "channel", {"request_id": agent_id, "agent_id": agent_id})

    def page(self, agent_id: str, session: str | None = "of ann") -> RecordingPeer:
        """A page's socket that said whose it is; what it is greeted with is taken off."""
        peer = RecordingPeer(session)
        self.page_says(peer, "alive", agent_id)
        peer.sent.clear()
        return peer

    def page_says(
        self, peer: RecordingPeer, packet_type: str, subject_id: str | None = None, data: Any = None, **more: Any
    ) -> None:
        self.switchboard.page_said(peer, said(packet_type, subject_id, data, **more), self.at)

    def pass_time(self, seconds: float, step: float = 0.25) -> None:
        """Time goes by, with a tick at each step."""
        until = self.now + seconds
        while self.now < until:
            self.now = min(self.now + step, until)
            self.switchboard.tick(self.at)

    def refusal(self, request_id: str) -> tuple[int, str] | None:
        """How a request was refused, if it was."""
        answer = self.answers.get(request_id)
        return (answer.status, answer.error) if isinstance(answer, Refused) else None
