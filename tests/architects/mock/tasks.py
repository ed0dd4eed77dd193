"""A task to launch on a stage: its file names another architect, which no test here may ever see."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from falsework.architects.mock.architect import MockArchitect, MockArgs
from falsework.engine.contract.architect import Site
from falsework.engine.settings.sections import TaskArgs

RUN_ID, TOKEN = "harbour-000000", "a-token-that-nobody-may-see"


def write_task(directory: Path, units: list[Any], **task: Any) -> Path:
    """A task file in `directory`; `task` goes into its section of that name."""
    (directory / "static").mkdir(parents=True)
    (directory / "static" / "index.html").write_text("<!doctype html><title>harbour</title>")
    (directory / "units.jsonl").write_text("".join(json.dumps(unit) + "\n" for unit in units))
    section = {"name": "harbour", "static": "static", "units": "units.jsonl", **task}
    document = {"task": section, "architect": {"type": "local", "router": "python"}}
    (directory / "task.yaml").write_text(json.dumps(document))  # which is YAML
    return directory / "task.yaml"


def new_site(directory: Path, **args: Any) -> Site:
    """The run's side of the contract, for who calls the architect himself."""
    write_task(directory / "task", [1])
    task = TaskArgs("harbour", static=directory / "task" / "static", units=directory / "task" / "units.jsonl")
    run_directory = directory / "run"
    run_directory.mkdir(mode=0o700)
    return Site(RUN_ID, MockArgs("mock", **args), task, run_directory, TOKEN, logging.getLogger("test"))


async def up(site: Site) -> MockArchitect:
    """A mock architect whose run is up."""
    architect = MockArchitect()
    site.url = await architect.deploy(site, await architect.prepare(site))
    return architect
