"""Draw the pictures in this folder anew from the code: `python diagrams/regenerate.py`, and `--check` to only compare.

`--check` changes nothing and exits 1 with the names of what is stale. The texts are compared whole; an SVG by the source
that it says it was drawn from, since each version of graphviz draws a little differently.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from falsework.engine.cli.graphviz import stamp, svg
from falsework.engine.lifecycle.diagram import lifecycle_dot, lifecycle_mermaid
from layers import imports, layers_dot, layers_mermaid, pure_modules, reduced

HERE = Path(__file__).parent


def sources() -> dict[str, str]:
    """The text of each picture by its file's name: Mermaid for .mmd, and for .svg what graphviz draws it from."""
    arrows, pure = reduced(imports()), pure_modules()
    return {
        "lifecycle.mmd": lifecycle_mermaid(),
        "lifecycle.svg": lifecycle_dot(),
        "layers.mmd": layers_mermaid(arrows, pure),
        "layers.svg": layers_dot(arrows, pure),
    }


def stale(directory: Path = HERE) -> list[str]:
    """The names of the pictures that are missing or not what the code says."""
    return [name for name, source in sources().items() if not _is_current(directory / name, source)]


def regenerate(directory: Path = HERE) -> list[str]:
    """Write what is stale, and return the names of it."""
    written = stale(directory)
    for name, source in sources().items():
        if name in written:
            (directory / name).write_text(svg(source) if name.endswith(".svg") else source, "utf-8")
    return written


def main(arguments: list[str]) -> int:
    """Exit code 0: everything is current now; 1: `--check` found something stale."""
    only_check = "--check" in arguments
    work: Callable[[], list[str]] = stale if only_check else regenerate
    names = work()
    for name in names:
        print(f"diagrams/{name} {'is stale: run python diagrams/regenerate.py' if only_check else 'was drawn anew'}")
    return 1 if only_check and names else 0


def _is_current(path: Path, source: str) -> bool:
    if not path.is_file():
        return False
    text = path.read_text("utf-8")
    return stamp(source) in text if path.suffix == ".svg" else text == source


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
