"""A router's settings as people write them, and as its command line takes them: `100MiB` and `30s` are plain numbers there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from falsework.engine.settings.quantities import parse_duration, parse_size
from falsework.router.wire.protocol import Limits, check_frame_ancestor


def read_limits(limits: Mapping[str, Any]) -> dict[str, str]:
    """The limits as the router's command line takes them, by their names in `Limits`. Raises ValueError."""
    read = {name: _plain(name, value) for name, value in limits.items()}
    Limits().override(read)
    return read


def check_frame_ancestors(origins: Sequence[str]) -> None:
    """Raise ValueError for an origin that no browser would know as one."""
    for origin in origins:
        check_frame_ancestor(origin)


def _plain(name: str, value: Any) -> str:
    """Bytes, counts and seconds in digits alone; the value of a limit that is not known as it is, for `Limits` to refuse."""
    kind = type(getattr(Limits(), name, None))
    if kind is int:
        return str(parse_size(value))
    return f"{Decimal(repr(parse_duration(value))):f}" if kind is float else str(value)
