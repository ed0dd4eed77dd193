"""Telling others what happens, so that nothing that they do with it ends anything here."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
log = logging.getLogger("falsework.run")


def harmless(tell: Callable[[T], None]) -> Callable[[T], None]:
    """Make a listener whose errors (a closed terminal, say) are logged, and end nothing here."""

    def told(news: T) -> None:
        try:
            tell(news)
        except Exception:
            log.exception("%r could not be told", news)

    return told
