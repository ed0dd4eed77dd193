"""Task files for tests: a minimal one, and how one is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from falsework.engine.config import load_task_file
from falsework.engine.errors import ConfigError, Problem

MINIMAL = """
task:
  name: caption
  static: static
  units: units.jsonl
architect: {type: harbour}
"""

Write = Callable[[str], Path]


def refusal(path: Path, overrides: Sequence[str] = ()) -> tuple[Problem, ...]:
    """The problems for which a task file is refused."""
    with pytest.raises(ConfigError) as refused:
        load_task_file(path, overrides)
    return refused.value.problems


def only_problem(path: Path, *overrides: str) -> Problem:
    """The problem for which it is refused, where there is no other."""
    problems = refusal(path, overrides)
    assert len(problems) == 1, problems
    return problems[0]
