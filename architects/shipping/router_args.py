"""What a run tells the router that is started for it: the whole of it from a site, and how it is said.

Which things there are to be told is the router's table; no single one is named here but the limits, which people write in
units (`100MiB`, `30s`) and the router takes in plain numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from pathlib import Path
from typing import Any

from falsework.engine.contract.architect import Site
from falsework.engine.settings.quantities import format_duration, parse_duration, parse_size
from falsework.router.wire.protocol import Limits
from falsework.router.wire.router_args import (
    DiskSettings,
    Flag,
    Kind,
    RouterArgs,
    RunSettings,
    TaskSettings,
    flag_of,
    flags,
)


def read_limits(limits: Mapping[str, Any]) -> dict[str, str]:
    """The limits as the router's command line takes them, by their names in `Limits`. Raises ValueError."""
    read = {name: _plain(name, value) for name, value in limits.items()}
    Limits().override(read)
    return read


@dataclass(frozen=True)
class WrittenSettings(TaskSettings):
    """The router's settings as people write them in a task file: the base of the arguments of an architect that ships one."""

    limits: dict[str, Any] = field(default_factory=dict, metadata={"check": read_limits})
    """The router's limits by name, see `falsework.router.wire.protocol.Limits`."""


def router_args(site: Site, *, static: Path, data: Path) -> RouterArgs:
    """What the run and its task file say to the router. Where it listens, and the like, is its architect's to replace."""
    of_run = {setting.name: getattr(site, setting.name) for setting in fields(RunSettings)}
    of_task = {
        setting.name: getattr(site.args, setting.name)
        for setting in fields(DiskSettings)
        if hasattr(site.args, setting.name)
    }
    return RouterArgs(static=static, data=data, **of_run, **of_task | {"limits": read_limits(site.args.limits)})


def arguments(args: RouterArgs) -> list[str]:
    """The flags that tell a router all of it; what was left open (None, an empty list, False) is not said."""
    return [f"--{flag.name}={text}" if text else f"--{flag.name}" for flag, texts in _said(args) for text in texts]


def argument(name: str, value: Any) -> str:
    """The one flag that tells a router that field of its arguments."""
    (text,) = _texts(flag_of(name), value)
    return f"--{flag_of(name).name}={text}"


def variables(args: RouterArgs) -> dict[str, str]:
    """The environment that tells another server what it can be told; values of which there may be several are in one line."""
    return {flag.variable: " ".join(texts) or "yes" for flag, texts in _said(args) if flag.variable is not None}


def only_routers_understand() -> tuple[str, ...]:
    """The keys of a task file that mean nothing to a server that is not falsework's."""
    return tuple(flag.field for flag in flags() if flag.is_setting and flag.variable is None)


def _said(args: RouterArgs) -> Iterator[tuple[Flag, list[str]]]:
    for flag in flags():
        value = getattr(args, flag.field)
        if value is not None and value is not False and value not in ([], {}):
            yield flag, _texts(flag, value)


def _texts(flag: Flag, value: Any) -> list[str]:
    """A value as a router reads it; one text for each time that the flag is given, an empty one for a switch."""
    if flag.kind is Kind.SWITCH:
        return [""]
    if flag.kind is Kind.DURATION:
        return [format_duration(value)]
    if flag.kind is Kind.LIMITS:
        return [f"{name}={limit}" for name, limit in value.items()]
    return [str(one) for one in value] if flag.is_repeatable else [str(value)]


def _plain(name: str, value: Any) -> str:
    """Bytes, counts and seconds in digits alone; the value of a limit that is not known as it is, for `Limits` to refuse."""
    kind = type(getattr(Limits(), name, None))
    if kind is int:
        return str(parse_size(value))
    return f"{Decimal(repr(parse_duration(value))):f}" if kind is float else str(value)
