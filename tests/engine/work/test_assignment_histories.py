"""Who gets which unit: all the rules at once, under random histories."""

from __future__ import annotations

from collections import Counter
from itertools import count
from typing import Any

import pytest
from falsework.engine.work.assignments import AlreadySubmitted, Assignment, Assignments
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

STATUSES = ("disconnect", "timeout", "returned")


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
TestAnyHistory = pytest.mark.slow(pytest.mark.decisive(AnyHistory.TestCase))
TestAnyHistoryTogether = pytest.mark.slow(pytest.mark.decisive(AnyHistoryTogether.TestCase))
