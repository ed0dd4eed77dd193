"""All that a router can be told, as one table: each field of `RouterArgs` is a row.

Made from it are the flags of both routers and their `--help` (process/command_line.py, and Node's router_args.js, which
docs/regenerate.py writes), the router's keys of a task file's `architect:` section, what an architect says to the server that
it starts, and the table in docs/router.md. How a value is written and read is each of their own; here nothing is.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from .protocol import check_frame_ancestor, check_policy

Seconds = Annotated[float, "seconds"]
"""A duration, which people write as `30m`."""


class Kind(StrEnum):
    """What a flag's value is, and so how it is written and read."""

    TEXT = "text"
    PATH = "path"
    PORT = "port"
    DURATION = "duration"
    CHOICE = "choice"
    SWITCH = "switch"
    """No value: it is given or it is not."""
    ORIGIN = "origin"
    POLICY = "policy"
    LIMITS = "limits"
    """One `NAME=VALUE` for each."""


@dataclass(frozen=True)
class Flag:
    """A row of the table. `name` is without its dashes, `field` what it is called in `RouterArgs` and in a task file."""

    name: str
    field: str
    kind: Kind
    help: str
    metavar: str | None
    default: Any
    """None: there is none."""
    choices: tuple[str, ...]
    is_repeatable: bool
    is_required: bool
    variable: str | None
    """The variable that tells a server of somebody else's; None for what only falsework's routers understand."""
    falls_back_on: str | None
    """The variable that a router looks at where the flag is not given."""
    is_setting: bool
    """Whether a task file may set it."""


@dataclass(frozen=True)
class _Told:
    """What a field says of its flag that neither its name nor its type does."""

    kind: Kind
    help: str
    metavar: str | None
    name: str | None
    variable: str | None
    falls_back_on: str | None


def flag(
    kind: Kind,
    help: str,
    metavar: str | None = None,
    *,
    name: str | None = None,
    variable: str | None = "",
    falls_back_on: str | None = None,
    check: Callable[[Any], Any] | None = None,
) -> Mapping[Any, Any]:
    """The metadata of a field that is a flag. Without a `name` the flag is called like the field, as is its `variable`.

    `check` raises ValueError for what a task file may not say; the engine's schemas call it.
    """
    told = _Told(kind, help, metavar, name, variable, falls_back_on)
    return {_Told: told} | ({"check": check} if check is not None else {})


def check_frame_ancestors(origins: Sequence[str]) -> None:
    """Raise ValueError for an origin that no browser would know as one."""
    for origin in origins:
        check_frame_ancestor(origin)


@dataclass(frozen=True)
class TaskSettings:
    """What a task file may say to the router, wherever that runs: the arguments of each architect that starts one have these."""

    frame_ancestors: list[str] = field(
        default_factory=list,
        metadata=flag(
            Kind.ORIGIN,
            "a site that may show the task in a frame; repeatable (default: none may)",
            "ORIGIN",
            variable=None,
            check=check_frame_ancestors,
        ),
    )
    content_security_policy: str | None = field(
        default=None,
        metadata=flag(
            Kind.POLICY,
            "a Content-Security-Policy in place of the strict one",
            "POLICY",
            name="csp",
            variable=None,
            check=check_policy,
        ),
    )
    limits: dict[str, Any] = field(
        default_factory=dict,
        metadata=flag(
            Kind.LIMITS, "what it takes and how long it waits; repeatable", "NAME=VALUE", name="limit", variable=None
        ),
    )


@dataclass(frozen=True)
class DiskSettings(TaskSettings):
    """What a task file may say to a router whose disk stays as well."""

    outbox: Literal["disk", "launcher"] = field(
        default="disk", metadata=flag(Kind.CHOICE, "who keeps what was handed in until the launcher has it")
    )


@dataclass(frozen=True)
class RunSettings:
    """What a run says to the router, wherever that runs: a Site has these."""

    run_id: str = field(default="standalone", metadata=flag(Kind.TEXT, "what `/is_alive` answers with", "ID"))
    lease: Seconds = field(default=900.0, metadata=flag(Kind.DURATION, "how long to go on unheard, such as 15m", "D"))
    grace: Seconds = field(
        default=86400.0, metadata=flag(Kind.DURATION, "how long to keep what nobody collected, such as 24h", "D")
    )
    idle_timeout: Seconds | None = field(
        default=None, metadata=flag(Kind.DURATION, "how long to go on without a word from any worker", "D")
    )
    max_lifetime: Seconds | None = field(
        default=None, metadata=flag(Kind.DURATION, "how old to get, restarts on the same data included", "D")
    )


@dataclass(frozen=True, kw_only=True)
class RouterArgs(DiskSettings, RunSettings):
    """What a router is started with: the rest is said by who starts it. Times in seconds; a limit that is None is none."""

    static: Path = field(metadata=flag(Kind.PATH, "what browsers get; holds index.html", "DIR"))
    data: Path = field(metadata=flag(Kind.PATH, "outbox and uploads", "DIR"))
    host: str = field(default="127.0.0.1", metadata=flag(Kind.TEXT, "where to listen", "HOST", variable="HOST"))
    port: int | None = field(
        default=None,
        metadata=flag(
            Kind.PORT, "0: any free one (default: $PORT, else 0)", "PORT", variable="PORT", falls_back_on="PORT"
        ),
    )
    token_file: Path | None = field(
        default=None, metadata=flag(Kind.PATH, "holds the launcher's token (else FALSEWORK_TOKEN)", "F")
    )
    open: bool = field(
        default=False, metadata=flag(Kind.SWITCH, "take any launcher; on the loopback only", variable=None)
    )
    restart: bool = field(
        default=False,
        metadata=flag(Kind.SWITCH, "start again by itself after dying of a signal or an error", variable=None),
    )


@cache
def flags() -> tuple[Flag, ...]:
    """Every row: first what says who starts a router, then what the run and the task file say."""
    hints = get_type_hints(RouterArgs)
    rows = [_row(field, hints[field.name]) for field in fields(RouterArgs)]
    own = [row for row in rows if row.field in RouterArgs.__annotations__]
    return (*own, *(row for row in rows if row not in own))


def flag_of(name: str) -> Flag:
    """The row of a field of `RouterArgs`. Raises ValueError for a name that is none."""
    for row in flags():
        if row.field == name:
            return row
    raise ValueError(f"{name!r} is nothing that a router can be told")


def _row(of: Field[Any], hint: Any) -> Flag:
    told: _Told = of.metadata[_Told]
    default = None if of.default is MISSING else of.default
    if of.default_factory is not MISSING:
        default = of.default_factory()
    return Flag(
        name=told.name or of.name.replace("_", "-"),
        field=of.name,
        kind=told.kind,
        help=told.help,
        metavar=told.metavar,
        default=default,
        choices=tuple(_choices(hint)),
        is_repeatable=of.default_factory is not MISSING,
        is_required=of.default is MISSING and of.default_factory is MISSING,
        variable=f"FALSEWORK_{of.name.upper()}" if told.variable == "" else told.variable,
        falls_back_on=told.falls_back_on,
        is_setting=of.name in {setting.name for setting in fields(DiskSettings)},
    )


def _choices(hint: Any) -> Iterator[str]:
    """What a Literal names, also where it may be None."""
    if get_origin(hint) is Literal:
        yield from get_args(hint)
    elif isinstance(hint, types.UnionType):
        for part in get_args(hint):
            yield from _choices(part)
