"""The table: the one that the design promises, with one way in, one way out, and shutdown from anywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from falsework.engine.lifecycle.states import (
    FAILURES,
    FINAL,
    INITIAL,
    SETTLED,
    TABLE,
    WORK,
    State,
    Transition,
    Trigger,
)

DESIGN = """
| trigger   | from                                              | to                                                             |
| prepare   | configured, prepare_failed                        | preparing                                                      |
| deploy    | prepared, deploy_failed                           | deploying                                                      |
| connect   | deployed, connect_failed, disconnected            | connecting                                                     |
| succeeded | preparing / deploying / connecting / shutting_down | prepared / deployed / connected / shut_down                   |
| failed    | preparing / deploying / connecting / shutting_down | prepare_failed / deploy_failed / connect_failed / shutdown_failed |
| lost      | connected                                         | disconnected                                                   |
| shutdown  | every state but shutting_down and shut_down       | shutting_down                                                  |
"""  # noqa: E501 - the table as it stands in the design


def designed() -> Iterator[tuple[str, str, str]]:
    for line in DESIGN.strip().splitlines()[1:]:
        trigger, sources, dests = (cell.strip() for cell in line.strip("|").split("|"))
        if sources.startswith("every state but "):
            spared = sources.removeprefix("every state but ").split(" and ")
            yield from ((trigger, state.value, dests) for state in State if state.value not in spared)
        elif " / " in sources:
            yield from ((trigger, *pair) for pair in zip(sources.split(" / "), dests.split(" / "), strict=True))
        else:
            yield from ((trigger, source, dests) for source in sources.split(", "))


def reachable(start: State, rows: tuple[Transition, ...] = TABLE) -> set[State]:
    seen, ahead = {start}, [start]
    while ahead:
        state = ahead.pop()
        new = {row.dest for row in rows if row.source is state} - seen
        seen |= new
        ahead += new
    return seen


def test_the_table_is_the_designs_and_nothing_more() -> None:
    assert sorted(TABLE) == sorted(designed())


def test_there_is_one_start() -> None:
    never_entered = set(State) - {row.dest for row in TABLE}
    assert never_entered == {INITIAL}


def test_there_is_one_final_state() -> None:
    never_left = set(State) - {row.source for row in TABLE}
    assert never_left == {FINAL}


def test_every_state_can_be_reached() -> None:
    assert reachable(INITIAL) == set(State)


@pytest.mark.parametrize("state", State)
def test_every_state_reaches_the_end(state: State) -> None:
    assert FINAL in reachable(state)


@pytest.mark.parametrize("state", State)
def test_the_end_is_reached_by_shutdown_alone_from_every_state(state: State) -> None:
    way_down = tuple(row for row in TABLE if row.trigger is Trigger.SHUTDOWN or row.source is State.SHUTTING_DOWN)
    assert FINAL in reachable(state, way_down)


def test_shutdown_is_legal_everywhere_but_on_the_way_down_and_at_its_end() -> None:
    legal = {row.source for row in TABLE if row.trigger is Trigger.SHUTDOWN}
    assert legal == set(State) - {State.SHUTTING_DOWN, State.SHUT_DOWN}


def test_a_trigger_has_one_destination_from_a_state() -> None:
    rows = Counter((row.trigger, row.source) for row in TABLE)
    assert max(rows.values()) == 1


def test_every_trigger_is_used() -> None:
    assert {row.trigger for row in TABLE} == set(Trigger)


def test_a_state_is_settled_or_under_way_or_a_failure() -> None:
    kinds = [*SETTLED, *WORK, *FAILURES]
    assert sorted(kinds) == sorted(State)


def test_work_under_way_is_named_so_and_nothing_else_is() -> None:
    assert [state for state in State if state.split("_")[0].endswith("ing")] == list(WORK)


@pytest.mark.parametrize("work", WORK)
def test_work_ends_at_rest_or_in_its_own_failure_or_is_shut_down(work: State) -> None:
    settled, failure = WORK[work]
    assert settled in SETTLED
    assert failure in FAILURES
    ends = {row.trigger: row.dest for row in TABLE if row.source is work}
    ends.pop(Trigger.SHUTDOWN, None)
    assert ends == {Trigger.SUCCEEDED: settled, Trigger.FAILED: failure}


@pytest.mark.parametrize("work", WORK)
def test_failed_work_can_be_tried_again(work: State) -> None:
    _, failure = WORK[work]
    assert work in {row.dest for row in TABLE if row.source is failure}


def test_work_is_entered_by_a_verb_and_left_by_its_outcome() -> None:
    outcomes = {Trigger.SUCCEEDED, Trigger.FAILED, Trigger.LOST}
    for row in TABLE:
        assert (row.dest in WORK) == (row.trigger not in outcomes)
