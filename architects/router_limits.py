"""A router's limits as settings: people write `100MiB` and `30s`, the router's command line takes plain numbers."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from falsework.engine.quantities import parse_duration, parse_size
from falsework.router.protocol import Limits


def read_limits(limits: Mapping[str, Any]) -> dict[str, str]:
    """The limits as the router's command line takes them, by their names in `Limits`. Raises ValueError."""
    read = {name: _plain(name, value) for name, value in limits.items()}
    Limits().override(read)
    return read


def _plain(name: str, value: Any) -> str:
    """Bytes, counts and seconds in digits alone; the value of a limit that is not known as it is, for `Limits` to refuse."""
    kind = type(getattr(Limits(), name, None))
    if kind is int:
        return str(parse_size(value))
    return f"{Decimal(repr(parse_duration(value))):f}" if kind is float else str(value)
