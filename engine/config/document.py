"""Values from a file that know where they stand: file, line and dotted key. What they may be is not known here, nor YAML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import Problem

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True)
class Place:
    """Where a value was written. The key is as written there, whatever the value was moved to since."""

    file: str
    line: int | None
    key: str


class Document:
    """The values of a document, their places, and the problems seen while reading them."""

    def __init__(self, file: str, value: Any = None) -> None:
        self.file, self.value = file, value
        self.places: dict[KeyPath, Place] = {}
        self.problems: list[Problem] = []

    def get(self, path: KeyPath) -> Any:
        """The value at a path of keys, or None."""
        value = self.value
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    def section_for(self, path: KeyPath) -> dict[str | int, Any] | None:
        """The section that holds the last key of `path`, made where it is missing.

        None where something that has no keys is in the way.
        """
        section = self.value
        for key in path[:-1]:
            if not isinstance(section, dict):
                return None
            if section.get(key) is None:
                section[key] = {}
            section = section[key]
        return section if isinstance(section, dict) else None

    def put(self, path: KeyPath, value: Any, places: Mapping[KeyPath, Place]) -> None:
        """Put a value to `path` for whatever stands there; `places` are those of what is in it, by their paths in it.

        Raises ValueError where `section_for` finds something in the way.
        """
        section = self.section_for(path)
        if section is None:
            raise ValueError(f"nothing can stand at {dotted(path)}")
        section[path[-1]] = value
        self.places = {old: place for old, place in self.places.items() if old[: len(path)] != path}
        self.places |= {path + inner: place for inner, place in places.items()}

    def move(self, source: KeyPath, target: KeyPath, value: Any) -> bool:
        """Take out what stands at `source` and put `value` to `target` for it, with the place where it was written.

        False, and nothing moved, where something stands at `target` already.
        """
        section = self.section_for(target)
        if section is None or target[-1] in section:
            return False
        self.remove(source)
        section[target[-1]] = value
        moved = [path for path in self.places if path[: len(source)] == source]
        self.places |= {target + path[len(source) :]: self.places[path] for path in moved}
        return True

    def remove(self, path: KeyPath) -> Any:
        """Take out what stands at a path, and return it."""
        return self.get(path[:-1]).pop(path[-1])

    def problem(self, path: KeyPath, message: str) -> Problem:
        """A problem of the value at `path`; of the section it is missing from where nothing stands there."""
        if path in self.places:
            place = self.places[path]
            return Problem(message, place.file, place.line, place.key)
        above = [self.places[path[:end]] for end in range(len(path), 0, -1) if path[:end] in self.places]
        below = [place for known, place in self.places.items() if known[: len(path)] == path]
        near = next(iter(above + below), Place(self.file, None, ""))
        return Problem(message, near.file, near.line, dotted(path))


def dotted(path: Sequence[str | int]) -> str:
    """`architect.port` for a path of keys."""
    return ".".join(map(str, path))
