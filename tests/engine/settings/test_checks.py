"""The name of a task, and the files that it names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from falsework.engine.config import load_task_file

from ..task_files import (
    MINIMAL,
    Write,
    only_problem,
    refusal,
)


@pytest.mark.parametrize("name", ["", "1st", "-a", "a_b", "Ab", "ä", "a" * 31, "a\n"])
def test_a_name_that_no_backend_would_take_is_refused(write: Write, name: str) -> None:
    problem = only_problem(write(MINIMAL), f"task.name={name!r}".replace("\\n", "\n\n"))
    assert problem.key == "task.name"


def test_a_static_directory_needs_an_index(write: Write, tmp_path: Path) -> None:
    (tmp_path / "static" / "index.html").unlink()
    problem = only_problem(write(MINIMAL))
    assert (problem.line, problem.key) == (4, "task.static")
    assert problem.message.startswith("found no index.html in ")


def test_links_that_lead_out_or_nowhere_are_named(write: Write, tmp_path: Path) -> None:
    static = tmp_path / "static"
    (static / "deep").mkdir()
    (static / "deep" / "out").symlink_to("../../units.jsonl")
    (static / "absolute").symlink_to("/etc")
    (static / "nowhere").symlink_to("missing.png")
    (static / "round").symlink_to("round")
    (static / "deep" / "up").symlink_to("..")
    (static / "fine").symlink_to("index.html")
    os.mkfifo(static / "pipe")
    found = {Path(p.file or "").name: p.message for p in refusal(write(MINIMAL))}
    assert found == {
        "out": "is a link that leads out of the task's static directory, to ../../units.jsonl",
        "absolute": "is a link that leads out of the task's static directory, to /etc",
        "nowhere": "is a link that leads nowhere, to missing.png",
        "round": "is a link that leads nowhere, to round",
        "up": "is a link to a directory that holds it, ..",
        "pipe": "is neither a file nor a directory",
    }


def test_of_many_bad_links_the_rest_is_counted(write: Write, tmp_path: Path) -> None:
    for number in range(25):
        (tmp_path / "static" / f"link{number}").symlink_to("/etc")
    problems = refusal(write(MINIMAL))
    assert len(problems) == 21
    assert "and 5 more" in [problem.message for problem in problems]


def test_a_static_directory_may_itself_be_a_link(write: Write, tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to("static")
    assert load_task_file(write(MINIMAL), ["task.static=linked"]).task.static == tmp_path / "linked"


def test_bad_units_are_told_with_the_rest(write: Write, tmp_path: Path) -> None:
    (tmp_path / "units.jsonl").write_text("1\nx\n")
    problems = refusal(write(MINIMAL), ["architect.port=-1"])
    assert (str(tmp_path / "units.jsonl"), 2) in [(problem.file, problem.line) for problem in problems]
    assert ("command line", None) in [(problem.file, problem.line) for problem in problems]


def test_missing_units_and_a_missing_hook_are_named_at_their_lines(write: Write, tmp_path: Path) -> None:
    (tmp_path / "units.jsonl").unlink()
    problems = refusal(write(MINIMAL.replace("architect:", "  hook: hook.py\narchitect:")))
    assert [(problem.line, problem.key) for problem in problems] == [(5, "task.units"), (6, "task.hook")]
    assert all("found no file" in problem.message for problem in problems)


@pytest.mark.parametrize(
    "source, line",
    [("x = 1\ndef on_update(:\n", 2), ("\nreturn 1\n", 2), ("x = '\0'\n", None)],
    ids=["syntax", "return", "NUL"],
)
def test_a_hook_that_is_no_python_names_its_line(write: Write, tmp_path: Path, source: str, line: int | None) -> None:
    (tmp_path / "hook.py").write_text(source)
    problem = only_problem(write(MINIMAL), "task.hook=hook.py")
    assert problem.file == str(tmp_path / "hook.py")
    assert problem.line == line
