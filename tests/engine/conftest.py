"""A task to write files for: an architect called harbour, and a directory with a page and units."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from falsework.engine.contract.registry import GROUP

from .task_files import Write

HARBOUR = """
from dataclasses import dataclass, field
from pathlib import Path
from falsework.engine.contract.architect import Architect, ArchitectArgs
@dataclass(frozen=True)
class HarbourArgs(ArchitectArgs):
    port: int = field(default=0, metadata={"min": 0, "max": 65535})
    host: str = "127.0.0.1"
    chart: Path | None = None
    config_args: dict[str, str] = field(default_factory=dict)
class Harbour(Architect):
    ArgsClass = HarbourArgs
"""


@pytest.fixture
def harbour(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed package whose architect is called harbour."""
    site = tmp_path_factory.mktemp("site")
    (site / "harbour_of_a_test.py").write_text(HARBOUR)
    metadata = site / "harbour_of_a_test-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: harbour_of_a_test\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{GROUP}]\nharbour = harbour_of_a_test:Harbour\n")
    monkeypatch.syspath_prepend(str(site))
    yield
    sys.modules.pop("harbour_of_a_test", None)


@pytest.fixture
def write(harbour: None, tmp_path: Path) -> Write:
    """Writes task.yaml into a directory with a page and two units."""
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "index.html").write_text("<!doctype html>")
    (tmp_path / "units.jsonl").write_text("1\n2\n")

    def write(text: str) -> Path:
        (tmp_path / "task.yaml").write_text(text)
        return tmp_path / "task.yaml"

    return write
