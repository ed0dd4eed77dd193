"""A limit says what it was and which setting moves it, and is not confused with the action's own time-outs."""

from __future__ import annotations

import asyncio

import pytest
from falsework.engine.errors import LimitReached
from falsework.engine.run.limit import NO_LIMIT, Limit
from falsework.engine.run.retry import AttemptTimedOut

TINY = Limit(0.001, "lifecycle.prepare_timeout")


async def hang() -> None:
    await asyncio.Event().wait()


async def test_what_ends_in_time_returns_its_result() -> None:
    async def act() -> int:
        return 42

    assert await Limit(60, "some").apply(act) == 42
    assert await NO_LIMIT.apply(act) == 42


async def test_what_takes_too_long_is_told_with_the_setting_that_moves_it() -> None:
    with pytest.raises(LimitReached) as reached:
        await TINY.apply(hang)
    assert (reached.value.seconds, reached.value.setting) == (0.001, "lifecycle.prepare_timeout")
    assert str(reached.value) == "not done within 0.001 s (lifecycle.prepare_timeout)"
    assert isinstance(reached.value, TimeoutError)


async def test_a_limit_may_have_an_error_of_its_own() -> None:
    with pytest.raises(AttemptTimedOut):
        await Limit(0.001, "some", AttemptTimedOut).apply(hang)


async def test_the_action_has_ended_when_its_limit_is_told() -> None:
    ended = []

    async def act() -> None:
        try:
            await hang()
        finally:
            await asyncio.sleep(0)
            ended.append(True)

    with pytest.raises(LimitReached):
        await TINY.apply(act)
    assert ended


@pytest.mark.parametrize("limit", [Limit(60, "some"), NO_LIMIT])
async def test_a_time_out_of_the_action_itself_is_its_own(limit: Limit) -> None:
    async def act() -> None:
        raise TimeoutError("the socket's")

    with pytest.raises(TimeoutError, match="the socket's"):
        await limit.apply(act)


async def test_what_an_action_makes_of_its_end_is_its_error() -> None:
    async def act() -> None:
        try:
            await hang()
        except asyncio.CancelledError:
            raise OSError("could not let go") from None

    with pytest.raises(OSError, match="could not let go"):
        await TINY.apply(act)


async def test_of_two_limits_the_one_that_was_reached_is_told() -> None:
    outer, inner = Limit(0.001, "outer"), Limit(60, "inner")
    with pytest.raises(LimitReached, match="outer"):
        await outer.apply(lambda: inner.apply(hang))
    with pytest.raises(LimitReached, match="outer"):
        await inner.apply(lambda: outer.apply(hang))


async def test_a_cancellation_is_no_time_out() -> None:
    acting = asyncio.create_task(Limit(60, "some").apply(hang))
    await asyncio.sleep(0)
    acting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await acting
