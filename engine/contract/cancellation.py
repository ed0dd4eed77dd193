"""Finishing what must not be cut off in the middle."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def uncancelled(work: Awaitable[T]) -> T:
    """Finish `work` even if the caller is cancelled meanwhile; then the cancellation goes on, unless `work` failed."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.cancelled():
                raise
            cancelled = error
        except Exception:  # noqa: BLE001 - raised by result() below
            break
    result = task.result()
    if cancelled is not None:
        raise cancelled
    return result
