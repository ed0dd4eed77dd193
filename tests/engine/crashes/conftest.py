"""The task that is launched, and how a test says how much of it was gone through."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ..launching import write_task


@pytest.fixture
def task(tmp_path: Path) -> str:
    """A task of three units."""
    return str(write_task(tmp_path / "task", ["a", "b", "c"]))


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """A line of the test's output, also when it passes."""

    def say(line: str) -> None:
        with capsys.disabled():
            print(f"\n{line}")

    return say
