"""Who works on what, after the launcher was killed at any moment and on a disk that was full for a while."""

from __future__ import annotations

import asyncio
import copy
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext, suppress
from itertools import count
from pathlib import Path

import pytest
from falsework.engine.work.assignments import Assignments
from falsework.engine.work.roster import FILE_NAME, Roster
from falsework.engine.work.submissions import StoreDamaged, StoreFailed
from hypothesis import given, settings
from hypothesis import strategies as st

from ..full_disk import full_disk

WORKERS = ["ann", "bob", "cem", "dee"]
STATUSES = ["timeout", "disconnect", "returned"]
UNITS, PER_UNIT = 3, 2


def _assignments(together: bool = False) -> Assignments:
    return Assignments(UNITS, PER_UNIT, together=together)


def _ticking() -> Callable[[], float]:
    return map(float, count()).__next__


@asynccontextmanager
async def _opened(directory: Path, assignments: Assignments) -> AsyncIterator[Roster]:
    roster = Roster(directory, assignments, _ticking())
    roster.open()
    try:
        yield roster
    finally:
        await roster.close()


async def _replayed(directory: Path, together: bool = False) -> Assignments:
    assignments = _assignments(together)
    async with _opened(directory, assignments):
        return assignments


def _lines(directory: Path) -> list[bytes]:
    return (directory / FILE_NAME).read_bytes().splitlines(keepends=True)


Step = tuple[str, int, str]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["join", "join", "join", "submit", "release"]), st.integers(0, 7), st.sampled_from(STATUSES)
    ),
    max_size=25,
)


class Life:
    """Workers who come, hand in and leave."""

    def __init__(self, roster: Roster) -> None:
        self.roster, self.agents = roster, list[str]()

    async def go_on(self, step: Step) -> None:
        what, number, status = step
        if what == "join":
            with suppress(StoreFailed):
                assignment = await self.roster.assign(WORKERS[number % len(WORKERS)], "visit")
                if assignment is not None and assignment.agent_id not in self.agents:
                    self.agents.append(assignment.agent_id)
        elif self.agents:
            agent_id = self.agents[number % len(self.agents)]
            if what == "submit":
                self.roster.submit(agent_id, f"e/{number}")
            else:
                self.roster.release(agent_id, status)


@pytest.mark.slow
@settings(max_examples=100)
@given(STEPS, st.booleans())
@pytest.mark.decisive
def test_every_beginning_of_the_journal_replays_to_what_was_then(steps: list[Step], together: bool) -> None:
    async def live(directory: Path) -> dict[int, Assignments]:
        assignments = _assignments(together)
        then = {0: copy.deepcopy(assignments)}
        async with _opened(directory, assignments) as roster:
            life = Life(roster)
            for step in steps:
                await life.go_on(step)
                await roster.qualify("ann")  # durable, and so is what came before it
                then[len(_lines(directory))] = copy.deepcopy(assignments)
        return then

    async def compare(directory: Path) -> None:
        then = await live(directory)
        lines = _lines(directory)
        for kept, assignments in then.items():
            for torn in (b"", b'{"call":"assi'):
                (directory / FILE_NAME).write_bytes(b"".join(lines[:kept]) + torn)
                assert await _replayed(directory, together) == assignments

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(compare(Path(directory)))


@pytest.mark.slow
@settings(max_examples=100)
@given(st.lists(st.tuples(STEPS, st.booleans()), max_size=4), st.booleans())
@pytest.mark.decisive
def test_a_disk_that_was_full_for_a_while_loses_no_call(parts: list[tuple[list[Step], bool]], together: bool) -> None:
    async def compare(directory: Path) -> None:
        assignments = _assignments(together)
        async with _opened(directory, assignments) as roster:
            life = Life(roster)
            for steps, is_full in parts:
                with full_disk() if is_full else nullcontext():
                    for step in steps:
                        await life.go_on(step)
                    await asyncio.sleep(0)
        assert await _replayed(directory, together) == assignments

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(compare(Path(directory)))


async def test_a_worker_hears_of_an_assignment_once_it_is_on_the_disk(tmp_path: Path) -> None:
    async with _opened(tmp_path, _assignments()) as roster:
        assignment = await roster.assign("ann", "visit")
        assert assignment is not None
        assert assignment.agent_id.encode() in _lines(tmp_path)[0]
        assert roster.registration_of(assignment.agent_id) == "visit"


