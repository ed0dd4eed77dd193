"""What must be finished is finished, whoever is cancelled."""

from __future__ import annotations

import asyncio

import pytest
from falsework.engine.contract.cancellation import uncancelled

from ..run.stubborn import Stubborn, cancelled_task


async def test_what_must_be_finished_returns_its_result() -> None:
    stubborn = Stubborn()
    stubborn.end.set()
    assert await uncancelled(stubborn.work()) == "done"


@pytest.mark.parametrize("times", [1, 2, 5])
async def test_what_must_be_finished_is_finished_before_the_cancellation_goes_on(times: int) -> None:
    stubborn = Stubborn()
    waiting = asyncio.create_task(uncancelled(stubborn.work()))
    await stubborn.began.wait()
    await cancelled_task(waiting, times)
    assert not waiting.done()
    stubborn.end.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert stubborn.cancelled == 0


async def test_an_error_of_what_must_be_finished_is_told_rather_than_the_cancellation() -> None:
    stubborn = Stubborn(OSError("disk"))
    waiting = asyncio.create_task(uncancelled(stubborn.work()))
    await stubborn.began.wait()
    await cancelled_task(waiting)
    stubborn.end.set()
    with pytest.raises(OSError, match="disk"):
        await waiting
