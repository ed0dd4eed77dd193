"""What must be finished is finished whoever is cancelled, and what does not end when it is cancelled holds nobody up."""

from __future__ import annotations

import asyncio

import pytest
from falsework.engine.contract.cancellation import uncancelled
from falsework.engine.errors import ArchitectError
from falsework.engine.run.cancellation import Calls

from ..lives import SOON


class Stubborn:
    """Work that goes on until told to end, however often it is cancelled, and then raises `error` if there is one."""

    def __init__(self, error: Exception | None = None) -> None:
        self.began, self.end, self.cancelled, self.error = asyncio.Event(), asyncio.Event(), 0, error

    async def work(self) -> str:
        self.began.set()
        while not self.end.is_set():
            try:
                await self.end.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
        if self.error:
            raise self.error
        return "done"


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def calls(said: list[str]) -> Calls:
    return Calls(said.append, SOON)


async def cancelled_task(task: asyncio.Task[str], times: int = 1) -> asyncio.Task[str]:
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    return task


# What must be finished


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


# What does not end


async def test_a_call_returns_what_its_work_returns(calls: Calls) -> None:
    stubborn = Stubborn()
    stubborn.end.set()
    assert await calls.make("prepare", stubborn.work()) == "done"
    assert calls.given_up == []


async def test_a_call_raises_what_its_work_raises(calls: Calls) -> None:
    stubborn = Stubborn(OSError("disk"))
    stubborn.end.set()
    with pytest.raises(OSError, match="disk"):
        await calls.make("prepare", stubborn.work())


@pytest.mark.parametrize("times", [1, 4])
async def test_a_call_that_ignores_its_cancellation_is_given_up(calls: Calls, said: list[str], times: int) -> None:
    stubborn = Stubborn(OSError("nobody waits for this"))
    waiting = asyncio.create_task(calls.make("prepare", stubborn.work()))
    await stubborn.began.wait()
    await cancelled_task(waiting, times)
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert stubborn.cancelled == times
    assert calls.given_up == ["prepare"]
    assert said == ["prepare goes on, 0.01 s after it was cancelled"]
    stubborn.end.set()
    for _ in range(3):
        await asyncio.sleep(0)
    assert calls.given_up == []


async def test_what_a_call_raises_when_it_is_cancelled_is_the_cause_that_is_told(calls: Calls) -> None:
    async def let_go_badly() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            raise OSError("could not let go")

    waiting = asyncio.create_task(calls.make("prepare", let_go_badly()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await cancelled_task(waiting)
    with pytest.raises(asyncio.CancelledError) as cancelled:
        await waiting
    assert repr(cancelled.value.__cause__) == "OSError('could not let go')"


async def test_a_cancellation_from_within_is_an_error(calls: Calls) -> None:
    async def cancel_itself() -> str:
        raise asyncio.CancelledError

    with pytest.raises(ArchitectError, match="deploy was cancelled from within"):
        await calls.make("deploy", cancel_itself())
