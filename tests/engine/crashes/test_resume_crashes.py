"""A resumed launch is killed at every ledger write; then it is resumed again, or swept."""

from __future__ import annotations

from pathlib import Path

import pytest
from falsework.engine.launch.recovery import SERVED

from .aftermath import assert_seen_to, look
from .crowd import Crowd
from .foundry import Foundry, foundry_at
from .survey import Say, survey

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


async def test_a_killed_resume_is_resumed_again_or_swept(tmp_path: Path, task: str, say: Say) -> None:
    async def crash(foundry: Foundry, home: Path, point: str) -> bool:
        async with await killed_while_it_served(foundry, home, task) as crowd:
            (dead,) = await look(home)
            first = await foundry.run(home, "resume", dead.run_id, die_at=point, crowd=crowd)
            assert first.was_killed or first.code == 0, first.stderr
            left = await look(home)
            if left[0].state in SERVED and "before" in point:
                second = await foundry.run(home, "resume", dead.run_id, crowd=crowd)
                await assert_seen_to(left, second, crowd, reason="every unit has its submissions")
            else:
                second = await foundry.run(home, "sweep", "--yes", "--json")
                await assert_seen_to(left, second, crowd)
        return first.was_killed

    home = tmp_path / "home"
    async with (
        foundry_at(tmp_path / "rehearsal") as foundry,
        await killed_while_it_served(foundry, home, task) as crowd,
    ):
        (dead,) = await look(home)
        resume = await foundry.run(home, "resume", dead.run_id, crowd=crowd)
    assert resume.code == 0, resume.stderr
    await survey(tmp_path, "a resumed launch", resume.reached, crash, say, always=("ledger",))


async def killed_while_it_served(foundry: Foundry, home: Path, task: str) -> Crowd:
    """A dead launch, whose server holds what two workers have handed in since then; the third is still at it."""
    crowd = Crowd(all_joined=foundry.kill, late="bob")
    assert (await foundry.run(home, "launch", task, crowd=crowd)).was_killed
    assert crowd.acknowledged == {"ann", "eve"}
    return crowd
