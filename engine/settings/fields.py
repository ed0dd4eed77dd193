"""From a frozen dataclass to the marshmallow schema that validates a section of a task file and makes the dataclass.

The author of an architect writes annotations and defaults and has validation. A field's metadata may narrow what its
kind allows: `min`, `max` and `above` (in a list or a dict for each value), and `check`, a function of the whole value
that raises ValueError, or ConfigError whose problems may stand in other files. A key that is no text is another reader's.
`__post_init__` may raise ValueError for values that do not fit together. Where a value stands in its file is not known here.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load, validates_schema

from ...router.wire.router_args import Seconds
from ..errors import ConfigError
from ..wording import did_you_mean
from .kinds import (
    NARROWING,
    PLAIN,
    Kind,
    dict_of,
    list_of,
    narrowed,
    one_of,
    optional,
    path_under,
    section_of,
)
from .quantities import (
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)

Duration = Annotated[
    float, Kind(parse_duration, "a duration such as 500ms, 90s, 30m, 1.5h or 3d (up to a century)", format_duration)
]
"""Seconds, written as `30m`."""
Size = Annotated[int, Kind(parse_size, "a size such as 4096, 512KiB, 100MiB or 1MB (whole bytes)", format_size)]
"""Bytes, written as `100MiB`."""

_AS_WRITTEN = {Seconds: Duration}
"""What the router's own settings are to people, by their types there."""


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
    metadata = {key: value for key, value in field.metadata.items() if isinstance(key, str)}
    where = f"{dataclass.__name__}.{field.name}"
    check = metadata.pop("check", None)
    if unknown := metadata.keys() - NARROWING.keys():
        raise TypeError(f"{where}: metadata {sorted(unknown)} is none of {', '.join(NARROWING)}, check")
    try:
        kind = _kind(hint, metadata, base or Path())
    except TypeError as error:
        raise TypeError(f"{where}: {error}") from error
    required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    return _Member(kind, check, required)


def _kind(hint: Any, limits: Mapping[str, Any], base: Path) -> Kind:
    """The kind that an annotation stands for, within limits. Raises TypeError if it stands for none."""
    hint = _AS_WRITTEN.get(hint, hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return narrowed(next(part for part in arguments if isinstance(part, Kind)), limits)
    if hint in PLAIN:
        return narrowed(PLAIN[hint], limits)
    if hint is Path:
        return path_under(base)
    if origin is Literal:
        return one_of(arguments)
    if origin in (Union, types.UnionType) and len(arguments) == 2 and types.NoneType in arguments:
        [inner] = (argument for argument in arguments if argument is not types.NoneType)
        return optional(_kind(inner, limits, base), may_be_never=inner in (Duration, Seconds))
    if origin is list:
        return list_of(_kind(arguments[0], limits, base))
    if origin is dict and arguments[0] is str:
        return dict_of(_kind(arguments[1], limits, base))
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return section_of(schema_for(hint, base))
    raise TypeError(f"no setting can be of type {hint}")
