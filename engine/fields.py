"""From a frozen dataclass to the marshmallow schema that validates a section of a task file and makes the dataclass.

The author of an architect writes annotations and defaults and has validation. A field's metadata may narrow what its
kind allows: `min`, `max` and `above` (in a list or a dict for each value), and `check`, a function of the whole value
that raises ValueError, or ConfigError whose problems may stand in other files. `__post_init__` may raise ValueError for
values that do not fit together. Where a value stands in its file is not known here.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import os
import re
import types
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load, validates_schema

from .errors import ConfigError

NARROWING = {"min": "at least", "max": "at most", "above": "more than"}
NEVER = "never"
LONGEST = 36_500 * 86_400
"""The longest duration, in seconds: about a century, so that no clock overflows."""
LARGEST = (1 << 63) - 1
"""The largest size, in bytes."""

_SECONDS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600), "d": Decimal(86400)}
_BYTES = (
    {"B": 1}
    | {f"{p}iB": 1024**n for n, p in enumerate("KMGT", 1)}
    | {f"{p}B": 1000**n for n, p in enumerate("kMGT", 1)}
)
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)")


def parse_duration(value: object) -> float:
    """Seconds from `500ms`, `90s`, `30m`, `1.5h`, `3d`, or a plain number of seconds. Raises ValueError."""
    seconds = float(_quantity(value, _SECONDS, "s"))
    if seconds > LONGEST:
        raise ValueError(f"{value!r} is longer than a century")
    return seconds


def format_duration(seconds: float) -> str:
    """The shortest text that `parse_duration` reads as the same number of seconds."""
    exact = Decimal(repr(seconds))
    for unit in ("d", "h", "m", "s") if exact >= 1 else ("ms",):
        if exact and exact % _SECONDS[unit] == 0:
            return f"{int(exact / _SECONDS[unit])}{unit}"
    return f"{exact.normalize():f}s"


def parse_size(value: object) -> int:
    """Bytes from `4096`, `512KiB`, `100MiB`, `1MB`: whole bytes, `Ki` is 1024 and `k` 1000. Raises ValueError."""
    size = _quantity(value, {unit: Decimal(factor) for unit, factor in (_BYTES | {"KB": 1000}).items()}, "B")
    if size > LARGEST or size != size.to_integral_value():
        raise ValueError(f"{value!r} is not a whole number of bytes that a file can have")
    return int(size)


def format_size(size: int) -> str:
    """The text with the largest unit that `parse_size` reads as the same number of bytes."""
    fitting = [unit for unit, factor in _BYTES.items() if size >= factor and size % factor == 0]
    unit = max(fitting, key=_BYTES.__getitem__, default="B")
    return f"{size // _BYTES[unit]}{unit}"


@dataclasses.dataclass(frozen=True)
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


Duration = Annotated[
    float, Kind(parse_duration, "a duration such as 500ms, 90s, 30m, 1.5h or 3d (up to a century)", format_duration)
]
"""Seconds, written as `30m`."""
Size = Annotated[int, Kind(parse_size, "a size such as 4096, 512KiB, 100MiB or 1MB (whole bytes)", format_size)]
"""Bytes, written as `100MiB`."""


def schema_for(dataclass: type, base: Path | None = None) -> Schema:
    """The schema of a dataclass, nested ones included; `load` makes it. Paths become absolute, relative ones under `base`.

    Raises TypeError for an annotation or a metadata key that is none of this module's.
    """
    hints = get_type_hints(dataclass, include_extras=True)
    declared = [field for field in dataclasses.fields(dataclass) if field.init]
    members: dict[str, Any] = {field.name: _member(dataclass, field, hints[field.name], base) for field in declared}
    schema = _SectionSchema.from_dict(members, name=f"{dataclass.__name__}Schema")
    schema._dataclass = dataclass  # type: ignore[attr-defined]  # a field may have any name, so this is set apart
    return schema()


def found(value: Any) -> str:
    """A value in words, for an error."""
    match value:
        case None:
            return "nothing"
        case bool():
            return f"the truth value {str(value).lower()}"
        case int() | float():
            return f"the number {value}"
        case str():
            return repr(value if len(value) <= 80 else value[:77] + "...")
        case Mapping():
            return "a section of keys" if value else "an empty section"
        case list():
            return "a list"
        case _:
            return repr(value)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'port'?` for the nearest known word, or nothing."""
    folded = {name.lower(): name for name in known}
    nearest = difflib.get_close_matches(word.lower(), folded, n=1)
    return f"; did you mean {folded[nearest[0]]!r}?" if nearest else ""


