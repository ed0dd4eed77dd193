"""Making the app of a run, once and recorded, whatever becomes of Heroku's answers.

Asking for an app is not idempotent, but its name is unique: asking again for the same name either makes it, or is told that
it is taken; and then a look tells by whom. So the name is announced first, and asked for until there is an answer.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from typing import NamedTuple

from falsework.engine.contract.architect import Resource, Site
from falsework.engine.contract.cancellation import uncancelled
from falsework.engine.errors import DeployFailed

from .api import HerokuApi
from .args import HerokuArgs
from .errors import Refused, Unanswered
from .http import patiently
from .names import marked_name
from .ownership import announcement, is_own
from .rows import HerokuApp

LATE = 30.0
"""Seconds in which Heroku may still do what was asked, when nobody waits for the answer any more; then its router gives up."""
OTHER_NAMES = 4
"""How many other names are tried where the first one is taken."""


class Created(NamedTuple):
    """An app that is ours and recorded, and not marked yet."""

    app: HerokuApp
    resource: Resource


async def create_app(site: Site, api: HerokuApi) -> Created:
    """Make the app of a run under a name that nobody has, announced before.

    Raises DeployFailed if there can be none, Unanswered if it is not known whether there is one.
    """
    account = await api.account()
    for name in _names(site):
        if not await api.is_taken(name):
            created = await _Asking(site, api, account.email, name).until_answered()
            if created is not None:
                return created
        site.log.info("the name %s is taken", name)
    raise DeployFailed(_no_name(site.args.heroku_app_name))


def _names(site: Site) -> Iterator[str]:
    """The user's own choice alone, or falsework's."""
    if site.args.heroku_app_name is not None:
        yield site.args.heroku_app_name
        return
    yield marked_name(site.run_id)
    for _ in range(OTHER_NAMES):
        yield marked_name(site.run_id, secrets.token_hex(2))


class _Asking:
    """Asking for one app by its name. Cancelling it waits for the answer to what was asked last."""

    def __init__(self, site: Site, api: HerokuApi, email: str, name: str) -> None:
        args: HerokuArgs = site.args
        self.site, self.api, self.args, self.name = site, api, args, name
        self.resource = announcement(name, api.address, email, api.now(), self._until())
        self._unanswered = 0

    async def until_answered(self) -> Created | None:
        """The app, which may be one that an unanswered asking made; None if somebody else has the name.

        Raises DeployFailed, or Unanswered if no answer came at all.
        """
        return await patiently(self._ask_to_the_end)

    async def _ask_to_the_end(self) -> Created | None:
        """Ask once, and know the answer even if that is cancelled meanwhile; then the cancellation goes on in any case."""
        try:
            return await uncancelled(self._ask())
        except Unanswered as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise asyncio.CancelledError from error
            raise

    async def _ask(self) -> Created | None:
        await self._note(asked=self._unanswered + 1, until=self._until())
        try:
            app = await self.api.create_app(self.name, self.args.heroku_team, self.args.region)
        except Unanswered as error:
            if error.may_be_done:
                self._unanswered += 1
            else:
                await self._retract()
            raise
        except Refused as refusal:
            return await self._look(refusal)
        await self._note(id=app.id)
        return Created(app, self.resource)

    async def _look(self, refusal: Refused) -> Created | None:
        """What a refusal means: if there is an app of that name, it may be ours; if there is none, the answer is no."""
        try:
            app = await self.api.find_app(self.name)
        except Refused as another:
            if another.status != 403:
                raise
            await self._retract()
            return None
        if app is None:
            await self._retract()
            raise DeployFailed(str(refusal)) from refusal
        if not self._unanswered or not await is_own(self.api, app, self.resource, self.site.run_id):
            await self._retract()
            return None
        self._unanswered -= 1
        await self._note(asked=self._unanswered + 1, id=app.id)
        return Created(app, self.resource)

    async def _note(self, **facts: object) -> None:
        self.resource = await self.site.learn(self.resource, **facts)

    async def _retract(self) -> None:
        """What was asked last has made nothing and never will."""
        if self._unanswered:
            await self._note(asked=self._unanswered)
        else:
            await self.site.forget(self.resource)

    def _until(self) -> float:
        """When the next asking is over, in whichever way, in Heroku's time."""
        return self.api.now() + self.args.request_timeout + LATE


def _no_name(chosen: str | None) -> str:
    if chosen is None:
        return "every name that was tried for the app is taken; launch again"
    return (
        f"there is an app {chosen} already, and falsework deletes only what it made itself; choose another "
        f"heroku_app_name, or leave it out"
    )
