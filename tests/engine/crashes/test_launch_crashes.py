"""A launch is killed at every ledger write, every call of its architect and every await of its Run; then comes a sweep."""

from __future__ import annotations

from pathlib import Path

import pytest

from .aftermath import assert_seen_to, look
from .crowd import Crowd
from .foundry import Foundry, foundry_at
from .survey import Say, survey

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


async def test_whatever_a_killed_launch_leaves_a_sweep_takes_down(tmp_path: Path, task: str, say: Say) -> None:
    async def crash(foundry: Foundry, home: Path, point: str) -> bool:
        async with Crowd() as crowd:
            launch = await foundry.run(home, "launch", task, die_at=point, crowd=crowd)
            assert launch.was_killed or launch.code == 0, launch.stderr
            left = await look(home)
            sweep = await foundry.run(home, "sweep", "--yes", "--json")
            await assert_seen_to(left, sweep, crowd)
        return launch.was_killed

    async with Crowd() as crowd, foundry_at(tmp_path / "rehearsal") as foundry:
        launch = await foundry.run(tmp_path / "home", "launch", task, crowd=crowd)
        assert launch.code == 0, launch.stderr
    await survey(tmp_path, "a launch", launch.reached, crash, say)
