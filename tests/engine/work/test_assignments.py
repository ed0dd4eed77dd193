"""Who gets which unit: the rules one by one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
from falsework.engine.work.assignments import AlreadySubmitted, Assignment, Assignments
from falsework.engine.work.places import UnitSet


def given_to(assignments: Assignments, worker: str, agent: str, now: float = 0.0) -> Assignment:
    assignment = assignments.assign(worker, agent, now)
    assert assignment is not None
    return assignment


def test_a_unit_that_was_begun_is_finished_before_another_begins() -> None:
    assignments = Assignments(3, 2)
    assert [given_to(assignments, worker, f"{worker}1").unit for worker in "abc"] == [0, 0, 1]
    assignments.submit("a1")
    assert given_to(assignments, "a", "a2").unit == 1


def test_a_reload_gets_the_same_assignment_and_the_old_agent() -> None:
    assignments = Assignments(3, 1)
    first = given_to(assignments, "a", "a1", now=5.0)
    assert given_to(assignments, "a", "a2", now=9.0) == first
    assert assignments.agent("a2") is None


def test_a_worker_who_returns_takes_up_what_it_left() -> None:
    assignments = Assignments(3, 1)
    given_to(assignments, "a", "a1", now=1.0)
    assignments.release("a1", "disconnect")
    returned = given_to(assignments, "a", "a2", now=7.0)
    assert (returned.agent_id, returned.unit, returned.status, returned.since) == ("a1", 0, "in task", 7.0)


def test_a_worker_who_returns_too_late_gets_another_unit() -> None:
    assignments = Assignments(2, 1)
    given_to(assignments, "a", "a1")
    assignments.release("a1", "timeout")
    given_to(assignments, "b", "b1")
    returned = given_to(assignments, "a", "a2")
    assert (returned.agent_id, returned.unit) == ("a2", 1)


def test_a_late_submission_counts_while_a_place_is_free() -> None:
    assignments = Assignments(1, 1)
    given_to(assignments, "a", "a1")
    assignments.release("a1", "timeout")
    assert assignments.submit("a1")
    assert assignments.done


def test_a_late_submission_is_an_extra_once_the_place_is_taken() -> None:
    assignments = Assignments(1, 1)
    given_to(assignments, "a", "a1")
    assignments.release("a1", "timeout")
    given_to(assignments, "b", "b1")
    assert not assignments.submit("a1")
    assert assignments.submit("b1")
    assert assignments.counts.extras == 1
    assert assignments.done


def test_what_was_submitted_late_is_not_taken_up_again() -> None:
    assignments = Assignments(1, 2)
    for worker in "ab":
        given_to(assignments, worker, f"{worker}1")
    assignments.release("a1", "timeout")
    given_to(assignments, "c", "c1")
    assert not assignments.submit("a1")
    assignments.release("c1", "returned")
    assert assignments.assign("a", "a2", 0.0) is None


def test_an_agent_submits_once() -> None:
    assignments = Assignments(1, 2)
    given_to(assignments, "a", "a1")
    assignments.submit("a1")
    with pytest.raises(AlreadySubmitted, match="agent a1 has submitted unit 0 already"):
        assignments.submit("a1")
    assert assignments.counts.counted == 1


def test_releasing_what_is_over_changes_nothing() -> None:
    assignments = Assignments(1, 2)
    given_to(assignments, "a", "a1")
    assignments.submit("a1")
    assert assignments.release("a1", "disconnect") == []
    assert assignments.agent("a1").status == "completed"  # type: ignore[union-attr]


@pytest.mark.parametrize("action", ["submit", "release"])
def test_an_unknown_agent_is_a_key_error(action: str) -> None:
    assignments = Assignments(1, 1)
    with pytest.raises(KeyError):
        assignments.submit("nobody") if action == "submit" else assignments.release("nobody", "timeout")


@pytest.mark.parametrize("status", ["in task", "waiting", "completed"])
def test_a_release_needs_a_status_that_ends_the_work(status: str) -> None:
    assignments = Assignments(1, 1)
    given_to(assignments, "a", "a1")
    with pytest.raises(ValueError, match="no status of an assignment that was left"):
        assignments.release("a1", status)


def test_an_agent_id_is_used_once() -> None:
    assignments = Assignments(2, 1)
    given_to(assignments, "a", "same")
    with pytest.raises(ValueError, match="used once"):
        assignments.assign("b", "same", 0.0)
    assert given_to(assignments, "b", "b1").unit == 1


@pytest.mark.parametrize("units, per_unit, per_worker", [(-1, 1, 0), (1, 0, 0), (1, 1, -1)])
def test_senseless_sizes_are_refused(units: int, per_unit: int, per_worker: int) -> None:
    with pytest.raises(ValueError, match="at least one worker"):
        Assignments(units, per_unit, units_per_worker=per_worker)


def test_no_units_are_done_at_once() -> None:
    assignments = Assignments(0, 1)
    assert assignments.done
    assert assignments.assign("a", "a1", 0.0) is None
    assert assignments.nothing_for("a") == "finished"


def test_the_limit_of_a_worker_counts_what_it_left_but_lets_it_return() -> None:
    assignments = Assignments(5, 1, units_per_worker=1)
    given_to(assignments, "a", "a1")
    assignments.release("a1", "returned")
    assert given_to(assignments, "a", "a2").agent_id == "a1"
    assignments.release("a1", "returned")
    given_to(assignments, "b", "b1")
    assert assignments.assign("a", "a3", 0.0) is None
    assert assignments.nothing_for("a") == "all_in_work"
    assignments.submit("b1")
    assert assignments.nothing_for("a") == "nothing_left"


def test_the_reason_for_nothing_tells_what_may_come_back() -> None:
    assignments = Assignments(1, 2)
    given_to(assignments, "a", "a1")
    assignments.submit("a1")
    assert assignments.nothing_for("a") == "nothing_left"
    given_to(assignments, "b", "b1")
    assert assignments.assign("c", "c1", 0.0) is None
    assert assignments.nothing_for("c") == "all_in_work"
    assignments.submit("b1")
    assert assignments.nothing_for("c") == "finished"


def test_overdue_names_the_open_agents_oldest_first() -> None:
    assignments = Assignments(4, 1)
    for agent, now in (("a1", 3.0), ("b1", 1.0), ("c1", 2.0), ("d1", 9.0)):
        given_to(assignments, agent[0], agent, now)
    assignments.submit("c1")
    assert assignments.overdue(before=9.0) == ["b1", "a1"]


def test_a_group_starts_when_it_is_full() -> None:
    assignments = Assignments(2, 2, together=True)
    assert given_to(assignments, "a", "a1", now=1.0).status == "waiting"
    filled = given_to(assignments, "b", "b1", now=8.0)
    assert (filled.status, filled.started_with) == ("in task", ("a1",))
    assert assignments.agent("a1") == Assignment("a1", "a", 0, "in task", 8.0)
    assert given_to(assignments, "b", "b2").started_with == ()


def test_leaving_a_waiting_group_frees_the_place_and_may_be_taken_back() -> None:
    assignments = Assignments(1, 2, together=True)
    given_to(assignments, "a", "a1")
    assert assignments.release("a1", "disconnect") == []
    assert given_to(assignments, "b", "b1").status == "waiting"
    returned = given_to(assignments, "a", "a2")
    assert (returned.agent_id, returned.started_with) == ("a1", ("b1",))


def test_leaving_at_work_breaks_the_group_and_tells_the_partners() -> None:
    assignments = Assignments(2, 3, together=True)
    for worker in "abc":
        given_to(assignments, worker, f"{worker}1")
    assert assignments.submit("a1")
    assert assignments.release("b1", "disconnect") == ["c1"]
    assert assignments.agent("c1").status == "partner disconnect"  # type: ignore[union-attr]
    assert assignments.agent("b1").revoked == ("a1",)  # type: ignore[union-attr]
    assert not assignments.agent("a1").counted  # type: ignore[union-attr]
    assert not assignments.submit("c1")
    assert (assignments.counts.counted, assignments.counts.extras) == (0, 2)


def test_a_broken_unit_is_done_by_a_group_of_others() -> None:
    assignments = Assignments(1, 2, together=True)
    for worker in "ab":
        given_to(assignments, worker, f"{worker}1")
    assignments.release("a1", "disconnect")
    assert [assignments.assign(worker, f"{worker}2", 0.0) for worker in "ab"] == [None, None]
    for worker in "cd":
        given_to(assignments, worker, f"{worker}1")
    assert [assignments.submit("c1"), assignments.submit("d1")] == [True, True]
    assert assignments.done


def test_a_unit_that_a_partner_spoiled_is_not_held_against_the_worker() -> None:
    assignments = Assignments(2, 2, together=True, units_per_worker=1)
    for worker in "ab":
        given_to(assignments, worker, f"{worker}1")
    assignments.release("a1", "disconnect")
    assert assignments.assign("a", "a2", 0.0) is None
    assert given_to(assignments, "b", "b2").unit == 1


def test_a_submission_while_waiting_is_an_extra() -> None:
    assignments = Assignments(1, 2, together=True)
    given_to(assignments, "a", "a1")
    assert not assignments.submit("a1")
    for worker in "bc":
        given_to(assignments, worker, f"{worker}1")
    assert assignments.submit("b1")


def test_waiting_groups_are_filled_before_others_open() -> None:
    assignments = Assignments(3, 2, together=True)
    for worker in "ab":
        given_to(assignments, worker, f"{worker}1")
    assert given_to(assignments, "c", "c1").unit == 1
    assignments.release("a1", "disconnect")
    assert given_to(assignments, "d", "d1").unit == 1


def test_a_group_of_one_has_no_partners() -> None:
    assignments = Assignments(1, 1, together=True)
    assert given_to(assignments, "a", "a1").status == "in task"
    assert assignments.release("a1", "disconnect") == []
    assert given_to(assignments, "a", "a2").agent_id == "a1"


def lines_run(action: Callable[[], Any]) -> int:
    """How many lines of Python `action` runs: the cost of a call without the machine's noise."""
    lines = 0

    def trace(_frame: Any, event: str, _argument: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)
    return lines


@pytest.mark.slow
def test_assigning_never_walks_the_units() -> None:
    units = 100_000
    assignments = Assignments(units, 2)
    fresh = lines_run(lambda: assignments.assign("new", "n", 0.0))
    for number in range(units - 1):
        assignments.submit(given_to(assignments, "busy", f"b{number}").agent_id)
    worst = lines_run(lambda: assignments.assign("busy", "last", 0.0))
    assert fresh < 200
    assert worst < 10 * units / UnitSet.CHUNK
