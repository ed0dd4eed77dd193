"""Taking the app of a run down, and seeing that it is gone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from falsework.engine.contract.architect import Resource, Site
from falsework.engine.errors import ArchitectError

from .api import HerokuApi
from .errors import Refused
from .ownership import is_settled, own_app
from .rows import HerokuApp

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
"""Seconds between two looks, doubled each time."""
GONE_LIMIT = 20.0
"""Seconds for an app to be gone after Heroku said that it deletes it; then it is told again."""


async def pauses() -> AsyncIterator[None]:
    """Something to do between looks: each takes longer than the one before."""
    pause = FIRST_PAUSE
    while True:
        yield
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


async def remove_app(site: Site, api: HerokuApi, resource: Resource) -> None:
    """Delete the app of a recorded resource if it is the run's, and forget it once none is there, nor will be.

    Gone is success, and so is a name that somebody else has. Raises ArchitectError if it stands, or if that cannot be told.
    """
    was_seen = False
    async for _ in pauses():
        app = await own_app(api, resource, site.run_id)
        if app is not None:
            was_seen = True
            await _delete(api, app)
        if is_settled(resource.facts, api.now(), was_seen=was_seen):
            break
        # else an asking that nobody answered may still make one
    await site.forget(resource)


async def _delete(api: HerokuApi, app: HerokuApp) -> None:
    await api.delete_app(app)
    deadline = time.monotonic() + GONE_LIMIT
    async for _ in pauses():
        if await _is_gone(api, app):
            return
        if time.monotonic() > deadline:
            raise ArchitectError(f"app {app.name} is still there, {GONE_LIMIT:g} s after Heroku was told to delete it")


async def _is_gone(api: HerokuApi, app: HerokuApp) -> bool:
    """By its id: its name may be somebody else's already."""
    try:
        return await api.find_app(app.id) is None
    except Refused as refusal:
        raise ArchitectError(f"whether app {app.name} is gone cannot be told: {refusal}") from refusal
