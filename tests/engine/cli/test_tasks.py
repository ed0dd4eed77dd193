"""`check` and `new`."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from falsework.engine.cli.commands import Example, app
from falsework.engine.config import load_task_file
from typer.testing import CliRunner, Result

from .conftest import EXAMPLES


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize("example", list(Example))
def test_a_new_task_is_as_good_as_its_example_and_has_its_own_name(tmp_path: Path, example: Example) -> None:
    made = invoke("new", tmp_path / "My Task", "--example", example.value)
    assert made.exit_code == 0, made.output
    assert f"falsework launch '{tmp_path / 'My Task'}' --bots 3" in made.output
    assert load_task_file(tmp_path / "My Task").task.name == "my-task"
    assert invoke("check", tmp_path / "My Task").exit_code == 0


def test_the_comments_of_the_example_are_kept(tmp_path: Path) -> None:
    invoke("new", tmp_path / "mine")
    ours, theirs = ((place / "task.yaml").read_text() for place in (tmp_path / "mine", EXAMPLES / "question"))
    assert ours == theirs.replace("name: question", "name: mine")


def test_the_files_of_a_new_task_are_the_users_to_change(tmp_path: Path) -> None:
    invoke("new", tmp_path / "mine")
    assert all(path.stat().st_mode & stat.S_IWUSR for path in (tmp_path / "mine").rglob("*"))


def test_new_fills_a_directory_that_is_empty(tmp_path: Path) -> None:
    assert invoke("new", tmp_path).exit_code == 0
    assert (tmp_path / "task.yaml").is_file()


@pytest.mark.parametrize("kind", ["directory", "file"])
def test_new_never_overwrites(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "mine"
    if kind == "directory":
        place.mkdir()
    precious = place / "task.yaml" if kind == "directory" else place
    precious.write_text("precious")
    refused = invoke("new", place)
    assert refused.exit_code == 2
    assert refused.output == f"{place}: is there already; give a directory that is empty or not there yet\n"
    assert precious.read_text() == "precious"


def test_new_where_nothing_may_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused = invoke("new", tmp_path / "file" / "mine")
    assert refused.exit_code == 2
    assert "cannot be made" in refused.output


def test_check_says_what_would_run_and_makes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FALSEWORK_HOME", str(tmp_path / "home"))
    before = sorted(EXAMPLES.rglob("*"))
    checked = invoke("check", EXAMPLES / "caption", "task.assignments_per_unit=3")
    assert checked.exit_code == 0
    assert "6, each done by 3 different workers" in checked.output
    assert "assignments  18" in checked.output
    assert os.listdir(tmp_path) == []
    assert sorted(EXAMPLES.rglob("*")) == before


def test_check_tells_every_problem_with_its_line(tmp_path: Path) -> None:
    invoke("new", tmp_path / "mine")
    file = tmp_path / "mine" / "task.yaml"
    file.write_text("task:\n  nam: mine\n  static: static\n  units: units.jsonl\narchitect: {type: locl}\n")
    refused = invoke("check", file)
    assert refused.exit_code == 2
    lines = refused.output.splitlines()
    assert any(line.startswith(f"{file}:2: task.nam: ") for line in lines)
    assert any(line.startswith(f"{file}:5: architect.type: ") for line in lines)


def test_check_finds_what_only_the_hook_and_the_backend_know(tmp_path: Path) -> None:
    invoke("new", tmp_path / "mine")
    hook = tmp_path / "mine" / "hook.py"
    hook.write_text("import nothing_of_that_name\n")
    refused = invoke("check", tmp_path / "mine", f"task.hook={hook}", "architect.host=192.0.2.1")
    assert refused.exit_code == 2
    assert f"{hook}:1: " in refused.output
    assert "architect.host: " in refused.output
    assert not (tmp_path / "mine" / "__pycache__").exists()


def test_check_warns_of_what_means_nothing_here(tmp_path: Path) -> None:
    invoke("new", tmp_path / "mine")
    file = tmp_path / "mine" / "task.yaml"
    file.write_text(file.read_text() + "mephisto:\n  task:\n    task_reward: 0.3\n")
    checked = invoke("check", file)
    assert checked.exit_code == 0
    assert checked.stderr == f"warning: {file}: ignored: mephisto.task.task_reward\n"
