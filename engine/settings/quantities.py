"""Durations and sizes: from the text that people write to plain numbers, and back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

LONGEST = 36_500 * 86_400
"""The longest duration, in seconds: about a century, so that no clock overflows."""
LARGEST = (1 << 63) - 1
"""The largest size, in bytes."""

_SECONDS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600), "d": Decimal(86400)}
_BYTES = (
    {"B": 1}
    | {f"{prefix}iB": 1024**power for power, prefix in enumerate("KMGT", 1)}
    | {f"{prefix}B": 1000**power for power, prefix in enumerate("kMGT", 1)}
)
_BYTES_READ = {unit: Decimal(factor) for unit, factor in (_BYTES | {"KB": 1000}).items()}
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
    size = _quantity(value, _BYTES_READ, "B")
    if size > LARGEST or size != size.to_integral_value():
        raise ValueError(f"{value!r} is not a whole number of bytes that a file can have")
    return int(size)


def format_size(size: int) -> str:
    """The text with the largest unit that `parse_size` reads as the same number of bytes."""
    fitting = [unit for unit, factor in _BYTES.items() if size >= factor and size % factor == 0]
    unit = max(fitting, key=_BYTES.__getitem__, default="B")
    return f"{size // _BYTES[unit]}{unit}"


def _quantity(value: object, units: Mapping[str, Decimal], plain: str) -> Decimal:
    """The quantity in the unit whose factor is 1; `plain` is the unit of a number that names none. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{value!r} is no quantity")
    text = value.strip() if isinstance(value, str) else f"{Decimal(repr(value)):f}"
    read = _QUANTITY.fullmatch(text)
    if not read or (read[2] or plain) not in units:
        raise ValueError(f"{value!r} is no number with one of the units {', '.join(units)}")
    return Decimal(read[1]) * units[read[2] or plain]
