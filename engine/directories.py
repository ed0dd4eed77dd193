"""Where falsework keeps its state, and what the directory of a task's page must be like."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import platformdirs

from .errors import ConfigError, Problem

HOME_VARIABLE = "FALSEWORK_HOME"
NAME_IN_RUN_ID = 20
"""Characters of a task's name that go into the ids of its runs."""
MOST_PROBLEMS = 20
"""Files that are named before the rest is only counted."""


def home() -> Path:
    """$FALSEWORK_HOME, or the user's data directory; made for its owner alone (0700) where it is missing.

    Raises ConfigError if it cannot be made.
    """
    return _private(home_location())


def home_location() -> Path:
    """Where `home` is, or would be; nothing is made."""
    chosen = os.environ.get(HOME_VARIABLE)
    return Path(os.path.abspath(chosen)) if chosen else platformdirs.user_data_path("falsework", appauthor=False)


def run_directory(run_id: str) -> Path:
    """The directory of a run, made for its owner alone (0700) where it is missing. Raises ConfigError if it is no run id."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", run_id):
        raise ConfigError(Problem(f"{run_id!r} is no run id; one looks like caption-7f3a9c"))
    home()
    return _private(run_location(run_id))


def run_location(run_id: str) -> Path:
    """Where `run_directory` is, or would be; nothing is made."""
    return home_location() / "runs" / run_id


def write_secret(path: Path, secret: str) -> None:
    """Write a file for its owner alone (0600), in the place of what was there. Raises OSError."""
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secret)


def new_run_id(name: str) -> str:
    """An id for a new run of the task called `name`, such as `caption-7f3a9c`."""
    return f"{name[:NAME_IN_RUN_ID].rstrip('-')}-{secrets.token_hex(3)}"


def check_static_directory(static: Path) -> None:
    """A page's directory can be shipped: it is there, has an index.html, and holds only files that are its own.

    Raises ValueError, or ConfigError that names each file that cannot be shipped.
    """
    if not static.is_dir():
        raise ValueError(f"found no directory {static}; allowed: the directory that holds the task's index.html")
    if not (static / "index.html").is_file():
        raise ValueError(f"found no index.html in {static}; allowed: the directory that holds the task's page")
    bad = list(_unfit(static))
    if len(bad) > MOST_PROBLEMS:
        bad[MOST_PROBLEMS:] = [Problem(f"and {len(bad) - MOST_PROBLEMS} more", str(static))]
    if bad:
        raise ConfigError(*bad)


def _private(directory: Path) -> Path:
    try:
        directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        advice = f"set {HOME_VARIABLE} to a directory that you may write to"
        raise ConfigError(Problem(f"cannot be made: {error.strerror}; {advice}", str(directory))) from error
    return directory


def _unfit(static: Path) -> Iterator[Problem]:
    """What cannot be shipped: links that lead out or nowhere, sockets and pipes, directories that cannot be read."""
    unreadable: list[OSError] = []
    inside = os.path.realpath(static)
    for directory, directories, files in os.walk(static, onerror=unreadable.append):
        for name in sorted(directories + files):
            path = Path(directory, name)
            if reason := _unfitness(path, inside):
                yield Problem(reason, str(path))
    for error in unreadable:
        yield Problem(f"cannot be read: {error.strerror}", error.filename)


def _unfitness(path: Path, inside: str) -> str | None:
    if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(inside):
        return f"is a link that leads out of the task's static directory, to {os.readlink(path)}"
    if path.is_symlink() and not path.exists():
        return f"is a link that leads nowhere, to {os.readlink(path)}"
    if path.is_symlink() and Path(os.path.realpath(path.parent)).is_relative_to(os.path.realpath(path)):
        return f"is a link to a directory that holds it, {os.readlink(path)}"
    return None if path.is_file() or path.is_dir() else "is neither a file nor a directory"
