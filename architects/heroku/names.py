"""What apps are called: names that Heroku takes, and that carry the run's mark. Pure."""

from __future__ import annotations

import re

SHORTEST, LONGEST = 3, 30
MARK = "fw-"
"""How the name of every app begins that falsework named."""
NAME = re.compile(r"[a-z][a-z0-9-]*[a-z0-9]")
_MARKED = re.compile(r"fw-(?P<run_id>[a-z0-9][a-z0-9-]*-[0-9a-f]{6})(-[0-9a-f]{4})?")
"""`fw-caption-7f3a9c`, or `fw-caption-7f3a9c-05d1` where the first was taken."""


def check_app_name(name: str) -> None:
    """Raise ValueError for a name that Heroku would not take."""
    if not NAME.fullmatch(name) or not SHORTEST <= len(name) <= LONGEST:
        raise ValueError(
            f"found {name!r}; allowed: {SHORTEST} to {LONGEST} of a-z, 0-9 and -, beginning with a letter, "
            f"ending with a letter or a digit"
        )


def marked_name(run_id: str, suffix: str = "") -> str:
    """The name for an app of a run; with a `suffix` of four hexadecimal digits another one.

    It ends with the part of the run id that cannot be guessed; where there is no room for all, the task's name is cut.
    """
    stem, _, secret = run_id.rpartition("-")
    end = "-".join(filter(None, (secret, suffix)))
    room = LONGEST - len(MARK) - len(end) - 1
    return f"{MARK}{stem[: max(room, 0)].strip('-')}-{end}"[:LONGEST] if stem else f"{MARK}{end}"[:LONGEST]


def carries_mark(name: str, run_id: str) -> bool:
    """Whether an app of this name can only have been named for this run."""
    secret = run_id.rpartition("-")[2]
    return name.startswith(MARK) and len(secret) >= 6 and secret in name.split("-")


def run_id_in(name: str) -> str | None:
    """The run id in a marked name, as far as it was not cut; None for a name that is somebody's own choice."""
    found = _MARKED.fullmatch(name)
    return found["run_id"] if found else None