def _quantity(value: object, units: Mapping[str, Decimal], plain: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{value!r} is no quantity")
    text = value.strip() if isinstance(value, str) else f"{Decimal(repr(value)):f}"
    read = _QUANTITY.fullmatch(text)
    if not read or (read[2] or plain) not in units:
        raise ValueError(f"{value!r} is no number with one of the units {', '.join(units)}")
    return Decimal(read[1]) * units[read[2] or plain]


class _SectionSchema(Schema):
    class Meta:
        unknown = EXCLUDE  # refuse_unknown_keys says more than marshmallow would

    _dataclass: type

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def refuse_unknown_keys(self, data: Any, original: Any, **_: Any) -> None:
        unknown = [key for key in original if key not in self.fields] if isinstance(original, Mapping) else []
        if unknown:
            known = ", ".join(self.fields)
            raise ValidationError(
                {key: [f"is not known{did_you_mean(str(key), self.fields)}; known: {known}"] for key in unknown}
            )

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Any:
        try:
            return self._dataclass(**data)
        except ValueError as error:
            raise ValidationError(str(error)) from error


class _Member(fields.Field[Any]):
    """One key of a section."""

    def __init__(self, kind: Kind, check: Callable[[Any], Any] | None, required: bool) -> None:
        super().__init__(required=required, error_messages={"required": f"is missing; allowed: {kind.allowed}"})
        self.kind, self.check = kind, check

    def deserialize(self, value: Any, attr: str | None = None, data: Any = None, **options: Any) -> Any:
        # Nothing means something here: no limit, or a section whose keys are all left out.
        return self._deserialize(None) if value is None else super().deserialize(value, attr, data, **options)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        loaded = self.kind.read(value)
        if self.check is not None and loaded is not None:
            self._run(self.check, loaded)
        return loaded

    @staticmethod
    def _run(check: Callable[[Any], Any], loaded: Any) -> None:
        try:
            check(loaded)
        except ConfigError as error:
            raise ValidationError(list(error.problems)) from error  # config.py takes them as they are
        except ValueError as error:
            raise ValidationError(str(error)) from error


def _member(dataclass: type, field: dataclasses.Field[Any], hint: Any, base: Path | None) -> _Member:
    metadata, where = dict(field.metadata), f"{dataclass.__name__}.{field.name}"
    check = metadata.pop("check", None)
    if unknown := metadata.keys() - NARROWING.keys():
        raise TypeError(f"{where}: metadata {sorted(unknown)} is none of min, max, above, check")
    try:
        kind = _kind(hint, metadata, base)
    except TypeError as error:
        raise TypeError(f"{where}: {error}") from error
    required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    return _Member(kind, check, required)


def _kind(hint: Any, limits: Mapping[str, Any], base: Path | None) -> Kind:
    """The kind that an annotation stands for."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _narrowed(next(part for part in arguments if isinstance(part, Kind)), limits)
    if hint in _PLAIN:
        return _narrowed(_PLAIN[hint], limits)
    if hint is Path:
        return Kind(partial(_path, base or Path()), "a path")
    if origin is Literal:
        return Kind(partial(_choice, arguments), ", ".join(map(str, arguments)))
    if origin in (Union, types.UnionType) and len(arguments) == 2 and types.NoneType in arguments:
        [inner] = (argument for argument in arguments if argument is not types.NoneType)
        return _optional(_kind(inner, limits, base), inner == Duration)
    if origin is list:
        inside = _kind(arguments[0], limits, base)
        return Kind(partial(_list, inside), f"a list, each of it {inside.allowed}")
    if origin is dict and arguments[0] is str:
        inside = _kind(arguments[1], limits, base)
        return Kind(partial(_dict, inside), f"a section of keys, each with {inside.allowed}")
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        schema = schema_for(hint, base)
        return Kind(partial(_section, schema), f"a section with the keys {', '.join(schema.fields)}")
    raise TypeError(f"no setting can be of type {hint}")


def _narrowed(kind: Kind, limits: Mapping[str, Any]) -> Kind:
    def parse(value: Any) -> Any:
        parsed = kind.parse(value)
        if any(not _holds(limit, parsed, bound) for limit, bound in limits.items()):
            raise ValueError(f"{value!r} is out of range")
        return parsed

    words = " and ".join(f"{NARROWING[limit]} {kind.show(bound)}" for limit, bound in limits.items())
    return Kind(parse, f"{kind.allowed}, {words}", kind.show) if limits else kind


def _holds(limit: str, value: Any, bound: Any) -> bool:
    return bool({"min": value >= bound, "max": value <= bound, "above": value > bound}[limit])


def _optional(kind: Kind, may_be_never: bool) -> Kind:
    nothing = (None, NEVER) if may_be_never else (None,)
    allowed = f"{kind.allowed}, or {NEVER}" if may_be_never else f"{kind.allowed}, or nothing"
    return Kind(lambda value: None if value in nothing else kind.parse(value), allowed, kind.show)


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


_PLAIN: dict[Any, Kind] = {
    Any: Kind(lambda value: value, "anything"),
    str: Kind(_exactly(str), "text (in quotes where it looks like a number or a truth value)"),
    bool: Kind(_exactly(bool), "true or false"),
    int: Kind(_exactly(int), "a whole number"),
    float: Kind(_number, "a number"),
}


def _path(base: Path, value: Any) -> Path:
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise ValueError(f"{value!r} is no path")
    try:
        return Path(os.path.abspath(base / Path(value).expanduser()))
    except RuntimeError as error:
        raise ValueError(f"{value!r} is in the home of somebody who has none") from error


def _choice(choices: tuple[Any, ...], value: Any) -> Any:
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        raise ValueError(f"{value!r} is not among the choices")
    return value


def _list(inside: Kind, value: Any) -> list[Any]:
    loaded = _each(inside, enumerate(_exactly(list)(value)))
    return list(loaded.values())


def _dict(inside: Kind, value: Any) -> dict[str, Any]:
    return _each(inside, ({} if value is None else _exactly(dict)(value)).items())


def _each(inside: Kind, items: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    loaded, problems = {}, {}
    for key, value in items:
        try:
            loaded[key] = inside.read(value)
        except ValidationError as error:
            problems[key] = error.messages
    if problems:
        raise ValidationError(problems)
    return loaded


def _section(schema: Schema, value: Any) -> Any:
    return schema.load({} if value is None else _exactly(dict)(value))
