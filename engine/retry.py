"""When an action is tried again: tenacity policies made from the task file's settings. A fresh one for each call.

Only TransientError is worth another attempt at deploying: a catch-all or a negated predicate would retry cancellation.
Shutting down is tried again on any error, since giving up leaves something standing.
"""

from __future__ import annotations

from collections.abc import Callable

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential_jitter,
)

from .config import DeployArgs, ShutdownArgs
from .errors import TransientError


def deploy_attempts(settings: DeployArgs, say: Callable[[str], None]) -> AsyncRetrying:
    """Attempts at deploying. The last error is raised as itself; `say` hears of each wait."""
    backoff = wait_exponential_jitter(initial=settings.wait_min, max=settings.wait_max, jitter=settings.wait_min)

    def wait(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, TransientError) and error.retry_after else 0.0
        return max(backoff(state), asked)

    return AsyncRetrying(
        retry=retry_if_exception_type(TransientError),
        wait=wait,
        stop=stop_after_attempt(settings.attempts),
        before_sleep=lambda state: say(_next_attempt(state, settings.attempts)),
        reraise=True,
    )


def shutdown_attempts(settings: ShutdownArgs, say: Callable[[str], None]) -> AsyncRetrying:
    """Attempts at shutting down. The deadline for all of them is the caller's."""
    return AsyncRetrying(
        retry=retry_if_exception_type(Exception),
        wait=wait_exponential_jitter(initial=settings.wait_min, max=settings.wait_max, jitter=settings.wait_min),
        stop=stop_after_attempt(settings.attempts),
        before_sleep=lambda state: say(_next_attempt(state, settings.attempts)),
        reraise=True,
    )


def _next_attempt(state: RetryCallState, attempts: int) -> str:
    wait = state.next_action.sleep if state.next_action else 0.0
    error = state.outcome.exception() if state.outcome else None
    return f"attempt {state.attempt_number + 1} of {attempts} in {wait:.1f} s: {error}"
