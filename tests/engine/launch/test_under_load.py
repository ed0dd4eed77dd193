"""A thousand workers hand in while the launcher is killed and resumed five times, and the router killed three times."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..storm import assert_nothing_lost, storm

pytestmark = pytest.mark.slow

WORKERS = 1000
LAUNCHER_KILLED_AFTER = (100, 250, 400, 600, 800)
ROUTER_KILLED_AFTER = (175, 500, 700)


@pytest.mark.timeout(400)
async def test_every_acknowledged_submission_is_stored_exactly_once(tmp_path: Path) -> None:
    async with storm(tmp_path, WORKERS, at_once=50) as (victim, crowd):
        for count in sorted(LAUNCHER_KILLED_AFTER + ROUTER_KILLED_AFTER):
            await crowd.has_handed_in(count)
            if count in ROUTER_KILLED_AFTER:
                victim.kill_router()
            else:
                await victim.kill_driver()
                await victim.resume()
        assert await victim.ended() == 0, victim.lines[-20:]
        await crowd.end()
        assert len(crowd.told) >= WORKERS - 50  # who was answered while the last server went may not have heard it
        assert_nothing_lost(victim, crowd)
        assert len(victim.stored()) == WORKERS
        await victim.assert_clean()
