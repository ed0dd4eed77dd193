from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from falsework.router.board.launcher_link import HandshakeRefused
from falsework.router.board.waiting import Waiting
from falsework.router.wire.errors import Malformed, Refused

from ..peers import RecordingPeer, said
from .boards import WALL, Board


@pytest.fixture
def board() -> Board:
    return Board()


# Requests that the launcher answers


def test_a_request_waits_until_the_launcher_answers_it(board: Board) -> None:
    launcher = board.attach_launcher()
    board.request_agent("r1")
    assert launcher.received_types() == ["register_agent"]
    assert board.answers == {}
    board.launcher_says("agent_details", "channel", {"request_id": "r1", "agent_id": "a1", "more": [1]})
    answer = board.answers["r1"]
    assert isinstance(answer, bytes)
    assert json.loads(answer)["data"] == {"request_id": "r1", "agent_id": "a1", "more": [1]}
    assert len(board.switchboard.waiting) == 0
    assert board.switchboard.agents.get("a1") is not None


def test_a_launcher_that_comes_back_hears_of_what_is_open_and_of_nothing_else(board: Board) -> None:
    board.attach_launcher()
    board.request_agent("r1")
    board.request_agent("r2")
    board.launcher_says("agent_details", "c", {"request_id": "r1", "agent_id": None})
    again = board.attach_launcher()
    assert [packet["subject_id"] for packet in again.received()] == ["r2"]


def test_a_process_of_mephistos_launcher_hears_each_request_once() -> None:
    board = Board(token=None)
    board.request_agent("r1")
    first = board.attach_launcher(protocol=0)
    board.launcher_says("alive", "mephisto")
    board.launcher_says("alive", "mephisto")
    assert first.received_types() == ["register_agent"]
    reconnected = board.attach_launcher(protocol=0)
    assert reconnected.received_types() == []
    board.launcher_says("alive", "mephisto")
    assert reconnected.received_types() == ["register_agent"]


def test_a_request_ends_at_its_deadline() -> None:
    board = Board(request_deadline=30.0)
    board.attach_launcher()
    board.request_agent("r1")
    board.pass_time(30.0)
    assert board.answers == {}
    board.pass_time(0.25)
    assert board.refusal("r1") == (503, "no_answer")
    board.launcher_says("agent_details", "c", {"request_id": "r1", "agent_id": "a1"})
    assert board.switchboard.counters["late_answers"] == 1


def test_a_request_waits_for_an_absent_launcher_only_for_so_long() -> None:
    board = Board(away_deadline=10.0)
    launcher = board.attach_launcher()
    board.pass_time(50.0)
    board.request_agent("r1")
    board.switchboard.launcher_gone(launcher, board.at)
    board.request_agent("r2")
    board.pass_time(10.0)
    assert board.answers == {}
    board.pass_time(0.25)
    assert board.refusal("r1") == board.refusal("r2") == (503, "launcher_away")
    with pytest.raises(Refused, match="not reachable"):
        board.request_agent("r3")


def test_more_requests_than_the_limit_are_turned_away() -> None:
    board = Board(waiting=2)
    board.request_agent("r1")
    board.request_agent("r2")
    with pytest.raises(Refused, match="Too many"):
        board.request_agent("r3")
    assert len(board.switchboard.waiting) == 2
    assert board.switchboard.waiting.take("r3") is None


def test_an_onboarding_that_could_not_be_kept_may_be_handed_in_again(board: Board) -> None:
    board.attach_launcher()
    board.give_agent("onboarding_1")
    agent = board.switchboard.agents.authorise("onboarding_1", "of ann")
    waiting = Waiting("r2", "of ann", board.now, lambda answer: None, None)
    board.switchboard.await_onboarding(agent, waiting)
    assert board.switchboard.agents.get("onboarding_1") is None
    board.switchboard.take_back_onboarding(agent, waiting)
    assert board.switchboard.agents.get("onboarding_1") is agent
    assert len(board.switchboard.waiting) == 0


