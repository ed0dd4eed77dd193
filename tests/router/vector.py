"""Reads the vectors. The language is in vectors/README.md; player.py carries it out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

VECTORS = Path(__file__).with_name("vectors")
Step = dict[str, Any]


@dataclass(frozen=True)
class Vector:
    """One story of a router and those who speak to it."""

    id: str
    steps: list[Step]
    flags: list[str]
    files: dict[str, str]
    is_open: bool


def load(directory: Path = VECTORS) -> Iterator[Vector]:
    """All vectors of a directory. Parts that they use are in its parts.yaml."""
    parts = yaml.safe_load((directory / "parts.yaml").read_text("utf-8"))
    for path in sorted(directory.glob("*.yaml")):
        if path.name == "parts.yaml":
            continue
        book = yaml.safe_load(path.read_text("utf-8"))
        for told in book["vectors"]:
            yield Vector(
                f"{path.stem}: {told['name']}",
                list(_with_parts(told["steps"], parts)),
                [*book.get("flags", []), *told.get("flags", [])],
                {**book.get("files", {}), **told.get("files", {})},
                told.get("open", book.get("open", False)),
            )


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
