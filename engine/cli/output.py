"""Results on stdout: JSON, and tables that are drawn on a terminal and aligned plain text elsewhere."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

GAP = "  "


def print_json(value: Any) -> None:
    """One JSON value in one line, for programs."""
    print(json.dumps(value), flush=True)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows under a header; nothing at all if there are none."""
    if rows and sys.stdout.isatty():
        _draw_table(columns, rows)
    elif rows:
        print_aligned([[column.upper() for column in columns], *rows])


def print_aligned(rows: Sequence[Sequence[str]], indent: str = "") -> None:
    """Rows as plain text, the columns one below the other; the last column is as wide as it is."""
    count = max((len(row) for row in rows), default=0)
    widths = [max((len(row[index]) for row in rows if index < len(row)), default=0) for index in range(count)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        print((indent + GAP.join(cells)).rstrip())
    sys.stdout.flush()


def local_time(seconds: float) -> str:
    """An instant for people: 2026-05-01 14:03:11, by the local clock."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def iso_time(seconds: float | None) -> str | None:
    """An instant for programs: ISO 8601, UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _draw_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        table.add_column(column, no_wrap=index == 0, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


@contextmanager
def replaced(path: Path) -> Iterator[TextIO]:
    """A file that takes the place of `path` once it is complete, and is gone if it is not. A device is written to."""
    device = path.exists() and not path.is_file()
    target = path if device else path.with_name(f".{path.name}.part")
    try:
        with target.open("w", encoding="utf-8", newline="") as stream:
            yield stream
        if not device:
            os.replace(target, path)
    finally:
        if not device:
            with suppress(OSError):
                target.unlink(missing_ok=True)
