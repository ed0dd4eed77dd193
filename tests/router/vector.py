"""Reads the vectors. The language is in vectors/README.md; player.py carries it out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

VECTORS = Path(__file__).with_name("vectors")
PROCESS_VERBS = ("restart", "start", "signal", "crash", "rival", "expect_exit")
Step = dict[str, Any]

PROCESS, DISK, FORMS, FLAGS, OPEN = "a process", "a disk", "forms", "flags", "an open router"
NEEDED_BY_STEPS = {
    **dict.fromkeys(("restart", "start", "signal", "crash", "rival", "expect_exit"), PROCESS),
    "stored": DISK,
    "form": FORMS,
}
"""What a router must have for a step with this key in it; vectors name whatever else they need under `needs`."""


@dataclass(frozen=True)
class Vector:
    """One story of a router and those who speak to it."""

    id: str
    steps: list[Step]
    flags: list[str]
    files: dict[str, str]
    is_open: bool
    needs: frozenset[str]
    """What not every router has to have."""

    @property
    def needs_a_process(self) -> bool:
        """Whether it starts, ends or signals a router, or waits for its end."""
        return "--restart" in self.flags or any(next(iter(step)) in PROCESS_VERBS for step in self.steps)


def load(directory: Path = VECTORS) -> Iterator[Vector]:
    """All vectors of a directory. Parts that they use are in its parts.yaml."""
    parts = yaml.safe_load((directory / "parts.yaml").read_text("utf-8"))
    for path in sorted(directory.glob("*.yaml")):
        if path.name == "parts.yaml":
            continue
        book = yaml.safe_load(path.read_text("utf-8"))
        for told in book["vectors"]:
            yield _vector(path.stem, book, told, parts)


def _vector(book_name: str, book: dict[str, Any], told: dict[str, Any], parts: dict[str, list[Step]]) -> Vector:
    steps = list(_with_parts(told["steps"], parts))
    flags = [*book.get("flags", []), *told.get("flags", [])]
    is_open = told.get("open", book.get("open", False))
    needs = {*book.get("needs", []), *told.get("needs", [])}
    needs |= {NEEDED_BY_STEPS[key] for step in steps for key in step if key in NEEDED_BY_STEPS}
    if set(flags[::2]) - {"--limit"}:
        needs.add(FLAGS)
    if is_open:
        needs.add(OPEN)
    files = {**book.get("files", {}), **told.get("files", {})}
    return Vector(f"{book_name}: {told['name']}", steps, flags, files, is_open, frozenset(needs))


def _with_parts(steps: list[Step], parts: dict[str, list[Step]]) -> Iterator[Step]:
    for step in steps:
        if "use" in step:
            yield from _with_parts([_fill_holes(told, step) for told in parts[step["use"]]], parts)
        else:
            yield step


def _fill_holes(told: Any, words: Step) -> Any:
    if isinstance(told, dict):
        return {_fill_holes(key, words): _fill_holes(value, words) for key, value in told.items()}
    if isinstance(told, list):
        return [_fill_holes(item, words) for item in told]
    if not isinstance(told, str):
        return told
    whole = re.fullmatch(r"<(\w+)>", told)
    return words[whole[1]] if whole else re.sub(r"<(\w+)>", lambda hole: str(words[hole[1]]), told)
