"""What is tried again, how often, and after how long; and what is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import pytest
from falsework.engine.errors import (
    ArchitectError,
    DeployFailed,
    FalseworkError,
    LimitReached,
    ShutdownFailed,
    TransientError,
)
from falsework.engine.run.limit import Limit
from falsework.engine.run.retry import AttemptTimedOut, deploying, until_down
from falsework.engine.settings.sections import DeployArgs, ShutdownArgs

DEPLOY = DeployArgs(attempts=6, wait_min=1, wait_max=10, timeout=9000)
SHUTDOWN = ShutdownArgs(attempts=3, wait_min=1, wait_max=10)
WEATHER = TransientError("the weather")


class Waits:
    """Waits no time at all. `seconds` are what it was asked for, `said` what was told of it."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.said: list[str] = []

    async def sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)

    def say(self, line: str) -> None:
        self.said.append(line)


@pytest.fixture
def waits() -> Waits:
    return Waits()


def attempt_that(outcomes: Iterable[BaseException | str]) -> Callable[[], Awaitable[str]]:
    """An attempt that raises or returns one after the other of these."""
    left = iter(outcomes)

    async def attempt() -> str:
        outcome = next(left)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    return attempt


async def until_deployed(
    attempt: Callable[[], Awaitable[str]],
    settings: DeployArgs,
    say: Callable[[str], None],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> str:
    """Attempt as a run does."""
    result = ""
    async with deploying(settings, say, sleep) as attempts:
        async for one in attempts:
            with one:
                result = await attempt()
    return result


# Deploying


async def test_what_works_at_once_is_done_once(waits: Waits) -> None:
    assert await until_deployed(attempt_that(["up"]), DEPLOY, waits.say, waits.sleep) == "up"
    assert (waits.seconds, waits.said) == ([], [])


async def test_waits_grow_with_jitter_up_to_the_longest(waits: Waits) -> None:
    await until_deployed(attempt_that([WEATHER] * 5 + ["up"]), DEPLOY, waits.say, waits.sleep)
    least, most = [1, 2, 4, 8, 10], [2, 3, 5, 9, 10]
    assert all(low <= wait <= high for low, wait, high in zip(least, waits.seconds, most, strict=True))
    assert waits.said == [
        f"attempt {number} of 6 in {wait:.1f} s: the weather" for number, wait in enumerate(waits.seconds, start=2)
    ]


async def test_waits_differ_from_one_deploy_to_the_next(waits: Waits) -> None:
    for _ in range(8):
        await until_deployed(attempt_that([WEATHER, "up"]), DEPLOY, waits.say, waits.sleep)
    assert len(set(waits.seconds)) > 1


@pytest.mark.parametrize("asked, waited", [(60, 60), (10.5, 10.5), (0, 1), (None, 1), (-5, 1)])
async def test_a_wait_that_was_asked_for_is_kept_if_it_is_longer(waits: Waits, asked: float, waited: float) -> None:
    settings = DeployArgs(wait_min=1, wait_max=1)
    await until_deployed(
        attempt_that([TransientError("busy", retry_after=asked), "up"]), settings, waits.say, waits.sleep
    )
    assert waits.seconds == [waited]


async def test_the_last_error_is_raised_as_itself(waits: Waits) -> None:
    errors = [TransientError(f"trouble {number}") for number in range(6)]
    with pytest.raises(TransientError) as raised:
        await until_deployed(attempt_that(errors), DEPLOY, waits.say, waits.sleep)
    assert raised.value is errors[-1]
    assert raised.value.__notes__ == [
        f"attempt {number}: TransientError('trouble {number - 1}')" for number in range(1, 6)
    ]
    assert len(waits.seconds) == 5


@pytest.mark.parametrize(
    "error",
    [
        DeployFailed("no"),
        ArchitectError("no"),
        FalseworkError("no"),
        LimitReached(1, "architect.ready_timeout"),
        TimeoutError(),
        OSError(),
        asyncio.CancelledError(),
        GeneratorExit(),
    ],
    ids=repr,
)
async def test_only_what_is_transient_is_tried_again(waits: Waits, error: BaseException) -> None:
    with pytest.raises(type(error)):
        await until_deployed(attempt_that([error, "up"]), DEPLOY, waits.say, waits.sleep)
    assert waits.seconds == []


async def test_an_error_after_others_carries_them_too(waits: Waits) -> None:
    with pytest.raises(DeployFailed) as raised:
        await until_deployed(attempt_that([WEATHER, DeployFailed("no")]), DEPLOY, waits.say, waits.sleep)
    assert raised.value.__notes__ == ["attempt 1: TransientError('the weather')"]


async def test_an_attempt_that_timed_out_is_transient_and_a_limit() -> None:
    error = AttemptTimedOut(600, "lifecycle.deploy.attempt_timeout")
    assert isinstance(error, TransientError)
    assert isinstance(error, LimitReached)
    assert (error.seconds, error.setting, error.retry_after) == (600, "lifecycle.deploy.attempt_timeout", None)
    assert str(error) == "not done within 600 s (lifecycle.deploy.attempt_timeout)"


async def test_no_wait_is_begun_that_would_end_after_the_limit(waits: Waits) -> None:
    late = TransientError("in an hour", retry_after=3600)
    with pytest.raises(TransientError) as raised:
        await until_deployed(attempt_that([late, "up"]), DeployArgs(timeout=1800), waits.say, waits.sleep)
    assert raised.value is late
    assert waits.seconds == []


async def test_the_limit_of_all_attempts_is_named(waits: Waits) -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    with pytest.raises(LimitReached) as ended:
        await until_deployed(hang, DeployArgs(timeout=0.01), waits.say, waits.sleep)
    assert (ended.value.seconds, ended.value.setting) == (0.01, "lifecycle.deploy.timeout")


async def test_deploys_side_by_side_do_not_mix_their_attempts() -> None:
    async def deploy(name: str) -> tuple[str, list[str]]:
        waits = Waits()
        outcomes = [TransientError(name)] * 3 + [name]
        return await until_deployed(attempt_that(outcomes), DEPLOY, waits.say, lambda s: asyncio.sleep(0)), waits.said

    for name, (result, said) in zip("abc", await asyncio.gather(*map(deploy, "abc")), strict=True):
        assert result == name
        assert [line[-1] for line in said] == [name] * 3


# Shutting down


async def test_shutting_down_is_tried_again_on_any_error(waits: Waits) -> None:
    attempt = attempt_that([OSError("network"), ShutdownFailed("up", [DeployFailed("no")]), "down"])
    await until_down(attempt, SHUTDOWN, Limit(60, "some"), waits.say, waits.sleep)  # type: ignore[arg-type]
    assert len(waits.seconds) == 2


async def test_shutting_down_waits_as_long_as_any_of_its_errors_asks_for(waits: Waits) -> None:
    group = ShutdownFailed("up", [ShutdownFailed("app", [TransientError("slow down", 30)]), OSError()])
    await until_down(attempt_that([group, "down"]), SHUTDOWN, Limit(60, "some"), waits.say, waits.sleep)  # type: ignore[arg-type]
    assert waits.seconds == [30]


async def test_shutting_down_in_vain_raises_the_last_failure(waits: Waits) -> None:
    failures = [ShutdownFailed(f"attempt {number}", [OSError(number)]) for number in range(3)]
    with pytest.raises(ShutdownFailed) as raised:
        await until_down(attempt_that(failures), SHUTDOWN, Limit(60, "some"), waits.say, waits.sleep)  # type: ignore[arg-type]
    assert raised.value is failures[-1]


async def test_shutting_down_is_not_tried_again_when_it_is_cancelled(waits: Waits) -> None:
    with pytest.raises(asyncio.CancelledError):
        await until_down(
            attempt_that([asyncio.CancelledError()]),  # type: ignore[arg-type]
            SHUTDOWN,
            Limit(60, "some"),
            waits.say,
            waits.sleep,
        )
    assert waits.seconds == []


@pytest.mark.slow
@pytest.mark.decisive
async def test_the_limit_of_shutting_down_comes_with_what_stands(waits: Waits) -> None:
    failure = ShutdownFailed("the app is up", [OSError("network")])

    async def fail_then_hang() -> None:
        if not waits.seconds:
            raise failure
        await asyncio.Event().wait()

    quick = ShutdownArgs(attempts=3, wait_min=0)
    with pytest.raises(ShutdownFailed) as ended:
        await until_down(fail_then_hang, quick, Limit(0.5, "lifecycle.shutdown.timeout"), waits.say, waits.sleep)
    limit, standing = ended.value.exceptions
    assert isinstance(limit, LimitReached)
    assert limit.setting == "lifecycle.shutdown.timeout"
    assert standing is failure
