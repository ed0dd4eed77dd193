"""Which architect breaks which sentences of the contract, and so which of its tests must notice: those, and no others.

The architects enter themselves where they are defined: the harbour's in breaking_….py, each with one sentence or so, the local
one's in serving.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from falsework.engine.contract.architect import Architect

A = TypeVar("A", bound=type[Architect])

BREACHES: dict[type[Architect], frozenset[str]] = {}
"""Each architect, and the names of the tests that fail for it, without their `test_`."""


def breaks(*sentences: str) -> Callable[[A], A]:
    """Enter an architect, with what it breaks; nothing, for one that keeps the contract."""

    def enter(architect: A) -> A:
        BREACHES[architect] = frozenset(sentences)
        return architect

    return enter
