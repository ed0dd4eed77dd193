"""`check` and `new`: task files, before anything is launched."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from ..config import TaskFile, load_task_file
from ..errors import ConfigError, Problem
from ..run.hands import preflight
from ..settings.checks import nearest_name
from ..settings.sections import TASK_FILE
from ..settings.units import load_units
from ..work.hook import Hook
from . import loop
from .choices import Example
from .output import print_aligned


def check(file: Path, overrides: Sequence[str]) -> None:
    """Validate and preflight; print what would run. Raises ConfigError with all that is wrong."""
    sys.dont_write_bytecode = True  # running the hook must leave nothing beside it
    task_file = load_task_file(file, overrides)
    warn_of_ignored(task_file)
    problems = [*_problems_of_hook(task_file), *_problems_of_preflight(task_file)]
    if problems:
        raise ConfigError(*problems)
    print_aligned(_summary(task_file))


def new(directory: Path, example: Example) -> None:
    """Copy an example into a directory that is empty or not there, and name the task after it."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise ConfigError(Problem("is there already; give a directory that is empty or not there yet", str(directory)))
    source = Path(str(files("falsework.examples").joinpath(example.value)))
    try:
        shutil.copytree(
            source,
            directory,
            ignore=shutil.ignore_patterns("__pycache__"),
            copy_function=shutil.copyfile,
            dirs_exist_ok=True,
        )
        _rename(directory / TASK_FILE, nearest_name(directory.absolute().name))
    except OSError as error:
        raise ConfigError(Problem(f"cannot be made: {error.strerror or error}", str(directory))) from error
    print(f"{directory} holds a task made from the example {example.value}. Try it with three bots:")
    print(f"  falsework launch {shlex.quote(str(directory))} --bots 3", flush=True)


def warn_of_ignored(task_file: TaskFile) -> None:
    """Say which keys of a task file mean nothing here."""
    if task_file.ignored:
        print(f"warning: {task_file.file}: ignored: {', '.join(task_file.ignored)}", file=sys.stderr)


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _problems_of_hook(task_file: TaskFile) -> Sequence[Problem]:
    try:
        Hook.load(task_file.task.hook, lambda text: None)
    except ConfigError as error:
        return error.problems
    return ()


def _problems_of_preflight(task_file: TaskFile) -> Sequence[Problem]:
    try:
        loop.run(lambda: preflight(task_file.architect, task_file.task, _say))
    except ConfigError as error:
        return error.problems
    return ()


def _summary(task_file: TaskFile) -> list[list[str]]:
    task = task_file.task
    units = len(load_units(task.units))
    workers = "1 worker" if task.assignments_per_unit == 1 else f"{task.assignments_per_unit} different workers"
    together = " at the same time" if task.together else ""
    return [
        ["task", task.name],
        ["file", str(task_file.file)],
        ["page", str(task.static)],
        ["units", f"{units}, each done by {workers}{together}"],
        ["assignments", str(units * task.assignments_per_unit)],
        ["architect", task_file.architect.type],
        ["provider", task_file.provider.type],
    ]


def _rename(task_file: Path, name: str) -> None:
    text = task_file.read_text("utf-8")
    task_file.write_text(re.sub(r"(?m)^(  name: )\S+", rf"\g<1>{name}", text, count=1), "utf-8")
