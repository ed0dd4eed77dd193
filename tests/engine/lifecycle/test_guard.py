"""The machine is the table: it allows what the table allows, and refuses the rest with the whole story."""

from __future__ import annotations

import pickle

import pytest
from falsework.engine.errors import FalseworkError, IllegalTransition
from falsework.engine.lifecycle.guard import Lifecycle
from falsework.engine.lifecycle.states import (
    FINAL,
    INITIAL,
    TABLE,
    State,
    Transition,
    Trigger,
)
from hypothesis import given
from hypothesis import strategies as st

ILLEGAL = [
    (state, trigger)
    for state in State
    for trigger in Trigger
    if not any(row.source is state and row.trigger is trigger for row in TABLE)
]


def test_a_run_begins_configured() -> None:
    assert Lifecycle("caption-7f3a9c").state is INITIAL


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.source}-{row.trigger}")
def test_every_row_of_the_table_is_taken(row: Transition) -> None:
    lifecycle = Lifecycle("caption-7f3a9c", row.source)
    assert lifecycle.destination(row.trigger) is row.dest
    assert lifecycle.state is row.source, "looking where a trigger leads goes nowhere"
    assert lifecycle.fire(row.trigger) is row.dest
    assert lifecycle.state is row.dest


@pytest.mark.parametrize("state, trigger", ILLEGAL)
def test_an_illegal_trigger_changes_nothing(state: State, trigger: Trigger) -> None:
    lifecycle = Lifecycle("caption-7f3a9c", state)
    with pytest.raises(IllegalTransition):
        lifecycle.fire(trigger)
    with pytest.raises(IllegalTransition):
        lifecycle.destination(trigger)
    assert lifecycle.state is state


def test_the_refusal_names_run_state_trigger_what_is_legal_and_the_story() -> None:
    lifecycle = Lifecycle("caption-7f3a9c", State.PREPARED)
    with pytest.raises(IllegalTransition) as refusal:
        lifecycle.destination(Trigger.CONNECT, ["10:00:01 preparing", "10:00:02 prepared"])
    error = refusal.value
    assert isinstance(error, FalseworkError)
    assert (error.run_id, error.state, error.trigger) == ("caption-7f3a9c", "prepared", "connect")
    assert error.legal == ("deploy", "shutdown")
    assert error.story == ("10:00:01 preparing", "10:00:02 prepared")
    for fact in ("caption-7f3a9c", "prepared", "'connect'", "deploy, shutdown", "10:00:01 preparing"):
        assert fact in str(error)


def test_the_refusal_after_the_end_says_that_it_is_the_end() -> None:
    with pytest.raises(IllegalTransition, match="nothing: it is a final state"):
        Lifecycle("caption-7f3a9c", FINAL).fire(Trigger.SHUTDOWN)


@pytest.mark.parametrize("state", State)
def test_legal_triggers_come_in_the_order_of_the_table(state: State) -> None:
    assert Lifecycle("caption-7f3a9c", state).legal() == [row.trigger for row in TABLE if row.source is state]


@given(st.lists(st.sampled_from(Trigger), max_size=60))
def test_any_triggers_in_any_order_leave_the_machine_where_the_table_says(triggers: list[Trigger]) -> None:
    table = {(row.source, row.trigger): row.dest for row in TABLE}
    lifecycle, state = Lifecycle("caption-7f3a9c"), INITIAL
    for trigger in triggers:
        if (state, trigger) in table:
            state = table[state, trigger]
            lifecycle.fire(trigger)
        else:
            with pytest.raises(IllegalTransition):
                lifecycle.fire(trigger)
        assert lifecycle.state is state


def test_no_state_can_be_jumped_to() -> None:
    jumps = [name for name in dir(Lifecycle("caption-7f3a9c")) if name.startswith("to_")]
    assert jumps == []


def test_two_runs_do_not_share_a_state() -> None:
    one, other = Lifecycle("caption-7f3a9c"), Lifecycle("chat-0b1d2e")
    one.fire(Trigger.PREPARE)
    assert other.state is INITIAL


def test_a_state_read_back_from_its_name_is_the_same() -> None:
    assert State("shut_down") is State.SHUT_DOWN
    assert pickle.loads(pickle.dumps(State.SHUT_DOWN)) is State.SHUT_DOWN
