"""The oldest versions that setup.cfg allows: each range has one, and the constraints file for CI names it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAM = ROOT / ".ci" / "oldest.py"
SETUP = """
[options]
install_requires =
    aiohttp >= 3.14.0, < 4
    rich>=13.8.0
[options.extras_require]
fast =
    uvloop >= 0.21.0
test =
    falsework[fast]
    pytest >= 8.4.0
    rich >= 13.8.0
dev =
    ruff
"""


def oldest(directory: Path, setup: str) -> subprocess.CompletedProcess[str]:
    """What the program says of a setup.cfg with this text."""
    program = directory / ".ci" / "oldest.py"
    program.parent.mkdir()
    program.write_text(PROGRAM.read_text("utf-8"), "utf-8")
    (directory / "setup.cfg").write_text(setup, "utf-8")
    return subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=False)


def test_each_range_is_pinned_to_its_lower_bound_once(tmp_path: Path) -> None:
    said = oldest(tmp_path, SETUP).stdout
    assert said.splitlines() == ["aiohttp==3.14.0", "pytest==8.4.0", "rich==13.8.0", "uvloop==0.21.0"]


@pytest.mark.parametrize(
    "requirement", ["transitions == 0.9.3", "transitions", "transitions < 1", "transitions ~= 0.9"]
)
def test_what_is_no_range_is_named(tmp_path: Path, requirement: str) -> None:
    result = oldest(tmp_path, SETUP.replace("rich>=13.8.0", requirement))
    assert result.returncode == 1
    assert f"setup.cfg: {requirement!r} has no lower bound; write `name >= version`" in result.stderr


def test_all_that_is_needed_here_is_a_range(tmp_path: Path) -> None:
    result = oldest(tmp_path, (ROOT / "setup.cfg").read_text("utf-8"))
    assert result.returncode == 0, result.stderr
    names = [line.partition("==")[0] for line in result.stdout.splitlines()]
    assert {"aiohttp", "transitions", "pytest", "uvloop"} <= set(names)
    assert len(names) == len(set(names)), "two lower bounds of one package"
