"""The doubles that others test with: those that keep the contract do, and the others break it as they are called."""

from __future__ import annotations

from pathlib import Path

import pytest
from falsework.engine.channel.listener import Ears
from falsework.engine.contract.architect import Leftover
from falsework.engine.lifecycle.states import State
from falsework.engine.testing import IdleArchitect, IdleChannel, InMemoryArchitect

from ..lives import living


@pytest.mark.parametrize("architect", [IdleArchitect, InMemoryArchitect])
async def test_a_double_that_keeps_the_contract_lives_a_whole_life(
    tmp_path: Path, architect: type[IdleArchitect]
) -> None:
    async with living(tmp_path, architect()) as life:
        await life.drive("prepare deploy connect lose connect cleanup shutdown")
        assert life.run.state is State.SHUT_DOWN
        assert life.said == []


async def test_what_stands_in_memory_is_found_without_a_ledger(tmp_path: Path) -> None:
    async with living(tmp_path) as life:
        await life.drive("prepare deploy")
        assert await life.architect.leftovers() == [Leftover("caption-7f3a9c", "server", "caption-7f3a9c")]
        await life.do("shutdown")
        assert await life.architect.leftovers() == []


async def test_an_idle_channel_opens_and_closes() -> None:
    opened: list[str] = []
    channel = IdleChannel("channel", Ears(opened.append))
    await channel.open(1, 1)
    channel.acknowledge("epoch", 3)
    assert (opened, channel.is_open, channel.acked) == (["channel"], True, {"epoch": 3})
    assert await channel.say_bye(1)
    await channel.close()
    await channel.close()
    assert not channel.is_open
