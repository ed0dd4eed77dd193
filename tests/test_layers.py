"""Arrows point one way: the contracts of .importlinter hold, and each of them can fail."""

from __future__ import annotations

import ast
import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SOURCES = Path(__file__).parents[1]
LAYERS = ("architects", "engine", "router")


def lint_imports(directory: Path) -> subprocess.CompletedProcess[str]:
    """Run `lint-imports` with the .importlinter of `directory` on the `falsework` beside it, or on the installed one."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"]
    environment = {**os.environ, "PYTHONPATH": str(directory), "NO_COLOR": "1"}
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The three packages as they would be installed, in reach of a change."""
    for layer in LAYERS:
        shutil.copytree(SOURCES / layer, tmp_path / "falsework" / layer, ignore=shutil.ignore_patterns("node_modules"))
    shutil.copy(SOURCES / ".importlinter", tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.decisive
def test_the_arrows_point_one_way() -> None:
    result = lint_imports(SOURCES)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Contracts: 5 kept, 0 broken." in result.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "module, statement",
    [
        ("router/board/lease.py", "from falsework.engine import states"),
        ("router/board/lease.py", "import falsework.architects"),
        ("engine/lifecycle/states.py", "from falsework.architects import local"),
        ("engine/contract/registry.py", "from ...router.board import switchboard"),
        ("engine/contract/registry.py", "from ...router.door.server import Router"),
        ("architects/machine/process.py", "from falsework.router.door.outbox import DiskOutbox"),
        ("architects/local/architect.py", "from falsework.router.board.switchboard import Switchboard"),
        ("architects/mock/server.py", "from falsework.router.door.outbox import MemoryOutbox"),
        ("engine/lifecycle/states.py", "import time"),
        ("engine/lifecycle/guard.py", "from pathlib import Path"),
        ("engine/work/assignments.py", "from random import choice"),
        ("router/wire/protocol.py", "import asyncio"),
        ("router/board/switchboard.py", "from ..door.outbox import DiskOutbox"),
        ("engine/lifecycle/diagram.py", "import subprocess"),
        ("engine/work/foreman.py", "from ..config import load_task_file"),
        ("engine/settings/units.py", "from ..work import export"),
        ("engine/cli/choices.py", "from .commands import app"),
        ("architects/local/args.py", "from .architect import LocalArchitect"),
    ],
)
def test_an_arrow_the_wrong_way_is_noticed(copy: Path, module: str, statement: str) -> None:
    with (copy / "falsework" / module).open("a", encoding="utf-8") as source:
        source.write(f"\n{statement}\n")
    result = lint_imports(copy)
    assert result.returncode == 1, result.stdout + result.stderr
    assert re.search(r"Contracts: \d kept, [12] broken\.", result.stdout)


@pytest.mark.slow
def test_the_wire_contract_and_the_journal_are_open_to_all(copy: Path) -> None:
    with (copy / "falsework/engine/contract/registry.py").open("a", encoding="utf-8") as source:
        source.write("\nfrom ...router.wire import journal, protocol\n")
    result = lint_imports(copy)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture
def picture(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SOURCES / "diagrams"))
    return importlib.import_module("layers")


def test_an_arrow_that_follows_from_others_is_left_out_of_the_picture(picture: ModuleType) -> None:
    arrows = {"launcher": {"run", "states"}, "run": {"lifecycle", "states"}, "lifecycle": {"states"}, "states": set()}
    assert picture.reduced(arrows) == {
        "launcher": {"run"},
        "run": {"lifecycle"},
        "lifecycle": {"states"},
        "states": set(),
    }


def test_a_circle_is_left_to_be_seen(picture: ModuleType) -> None:
    arrows = {"run": {"config", "bundle"}, "config": {"bundle"}, "bundle": {"config"}}
    assert picture.reduced(arrows) == arrows


def test_the_picture_has_every_room_with_what_it_is_for_and_marks_the_pure_ones(picture: ModuleType) -> None:
    arrows, pure = picture.imports(), picture.pure_modules()
    drawn = picture.layers_mermaid(arrows, pure)
    assert {"falsework.engine.lifecycle", "falsework.router.board"} <= pure & set(arrows)
    for layer in LAYERS:
        for room in (SOURCES / layer).glob("*/__init__.py"):
            name = room.parent.name
            assert f'{layer}_{name}["{name}/<br>' in drawn


def test_each_room_says_in_two_lines_what_lives_there_and_what_does_not() -> None:
    for layer in LAYERS:
        for room in (SOURCES / layer).glob("**/__init__.py"):
            if room.parent == SOURCES / layer or "node_modules" in room.parts:
                continue
            text = ast.get_docstring(ast.parse(room.read_text("utf-8"))) or ""
            assert len(text.split("\n\n")) == 2, f"{room} says {text!r}"


def test_no_file_repeats_the_name_of_its_folder() -> None:
    for layer in LAYERS:
        for source in (SOURCES / layer).glob("**/*.*"):
            if not {"node_modules", "__pycache__"} & set(source.parts):
                assert not source.name.startswith(f"{source.parent.name}_"), source


def test_the_list_of_rooms_is_short() -> None:
    def listed(layer: str) -> set[str]:
        return {entry.name for entry in (SOURCES / layer).iterdir() if entry.name != "__pycache__"}

    assert len(listed("engine")) <= 20
    assert listed("router") == {
        *("wire", "board", "door", "process", "client", "node"),
        *("__init__.py", "__main__.py", "py.typed"),
    }
