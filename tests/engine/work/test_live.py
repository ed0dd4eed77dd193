"""Agents that are together, what is sent to them, and what a reloaded page gets again."""

from __future__ import annotations

from typing import Any

import pytest
from falsework.engine.work.assignments import IN_TASK, WAITING, Assignment
from falsework.engine.work.live import MOST_REPLAYED, MOST_REPLAYED_BYTES, LiveAgent, Sessions


class Sent:
    """Where updates go."""

    def __init__(self) -> None:
        self.updates: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, agent_id: str, update: dict[str, Any]) -> None:
        self.updates.append((agent_id, update))


def _assignment(agent_id: str, unit: int = 0, status: str = IN_TASK) -> Assignment:
    return Assignment(agent_id, f"worker of {agent_id}", unit, status, 0.0)


def _agent(sent: list[dict[str, Any]]) -> LiveAgent:
    return LiveAgent("a", "ann", sent.append)


async def test_every_update_has_an_id_of_its_own() -> None:
    sent: list[dict[str, Any]] = []
    agent = _agent(sent)
    for _ in range(3):
        await agent.send({"text": "hi"})
    assert len({update["update_id"] for update in sent}) == 3
    assert list(agent.updates) == sent


async def test_an_id_that_the_hook_gave_stays() -> None:
    sent: list[dict[str, Any]] = []
    await _agent(sent).send({"update_id": "mine"})
    assert sent == [{"update_id": "mine"}]


async def test_what_is_sent_is_not_changed_under_the_hooks_hands() -> None:
    update = {"text": "hi"}
    await _agent([]).send(update)
    assert update == {"text": "hi"}


async def test_the_oldest_updates_are_not_replayed() -> None:
    agent = _agent([])
    for number in range(MOST_REPLAYED + 5):
        await agent.send({"number": number})
    assert [update["number"] for update in agent.updates] == list(range(5, MOST_REPLAYED + 5))


async def test_no_more_is_replayed_than_fits_beside_a_unit() -> None:
    sent: list[dict[str, Any]] = []
    agent = _agent(sent)
    for number in range(20):
        await agent.send({"number": number, "text": "x" * (MOST_REPLAYED_BYTES // 10)})
    assert len(sent) == 20
    assert [update["number"] for update in agent.updates] == list(range(11, 20))


async def test_an_update_that_is_no_json_is_not_remembered() -> None:
    agent = _agent([])
    with pytest.raises(TypeError):
        await agent.send({"what": object()})
    await agent.send({"number": 1})
    assert [update["number"] for update in agent.updates if "number" in update] == [1]


def test_partners_meet_in_one_session_and_it_starts_once() -> None:
    sessions = Sessions(["topic"], 2, Sent())
    first = sessions.join(_assignment("a", status=WAITING))
    assert not sessions.starts(first, _assignment("a", status=WAITING))
    second = sessions.join(_assignment("b"))
    assert second is first
    assert (second.unit, second.index) == ("topic", 0)
    assert sessions.starts(second, _assignment("b"))
    assert not sessions.starts(second, _assignment("b"))


def test_a_partner_whose_answer_came_late_starts_the_session_all_the_same() -> None:
    sessions = Sessions(["topic"], 2, Sent())
    session = sessions.join(_assignment("b"))
    assert not sessions.starts(session, _assignment("b"))
    assert sessions.starts(sessions.join(_assignment("a")), _assignment("a"))


def test_joining_again_changes_nothing() -> None:
    sessions = Sessions(["topic"], 2, Sent())
    session = sessions.join(_assignment("a"))
    assert sessions.join(_assignment("a")) is session
    assert [agent.agent_id for agent in session.agents] == ["a"]


def test_those_who_work_alone_are_alone() -> None:
    sessions = Sessions(["topic"], 1, Sent())
    assert sessions.join(_assignment("a")) is not sessions.join(_assignment("b"))


def test_who_leaves_is_in_no_session() -> None:
    sessions = Sessions(["topic"], 2, Sent())
    session = sessions.join(_assignment("a", status=WAITING))
    left = sessions.leave("a")
    assert left is not None
    assert left[0] is session
    assert sessions.of("a") is None
    assert sessions.leave("a") is None
    assert session.agents == []


def test_a_place_in_a_session_that_has_begun_is_not_filled_again() -> None:
    sessions = Sessions(["topic"], 2, Sent())
    begun = sessions.join(_assignment("a"))
    sessions.join(_assignment("b"))
    sessions.starts(begun, _assignment("b"))
    sessions.leave("b")
    assert sessions.join(_assignment("c")) is not begun


async def test_an_agents_updates_go_to_that_agent() -> None:
    sent = Sent()
    sessions = Sessions(["topic"], 2, sent)
    sessions.join(_assignment("a"))
    session = sessions.join(_assignment("b"))
    for agent in session.agents:
        await agent.send({"update_id": agent.agent_id})
    assert sent.updates == [("a", {"update_id": "a"}), ("b", {"update_id": "b"})]
