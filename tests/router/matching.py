"""Patterns of the vectors: `fill` makes a value of a template, `match` compares a value with a pattern. See vectors/README.md."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Captures = dict[str, Any]


class Mismatch(AssertionError):
    """Where in a value a pattern did not hold, what was expected there, and what was found."""

    def __init__(self, path: str, expected: object, found: object) -> None:
        self.path, self.expected, self.found = path, expected, found
        super().__init__(f"at {path or 'the top'}: expected {expected!r}, found {_short(found)}")


ABSENT = type("Absent", (), {"__repr__": lambda self: "nothing"})()
"""What is found under a key that is not there."""

_HOLE = re.compile(r"\$\{(\w+)\}")


def fill(template: Any, captures: Captures) -> Any:
    """The template with `$name` and `${name}` replaced by what was captured, and `$repeat` and `$hex` made."""
    if isinstance(template, list):
        return [fill(item, captures) for item in template]
    if isinstance(template, Mapping):
        make = _MAKERS.get(next(iter(template))) if len(template) == 1 else None
        if make is not None:
            return make(fill(next(iter(template.values())), captures))
        return {fill(key, captures): fill(value, captures) for key, value in template.items()}
    if isinstance(template, str):
        return _fill_text(template, captures)
    return template


def match(pattern: Any, found: Any, captures: Captures, path: str = "") -> None:
    """Raise Mismatch unless the pattern holds. Names that are new are captured on the way."""
    if isinstance(pattern, str):
        _match_text(pattern, found, captures, path)
    elif isinstance(pattern, Mapping):
        _match_mapping(pattern, found, captures, path)
    elif isinstance(pattern, list):
        if not isinstance(found, list) or len(found) != len(pattern):
            raise Mismatch(path, f"a list of {len(pattern)}", found)
        for index, (part, item) in enumerate(zip(pattern, found, strict=True)):
            match(part, item, captures, f"{path}[{index}]")
    elif found != pattern or isinstance(found, bool) != isinstance(pattern, bool):
        raise Mismatch(path, pattern, found)


def matches(pattern: Any, found: Any, captures: Captures) -> bool:
    """Whether the pattern holds; captures only if it does."""
    trial = dict(captures)
    try:
        match(pattern, found, trial)
    except Mismatch:
        return False
    captures.update(trial)
    return True


def _fill_text(text: str, captures: Captures) -> Any:
    if re.fullmatch(r"\$\w+", text):
        return captures[text[1:]]
    return _HOLE.sub(lambda hole: str(captures[hole[1]]), text)


def _match_text(pattern: str, found: Any, captures: Captures, path: str) -> None:
    if pattern in _KINDS:
        if not _KINDS[pattern](found):
            raise Mismatch(path, pattern, found)
    elif re.fullmatch(r"\$\w+", pattern) and pattern[1:] not in captures:
        if found is ABSENT:
            raise Mismatch(path, pattern, found)
        captures[pattern[1:]] = found
    elif found != fill(pattern, captures):
        raise Mismatch(path, fill(pattern, captures), found)


def _match_mapping(pattern: Mapping[str, Any], found: Any, captures: Captures, path: str) -> None:
    rule = _RULES.get(next(iter(pattern))) if len(pattern) == 1 else None
    if rule is not None:
        return rule(next(iter(pattern.values())), found, captures, path)
    if not isinstance(found, dict):
        raise Mismatch(path, pattern, found)
    for key, part in pattern.items():
        name = fill(key, captures)
        match(part, found.get(name, ABSENT), captures, f"{path}.{name}")
    return None


def _exactly(pattern: Any, found: Any, captures: Captures, path: str) -> None:
    match(pattern, found, captures, path)
    if isinstance(found, dict):
        extra = set(found) - {fill(key, captures) for key in pattern}
        if extra:
            raise Mismatch(path, f"only the keys {sorted(pattern)}", found)


def _contains(text: Any, found: Any, captures: Captures, path: str) -> None:
    if not isinstance(found, str) or fill(text, captures) not in found:
        raise Mismatch(path, f"a text with {fill(text, captures)!r} in it", found)


def _between(bounds: Any, found: Any, captures: Captures, path: str) -> None:
    low, high = fill(bounds, captures)
    if not _is_number(found) or not low <= found <= high:
        raise Mismatch(path, f"a number from {low} to {high}", found)


def _length(pattern: Any, found: Any, captures: Captures, path: str) -> None:
    if not isinstance(found, str | list | dict):
        raise Mismatch(path, "something with a length", found)
    match(pattern, len(found), captures, f"the length of {path}")


def _no(pattern: Any, found: Any, captures: Captures, path: str) -> None:
    if matches(pattern, found, dict(captures)):
        raise Mismatch(path, f"anything but {pattern!r}", found)


def _is_number(found: Any) -> bool:
    return isinstance(found, int | float) and not isinstance(found, bool)


def _short(found: object) -> str:
    text = repr(found)
    return text if len(text) < 600 else f"{text[:400]} … {text[-100:]} ({len(text)} characters)"


_KINDS: dict[str, Callable[[Any], bool]] = {
    "$any": lambda found: found is not ABSENT,
    "$absent": lambda found: found is ABSENT,
    "$number": _is_number,
    "$string": lambda found: isinstance(found, str),
}
_RULES: dict[str, Callable[[Any, Any, Captures, str], None]] = {
    "$exactly": _exactly,
    "$contains": _contains,
    "$between": _between,
    "$length": _length,
    "$not": _no,
}
_MAKERS: dict[str, Callable[[Any], Any]] = {
    "$repeat": lambda said: said[0] * said[1],
    "$hex": bytes.fromhex,
}
