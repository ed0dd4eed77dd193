"""Whether the server in the dyno is up: by its answer with the run's id, and nothing else."""

from __future__ import annotations

import asyncio

from falsework.engine.contract.architect import Site
from falsework.engine.errors import DeployFailed, LimitReached, TransientError

from ..machine.address import run_id_at
from .api import HerokuApi
from .errors import Unanswered
from .removal import pauses
from .rows import HerokuApp

ANSWER_LIMIT = 10.0
"""Seconds for one answer; Heroku holds a request back while the dyno starts."""
CRASHED = "crashed"


class NotReady(TransientError, LimitReached):
    """Nothing answered with the run's id in time."""

    def __init__(self, seconds: float, url: str) -> None:
        LimitReached.__init__(self, seconds, "architect.ready_timeout")
        self.url, self.retry_after = url, None
        self.args = (f"{url} did not answer as this run within {seconds:g} s (raise {self.setting} to wait longer)",)


async def until_serving(site: Site, api: HerokuApi, app: HerokuApp) -> None:
    """Wait until the app answers with the run's id.

    Raises DeployFailed at once if the server dies of itself, NotReady after `ready_timeout`.
    """
    limit: float = site.args.ready_timeout
    try:
        async with asyncio.timeout(limit):
            async for _ in pauses():
                if await run_id_at(app.url, ANSWER_LIMIT) == site.run_id:
                    return
                await _assert_runs(api, app)
    except TimeoutError as error:
        raise NotReady(limit, app.url) from error


async def _assert_runs(api: HerokuApi, app: HerokuApp) -> None:
    """A server that Heroku has started again, and that has died again, will do so the next time."""
    try:
        states = await api.web_states(app)
    except Unanswered:
        return
    if CRASHED in states:
        raise DeployFailed(f"the server of app {app.name} dies as often as Heroku starts it")
