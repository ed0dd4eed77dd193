"""Who gets which unit: the rules one by one, then all of them at once under random histories."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from falsework.engine.assignments import AlreadySubmitted, Assignment, Assignments, UnitSet
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

STATUSES = ("disconnect", "timeout", "returned")


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


@given(st.sets(st.integers(0, 3000)), st.sets(st.integers(0, 3000)), st.sets(st.integers(0, 3000)))
def test_a_unit_set_answers_like_a_set(added: set[int], removed: set[int], other: set[int]) -> None:
    units, others = UnitSet(2000), UnitSet()
    for unit in other:
        others.add(unit)
    for unit in added:
        units.add(unit)
    for unit in removed:
        units.discard(unit)
    model = (set(range(2000)) | added) - removed
    assert units.lowest_outside(others) == min(model - other, default=None)
    assert units.lowest_within(others) == min(model & other, default=None)
    assert bool(units) == bool(model)


class AnyHistory(RuleBasedStateMachine):
    """Workers come, hand in, leave and return in any order."""

    together = False
    agents: Bundle[str] = Bundle("agents")

    @initialize(units=st.integers(1, 6), per_unit=st.integers(1, 3), per_worker=st.sampled_from((0, 0, 1, 3)))
    def begin(self, units: int, per_unit: int, per_worker: int) -> None:
        self.units, self.per_unit, self.per_worker = units, per_unit, per_worker
        self.is_group_work = self.together and per_unit > 1
        self.assignments = self.fresh()
        self.calls: list[tuple[Any, ...]] = []
        self.known: dict[str, tuple[str, int]] = {}
        self.ids = count()
        self.extras = 0

    def fresh(self) -> Assignments:
        return Assignments(self.units, self.per_unit, together=self.together, units_per_worker=self.per_worker)

    def call(self, name: str, *arguments: Any) -> Any:
        self.calls.append((name, *arguments))
        return getattr(self.assignments, name)(*arguments)

    def state(self, agent: str) -> Assignment:
        assignment = self.assignments.agent(agent)
        assert assignment is not None
        return assignment

    @rule(target=agents, worker=st.integers(0, 7))
    def come(self, worker: int) -> Any:
        agent = f"agent{next(self.ids)}"
        before = {known: self.state(known) for known in self.known}
        answer = self.call("assign", f"worker{worker}", agent, float(len(self.calls)))
        if answer is None:
            assert self.assignments.nothing_for(f"worker{worker}") in ("finished", "nothing_left", "all_in_work")
            return multiple()
        assert answer.worker_id == f"worker{worker}"
        assert answer.is_open
        self.check_started(answer, before)
        if answer.agent_id != agent:
            assert self.known[answer.agent_id] == (answer.worker_id, answer.unit)
            return multiple()
        self.known[agent] = (answer.worker_id, answer.unit)
        return agent

    def check_started(self, answer: Assignment, before: dict[str, Assignment]) -> None:
        started = [agent for agent, was in before.items() if was.status == "waiting" != self.state(agent).status]
        assert sorted(answer.started_with) == sorted(set(started) - {answer.agent_id})

    @rule(agent=agents)
    def submit(self, agent: str) -> None:
        was = self.state(agent)
        if was.status == "completed":
            with pytest.raises(AlreadySubmitted):
                self.assignments.submit(agent)
            return
        expected = was.status == "in task" if self.is_group_work else was.is_open or self.held(was.unit) < self.per_unit
        assert self.call("submit", agent) == expected
        self.extras += not expected

    def held(self, unit: int) -> int:
        states = [self.state(agent) for agent, (_, its) in self.known.items() if its == unit]
        return sum(state.is_open or state.counted for state in states)

    @rule(agent=agents, status=st.sampled_from(STATUSES))
    def leave(self, agent: str, status: str) -> None:
        before = {known: self.state(known) for known in self.known}
        affected = self.call("release", agent, status)
        changed = {known for known, was in before.items() if was != self.state(known)} - {agent}
        revoked = self.state(agent).revoked if before[agent].is_open else ()
        assert changed == set(affected) | set(revoked)
        assert all(self.state(partner).status == "partner disconnect" for partner in affected)
        self.extras += len(revoked)

    @invariant()
    def places_add_up(self) -> None:
        states = [self.state(agent) for agent in self.known]
        held = Counter(state.unit for state in states if state.is_open or state.counted)
        counted = Counter(state.unit for state in states if state.counted)
        assert all(taken <= self.per_unit for taken in held.values())
        counts = self.assignments.counts
        assert counts.units == self.units
        assert counts.counted == counted.total()
        assert counts.agents_open == sum(state.is_open for state in states)
        assert counts.counted + counts.agents_open + counts.places_free == self.units * self.per_unit
        assert counts.done == sum(number == self.per_unit for number in counted.values())
        assert counts.in_work == len(held) - counts.done
        assert counts.extras == self.extras
        assert self.assignments.done == (counts.done == self.units)

    @invariant()
    def no_pair_exists_twice(self) -> None:
        assert len(set(self.known.values())) == len(self.known)

    @invariant()
    def a_worker_does_one_thing_at_a_time_and_within_its_limit(self) -> None:
        at_work = Counter(self.known[agent][0] for agent in self.known if self.state(agent).is_open)
        assert all(number == 1 for number in at_work.values())
        if self.per_worker and not self.is_group_work:
            assert all(number <= self.per_worker for number in Counter(w for w, _ in self.known.values()).values())

    @invariant()
    def groups_are_at_work_only_when_they_are_full(self) -> None:
        if not self.is_group_work:
            return
        for unit in range(self.units):
            states = [self.state(agent) for agent, (_, its) in self.known.items() if its == unit]
            at_work = sum(state.status == "in task" or state.counted for state in states)
            assert at_work in (0, self.per_unit)

    def teardown(self) -> None:
        if hasattr(self, "assignments"):
            self.check_that_fresh_workers_finish_everything()
            self.check_that_a_replay_is_equal()

    def check_that_fresh_workers_finish_everything(self) -> None:
        for agent in [agent for agent in self.known if self.state(agent).is_open]:
            self.call("release", agent, "timeout")
        fresh = (f"fresh{number}" for number in count())
        at_work: list[str] = []
        for worker in (next(fresh) for _ in range(self.units * self.per_unit)):
            if self.assignments.done:
                break
            answer = self.call("assign", worker, f"agent-{worker}", 0.0)
            at_work += [answer.agent_id]
            if answer.status == "in task":
                assert all(self.call("submit", agent) for agent in at_work)
                at_work.clear()
        assert self.assignments.done

    def check_that_a_replay_is_equal(self) -> None:
        replayed = self.fresh()
        for name, *arguments in self.calls:
            getattr(replayed, name)(*arguments)
        assert replayed == self.assignments
        assert replayed != self.fresh()


class AnyHistoryTogether(AnyHistory):
    together = True


AnyHistory.TestCase.settings = AnyHistoryTogether.TestCase.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None
)
TestAnyHistory = pytest.mark.slow(AnyHistory.TestCase)
TestAnyHistoryTogether = pytest.mark.slow(AnyHistoryTogether.TestCase)
