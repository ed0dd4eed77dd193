"""Reading a task's units: one JSON value a line, or one JSON array in a file whose name ends in .json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from ..errors import ConfigError, Problem

MOST_PROBLEMS = 20
"""Bad lines that are named before the rest is only counted."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_decode = msgspec.json.Decoder().decode

UNITS_FILE = "units.jsonl"
"""In a run's directory: the units that it was launched with."""


def load_units(path: Path) -> list[Any]:
    """The units in a file, in its order; blank lines are passed over.

    Raises ConfigError that names every bad line (the first 20 of them, and how many more), or if there is no unit.
    """
    try:
        content = path.read_bytes().removeprefix(_BYTE_ORDER_MARK)
    except OSError as error:
        raise ConfigError(Problem(f"cannot be read: {error.strerror}", str(path))) from error
    units = _array(content, path) if path.suffix == ".json" else _lines(content, path)
    if not units:
        raise ConfigError(Problem("holds no units; a task needs at least one line with a JSON value", str(path)))
    return units


def _lines(content: bytes, path: Path) -> list[Any]:
    units, bad = [], []
    for number, line in enumerate(content.split(b"\n"), 1):
        try:
            if stripped := line.strip():
                units.append(_decode(stripped))
        except _UNREADABLE as error:
            bad.append(Problem(_reason(line, error), str(path), number))
    if bad:
        more = [Problem(f"and {len(bad) - MOST_PROBLEMS} more lines that cannot be read", str(path))]
        raise ConfigError(*bad[:MOST_PROBLEMS], *(more if len(bad) > MOST_PROBLEMS else []))
    return units


def _array(content: bytes, path: Path) -> list[Any]:
    try:
        units = _decode(content)
    except _UNREADABLE as error:
        raise ConfigError(Problem(_reason(content, error), str(path))) from error
    if not isinstance(units, list):
        raise ConfigError(
            Problem("is not an array; a .json file holds one array, a .jsonl file a value a line", str(path))
        )
    return units


def _reason(text: bytes, error: Exception) -> str:
    try:
        text.decode()
    except UnicodeDecodeError as undecodable:
        return f"is not UTF-8: {undecodable.reason} at byte {undecodable.start}"
    return "is nested too deeply" if isinstance(error, RecursionError) else f"is not JSON: {error}"