def test_a_draining_router_admits_only_who_is_in(board: Board) -> None:
    launcher = board.attach_launcher()
    board.give_agent("a1", "of ann")
    board.launcher_says("drain", "mephisto")
    with pytest.raises(Refused, match="no new workers"):
        board.request_agent("r2", "of bob")
    board.request_agent("r3", "of ann")
    assert launcher.received_types()[-1] == "register_agent"


def test_a_launcher_that_leaves_for_good_answers_all_who_wait(board: Board) -> None:
    board.attach_launcher()
    board.give_agent("a1")
    board.request_agent("r1", "of bob")
    board.launcher_says("bye", "mephisto")
    assert board.refusal("r1") == (410, "finished")
    for session in ("of ann", "of bob"):
        with pytest.raises(Refused, match="finished"):
            board.request_agent("r2", session)


# The launcher


def test_a_launcher_is_welcomed_after_what_it_has_is_released(board: Board) -> None:
    peer = RecordingPeer()
    hello = {"token": "secret", "protocol": 1, "epoch": 1, "acked": {"e1": 5, "e0": 9}, "lease": 60}
    board.switchboard.attach_launcher(
        peer, said("alive", "mephisto", hello), lambda: {"acknowledged": len(board.acknowledged)}, board.at
    )
    assert peer.received()[0]["data"] == {"acknowledged": 2}
    assert board.acknowledged == [("e1", 5), ("e0", 9)]
    assert board.switchboard.lease.seconds == 60


@pytest.mark.parametrize(
    "data", [[], "secret", {"token": 5}, {"token": "secret", "epoch": "1"}, {"token": "secret", "acked": [1]}]
)
def test_a_malformed_introduction_changes_nothing_and_is_counted(board: Board, data: Any) -> None:
    with pytest.raises(Malformed, match="token, protocol, epoch, acked, lease"):
        board.switchboard.attach_launcher(RecordingPeer(), said("alive", "mephisto", data), dict, board.at)
    assert board.switchboard.link.peer is None
    assert board.switchboard.counters["launchers_refused"] == 1


def test_a_refused_launcher_changes_nothing_and_is_counted(board: Board) -> None:
    with pytest.raises(HandshakeRefused, match="token"):
        board.switchboard.attach_launcher(
            RecordingPeer(), said("alive", "mephisto", {"acked": {"e": 1}}), dict, board.at
        )
    assert board.acknowledged == []
    assert board.switchboard.counters["launchers_refused"] == 1


def test_a_launcher_that_was_displaced_takes_nothing_with_it_when_it_goes(board: Board) -> None:
    old = board.attach_launcher()
    new = board.attach_launcher()
    board.switchboard.launcher_gone(old, board.at)
    assert board.switchboard.link.peer is new


def test_acknowledgements_are_passed_on_to_the_outbox(board: Board) -> None:
    board.attach_launcher()
    board.launcher_says("ack", "mephisto", {"router_epoch": "e1", "number": 3})
    assert board.acknowledged == [("e1", 3)]


def test_any_word_of_the_launcher_renews_the_lease(board: Board) -> None:
    board.attach_launcher()
    board.now = 800.0
    board.launcher_says("nonsense")
    assert board.switchboard.lease.heard == 800.0
    board.launcher_says("lease", "mephisto", {"seconds": 5})
    assert board.switchboard.lease.seconds == 5


# Pages


def test_a_heartbeat_tells_how_long_the_launcher_was_silent_by_the_pages_clock(board: Board) -> None:
    board.attach_launcher()
    board.give_agent("a1")
    page = board.page("a1")
    board.now += 7.5
    board.page_says(page, "heartbeat", "a1", client_timestamp=50.0)
    assert page.received()[0]["data"] == {"last_mephisto_ping": 42_500, "status": "none"}
    board.page_says(page, "heartbeat", "a1")
    assert page.received()[0]["data"]["last_mephisto_ping"] == int(WALL * 1000)


