"""Overrides on the command line."""

from __future__ import annotations

import pytest
from falsework.engine.config import load_task_file

from ..task_files import MINIMAL, Write, only_problem, refusal


def test_an_override_wins(write: Write) -> None:
    overrides = ["architect.port=3000", "task.review=true", "lifecycle.deploy.attempts=2", "task.config={a: [1]}"]
    loaded = load_task_file(write(MINIMAL), overrides)
    assert loaded.architect.port == 3000
    assert loaded.task.review is True
    assert loaded.lifecycle.deploy.attempts == 2
    assert loaded.task.config == {"a": [1]}


def test_the_last_of_two_overrides_wins_and_a_value_may_hold_an_equals_sign(write: Write) -> None:
    loaded = load_task_file(write(MINIMAL), ["task.config.a=1", "task.config.a=x=y"])
    assert loaded.task.config == {"a": "x=y"}


@pytest.mark.parametrize(
    "override, key, expected",
    [
        ("architect.port=x", "architect.port", "found 'x'; allowed: a whole number"),
        ("architect.prot=1", "architect.prot", "did you mean 'port'?"),
        ("architekt.port=1", "architekt", "did you mean 'architect'?"),
        ("liefcycle=1", "liefcycle", "did you mean 'lifecycle'?"),
        ("lifecycle.deploy={attempts: 0}", "lifecycle.deploy.attempts", "at least 1"),
        ("architect.type=harbor", "architect.type", "did you mean 'harbour'?"),
        ("task.name.x=1", "task.name.x", "stands in something that has no keys"),
        ("task.name=[", "task.name", "is not YAML: "),
        ("task.name=!!set {a}", "task.name", "is not allowed"),
        ("task.static=nowhere", "task.static", "found no directory"),
        ("task.name=", "task.name", "found nothing; allowed: text"),
        ("port", None, "found 'port'; allowed: key=value"),
        ("=3", None, "found '=3'; allowed: key=value"),
        ("task..name=3", None, "allowed: key=value"),
    ],
)
def test_a_problem_of_an_override_names_the_command_line(
    write: Write, override: str, key: str | None, expected: str
) -> None:
    problem = only_problem(write(MINIMAL), override)
    assert (problem.file, problem.line, problem.key) == ("command line", None, key)
    assert expected in problem.message


def test_problems_of_the_file_and_of_overrides_are_told_together(write: Write) -> None:
    problems = refusal(write(MINIMAL.replace("caption", "1")), ["architect.port=-1", "nonsense"])
    assert {(problem.file, problem.key) for problem in problems} == {
        (str(write("").parent / "task.yaml"), "task.name"),
        ("command line", "architect.port"),
        ("command line", None),
    }
