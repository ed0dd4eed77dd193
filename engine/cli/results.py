"""`export`: what a run's workers handed in, as a table."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TextIO

from ..work.export import (
    Row,
    export_rows,
    write_csv,
    write_jsonl,
)
from .choices import SubmissionKind, TableFormat
from .output import replaced
from .records import reading_run


def export(
    text: str, table_format: TableFormat | None, output: Path | None, kinds: list[SubmissionKind], every: bool
) -> None:
    """Write the submissions of a run, oldest first; units and onboardings that do not count only if `every` is asked for."""
    chosen = table_format or _format_of(output)
    write = write_jsonl if chosen is TableFormat.JSONL else write_csv
    with reading_run(text) as (_, run):
        rows = export_rows(run.directory, kinds=[kind.value for kind in kinds])
        with nullcontext(_stdout()) if output is None else replaced(output) as stream:
            write(rows if every else _counted(rows), stream)
            stream.flush()


def _format_of(output: Path | None) -> TableFormat:
    return TableFormat.JSONL if output is not None and output.suffix == ".jsonl" else TableFormat.CSV


def _counted(rows: Iterator[Row]) -> Iterator[Row]:
    return (row for row in rows if row["counted"] or row["kind"] == SubmissionKind.METADATA.value)


def _stdout() -> TextIO:
    """stdout for text of every language, with the ends of lines as they are written."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", newline="")
    return sys.stdout
