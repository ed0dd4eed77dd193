"""Pictures as SVG, drawn by graphviz's `dot`, for a light and a dark page."""

from __future__ import annotations

import hashlib
import re
import subprocess

from ..errors import FalseworkError

_DARK_PAGE = (
    "<style>@media (prefers-color-scheme: dark) {"
    ".edge text, .cluster text, .words > text {fill: #c9d1d9}"
    " .edge path, .cluster path, .cluster polygon {stroke: #8b949e}"
    " .edge polygon {stroke: #8b949e; fill: #8b949e}"
    " .walked path {stroke: #58a6ff} .walked polygon {stroke: #58a6ff; fill: #58a6ff}"
    "}</style>"
)


class GraphvizMissing(FalseworkError):
    """SVG was asked for where graphviz's `dot` is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "drawing SVG needs graphviz: install it (Debian: apt-get install graphviz), or ask for the Mermaid text"
        )


class GraphvizFailed(FalseworkError):
    """graphviz's `dot` could not draw what it was given. `said` holds its own words."""

    def __init__(self, said: str) -> None:
        self.said = said
        super().__init__(f"graphviz could not draw the picture: {said.strip() or 'it gave no reason'}")


def svg(dot: str) -> str:
    """Draw `dot` through graphviz, for a light and a dark page; the text holds `stamp(dot)`.

    Raises GraphvizMissing where graphviz is not installed, GraphvizFailed with its words where it cannot draw.
    """
    try:
        drawing = subprocess.run(["dot", "-Tsvg"], input=dot, capture_output=True, check=True, text=True, timeout=60)
    except FileNotFoundError as missing:
        raise GraphvizMissing from missing
    except subprocess.CalledProcessError as failed:
        raise GraphvizFailed(failed.stderr) from failed
    except subprocess.TimeoutExpired as late:
        raise GraphvizFailed("it took more than a minute") from late
    element = drawing.stdout[drawing.stdout.index("<svg") :]
    without_comments = re.sub(r"<!--.*?-->\n?", "", element, flags=re.DOTALL)
    return without_comments.replace(">\n", f">\n{stamp(dot)}\n{_DARK_PAGE}\n", 1)


def stamp(dot: str) -> str:
    """The comment that tells from which source, and with which style, an SVG was drawn."""
    return f"<!-- drawn from {hashlib.sha256((dot + _DARK_PAGE).encode()).hexdigest()} -->"
