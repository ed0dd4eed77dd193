"""What apps are called."""

from __future__ import annotations

import re

import pytest
from falsework.architects.heroku.names import (
    LONGEST,
    carries_mark,
    check_app_name,
    marked_name,
    run_id_in,
)
from falsework.engine.directories import new_run_id
from falsework.engine.settings.checks import nearest_name
from hypothesis import given
from hypothesis import strategies as st

TASKS = st.text().map(nearest_name)
SUFFIXES = st.sampled_from(["", "05d1", "ffff"])


@given(TASKS, SUFFIXES)
def test_every_runs_name_is_one_that_heroku_takes_and_carries_its_mark(task: str, suffix: str) -> None:
    run_id = new_run_id(task)
    name = marked_name(run_id, suffix)
    check_app_name(name)
    assert re.fullmatch(r"[a-z][a-z0-9-]{1,28}[a-z0-9]", name)
    assert carries_mark(name, run_id)
    assert name.endswith(suffix)


@given(TASKS)
def test_a_runs_first_name_says_the_whole_run_id(task: str) -> None:
    run_id = new_run_id(task)
    assert marked_name(run_id) == f"fw-{run_id}"
    assert run_id_in(marked_name(run_id)) == run_id


@given(TASKS)
def test_another_name_says_at_least_what_cannot_be_guessed(task: str) -> None:
    run_id = new_run_id(task)
    found = run_id_in(marked_name(run_id, "05d1"))
    assert found is not None
    assert found.rpartition("-")[2] == run_id.rpartition("-")[2]


@pytest.mark.parametrize("run_id", ["x", "a-very-long-name-of-some-task-123456789012345678901234567890", "9-7f3a9c"])
def test_odd_run_ids_give_names_too(run_id: str) -> None:
    assert len(marked_name(run_id, "05d1")) <= LONGEST
    check_app_name(marked_name(run_id, "05d1").rstrip("-"))


@pytest.mark.parametrize("name", ["my-study", "fw-harbour", "fw-7f3a9c", "xfw-caption-7f3a9c", "fw-caption-7F3A9C"])
def test_a_name_of_somebodys_own_says_nothing(name: str) -> None:
    assert run_id_in(name) is None


def test_a_short_run_id_marks_nothing() -> None:
    assert not carries_mark("fw-x", "x")
    assert not carries_mark("fw-caption-7f3a9c", "caption-7f3a9d")
    assert not carries_mark("caption-7f3a9c", "caption-7f3a9c")


@pytest.mark.parametrize("name", ["ab", "a" * 31, "9lives", "Study", "study-", "my_study", "my study", "-study", ""])
def test_what_heroku_would_not_take_is_refused_with_what_it_takes(name: str) -> None:
    with pytest.raises(ValueError, match="3 to 30 of a-z"):
        check_app_name(name)
