"""Finding the runs whose launcher is gone, from the ledger alone, and seeing them down. Many at a time; safe beside others.

A run whose launcher lives is never touched, one of another host only when told to, and one that served workers is only
reported, unless its server has ended or it is asked for: it can be resumed. Two sweeps share the work: whoever claims a run
first has it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from ..contract.architect import Presence
from ..errors import FalseworkError
from ..ledger.ledger import Ledger, RunRecord, RunTakenOver
from ..ledger.owner import FRESH
from ..lifecycle.states import FINAL, State
from ..report import OneOfSeveral, Reporter
from .recovery import take_down
from .takeover import run_of, settings_of

AT_ONCE = 16
"""Runs that are looked at and taken down at the same time."""
REASON = "swept: its launcher is gone"


class Verdict(StrEnum):
    """What is to be done about a run that has not ended."""

    ALIVE = "alive"
    """Its launcher lives, and sees to it."""
    ELSEWHERE = "elsewhere"
    """It was launched on another host and not heard of lately; what lives there cannot be looked at from here."""
    SERVING = "serving"
    """Its launcher is gone, and workers may be at it: `resume` takes it up, `shutdown` takes it down."""
    ABANDONED = "abandoned"
    """It was half made or half taken down, and nobody will finish it."""


@dataclass
class Swept:
    """What a sweep came to: runs by what happened to them. `failed` has the reason why each still stands."""

    down: list[RunRecord] = field(default_factory=list)
    serving: list[RunRecord] = field(default_factory=list)
    elsewhere: list[RunRecord] = field(default_factory=list)
    failed: dict[str, FalseworkError] = field(default_factory=dict)


def judge(record: RunRecord, now: float) -> Verdict:
    """What is to be done about a run, by its owner and its state. `now` is in seconds since the epoch."""
    if not record.owner.is_on_this_host():
        return Verdict.ALIVE if now - record.heartbeat < FRESH else Verdict.ELSEWHERE
    if record.owner.is_alive(now - record.heartbeat):
        return Verdict.ALIVE
    return Verdict.SERVING if _served(record) else Verdict.ABANDONED


class Sweeper:
    """One sweep. `serving` and `elsewhere` say whether runs of these verdicts are taken down as well."""

    def __init__(
        self,
        ledger: Ledger,
        say: Callable[[str], None],
        clock: Callable[[], float],
        *,
        serving: bool = False,
        elsewhere: bool = False,
    ) -> None:
        self._ledger, self._say, self._clock = ledger, say, clock
        self._serving, self._elsewhere = serving, elsewhere
        self._room = asyncio.Semaphore(AT_ONCE)
        self.swept = Swept()

    def judged(self) -> dict[Verdict, list[RunRecord]]:
        """The runs that have not ended, newest first, by what is to be done about them. Changes nothing."""
        found: dict[Verdict, list[RunRecord]] = {verdict: [] for verdict in Verdict}
        for record in self._ledger.runs():
            found[judge(record, self._clock())].append(record)
        return found

    async def sweep(self, only: Iterable[str] | None = None) -> Swept:
        """See down whatever is this sweep's to take down; of the runs `only`, if they are given. Raises nothing for a run
        that still stands: `swept.failed` has it. A sweep that is cancelled finishes the runs that it has begun."""
        found = self.judged()
        wanted = None if only is None else set(only)
        due = found[Verdict.ABANDONED] + found[Verdict.SERVING] + (found[Verdict.ELSEWHERE] if self._elsewhere else [])
        self.swept.elsewhere += [] if self._elsewhere else found[Verdict.ELSEWHERE]
        async with asyncio.TaskGroup() as group:
            for record in due:
                if wanted is None or record.run_id in wanted:
                    group.create_task(self._see_to(record))
        return self.swept

    async def _see_to(self, record: RunRecord) -> None:
        async with self._room:
            try:
                if _served(record) and not self._serving and not await self._has_ended(record):
                    self.swept.serving.append(record)
                    return
                await take_down(self._ledger, record, self._told(record), REASON, self._clock)
                self.swept.down.append(record)
            except RunTakenOver as error:
                self._say(str(error))
            except FalseworkError as error:
                self._failed(record, error)

    async def _has_ended(self, record: RunRecord) -> bool:
        """Whether the server of a run that served is gone, by its lease for example: then nobody can resume it."""
        run = run_of(self._ledger, record, settings_of(record), self._told(record))
        return await run.hands.probe() is Presence.GONE

    def _told(self, record: RunRecord) -> Reporter:
        return OneOfSeveral(record.run_id, self._say)

    def _failed(self, record: RunRecord, error: FalseworkError) -> None:
        if self._ledger.run(record.run_id).state is FINAL:
            self.swept.down.append(record)  # the ledger was told by another, or only what was held could not be had
            self._say(f"{record.run_id}: {error}")
        else:
            self.swept.failed[record.run_id] = error


def _served(record: RunRecord) -> bool:
    return record.state in (State.CONNECTED, State.DISCONNECTED)
