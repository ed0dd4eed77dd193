"""Whatever happens in whatever order, it comes down: thousands of lives in a simulated world, the engine's own code in them.

`FALSEWORK_SCHEDULES` says how many, `FALSEWORK_SEED` which; a schedule that fails is shrunk, its story told, and
`FALSEWORK_SCHEDULE` plays it alone again.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any

import pytest
from falsework.engine.lifecycle.states import FINAL, State
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from . import mutants
from .durable import SharedDatabase
from .schedule import Schedule
from .watch import Violation

IN_CI, BY_HAND = 10_000, 500
ENOUGH_TO_NOTICE = 2_000
"""Schedules within which each mutant is noticed."""
SCHEDULES = int(os.environ.get("FALSEWORK_SCHEDULES", IN_CI if os.environ.get("CI") == "true" else BY_HAND))
SEED = int(os.environ.get("FALSEWORK_SEED", random.SystemRandom().randrange(2**32)))
SHARES = 2
"""Processes that share the schedules."""
LONGEST = 256
"""Bytes of a schedule: after them nothing goes wrong any more."""


@dataclass
class Explored:
    """Where schedules rested, and what befell them."""

    rested: Counter[State | None] = field(default_factory=Counter)
    befallen: Counter[str] = field(default_factory=Counter)

    def play(self, data: bytes, database: SharedDatabase, **mutant: Any) -> None:
        """One schedule more. Raises Violation."""
        schedule = Schedule(data, database, **mutant)
        try:
            self.rested[schedule.play()] += 1
        except Violation as violation:
            violation.add_note(f"again: FALSEWORK_SCHEDULE={data.rstrip(bytes(1)).hex()}")
            raise
        self.befallen += schedule.befallen


def explore(database: SharedDatabase, number: int, seeded: int, phases: Sequence[Phase], **mutant: Any) -> Explored:
    """Play so many schedules. Raises the Violation of the simplest that fails."""
    explored = Explored()

    @seed(seeded)
    @settings(max_examples=number, phases=phases, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.binary(min_size=LONGEST // 4, max_size=LONGEST))
    def exploring(data: bytes) -> None:
        explored.play(data, database, **mutant)

    exploring()
    return explored


def explore_share(seeded: int) -> Explored:
    """What one of `SHARES` processes does of all schedules."""
    database = SharedDatabase("share")
    try:
        return explore(database, max(1, SCHEDULES // SHARES), seeded, (Phase.generate, Phase.shrink))
    finally:
        database.really_close()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.decisive
def test_it_comes_down_whatever_happens(database: SharedDatabase, tell: Callable[[str], None]) -> None:
    if again := os.environ.get("FALSEWORK_SCHEDULE"):
        random.seed(0)  # the jitter of the waits, as hypothesis has it
        Explored().play(bytes.fromhex(again), database)
        return
    tell(f"the model: {SCHEDULES} schedules, FALSEWORK_SEED={SEED} plays them again")
    with ProcessPoolExecutor(SHARES, mp_context=get_context("fork")) as pool:
        explored = list(pool.map(explore_share, range(SEED, SEED + SHARES)))
    rested = sum((one.rested for one in explored), Counter[State | None]())
    tell(f"  they rested: {_counted(rested)}")
    tell(f"  what befell them: {_counted(sum((one.befallen for one in explored), Counter[str]()))}")
    assert rested[FINAL] > 0.8 * SCHEDULES  # the others: an immortal thing, or dead before it was entered


def test_without_trouble_it_is_a_whole_life(database: SharedDatabase) -> None:
    schedule = Schedule(b"", database)
    assert schedule.play() is FINAL
    assert schedule.rescues == 0


def test_a_schedule_plays_the_same_each_time(database: SharedDatabase) -> None:
    for number in range(20):
        data = random.Random(number).randbytes(LONGEST)
        assert _story(data, database) == _story(data, database)


@pytest.mark.slow
@pytest.mark.parametrize(
    "mutant, noticed",
    [
        ({"architect": mutants.Unannounced}, "stands, and the ledger does not say so"),
        ({"architect": mutants.OneLook}, "while .* stands or is about to|the ledger does not say so"),
        ({"architect": mutants.Overzealous}, "was deleted, which belongs to"),
        ({"architect": mutants.Blind}, "stands"),
        ({"run": mutants.ActsFirst}, "prepare began in configured"),
        ({"run": mutants.NeverLooks}, "the last look did not find it gone"),
        ({"run": mutants.TriesOnce}, "the last look did not find it gone|stands"),
        ({"run": mutants.LetsItGoOn}, "was under way|goes on|stands"),
    ],
    ids=lambda value: next(iter(value.values())).__name__ if isinstance(value, dict) else "",
)
@pytest.mark.decisive
def test_the_model_notices(database: SharedDatabase, mutant: dict[str, Any], noticed: str) -> None:
    with pytest.raises(Violation, match=noticed):
        explore(database, ENOUGH_TO_NOTICE, 0, (Phase.generate,), **mutant)


def _story(data: bytes, database: SharedDatabase) -> list[str]:
    random.seed(0)  # the jitter of the waits
    schedule = Schedule(data, database)
    with suppress(Violation):  # the story is what counts here
        schedule.play()
    return schedule.watch.story()


def _counted(counts: Mapping[Any, int]) -> str:
    return ", ".join(f"{name or 'never begun'} {count}" for name, count in sorted(counts.items(), key=str))
