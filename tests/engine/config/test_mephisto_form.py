"""The form that Mephisto's users have."""

from __future__ import annotations

from pathlib import Path

import pytest
from falsework.engine.config import load_task_file
from falsework.engine.settings.sections import TaskArgs

from ..task_files import MINIMAL, Write, only_problem, refusal

MEPHISTO = """#@package _global_
defaults:
  - /mephisto/architect: local
mephisto:
  blueprint:
    _blueprint_type: static_task
    data_jsonl: ${task_dir}/units.jsonl
    task_source: ${task_dir}/static/index.html
    units_per_assignment: 2
    onboarding_qualification: trained
    block_qualification: null
  task:
    task_name: Caption_Task 1
    task_title: Caption these
    submission_timeout: 600
    assignment_duration_in_seconds: 3600
    maximum_units_per_worker: 5
  architect:
    _architect_type: harbour
    port: 3000
    config_args: {A: b}
    server_type: node
  provider:
    _provider_type: mock
    requester_name: me
num_conversations: 4
"""


def test_the_mephisto_form_is_read(write: Write, tmp_path: Path) -> None:
    loaded = load_task_file(write(MEPHISTO))
    assert loaded.task == TaskArgs(
        name="caption-task-1",
        static=tmp_path / "static",
        units=tmp_path / "units.jsonl",
        assignments_per_unit=2,
        submission_timeout=3600.0,
        onboarding=True,
        units_per_worker=5,
    )
    assert (loaded.architect.type, loaded.architect.port) == ("harbour", 3000)
    assert loaded.architect.config_args == {"A": "b"}
    assert loaded.provider.type == "link"


def test_what_of_the_mephisto_form_means_nothing_is_listed(write: Write) -> None:
    assert sorted(load_task_file(write(MEPHISTO)).ignored) == [
        "defaults",
        "mephisto.architect.server_type",
        "mephisto.blueprint._blueprint_type",
        "mephisto.blueprint.block_qualification",
        "mephisto.provider.requester_name",
        "mephisto.task.submission_timeout",
        "mephisto.task.task_title",
        "num_conversations",
    ]


def test_falseworks_own_sections_win_over_the_mephisto_form(write: Write, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "index.html").touch()
    file = write(MEPHISTO + "task:\n  static: other\n  name: mine\narchitect: {port: 1}\n")
    loaded = load_task_file(file)
    assert (loaded.task.name, loaded.task.static) == ("mine", tmp_path / "other")
    assert loaded.task.units == tmp_path / "units.jsonl"
    assert (loaded.architect.type, loaded.architect.port) == ("harbour", 1)
    assert {"mephisto.task.task_name", "mephisto.blueprint.task_source", "mephisto.architect.port"} <= set(
        loaded.ignored
    )


def test_problems_of_the_mephisto_form_stand_where_they_were_written(write: Write) -> None:
    text = MEPHISTO.replace("harbour", "harbor").replace(
        "maximum_units_per_worker: 5", "maximum_units_per_worker: many"
    )
    text = text.replace("_provider_type: mock", "_provider_type: pigeon")
    problems = refusal(write(text))
    assert [(problem.line, problem.key) for problem in problems] == [
        (17, "mephisto.task.maximum_units_per_worker"),
        (19, "mephisto.architect._architect_type"),
        (24, "mephisto.provider._provider_type"),
    ]


def test_what_the_mephisto_form_lacks_is_missing(write: Write) -> None:
    problems = refusal(write("mephisto: {architect: {_architect_type: harbour}, task: {task_name: x}}\n"))
    assert [problem.key for problem in problems] == ["task.static", "task.units"]


@pytest.mark.parametrize("text", ["mephisto: 3\n", "mephisto: {architect: heroku}\n"])
def test_a_mephisto_form_that_is_no_section_is_refused(write: Write, text: str) -> None:
    problem = only_problem(write(text + MINIMAL))
    assert "allowed: a section" in problem.message


def test_an_override_of_the_mephisto_form_is_an_override(write: Write) -> None:
    assert load_task_file(write(MEPHISTO), ["architect.port=9"]).architect.port == 9
    assert load_task_file(write(MEPHISTO), ["mephisto.architect.port=9"]).architect.port == 9
    problem = only_problem(write(MEPHISTO), "architekt.port=9")
    assert (problem.file, problem.key) == ("command line", "architekt")


def test_hydras_configuration_directory_lies_below_the_tasks(write: Write, tmp_path: Path) -> None:
    conf = tmp_path / "hydra_configs" / "conf"
    conf.mkdir(parents=True)
    write(MEPHISTO).rename(conf / "example.yaml")
    assert load_task_file(conf / "example.yaml").task.units == tmp_path / "units.jsonl"


def test_a_json_array_of_units_is_read(write: Write, tmp_path: Path) -> None:
    (tmp_path / "units.json").write_text("[1, 2]")
    file = write(MEPHISTO.replace("data_jsonl: ${task_dir}/units.jsonl", "data_json: units.json"))
    assert load_task_file(file).task.units == tmp_path / "units.json"
