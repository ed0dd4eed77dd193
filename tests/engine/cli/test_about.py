"""`architects`, `diagram`, the help, and how fast it is there."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from falsework.engine.cli.commands import app
from falsework.engine.lifecycle.diagram import lifecycle_mermaid
from typer.testing import CliRunner, Result

from ...tools import need
from .conftest import QUESTION, Falsework


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_architects_are_listed_with_what_they_guarantee() -> None:
    (local,) = (one for one in json.loads(invoke("architects", "--json").output) if one["name"] == "local")
    assert local["package"] == f"falsework {version('falsework')}"
    assert local["guarantees"]["dies_with_lease"] is True
    assert local["problem"] is None
    header, *rows = invoke("architects").output.splitlines()
    assert header.split("  ")[0] == "NAME"
    assert any(row.startswith("local ") and "yes" in row for row in rows)


def test_an_architect_that_cannot_be_used_is_listed_with_why(harbour: None) -> None:
    (found,) = (one for one in json.loads(invoke("architects", "--json").output) if one["name"] == "harbour")
    assert (found["guarantees"], found["problem"]) == (None, "it does not say what it guarantees")
    assert "it does not say what it guarantees" in invoke("architects").output


def test_the_lifecycle_is_drawn(tmp_path: Path) -> None:
    need("dot")
    assert invoke("diagram").output == lifecycle_mermaid()
    assert invoke("diagram", "--output", tmp_path / "lifecycle.svg").output == ""
    assert (tmp_path / "lifecycle.svg").read_text().startswith("<svg")


@pytest.mark.slow
def test_a_runs_way_is_drawn_with_the_time_in_each_state(falsework: Falsework) -> None:
    run_id = falsework("launch", QUESTION, "--bots", "1", "--json").json["run_id"]
    drawn = falsework("diagram", run_id).stdout
    assert "class shut_down current" in drawn
    assert 'state "connected<br/>' in drawn


def test_without_a_command_the_help_lists_them_all() -> None:
    listed = invoke("--help").output
    seeing_to = ["launch", "check", "ps", "show", "logs", "shutdown", "resume", "collect", "sweep"]
    commands = [*seeing_to, "export", "diagram", "new", "architects"]
    assert [line.split()[0] for line in listed.partition("Commands:\n")[2].splitlines()] == commands
    assert "130 interrupted and down" in listed
    assert invoke().exit_code == 2


def test_the_version_is_the_packages() -> None:
    assert invoke("--version").output == f"falsework {version('falsework')}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["lunch", QUESTION],
        ["launch"],
        ["launch", "/nowhere/task.yaml"],
        ["launch", QUESTION, "--bots", "0"],
        ["launch", QUESTION, "--bots", "1", "--think", "soon"],
        ["launch", QUESTION, "--bots", "1", "--bot-faults", "2"],
        ["launch", QUESTION, "--think", "1s"],
        ["launch", QUESTION, "architect.port"],
        ["ps", "task"],
        ["logs", "task", "--lines", "-1"],
        ["diagram", "--format", "png"],
        ["new"],
    ],
)
def test_a_wrong_command_is_usage_and_makes_nothing(home: Path, arguments: list[str]) -> None:
    refused = invoke(*arguments)
    assert refused.exit_code == 2
    assert refused.stderr
    assert not list(home.iterdir())


def test_it_runs_as_a_module_too() -> None:
    command = [sys.executable, "-m", "falsework.engine", "--version"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.startswith("falsework ")


def test_the_help_imports_nothing_of_the_engine() -> None:
    script = (
        "import sys; from falsework.engine.cli.commands import app; app(['--help'], standalone_mode=False);"
        "heavy = {'aiohttp', 'asyncio', 'marshmallow', 'msgspec', 'rich', 'sqlalchemy', 'transitions', 'yaml'};"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
