"""`architects` and `diagram`: what falsework itself can do, and what its lifecycle looks like."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, fields
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from ..contract.architect import Guarantees
from ..contract.registry import architect_class
from ..contract.registry import architects as installed
from ..errors import ConfigError
from ..lifecycle.diagram import (
    Visit,
    lifecycle_dot,
    lifecycle_mermaid,
)
from ..lifecycle.states import State
from .choices import PictureFormat
from .graphviz import svg
from .output import print_json, print_table, replaced
from .records import reading_run
from .story import visits


def architects(as_json: bool) -> None:
    """List the architects that are installed; one whose package is broken is listed with what is wrong."""
    found = [_described(name, entry) for name, entry in installed().items()]
    if as_json:
        print_json(found)
        return
    names = [field.name for field in fields(Guarantees)]
    print_table(
        ["name", "package", *(name.replace("_", " ") for name in names)], [list(_cells(one, names)) for one in found]
    )


def diagram(text: str | None, picture_format: PictureFormat | None, output: Path | None) -> None:
    """Draw the lifecycle, or one run's way through it."""
    chosen = picture_format or _format_of(output)
    picture = _draw(chosen, *_way_of(text))
    if output is None:
        print(picture, end="", flush=True)
    else:
        with replaced(output) as stream:
            stream.write(picture)


def _described(name: str, entry: EntryPoint) -> dict[str, Any]:
    package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else None
    try:
        guarantees = getattr(architect_class(name), "guarantees", None)
        problem = None if guarantees else "it does not say what it guarantees"
    except ConfigError as error:
        guarantees, problem = None, str(error)
    return {
        "name": name,
        "package": package,
        "guarantees": asdict(guarantees) if guarantees else None,
        "problem": problem,
    }


def _cells(described: dict[str, Any], names: list[str]) -> Iterator[str]:
    yield described["name"]
    yield described["package"] or "-"
    if described["problem"]:
        yield described["problem"]
    else:
        yield from ("yes" if described["guarantees"][name] else "no" for name in names)


def _way_of(text: str | None) -> tuple[list[Visit], State | None]:
    if text is None:
        return [], None
    with reading_run(text) as (ledger, run):
        return visits(ledger, run, time.time()), run.state


def _draw(chosen: PictureFormat, way: list[Visit], current: State | None) -> str:
    if chosen is PictureFormat.SVG:
        return svg(lifecycle_dot(way, current))
    return lifecycle_mermaid(way, current)


def _format_of(output: Path | None) -> PictureFormat:
    return PictureFormat.SVG if output is not None and output.suffix == ".svg" else PictureFormat.MERMAID
