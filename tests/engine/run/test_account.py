"""What a run knows of itself and what the ledger has of it are one and the same."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from falsework.engine.contract.architect import Resource
from falsework.engine.errors import LedgerError, ShutdownFailed, TransientError
from falsework.engine.lifecycle.states import State, Trigger
from falsework.engine.run.account import Account, described

from ..lives import at_rest, held, living

RUN = "caption-7f3a9c"
APP, DISK = Resource("app", "a"), Resource("disk", "d")


async def test_resources_have_the_same_order_in_memory_and_in_the_ledger(tmp_path: Path) -> None:
    async with living(tmp_path) as life:
        await life.site.announce(APP)
        await life.site.announce(DISK)
        app = await life.site.learn(APP, pid=7)
        assert life.site.resources == life.ledger.resources(RUN) == [app, DISK]
        await life.site.forget(app)
        await life.site.announce(APP)
        assert life.site.resources == life.ledger.resources(RUN) == [DISK, APP]


@pytest.mark.parametrize("times", [1, 2])
async def test_an_announcement_that_was_cut_off_is_known_to_both(tmp_path: Path, times: int) -> None:
    async with living(tmp_path) as life:
        announcing = asyncio.create_task(life.site.announce(APP))
        await asyncio.sleep(0)
        for _ in range(times):
            announcing.cancel()
        await asyncio.wait({announcing})
        assert announcing.cancelled()
        assert life.site.resources == life.ledger.resources(RUN) == [APP]


async def test_a_resource_that_is_gone_is_gone_though_the_ledger_cannot_be_told(tmp_path: Path) -> None:
    async with living(tmp_path) as life:
        await life.site.announce(APP)
        with held(life.file):
            await life.site.forget(APP)
            with pytest.raises(LedgerError):
                await life.site.announce(DISK)
        assert life.site.resources == []
        assert life.said[0].startswith("the ledger could not be told that app a is gone: the ledger")


async def test_a_connection_that_is_lost_is_lost_though_the_ledger_cannot_be_told(tmp_path: Path) -> None:
    async with at_rest(tmp_path, State.CONNECTED) as life:
        with held(life.file):
            await life.do("lose")
        assert life.run.state is State.DISCONNECTED
        assert life.ledger.run(RUN).state is State.CONNECTED
        await life.do("connect")


async def test_work_that_ends_after_the_way_down_began_moves_nothing(tmp_path: Path) -> None:
    async with living(tmp_path, agrees=False) as life:
        account = Account(life.site, life.ledger, State.CONFIGURED, life.say, life.visited.append, lambda: 1.0)
        await account.begin(Trigger.PREPARE)
        await account.tell(Trigger.SHUTDOWN, "somebody said so")
        await account.succeed(State.PREPARING)
        await account.fail(State.PREPARING, OSError())
        assert account.state is life.ledger.run(RUN).state is State.SHUTTING_DOWN
        await account.tell(Trigger.SUCCEEDED)
        assert life.ledger.story(RUN) == account.story


def test_an_error_is_told_with_all_that_is_in_it() -> None:
    group = ShutdownFailed("not down", [TransientError("busy"), ExceptionGroup("two", [OSError("a"), OSError("b")])])
    assert (
        described(group)
        == "ShutdownFailed: not down (TransientError: busy; ExceptionGroup: two (OSError: a; OSError: b))"
    )
    assert described(asyncio.CancelledError()) == "cancelled"