@pytest.mark.parametrize("said_at", [1e300, -1e300, 1.7e308, 1e13])
def test_a_time_that_no_clock_shows_is_refused(board: Board, said_at: float) -> None:
    board.attach_launcher()
    board.give_agent("a1")
    page = board.page("a1")
    board.page_says(page, "heartbeat", "a1", client_timestamp=said_at)
    assert page.received()[0]["data"]["error"] == "malformed"


def test_heartbeats_keep_an_agent_from_being_disconnected() -> None:
    board = Board(silence=15.0)
    launcher = board.attach_launcher()
    board.give_agent("a1")
    page = board.page("a1")
    board.launcher_says("update_status", "a1", {"status": "in task"})
    for _ in range(10):
        board.pass_time(6.0)
        board.page_says(page, "heartbeat", "a1")
    launcher.sent.clear()
    board.pass_time(15.25)
    assert [packet["data"] for packet in launcher.received()] == [{"a1": "disconnect"}]


def test_a_pause_of_the_router_itself_disconnects_nobody() -> None:
    board = Board(silence=15.0)
    board.attach_launcher()
    board.give_agent("a1")
    board.page("a1")
    board.launcher_says("update_status", "a1", {"status": "in task"})
    board.now += 3600.0
    board.switchboard.tick(board.at)
    board.pass_time(14.0)
    assert board.switchboard.agents.statuses() == {"a1": "in task"}


def test_a_page_cannot_make_the_launcher_lose_its_connection_with_a_large_packet() -> None:
    board = Board(frame=2000)
    launcher = board.attach_launcher()
    board.give_agent("a1")
    launcher.sent.clear()
    page = board.page("a1")
    board.page_says(page, "mephisto_bound_live_update", "a1", {"text": "x" * 1950})
    assert page.received()[0]["data"]["error"] == "too_large"
    with pytest.raises(Refused, match="2000"):
        board.switchboard.log_error("a1", msgspec.Raw(b'"' + b"x" * 2000 + b'"'), None, board.at)
    assert launcher.sent == []


def test_updates_for_a_page_that_is_away_are_kept_up_to_the_limit() -> None:
    board = Board(page_queue=2)
    board.attach_launcher()
    board.give_agent("a1")
    for number in range(5):
        board.launcher_says("client_bound_live_update", "a1", {"update_id": number})
    page = RecordingPeer("of ann")
    board.page_says(page, "alive", "a1")
    updates = [p["data"]["update_id"] for p in page.received() if p["packet_type"] == "client_bound_live_update"]
    assert updates == [3, 4]
    assert board.switchboard.counters["page_updates_dropped"] == 3


def test_a_page_that_says_protocol_1_gets_several_packets_in_a_frame(board: Board) -> None:
    board.attach_launcher()
    board.give_agent("a1")
    page = RecordingPeer("of ann")
    board.page_says(page, "alive", "a1", {"protocol": 1})
    assert page.batches


def test_the_version_mismatch_of_every_page_is_told_once(board: Board) -> None:
    launcher = board.attach_launcher()
    for text in (b'"version-mismatch"', b'"version-mismatch"', b'"other"', b'"other"'):
        board.switchboard.log_error("a1", msgspec.Raw(text), 1.5, board.at)
    assert [packet["data"] for packet in launcher.received()] == ["version-mismatch", "other", "other"]


# Submissions


def test_a_submission_is_taken_once_and_a_retry_is_known(board: Board) -> None:
    board.attach_launcher()
    board.give_agent("a1")
    agent = board.switchboard.check_submission("a1", "of ann", "s1", board.at)
    assert agent is not None
    agent.submission_id = "s1"
    assert board.switchboard.check_submission("a1", "of ann", "s1", board.at) is None
    with pytest.raises(Refused, match="already handed in"):
        board.switchboard.check_submission("a1", "of ann", "s2", board.at)


