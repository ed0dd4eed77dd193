"""The results of a run as rows, for JSON lines or a spreadsheet. Reads the run's directory and changes nothing.

A row is one submission: `unit_index`, `kind`, `worker_id`, `agent_id`, `counted`, `received_at` (ISO 8601, UTC),
`files` (paths relative to the run's directory), then what the worker got (`unit.image`) and what came back
(`answer.text`), one column for each key of the unit and of the answer. A unit or an answer that is no object is the
column `unit` or `answer`.
"""

from __future__ import annotations

import csv
import re
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import msgspec

from ..settings.units import UNITS_FILE, load_units
from .submissions import Submission, read

Row = dict[str, Any]
"""Column to JSON value."""


def export_rows(
    run_directory: Path, units: Sequence[Any] | None = None, *, kinds: Collection[str] = ("unit",)
) -> Iterator[Row]:
    """One row for each submission of these kinds, oldest first, extras included (`counted` is false there).

    `units` are those of the run's directory unless they are handed in; ConfigError if they cannot be read there.
    """
    known = load_units(run_directory / UNITS_FILE) if units is None else units
    return (_row(submission, known) for submission in read(run_directory) if submission.kind in kinds)


def write_jsonl(rows: Iterable[Row], stream: TextIO) -> None:
    """One JSON object a line; lists and nested objects stay what they are."""
    for row in rows:
        stream.write(msgspec.json.encode(row).decode() + "\n")


def write_csv(rows: Iterable[Row], stream: TextIO) -> None:
    """A header and one line for each row; the columns are those of all rows, in the order in which they were first seen.

    Open `stream` with newline="". Lists and objects are JSON text, nothing (null, or a key that a row lacks) is an
    empty cell. A text that a spreadsheet would take for a formula, since it begins with = + - @, a tab or a line
    break, gets an apostrophe in front, unless it is only a number. The rows are gone through once and wait in a
    temporary file.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n") as waiting:
        columns: dict[str, None] = {}
        for row in rows:
            columns.update(dict.fromkeys(row))
            write_jsonl([row], waiting)
        waiting.seek(0)
        writer = csv.writer(stream)  # ends lines with CR LF; with "\n" it would leave a lone CR in a cell unquoted
        if columns:
            writer.writerow(_cell(column) for column in columns)
        for line in waiting:
            row = msgspec.json.decode(line)
            writer.writerow(_cell(row.get(column)) for column in columns)


def _row(submission: Submission, units: Sequence[Any]) -> Row:
    row: Row = {
        "unit_index": submission.unit,
        "kind": submission.kind,
        "worker_id": submission.worker_id,
        "agent_id": submission.agent_id,
        "counted": submission.counted,
        "received_at": datetime.fromtimestamp(submission.received_at, UTC).isoformat(timespec="milliseconds"),
        "files": [file.path for file in submission.files],
    }
    if submission.unit is not None and 0 <= submission.unit < len(units):
        row |= _flat("unit", units[submission.unit])
    return row | _flat("answer", _value(bytes(submission.data)))


def _flat(name: str, value: Any) -> Row:
    if isinstance(value, dict):
        return {f"{name}.{key}": inner for key, inner in value.items()}
    return {name: value}


def _value(text: bytes) -> Any:
    """What the JSON says; its text where it says what no program takes, such as a number of a thousand digits."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return text.decode(errors="replace")


_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool | list | dict):
        return msgspec.json.encode(value).decode()
    if isinstance(value, str) and value.startswith(_FORMULA) and not _NUMBER.fullmatch(value):
        return "'" + value
    return value
