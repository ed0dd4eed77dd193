"""The router on its own, as with a version of aiohttp that does not let go of a connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from falsework.router.__main__ import main
from falsework.router.door import handover


def hand_over(request: Any, make: Callable[..., Any]) -> Any:
    """What would happen if a name that handover.py uses were not there any more."""
    raise AttributeError("'RequestHandler' object has no attribute 'set_parser'")


if __name__ == "__main__":
    handover.hand_over = hand_over
    main()
