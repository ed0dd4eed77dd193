"""A sweep is killed at every ledger write and every call of an architect, while it sees to a dead launch; the next finishes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from .aftermath import assert_seen_to, look
from .crowd import NAMES, Crowd
from .foundry import Foundry, foundry_at, installed
from .survey import Say, survey

HALF_MADE = "ledger record_resource, before its commit (3)"
"""The server is ready, and nobody has its port yet."""
Death = Callable[[Foundry, Path, str], Awaitable[Crowd]]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


async def killed_while_it_served(foundry: Foundry, home: Path, task: str) -> Crowd:
    """A dead launch, whose server holds what the crowd has handed in since then."""
    crowd = Crowd(all_joined=foundry.kill)
    launch = await foundry.run(home, "launch", task, crowd=crowd)
    assert launch.was_killed
    assert crowd.acknowledged == set(NAMES)
    return crowd


async def killed_while_it_deployed(foundry: Foundry, home: Path, task: str) -> Crowd:
    launch = await foundry.run(home, "launch", task, die_at=HALF_MADE)
    assert launch.was_killed
    return Crowd()


@pytest.mark.parametrize("die", [killed_while_it_served, killed_while_it_deployed], ids=["serving", "half made"])
async def test_what_a_killed_sweep_leaves_the_next_one_takes_down(
    tmp_path: Path, task: str, say: Say, die: Death
) -> None:
    async def crash(foundry: Foundry, home: Path, point: str) -> bool:
        async with await die(foundry, home, task) as crowd:
            first = await foundry.run(home, "sweep", "--yes", "--json", die_at=point)
            assert first.was_killed or first.code == 0, first.stderr
            left = await look(home)
            second = await foundry.run(home, "sweep", "--yes", "--json")
            await assert_seen_to(left, second, crowd)
        return first.was_killed

    home = tmp_path / "home"
    async with foundry_at(tmp_path / "rehearsal") as foundry, await die(foundry, home, task):
        sweep = await foundry.run(home, "sweep", "--yes", "--json")
    assert sweep.code == 0, sweep.stderr
    await survey(tmp_path, f"the sweep of a launch {die.__name__.replace('_', ' ')}", sweep.reached, crash, say)


async def test_the_installed_command_sweeps_several_dead_launches_at_once(tmp_path: Path, task: str) -> None:
    home = tmp_path / "home"
    async with foundry_at(tmp_path / "foundry") as foundry, AsyncExitStack() as stack:
        crowds = [await stack.enter_async_context(await killed_while_it_served(foundry, home, task)) for _ in range(3)]
        await foundry.run(home, "launch", task, die_at=HALF_MADE)
        left = await look(home)
        sweep = await installed(home, "sweep", "--yes", "--json")
        await assert_seen_to(left, sweep, *crowds)
