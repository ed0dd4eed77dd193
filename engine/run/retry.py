"""When an action is tried again: tenacity policies made from the task file's settings. A fresh one for each call.

Only TransientError is worth another attempt at deploying: a catch-all or a negated predicate would retry cancellation.
Shutting down is tried again on any error, since giving up leaves something standing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    stop_before_delay,
    wait_exponential,
    wait_random,
)

from ..errors import LimitReached, ShutdownFailed, TransientError
from ..settings.sections import DeployArgs, ShutdownArgs
from .limit import Limit

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]


class AttemptTimedOut(TransientError, LimitReached):
    """One attempt at deploying took too long; the next may not."""

    def __init__(self, seconds: float, setting: str) -> None:
        LimitReached.__init__(self, seconds, setting)
        self.retry_after = None


@asynccontextmanager
async def deploying(
    settings: DeployArgs, say: Callable[[str], None], sleep: Sleep = asyncio.sleep
) -> AsyncIterator[AsyncRetrying]:
    """Hold a loop of attempts, `async for attempt in …: with attempt: …`, that ends with the first that succeeds.

    Another follows on TransientError only, within `settings`. Waits as long as the error asked for, if that is longer than the
    wait that is due. Raises the last error as itself, at once if there is no time for another attempt; LimitReached if the time
    ran out in the middle of one. The errors of earlier attempts are its notes. `say` hears of each wait.
    """
    failures: list[BaseException | None] = []
    policy = _policy(settings, settings.timeout, TransientError, say, sleep)
    policy.after = lambda state: failures.append(state.outcome.exception() if state.outcome else None)
    try:
        async with Limit(settings.timeout, "lifecycle.deploy.timeout").kept():
            yield policy
    except Exception as error:
        for number, failure in enumerate(failures, start=1):
            if failure is not error:
                error.add_note(f"attempt {number}: {failure!r}")
        raise


async def until_down(
    attempt: Callable[[], Awaitable[None]],
    settings: ShutdownArgs,
    limit: Limit,
    say: Callable[[str], None],
    sleep: Sleep = asyncio.sleep,
) -> None:
    """Attempt until one succeeds, again on any error, within `limit`. Raises the last ShutdownFailed.

    If the time ran out in the middle of an attempt, it holds the LimitReached, and what the first and the last attempt met.
    """
    failures: list[Exception] = []
    policy = _policy(settings, limit.seconds, Exception, say, sleep)
    try:
        await limit.apply(lambda: policy(_remembering(attempt, failures)))
    except ShutdownFailed:
        raise
    except Exception as error:
        raise ShutdownFailed(
            "it could not be taken down", [error, *dict.fromkeys((*failures[:1], *failures[-1:]))]
        ) from error


def _policy(
    settings: DeployArgs | ShutdownArgs,
    seconds: float | None,
    worth_it: type[Exception],
    say: Callable[[str], None],
    sleep: Sleep,
) -> AsyncRetrying:
    stop_attempts = stop_after_attempt(settings.attempts)
    return AsyncRetrying(
        sleep=sleep,
        retry=retry_if_exception_type(worth_it),
        wait=_wait(settings),
        stop=stop_attempts if seconds is None else stop_attempts | stop_before_delay(seconds),
        before_sleep=lambda state: say(_next_attempt(state, settings.attempts)),
        reraise=True,
    )


def _wait(settings: DeployArgs | ShutdownArgs) -> Callable[[RetryCallState], float]:
    """Exponential with jitter, or what the error asks for where that is longer. In seconds."""
    backoff = wait_exponential(multiplier=settings.wait_min) + wait_random(0, settings.wait_min)

    def wait(state: RetryCallState) -> float:
        due = min(backoff(state), settings.wait_max)
        return max(due, _asked_for(state.outcome.exception() if state.outcome else None))

    return wait


def _asked_for(error: BaseException | None) -> float:
    if isinstance(error, BaseExceptionGroup):
        return max(_asked_for(inner) for inner in error.exceptions)
    return error.retry_after or 0.0 if isinstance(error, TransientError) else 0.0


def _remembering(attempt: Callable[[], Awaitable[T]], failures: list[Exception]) -> Callable[[], Awaitable[T]]:
    async def remembered() -> T:
        try:
            return await attempt()
        except Exception as error:
            failures.append(error)
            raise

    return remembered


def _next_attempt(state: RetryCallState, attempts: int) -> str:
    wait = state.next_action.sleep if state.next_action else 0.0
    error = state.outcome.exception() if state.outcome else None
    return f"attempt {state.attempt_number + 1} of {attempts} in {wait:.1f} s: {error}"
