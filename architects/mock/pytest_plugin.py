"""The pytest fixture `falsework_mock`. Whoever has falsework installed has it; nothing is imported before a test asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .stage import MockStage


@pytest.fixture
def falsework_mock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MockStage]:
    """A stage for mock architects, and an empty FALSEWORK_HOME for their runs. See docs/mock.md."""
    from .stage import MockStage

    home = tmp_path / "falsework-home"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("FALSEWORK_HOME", str(home))
    with MockStage() as stage:
        yield stage