async def test_an_assignment_that_cannot_be_saved_is_kept_for_who_comes_back(tmp_path: Path) -> None:
    async with _opened(tmp_path, _assignments()) as roster:
        with full_disk(), pytest.raises(StoreFailed):
            await roster.assign("ann", "visit")
        for other in ("bob", "cem", "dee"):
            await roster.assign(other, "visit")
        assignment = await roster.assign("ann", "another visit")
        assert assignment is not None
        assert roster.registration_of(assignment.agent_id) == "visit"
    assert (await _replayed(tmp_path)).agent(assignment.agent_id) == assignment


async def test_partners_hear_that_they_are_complete_though_the_disk_was_full(tmp_path: Path) -> None:
    async with _opened(tmp_path, _assignments(together=True)) as roster:
        first = await roster.assign("ann", "visit")
        with full_disk(), pytest.raises(StoreFailed):
            await roster.assign("bob", "visit")
        second = await roster.assign("bob", "visit")
        assert first is not None
        assert second is not None
        assert second.started_with == (first.agent_id,)
        again = await roster.assign("bob", "visit")
        assert again is not None
        assert again.started_with == ()


async def test_asking_again_gets_the_same_and_writes_nothing(tmp_path: Path) -> None:
    async with _opened(tmp_path, _assignments()) as roster:
        first = await roster.assign("ann", "visit")
        assert await roster.assign("ann", "visit") == first
        assert len(_lines(tmp_path)) == 1


async def test_asking_twice_at_once_gets_the_same(tmp_path: Path) -> None:
    async with _opened(tmp_path, _assignments()) as roster:
        first, second = await asyncio.gather(roster.assign("ann", "visit"), roster.assign("ann", "visit"))
        assert first is not None
        assert first == second


async def test_a_copy_of_a_submission_counts_as_the_first_did(tmp_path: Path) -> None:
    async with _opened(tmp_path, _assignments()) as roster:
        assignment = await roster.assign("ann", "visit")
        assert assignment is not None
        assert roster.submit(assignment.agent_id, "e/1")
        assert roster.submit(assignment.agent_id, "e/1")
        assert not roster.submit(assignment.agent_id, "e/2")
    async with _opened(tmp_path, _assignments()) as roster:
        assert roster.submit(assignment.agent_id, "e/1")
        assert not roster.submit(assignment.agent_id, "e/2")
        assert roster.counts.counted == 1


async def test_nobody_knows_who_handed_in(tmp_path: Path) -> None:
    async with _opened(tmp_path, _assignments()) as roster:
        assert not roster.submit("nobody", "e/1")
        assert roster.release("nobody", "timeout") == []


async def test_who_qualified_stays_qualified(tmp_path: Path) -> None:
    async with _opened(tmp_path, _assignments()) as roster:
        await roster.qualify("ann")
        await roster.qualify("ann")
    async with _opened(tmp_path, _assignments()) as roster:
        assert roster.is_qualified("ann")
        assert not roster.is_qualified("bob")
    assert len(_lines(tmp_path)) == 1


async def test_a_journal_that_something_else_wrote_to_is_told_with_its_line(tmp_path: Path) -> None:
    async with _opened(tmp_path, _assignments()) as roster:
        await roster.assign("ann", "visit")
    for damage in (b"garbage\n", b'{"call":"fly","at":1}\n', b'{"call":"submit","at":1,"agent_id":"nobody"}\n'):
        (tmp_path / FILE_NAME).write_bytes(_lines(tmp_path)[0] + damage + _lines(tmp_path)[0])
        roster = Roster(tmp_path, _assignments(), _ticking())
        with pytest.raises(StoreDamaged, match=rf"{FILE_NAME}:2: "):
            roster.open()
        await roster.close()


async def test_overdue_is_who_has_had_a_unit_for_too_long(tmp_path: Path) -> None:
    assignments, now = _assignments(), [100.0]
    roster = Roster(tmp_path, assignments, lambda: now[0])
    roster.open()
    early = await roster.assign("ann", "visit")
    now[0] = 150.0
    await roster.assign("bob", "visit")
    assert early is not None
    assert roster.overdue(60) == []
    now[0] = 161.0
    assert roster.overdue(60) == [early.agent_id]
    await roster.close()
