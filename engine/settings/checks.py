"""What the values of a `task:` section must be like beyond their kind. Each check raises ValueError that says what is allowed.

Where the trouble stands in a file that the task names, it is ConfigError with that file and line.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from ..errors import ConfigError, Problem
from ..wording import found
from .units import load_units

LONGEST_NAME = 30
"""Characters of a task's name, so that every backend can call what it creates after it."""


def check_name(name: str) -> None:
    """A task's name is one that every backend takes."""
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name) or len(name) > LONGEST_NAME:
        allowed = f"1 to {LONGEST_NAME} of a-z, 0-9 and -, a letter first"
        raise ValueError(f"found {found(name)}; allowed: {allowed}, such as {nearest_name(name)!r}")


def nearest_name(text: str) -> str:
    """The name most like a text that passes `check_name`."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    name = name if name[:1].isalpha() else f"task-{name}"
    return name[:LONGEST_NAME].rstrip("-")


def check_units(units: Path) -> None:
    """Every unit of the file can be read, and there is one."""
    if not units.is_file():
        raise ValueError(f"found no file {units}; allowed: a file with one JSON value a line")
    load_units(units)


def check_hook(hook: Path) -> None:
    """The file is Python. It is compiled and not run."""
    if not hook.is_file():
        raise ValueError(f"found no file {hook}; allowed: a Python file")
    try:
        compile(hook.read_bytes(), str(hook), "exec", dont_inherit=True)
    except SyntaxError as error:
        raise ConfigError(Problem(f"is not Python: {error.msg}", str(hook), error.lineno)) from error
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        raise ConfigError(Problem(f"cannot be compiled: {error}", str(hook))) from error


def check_json(config: dict[str, Any]) -> None:
    """The page can be given it."""
    try:
        msgspec.json.encode(config)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"cannot be written as JSON: {error}") from error