def test_a_retry_is_known_even_after_the_launcher_left_for_good(board: Board) -> None:
    board.attach_launcher()
    board.give_agent("a1")
    board.give_agent("a2")
    board.switchboard.agents.authorise("a1", "of ann").submission_id = "s1"
    board.launcher_says("bye", "mephisto")
    assert board.switchboard.check_submission("a1", "of ann", "s1", board.at) is None
    with pytest.raises(Refused, match="finished"):
        board.switchboard.check_submission("a2", "of ann", "s1", board.at)


@pytest.mark.parametrize("status", ["completed", "approved", "soft_rejected", "rejected"])
def test_an_agent_that_the_launcher_is_done_with_hands_in_nothing_more(board: Board, status: str) -> None:
    board.attach_launcher()
    board.give_agent("a1")
    board.launcher_says("update_status", "a1", {"status": status})
    with pytest.raises(Refused, match="already handed in"):
        board.switchboard.check_submission("a1", "of ann", "s1", board.at)


# Statuses


def test_statuses_that_do_not_fit_one_frame_come_in_several_and_none_is_missing() -> None:
    board = Board(frame=1000)
    launcher = board.attach_launcher()
    names = {f"{number}{'x' * 100}" for number in range(40)}
    for name in names:
        board.launcher_says("update_status", name, {"status": "in task"})
    launcher.sent.clear()
    board.launcher_says("request_statuses", "mephisto", server_timestamp=5.0)
    assert all(len(packet) <= 1000 for packet in launcher.sent)
    packets = launcher.received()
    assert len(packets) > 4
    assert {packet["client_timestamp"] for packet in packets} == {5.0}
    assert sorted(name for packet in packets for name in packet["data"]) == sorted(names)


# The server's own limits


def test_every_word_of_a_worker_counts_and_no_others(board: Board) -> None:
    board.attach_launcher()
    lease = board.switchboard.lease
    board.give_agent("a1")
    page = board.page("a1")

    def counts(speak: Callable[[], object]) -> bool:
        board.now += 1
        with suppress(Refused):
            speak()
        return lease.worked == board.now

    assert counts(lambda: board.request_agent("r2", "of bob"))
    assert counts(lambda: board.page_says(page, "heartbeat", "a1"))
    assert counts(lambda: board.page_says(page, "mephisto_bound_live_update", "a1", {"update_id": 1}))
    assert counts(lambda: board.switchboard.worker("a1", "of ann", board.at))
    assert counts(lambda: board.switchboard.check_submission("a1", "of ann", "s1", board.at))
    assert not counts(lambda: board.launcher_says("update_status", "a1", {"status": "in task"}))
    assert not counts(lambda: board.switchboard.worker("a1", "of bob", board.at))
    assert not counts(lambda: board.page_says(RecordingPeer(), "heartbeat", "nobody"))


@pytest.mark.parametrize("seconds", [0, -1, 1e300, "long", None])
def test_a_lease_that_is_no_length_of_time_changes_nothing(board: Board, seconds: Any) -> None:
    launcher = board.attach_launcher()
    board.launcher_says("lease", "mephisto", {"seconds": seconds})
    assert launcher.received()[0]["data"]["error"] == "malformed"
    assert board.switchboard.lease.seconds == 900.0


def test_an_id_that_no_agent_can_have_makes_nobody_known_and_leaves_the_request_open(board: Board) -> None:
    launcher = board.attach_launcher()
    board.request_agent("r1")
    launcher.sent.clear()
    board.launcher_says("agent_details", "c", {"request_id": "r1", "agent_id": "a" * 257})
    board.launcher_says("update_status", "a" * 257, {"status": "in task"})
    assert [packet["data"]["error"] for packet in launcher.received()] == ["malformed"] * 2
    assert len(board.switchboard.agents) == 0
    assert len(board.switchboard.waiting) == 1
    assert board.switchboard.waiting.take("r1") is not None
