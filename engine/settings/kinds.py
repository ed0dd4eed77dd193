"""The kinds of values that a setting can have: how each is read, and what is allowed, in words for an error.

Which annotation stands for which kind is said in fields.py.
"""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marshmallow import Schema, ValidationError

from ..wording import found

NARROWING: Mapping[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "min": ("at least", operator.ge),
    "max": ("at most", operator.le),
    "above": ("more than", operator.gt),
}
"""The limits that a setting may have: each in words, and what a value and its bound must satisfy."""
NEVER = "never"
"""What stands for no limit in a duration that may have none."""


@dataclass(frozen=True)
class Kind:
    """What a value may be: how it is read (raises ValueError), what is allowed in words, how a limit is shown."""

    parse: Callable[[Any], Any]
    allowed: str
    show: Callable[[Any], str] = str

    def read(self, value: Any) -> Any:
        """The value as the dataclass holds it. Raises ValidationError that says what was found and what is allowed."""
        try:
            return self.parse(value)
        except ValueError as error:
            raise ValidationError(f"found {found(value)}; allowed: {self.allowed}") from error


def narrowed(kind: Kind, limits: Mapping[str, Any]) -> Kind:
    """The same kind within limits, which are bounds by the keys of NARROWING."""
    if not limits:
        return kind

    def parse(value: Any) -> Any:
        parsed = kind.parse(value)
        if not all(NARROWING[limit][1](parsed, bound) for limit, bound in limits.items()):
            raise ValueError(f"{value!r} is out of range")
        return parsed

    words = " and ".join(f"{NARROWING[limit][0]} {kind.show(bound)}" for limit, bound in limits.items())
    return Kind(parse, f"{kind.allowed}, {words}", kind.show)


def optional(kind: Kind, *, may_be_never: bool) -> Kind:
    """The same kind or None, which is written as nothing, or as `never` where that reads better."""
    nothing = (None, NEVER) if may_be_never else (None,)
    word = NEVER if may_be_never else "nothing"
    return Kind(lambda value: None if value in nothing else kind.parse(value), f"{kind.allowed}, or {word}", kind.show)


def path_under(base: Path) -> Kind:
    """A path, made absolute: a relative one is under `base`, `~` is a home directory."""

    def parse(value: Any) -> Path:
        if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
            raise ValueError(f"{value!r} is no path")
        try:
            return Path(os.path.abspath(base / Path(value).expanduser()))
        except RuntimeError as error:
            raise ValueError(f"{value!r} is in the home of somebody who has none") from error

    return Kind(parse, "a path")


def one_of(choices: tuple[Any, ...]) -> Kind:
    """One of these values, which an equal of another type is not: true is not 1."""

    def parse(value: Any) -> Any:
        if not any(type(value) is type(choice) and value == choice for choice in choices):
            raise ValueError(f"{value!r} is not among the choices")
        return value

    return Kind(parse, ", ".join(map(str, choices)))


def list_of(inside: Kind) -> Kind:
    """A list of values of one kind."""

    def parse(value: Any) -> list[Any]:
        return list(_each(inside, enumerate(_exactly(list)(value))).values())

    return Kind(parse, f"a list, each of it {inside.allowed}")


def dict_of(inside: Kind) -> Kind:
    """A section whose keys are free, with values of one kind; nothing is a section without keys."""

    def parse(value: Any) -> dict[str, Any]:
        return _each(inside, _section(value).items())

    return Kind(parse, f"a section of keys, each with {inside.allowed}")


def section_of(schema: Schema) -> Kind:
    """A section whose keys are those of a schema, which makes its dataclass; nothing is a section without keys."""
    return Kind(lambda value: schema.load(_section(value)), f"a section with the keys {', '.join(schema.fields)}")


def _each(inside: Kind, items: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    """Every value read. Raises ValidationError that has the problems of all of them by their keys."""
    loaded, problems = {}, {}
    for key, value in items:
        try:
            loaded[key] = inside.read(value)
        except ValidationError as error:
            problems[key] = error.messages
    if problems:
        raise ValidationError(problems)
    return loaded


def _section(value: Any) -> Any:
    return {} if value is None else _exactly(dict)(value)


def _exactly(*accepted: type) -> Callable[[Any], Any]:
    def parse(value: Any) -> Any:
        if type(value) not in accepted:  # a bool is an int to isinstance
            raise ValueError(f"{value!r} is of another type")
        return value

    return parse


def _number(value: Any) -> float:
    if not math.isfinite(_exactly(int, float)(value)):
        raise ValueError(f"{value!r} is not finite")
    return float(value)


PLAIN: Mapping[Any, Kind] = {
    Any: Kind(lambda value: value, "anything"),
    str: Kind(_exactly(str), "text (in quotes where it looks like a number or a truth value)"),
    bool: Kind(_exactly(bool), "true or false"),
    int: Kind(_exactly(int), "a whole number"),
    float: Kind(_number, "a number"),
}
"""The kinds of Python's own types."""
