"""How errors speak of what a user wrote: what was found, and which known word was perhaps meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

MOST_SHOWN = 80
"""Characters of a text that an error shows."""


def found(value: Any) -> str:
    """A value in words: what kind of thing it is, and itself where that is short."""
    match value:
        case None:
            return "nothing"
        case bool():
            return f"the truth value {str(value).lower()}"
        case int() | float():
            return f"the number {value}"
        case str():
            return repr(value if len(value) <= MOST_SHOWN else value[: MOST_SHOWN - 3] + "...")
        case Mapping():
            return "a section of keys" if value else "an empty section"
        case list():
            return "a list"
        case _:
            return repr(value)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'port'?` for the nearest known word, or nothing."""
    folded = {name.lower(): name for name in known}
    nearest = difflib.get_close_matches(word.lower(), folded, n=1)
    return f"; did you mean {folded[nearest[0]]!r}?" if nearest else ""
