"""What a task file can say about Heroku, in falsework's own form and in Mephisto's."""

from __future__ import annotations

from pathlib import Path

import pytest
from falsework.architects.heroku.args import HerokuArgs, read_config_args
from falsework.engine.config import load_task_file
from falsework.engine.errors import ConfigError

from .trials import installed  # noqa: F401

pytestmark = pytest.mark.usefixtures("installed")

TASK = "task: {name: caption, static: static, units: units.jsonl}\n"


def load(directory: Path, text: str) -> HerokuArgs:
    (directory / "static").mkdir()
    (directory / "static" / "index.html").write_text("<!doctype html>")
    (directory / "units.jsonl").write_text("1\n")
    (directory / "task.yaml").write_text(text)
    loaded = load_task_file(directory / "task.yaml").architect
    assert isinstance(loaded, HerokuArgs)
    return loaded


def test_a_type_is_enough(tmp_path: Path) -> None:
    loaded = load(tmp_path, TASK + "architect: {type: heroku}\n")
    assert (loaded.push, loaded.router, loaded.dyno, loaded.self_destruct) == ("build", "python", "basic", False)


def test_mephistos_form_is_read_as_it_is(tmp_path: Path) -> None:
    text = """
#@package _global_
defaults:
  - /mephisto/architect: heroku
mephisto:
  architect:
    _architect_type: heroku
    heroku_team: my-lab
    heroku_app_name: my-study
    use_hobby: true
    heroku_config_args:
      COLOUR: green
      DEPTH: 3
      DEEP: true
  task: {task_name: caption}
  blueprint: {extra_source_dir: static, data_jsonl: units.jsonl}
"""
    loaded = load(tmp_path, text)
    assert (loaded.heroku_team, loaded.heroku_app_name) == ("my-lab", "my-study")
    assert read_config_args(loaded.heroku_config_args) == {"COLOUR": "green", "DEPTH": "3", "DEEP": "true"}


def test_falseworks_own_form_says_all_of_it(tmp_path: Path) -> None:
    text = """
architect:
  type: heroku
  push: git
  router: node
  dyno: standard-2x
  region: eu
  self_destruct: true
  ready_timeout: 3m
  limits: {frame: 512KiB}
  frame_ancestors: ["https://worker.example.org"]
  content_security_policy: "default-src 'self'"
"""
    loaded = load(tmp_path, TASK + text)
    assert (loaded.push, loaded.router, loaded.dyno, loaded.ready_timeout) == ("git", "node", "standard-2x", 180.0)


@pytest.mark.parametrize(
    "wrong, told",
    [
        ("heroku_app_name: My_Study", "architect.heroku_app_name: found 'My_Study'; allowed: 3 to 30 of a-z"),
        ("heroku_config_args: {FALSEWORK_TOKEN: x}", "FALSEWORK_TOKEN is set by falsework"),
        ("heroku_config_args: {PORT: 80}", "PORT is set by Heroku"),
        ("heroku_config_args: {'MY VAR': x}", "'MY VAR' is no name of a config var"),
        ("heroku_config_args: {LIST: [1]}", "LIST is neither a text nor a number"),
        ("push: ftp", "architect.push: found 'ftp'; allowed: build, git"),
        ("dyno: huge", "architect.dyno"),
        ("ready_timeout: 0s", "architect.ready_timeout"),
        ("limits: {wings: 2}", "architect.limits"),
        ("frame_ancestors: ['not a site']", "architect.frame_ancestors"),
        ("heroku_ap_name: x", "did you mean 'heroku_app_name'"),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(tmp_path: Path, wrong: str, told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, f"{TASK}architect:\n  type: heroku\n  {wrong}\n")
    assert told in str(refused.value)
    assert "task.yaml:4" in str(refused.value)
