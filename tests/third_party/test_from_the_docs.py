"""Somebody who has only docs/architects.md: the package on that page is built, installed, and put before the contract."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "architects.md"
BLOCK = re.compile(r"^```\w+\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
"""A file of the package: its name stands in its first line."""
FILES = {"harbour.py", "pyproject.toml", "test_harbour.py"}
OUR_PACKAGES = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
"""A line of a .pth file: what is installed here, falsework among it, is there as well."""
LONGEST_ARCHITECT = 65
"""Lines of the architect on the page that are not empty; its imports and settings are counted."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def run(*command: str | Path, cwd: Path) -> str:
    """What a command says; all of it is in the failure when it fails."""
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "PYTEST_ADDOPTS")}
    result = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        pytest.fail(f"{command} exited {result.returncode}:\n{result.stdout}\n{result.stderr}", pytrace=False)
    return result.stdout


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the page, in a directory of their own."""
    directory = tmp_path_factory.mktemp("harbour")
    for name, text in BLOCK.findall(PAGE.read_text()):
        (directory / name).write_text(text)
    return directory


@pytest.fixture(scope="module")
def python(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment where the package is installed from its wheel."""
    wheels, environment = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("environment")
    python = environment / "bin" / "python"
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", wheels, package, cwd=wheels)
    run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=wheels)
    (wheel,) = wheels.iterdir()
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", wheel, cwd=wheels)
    (installed,) = environment.glob("lib/python*/site-packages")
    (installed / "what_is_installed_here.pth").write_text(OUR_PACKAGES)
    return python


def test_the_page_holds_a_whole_package(package: Path) -> None:
    assert {path.name for path in package.iterdir()} == FILES
    lines = (package / "harbour.py").read_text().splitlines()
    assert len([line for line in lines if line.strip()]) <= LONGEST_ARCHITECT


def test_the_command_line_lists_it(python: Path, tmp_path: Path) -> None:
    listed = json.loads(run(python, "-m", "falsework.engine", "architects", "--json", cwd=tmp_path))
    (harbour,) = (one for one in listed if one["name"] == "harbour")
    assert harbour["package"] == "falsework-harbour 1.0"
    assert harbour["problem"] is None
    assert all(harbour["guarantees"].values())


def test_it_keeps_the_contract(python: Path, package: Path, tmp_path: Path) -> None:
    (tmp_path / "test_harbour.py").write_text((package / "test_harbour.py").read_text())
    options = ("-q", "-rs", "--basetemp=tests", "test_harbour.py")
    said = run(python, "-m", "pytest", *options, cwd=tmp_path)
    skipped = [line for line in said.splitlines() if line.startswith("SKIPPED")]
    assert all("capability: " in line for line in skipped), said
    assert re.search(r"^[4-9]\d passed", said, re.MULTILINE), said
