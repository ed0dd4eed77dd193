from __future__ import annotations

from dataclasses import replace

import pytest
from falsework.router.board.agents import Agent, Agents
from falsework.router.wire.errors import Refused
from falsework.router.wire.protocol import DISCONNECT, STATUSES, WORKING, Limits

from ..peers import RecordingPeer


@pytest.fixture
def agents() -> Agents:
    return Agents(replace(Limits(), silence=15.0, sockets_per_agent=2, page_queue=3))


def refusal(agents: Agents, agent_id: str | None, session: str | None) -> int | None:
    try:
        agents.authorise(agent_id, session)
    except Refused as refused:
        return refused.status
    return None


def working(agents: Agents, agent_id: str, heard: float = 0.0) -> Agent:
    agent = agents.make_known(agent_id)
    agents.attach(agent, RecordingPeer())
    agent.status, agent.heard = "in task", heard
    return agent


@pytest.mark.parametrize("name", ["a1", "", "__proto__", "constructor", "a\0b", None])
def test_asking_for_an_unknown_agent_creates_nothing(agents: Agents, name: str | None) -> None:
    assert agents.get(name) is None
    assert refusal(agents, name, "session") == 404
    assert refusal(agents, name, None) == 404
    assert len(agents) == 0


def test_the_browser_that_was_given_the_agent_speaks_for_it_and_no_other(agents: Agents) -> None:
    agents.give_to("a1", "of ann")
    assert refusal(agents, "a1", "of ann") is None
    assert refusal(agents, "a1", "of bob") == 403


def test_without_a_cookie_the_agents_id_counts_until_its_cookie_was_seen(agents: Agents) -> None:
    agents.give_to("a1", "of ann")
    assert refusal(agents, "a1", None) is None
    assert refusal(agents, "a1", "of ann") is None
    assert refusal(agents, "a1", None) == 403


def test_an_agent_that_the_launcher_only_spoke_of_belongs_to_who_comes_first(agents: Agents) -> None:
    agents.make_known("a1")
    assert refusal(agents, "a1", "of ann") is None
    assert refusal(agents, "a1", "of bob") == 403


def test_an_agent_that_is_given_out_anew_changes_hands(agents: Agents) -> None:
    agents.give_to("a1", "of ann").status = "in task"
    agents.authorise("a1", "of ann")
    agents.give_to("a1", "of bob")
    assert refusal(agents, "a1", "of ann") == 403
    assert refusal(agents, "a1", "of bob") is None
    assert agents.make_known("a1").status == "in task"


def test_it_knows_the_browsers_that_are_in(agents: Agents) -> None:
    agents.make_known("a1")
    agents.give_to("b1", "of bob")
    assert agents.has_session("of bob")
    assert not agents.has_session("of ann")


def test_the_oldest_socket_goes_when_an_agent_has_too_many(agents: Agents) -> None:
    agent = agents.make_known("a1")
    first, second, third = RecordingPeer(), RecordingPeer(), RecordingPeer()
    assert agents.attach(agent, first) is None
    assert agents.attach(agent, second) is None
    assert agents.attach(agent, third) is first
    assert agent.peers == [second, third]


def test_a_socket_that_goes_leaves_all_its_agents(agents: Agents) -> None:
    one, two, peer = agents.make_known("a1"), agents.make_known("a2"), RecordingPeer()
    agents.attach(one, peer)
    agents.attach(two, peer)
    agents.forget(two)
    agents.detach(peer)
    agents.detach(peer)
    assert one.peers == []
    assert one.had_socket


def test_an_agent_taken_back_has_the_sockets_that_are_still_there(agents: Agents) -> None:
    agent, gone, there = agents.make_known("a1"), RecordingPeer(), RecordingPeer()
    agents.attach(agent, gone)
    agents.attach(agent, there)
    agents.forget(agent)
    assert agents.get("a1") is None
    agents.detach(gone)
    agents.restore(agent)
    assert agents.get("a1") is agent
    assert agent.peers == [there]


def test_a_working_agent_is_disconnected_once_its_silence_is_too_long(agents: Agents) -> None:
    agent = working(agents, "a1", heard=100.0)
    assert agents.fall_silent(115.0) == []
    assert agents.fall_silent(115.1) == [agent]
    assert agent.status == DISCONNECT
    assert agents.fall_silent(200.0) == []


@pytest.mark.parametrize("status", sorted(STATUSES))
def test_only_agents_at_work_are_disconnected(agents: Agents, status: str) -> None:
    working(agents, "a1").status = status
    assert bool(agents.fall_silent(100.0)) == (status in WORKING)


def test_neither_static_agents_nor_those_who_handed_in_are_disconnected(agents: Agents) -> None:
    agents.make_known("static").status = "in task"
    working(agents, "submitted").submission_id = "s1"
    assert agents.fall_silent(100.0) == []


def test_nobody_is_blamed_for_the_time_that_the_router_stood_still(agents: Agents) -> None:
    working(agents, "a1", heard=100.0)
    agents.excuse(60.0)
    assert agents.fall_silent(170.0) == []
    assert len(agents.fall_silent(176.0)) == 1


def test_statuses_are_told_by_agent(agents: Agents) -> None:
    working(agents, "a1")
    agents.make_known("__proto__")
    assert agents.statuses() == {"a1": "in task", "__proto__": "none"}


def test_only_agents_at_work_are_looked_at(agents: Agents, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[str] = []

    def note(agent: Agent) -> bool:
        looked_at.append(agent.agent_id)
        return agent.status in WORKING

    monkeypatch.setattr(Agent, "is_working", note)
    for number in range(5):
        working(agents, f"a{number}")
        agents.set_status(agents.make_known(f"a{number}"), "completed")
    agents.make_known("static")
    working(agents, "at work")
    agents.fall_silent(1.0)
    looked_at.clear()
    assert agents.fall_silent(2.0) == []
    assert looked_at == ["at work"]


def test_an_agent_that_goes_back_to_work_is_looked_at_again(agents: Agents) -> None:
    agent = working(agents, "a1", heard=0.0)
    assert agents.fall_silent(100.0) == [agent]
    agents.set_status(agent, "in task")
    agent.heard = 100.0
    assert agents.fall_silent(110.0) == []
    assert agents.fall_silent(116.0) == [agent]


def test_an_agent_that_is_forgotten_is_not_disconnected_until_it_is_taken_back(agents: Agents) -> None:
    agent = working(agents, "a1")
    agents.forget(agent)
    assert agents.fall_silent(100.0) == []
    agents.restore(agent)
    assert agents.fall_silent(100.0) == [agent]


def test_an_agent_that_handed_in_to_a_router_before_this_one_has_handed_in() -> None:
    agents = Agents(Limits(), {"a1": "s1", "a2": "s2"})
    assert refusal(agents, "a1", None) == 404
    assert agents.make_known("a1").submission_id == "s1"
    assert agents.give_to("a2", "of bob").submission_id == "s2"
    assert agents.make_known("a3").submission_id is None
