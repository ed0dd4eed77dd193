"""Cutting work off where it waits: in its first wait, its second, and so on, so that no place is forgotten.

A wait is what an `await` comes to when the event loop gets its turn. Those of tasks that the work makes are not counted;
they get what a cancellation of the work sends them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


async def waits_of(work: Coroutine[Any, Any, T]) -> tuple[T, int]:
    """Do the work, and count how often it waited. The number may differ from one time to the next."""
    counted = _Counted(work, lambda number: None)
    return await asyncio.create_task(counted), counted.waits


async def cut_off(work: Coroutine[Any, Any, Any], wait: int, patience: float) -> bool:
    """Cancel the work in its wait of this number, the first being 1; returns whether it came that far.

    Raises what the work raises in the place of its CancelledError, and NotCancelled if it takes no notice of it: it ends as
    if nothing had been, or goes on for `patience` seconds.
    """
    was_reached = False

    def cut(number: int) -> None:
        nonlocal was_reached
        task = asyncio.current_task()
        if number == wait and task is not None:
            was_reached = True
            task.cancel()

    task = asyncio.create_task(_Counted(work, cut))
    await _ended(task, patience, wait)
    if task.cancelled():
        return True
    task.result()
    if was_reached:
        raise NotCancelled(f"it was cancelled in its wait {wait}, and ended as if it had not been")
    return False


class NotCancelled(AssertionError):
    """Work swallowed its cancellation."""


def spread(waits: int, most: int) -> list[int]:
    """The numbers of all waits, or `most` of them, evenly spread, where there are more; the first and the last among them."""
    if waits <= most:
        return list(range(1, waits + 1))
    return sorted({1 + round(place * (waits - 1) / (most - 1)) for place in range(most)})


async def _ended(task: asyncio.Task[Any], patience: float, wait: int) -> None:
    await asyncio.wait({task}, timeout=patience)
    if task.done():
        return
    task.cancel()
    await asyncio.wait({task}, timeout=patience)
    raise NotCancelled(f"it was cancelled in its wait {wait}, and still went on after {patience:g} s")


class _Counted(Coroutine[Any, Any, T]):
    """A coroutine that says each time it waits, before it does."""

    def __init__(self, work: Coroutine[Any, Any, T], on_wait: Callable[[int], None]) -> None:
        self.waits = 0
        self._work, self._on_wait = work, on_wait

    def send(self, value: Any) -> Any:
        return self._waiting(self._work.send(value))

    def throw(self, *error: Any) -> Any:
        return self._waiting(self._work.throw(*error))

    def close(self) -> None:
        self._work.close()

    def __await__(self) -> Generator[Any, Any, T]:
        raise RuntimeError("it is made into a task, not awaited")

    def _waiting(self, waited_for: Any) -> Any:
        self.waits += 1
        self._on_wait(self.waits)
        return waited_for
