"""Where the dynos of this machine are, and whether one listens there."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

ADDRESS = "127.0.0.2"
"""Where the front door looks for a dyno: of this machine, but not what a server bound to 127.0.0.1 listens on.

As on Heroku, whatever does not listen on every address (0.0.0.0) is never reached.
"""
GLANCE = 0.02
"""Seconds between two looks whether a dyno listens."""


def free_port() -> int:
    """A port that is free on every address now. Should somebody else take it first, the dyno crashes and gets another."""
    with socket.socket() as place:
        place.bind(("0.0.0.0", 0))
        return int(place.getsockname()[1])


async def listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(ADDRESS, port)
    except OSError:
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True
