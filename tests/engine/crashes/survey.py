"""Goes through crash points, several at once, and keeps account of them. Which of them are gone through is decided here too.

`FALSEWORK_CRASH_POINTS=all` goes through every one. By default it is every ledger write and architect call, and of the others
a third, another one each day: together they take minutes.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import date
from pathlib import Path

from .aftermath import bury
from .foundry import Foundry, foundry_at

VARIABLE = "FALSEWORK_CRASH_POINTS"
AT_ONCE = 3
SHARE = 3
"""One in so many of the points that are not all gone through."""
ALWAYS = ("ledger", "architect")

Story = Callable[[Foundry, Path, str], Awaitable[bool]]
"""Tells one crash at a point, with a home of its own, and checks what is left; returns whether the point was reached."""
Say = Callable[[str], None]


def chosen(points: Sequence[str], always: tuple[str, ...]) -> list[str]:
    """The points to be gone through now; `always` those whose names begin so."""
    rest = [point for point in points if not point.startswith(always)]
    if os.environ.get(VARIABLE) == "all":
        rest_today = set(rest)
    else:
        rest_today = set(rest[date.today().toordinal() % SHARE :: SHARE])
    return [point for point in points if point.startswith(always) or point in rest_today]


async def survey(
    directory: Path, what: str, points: Sequence[str], story: Story, say: Say, always: tuple[str, ...] = ALWAYS
) -> None:
    """Tell the story for each chosen point of `points`, and say what came of it. Raises all that failed, together."""
    due = chosen(points, always)
    made = _Survey(directory, story, due)
    await made.make()
    missed = f", {len(made.missed)} were not reached this time" if made.missed else ""
    say(f"{what}: {len(due)} of {len(points)} crash points gone through{missed}, {len(made.failures)} failed")
    if made.failures:
        raise ExceptionGroup(what, made.failures)
    assert len(made.missed) <= len(due) // 10, f"these points come and go: {made.missed}"


class _Survey:
    def __init__(self, directory: Path, story: Story, due: Sequence[str]) -> None:
        self._directory, self._story = directory, story
        self._due = enumerate(due)
        self.missed: list[str] = []
        self.failures: list[Exception] = []

    async def make(self) -> None:
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
            for number in range(AT_ONCE):
                foundry = await stack.enter_async_context(foundry_at(self._directory / f"foundry-{number}"))
                group.create_task(self._go_through(foundry))

    async def _go_through(self, foundry: Foundry) -> None:
        for number, point in self._due:  # of which every foundry takes the next
            home = self._directory / f"home-{number}"
            try:
                if not await self._story(foundry, home, point):
                    self.missed.append(point)
            except Exception as error:  # noqa: BLE001 - all are raised at the end
                error.add_note(f"it died at: {point}")
                self.failures.append(error)
                await bury(home)
