"""What a task file may say, and what is wrong with it, and where."""

from __future__ import annotations

from pathlib import Path

import pytest
from falsework.engine.config import TaskFile, load_task_file
from falsework.engine.settings.sections import LifecycleArgs, ProviderArgs, TaskArgs

from ..task_files import MINIMAL, Write, only_problem, refusal


def test_a_minimal_file_has_the_defaults(write: Write, tmp_path: Path) -> None:
    loaded = load_task_file(write(MINIMAL))
    assert loaded == TaskFile(
        file=tmp_path / "task.yaml",
        task=TaskArgs("caption", tmp_path / "static", tmp_path / "units.jsonl"),
        architect=loaded.architect,
        provider=ProviderArgs("link"),
        lifecycle=LifecycleArgs(),
        ignored=(),
    )
    assert (loaded.architect.type, loaded.architect.port) == ("harbour", 0)
    assert loaded.task.submission_timeout == 1800.0
    assert loaded.lifecycle.idle_timeout is None
    assert (loaded.lifecycle.deploy.attempts, loaded.lifecycle.shutdown.timeout) == (4, 300.0)


FULL = """
task:
  name: chat-2
  static: ./static/
  units: units.jsonl
  assignments_per_unit: 2
  submission_timeout: 1.5h
  review: true
  hook: hook.py
  together: yes
  onboarding: on
  units_per_worker: 3
  config: {title: Hello, nested: {on: [1, 2.5, null]}, date: 2024-01-01, octal: 0755, time: 12:30:00}
architect: {type: harbour, port: 3000, chart: maps/north, config_args: {A: b}}
provider: {type: link}
lifecycle:
  deploy: {attempts: 2, wait_min: 500ms, wait_max: 1s, attempt_timeout: 1m, timeout: 2m}
  shutdown: {attempts: 3, timeout: 10s}
  lease: 20m
  grace: 2d
  idle_timeout: 2h
  max_lifetime: never
  cleanup: after_review
"""


def test_a_full_file_is_read(write: Write, tmp_path: Path) -> None:
    (tmp_path / "hook.py").write_text("async def on_update(agent, update): ...\n")
    loaded = load_task_file(write(FULL))
    assert loaded.task == TaskArgs(
        name="chat-2",
        static=tmp_path / "static",
        units=tmp_path / "units.jsonl",
        assignments_per_unit=2,
        submission_timeout=5400.0,
        review=True,
        hook=tmp_path / "hook.py",
        together=True,
        onboarding=True,
        units_per_worker=3,
        config={
            "title": "Hello",
            "nested": {"on": [1, 2.5, None]},
            "date": "2024-01-01",
            "octal": "0755",
            "time": "12:30:00",
        },
    )
    assert loaded.architect.chart == tmp_path / "maps" / "north"
    assert loaded.architect.config_args == {"A": "b"}
    assert loaded.lifecycle.deploy.wait_min == 0.5
    assert (loaded.lifecycle.idle_timeout, loaded.lifecycle.max_lifetime) == (7200.0, None)
    assert loaded.lifecycle.cleanup == "after_review"


def test_a_directory_stands_for_its_task_file(write: Write, tmp_path: Path) -> None:
    write(MINIMAL)
    assert load_task_file(str(tmp_path)).file == tmp_path / "task.yaml"


