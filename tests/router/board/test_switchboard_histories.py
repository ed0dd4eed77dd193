"""Whatever is said to a switchboard, in whatever order: it answers, keeps to its limits, and only the launcher makes agents."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from falsework.router.board.launcher_link import HandshakeRefused
from falsework.router.wire.errors import Malformed, Refused
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ..peers import RecordingPeer, said
from .boards import Board

LIMITS: dict[str, Any] = {
    "waiting": 3,
    "page_queue": 4,
    "launcher_queue": 5,
    "launcher_queue_bytes": 600,
    "sockets_per_agent": 2,
    "frame": 500,
    "silence": 5.0,
    "request_deadline": 20.0,
    "away_deadline": 10.0,
}
NAMES = st.sampled_from(["a1", "a2", "__proto__", "mephisto", "", "a\0b"]) | st.none()
SESSIONS = st.sampled_from(["of ann", "of bob"]) | st.none()
PAGE_TYPES = ["alive", "heartbeat", "mephisto_bound_live_update"]
LAUNCHER_TYPES = [
    "client_bound_live_update",
    "update_status",
    "agent_details",
    "request_statuses",
    "ack",
    "lease",
    "drain",
    "alive",
]
TYPES = st.sampled_from([*PAGE_TYPES, *LAUNCHER_TYPES, "submit_unit", "__proto__", ""])
DATA: st.SearchStrategy[Any] = st.sampled_from(
    [
        {},
        [],
        None,
        "text",
        {"status": "in task"},
        {"status": "completed"},
        {"status": "asleep"},
        {"status": 5},
        {"request_id": "r1", "agent_id": "a1"},
        {"request_id": "r2", "agent_id": "a2"},
        {"request_id": "__proto__", "agent_id": None},
        {"router_epoch": "e1", "number": 2},
        {"router_epoch": "e1", "number": "2"},
        {"seconds": 1.0},
        {"seconds": "long"},
        {"protocol": 1},
        {"text": "x" * 480},
    ]
)
TIMES = st.sampled_from([None, 0.0, 1.5, -1e308, 1e308, 1.7e9])


def refusal(ask: Callable[..., object], *words: object) -> int | None:
    """The status with which a request was refused, if it was."""
    try:
        ask(*words)
    except Refused as refused:
        return refused.status
    return None


class Histories(RuleBasedStateMachine):
    """Random events from the launcher, pages, other people's pages and the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.board = Board(**LIMITS)
        self.pages = [RecordingPeer("of ann"), RecordingPeer("of bob"), RecordingPeer(None), RecordingPeer("of ann")]
        self.requests = 0
        self.spoken_of = {"a1", "a2"}

    @rule(page=st.integers(0, 3), packet_type=TYPES, name=NAMES, data=DATA, time=TIMES)
    def a_page_says(self, page: int, packet_type: str, name: str | None, data: Any, time: float | None) -> None:
        peer = self.pages[page]
        self.board.page_says(peer, packet_type, name, data, client_timestamp=time)

    @rule(page=st.integers(0, 3))
    def a_page_goes(self, page: int) -> None:
        self.board.switchboard.page_gone(self.pages[page])

    @rule(packet_type=TYPES, name=NAMES, data=DATA, time=TIMES)
    def the_launcher_says(self, packet_type: str, name: str | None, data: Any, time: float | None) -> None:
        if self.board.switchboard.link.peer is None:
            return
        if packet_type == "update_status" and name is not None:
            self.spoken_of.add(name)
        self.board.launcher_says(packet_type, name, data, server_timestamp=time)

    @rule(hello=st.sampled_from([{}, {"token": "wrong", "epoch": 99}, {"token": "secret", "epoch": "x"}, []]))
    def somebody_claims_to_be_the_launcher(self, hello: Any) -> None:
        there = self.board.switchboard.link.peer
        with pytest.raises((HandshakeRefused, Malformed)):
            self.board.switchboard.attach_launcher(
                RecordingPeer(), said("alive", "mephisto", hello), dict, self.board.at
            )
        assert self.board.switchboard.link.peer is there

    @rule()
    def the_launcher_comes(self) -> None:
        self.board.attach_launcher()

    @rule()
    def the_launcher_goes(self) -> None:
        peer = self.board.switchboard.link.peer
        if peer is not None:
            self.board.switchboard.launcher_gone(peer, self.board.at)

    @rule(session=st.sampled_from(["of ann", "of bob"]))
    def a_page_asks(self, session: str) -> None:
        self.requests += 1
        name = f"r{self.requests}"
        waited = len(self.board.switchboard.waiting)
        status = refusal(self.board.request_agent, name, session)
        assert status in (None, 410, 503)
        assert len(self.board.switchboard.waiting) - waited == (status is None)

    @rule(name=NAMES, session=SESSIONS, submission=st.sampled_from(["s1", "s2"]))
    def a_page_submits(self, name: str | None, session: str | None, submission: str) -> None:
        board = self.board.switchboard
        status = refusal(board.check_submission, name or "", session, submission, self.board.at)
        assert status in (None, 403, 404, 409, 410)
        if status is None:
            board.agents.authorise(name, session).submission_id = submission

    @rule(seconds=st.sampled_from([0.25, 4.0, 30.0, 3600.0]), step=st.sampled_from([0.25, 5.0]))
    def time_passes(self, seconds: float, step: float) -> None:
        self.board.pass_time(min(seconds, 40 * step), step)

    @invariant()
    def nothing_grows_beyond_its_limit(self) -> None:
        board = self.board.switchboard
        assert len(board.waiting) <= LIMITS["waiting"]
        assert len(board.link._backlog) <= LIMITS["launcher_queue"]
        assert sum(map(len, board.link._backlog)) == board.link._backlog_bytes <= LIMITS["launcher_queue_bytes"]
        for agent in board.agents:
            assert len(agent.backlog) <= LIMITS["page_queue"]
            assert len(agent.peers) <= LIMITS["sockets_per_agent"]
            assert not (agent.peers and agent.backlog)

    @invariant()
    def only_the_launcher_makes_agents(self) -> None:
        assert set(self.board.switchboard.agents.statuses()) <= self.spoken_of

    @invariant()
    def every_packet_is_whole_and_no_larger_than_a_frame(self) -> None:
        launcher = self.board.switchboard.link.peer
        peers = [*self.pages, launcher] if isinstance(launcher, RecordingPeer) else self.pages
        for peer in peers:
            for packet in peer.sent:
                assert {"packet_type", "subject_id", "data"} <= set(json.loads(packet))
                assert peer is not launcher or len(packet) <= LIMITS["frame"]
            peer.sent.clear()

    @invariant()
    def counters_are_named_by_the_router(self) -> None:
        assert all(name.isidentifier() and not name.startswith("__") for name in self.board.switchboard.counters)


TestHistories = pytest.mark.slow(pytest.mark.decisive(Histories.TestCase))
TestHistories.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