def test_paths_are_absolute_from_wherever_falsework_is_called(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(MINIMAL)
    monkeypatch.chdir(tmp_path.parent)
    loaded = load_task_file(Path(tmp_path.name))
    assert loaded.file == tmp_path / "task.yaml"
    assert loaded.task.static == tmp_path / "static"


def test_without_an_architect_it_is_the_local_one(write: Write) -> None:
    assert load_task_file(write(MINIMAL.replace("architect: {type: harbour}", "architect:"))).architect.type == "local"


def test_all_problems_are_told_at_once_with_their_lines(write: Write) -> None:
    file = write("""# a comment
task:
  name: Caption Task
  static: nowhere
  units: units.jsonl
  assignments_per_unit: 0
  submision_timeout: 5m
architect:
  type: harbour
  port: 70000
lifecycle:
  lease: soon
  deploy:
    atempts: 3
    wait_min: 1h
liefcycle: {}
""")
    problems = refusal(file)
    assert all(problem.file == str(file) for problem in problems)
    assert [(problem.line, problem.key) for problem in problems] == [
        (3, "task.name"),
        (4, "task.static"),
        (6, "task.assignments_per_unit"),
        (7, "task.submision_timeout"),
        (10, "architect.port"),
        (12, "lifecycle.lease"),
        (14, "lifecycle.deploy.atempts"),
        (16, "liefcycle"),
    ]
    by_key = {problem.key: problem.message for problem in problems}
    assert "found 'Caption Task'; allowed: 1 to 30 of a-z, 0-9 and -" in by_key["task.name"]
    assert "such as 'caption-task'" in by_key["task.name"]
    assert "found the number 0; allowed: a whole number, at least 1" in by_key["task.assignments_per_unit"]
    assert "did you mean 'submission_timeout'?" in by_key["task.submision_timeout"]
    assert "at least 0 and at most 65535" in by_key["architect.port"]
    assert "found 'soon'; allowed: a duration" in by_key["lifecycle.lease"]
    assert "did you mean 'attempts'?" in by_key["lifecycle.deploy.atempts"]
    assert "did you mean 'lifecycle'?" in by_key["liefcycle"]


def test_what_is_missing_stands_at_its_section(write: Write) -> None:
    problems = refusal(write("\ntask:\n  name: x\narchitect: {type: harbour}\n"))
    assert [(problem.line, problem.key) for problem in problems] == [(2, "task.static"), (2, "task.units")]
    assert problems[0].message == "is missing; allowed: a path"


def test_a_missing_section_says_what_belongs_there(write: Write) -> None:
    problem = only_problem(write("architect: {type: harbour}\n"))
    assert (problem.line, problem.key) == (None, "task")
    assert problem.message.startswith("is missing; allowed: a section with the keys name, static, units")


def test_waits_that_do_not_fit_together_are_refused(write: Write) -> None:
    problem = only_problem(write(MINIMAL + "lifecycle:\n  shutdown: {wait_min: 1m, wait_max: 5s}\n"))
    assert (problem.line, problem.key) == (8, "lifecycle.shutdown")
    assert problem.message == "wait_min (60s) is longer than wait_max (5s)"


def test_an_unknown_architect_names_the_nearest_beside_other_problems(write: Write) -> None:
    problems = refusal(write(MINIMAL.replace("harbour", "harbor").replace("caption", "1")))
    assert [(problem.line, problem.key) for problem in problems] == [(3, "task.name"), (6, "architect.type")]
    assert "did you mean 'harbour'?" in problems[1].message


@pytest.mark.parametrize("section", ["harbour", "[harbour]", "{type: 5}", "{type: }"])
def test_an_architect_that_is_no_section_is_refused(write: Write, section: str) -> None:
    problem = only_problem(write(MINIMAL.replace("{type: harbour}", section)))
    assert problem.line == 6
    assert problem.message.startswith("found ")


def test_an_unknown_provider_is_refused(write: Write) -> None:
    problem = only_problem(write(MINIMAL + "provider: {type: pigeon}\n"))
    assert (problem.line, problem.key, problem.message) == (7, "provider.type", "found 'pigeon'; allowed: link")


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    problem = only_problem(tmp_path / "task.yaml")
    assert str(problem) == f"{tmp_path / 'task.yaml'}: cannot be read: No such file or directory"


def test_a_name_that_no_file_can_have_is_an_error() -> None:
    assert "cannot be read: " in only_problem(Path("a\0b")).message


def test_a_directory_without_a_task_file_is_an_error(tmp_path: Path) -> None:
    assert "holds no task.yaml" in only_problem(tmp_path).message


@pytest.mark.parametrize(
    "text, found", [("", "nothing"), ("# only this\n", "nothing"), ("[1]", "a list"), ("hello", "'hello'")]
)
def test_what_is_no_section_of_keys_is_an_error(write: Write, text: str, found: str) -> None:
    assert only_problem(write(text)).message == f"found {found}; allowed: a section `task:` and others"
