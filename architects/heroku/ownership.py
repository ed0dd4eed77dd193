"""Whose an app is: the rules by which one is known as a run's own. Nothing else is ever deleted. Pure, but for `own_app`.

An app is the run's if one of these holds:

1. Its config var FALSEWORK_RUN_ID says so. If it names another run, the app is never this run's, whatever else holds.
2. It has no such var, and is the very app (by id) that Heroku said it made for this run.
3. It has no such var, and an answer of Heroku's never came: the launcher, or the connection, died between asking for the app and
   marking it. Then it must have the announced name, no config var at all and nothing ever released, and it must have been
   made in the time in which our asking could make it. Just before that time there was no app of that name: we had looked.
   (Without a ledger, the time is not known; then the name must carry the run's id.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from falsework.engine.contract.architect import Resource
from falsework.engine.errors import ArchitectError

from ..machine.mark import RUN_ID
from .api import HerokuApi
from .errors import Refused
from .names import carries_mark
from .rows import HerokuApp

APP = "heroku_app"
"""The kind of the one resource; its name is the app's."""
SLACK = 5.0
"""Seconds by which two of Heroku's own clocks may differ; times come in whole seconds."""


def announcement(name: str, address: str, email: str, now: float, until: float) -> Resource:
    """The resource of an app that is about to be asked for.

    `address` is the API's, `email` the account's; `now` and `until`, in Heroku's time, are when it may come into being.
    """
    facts = {"api": address, "account": email, "since": now, "until": until, "asked": 1}
    return Resource(APP, name, facts)


def is_settled(facts: Mapping[str, Any], now: float, *, was_seen: bool) -> bool:
    """Whether no asking of ours can make an app any more, however late; if not, a look that finds none proves nothing.

    Each asking makes one app at the most, so one that was answered, or whose app was seen, is over.
    """
    return _unanswered(facts, was_seen=was_seen) <= 0 or now > float(facts.get("until", 0))


def is_newborn(app: HerokuApp, resource: Resource, run_id: str) -> bool:
    """Whether an app without config vars and releases can only come from our asking for it (rule 3)."""
    if app.name != resource.name:
        return False
    since, until = resource.facts.get("since"), resource.facts.get("until")
    if since is None or until is None:
        return carries_mark(app.name, run_id)
    return bool(since - SLACK <= app.created_at <= until + SLACK)


async def own_app(api: HerokuApi, resource: Resource, run_id: str) -> HerokuApp | None:
    """The app of a recorded resource; None if there is none, or if it is not the run's.

    Raises ArchitectError where that cannot be told: also if this account sees none, and another one made it.
    """
    known = resource.facts.get("id")
    app = await api.find_app(known) if known is not None else None  # the id outlasts a change of name
    if app is None and _may_be_unknown(resource.facts):
        app = await _called(api, resource.name)
    if app is None:
        await _assert_would_be_seen(api, resource)
        return None
    return app if await is_own(api, app, resource, run_id) else None


async def is_own(api: HerokuApi, app: HerokuApp, resource: Resource, run_id: str) -> bool:
    """Whether an app that is there is the run's, by the rules above."""
    variables = await api.config_vars(app)
    if variables is None:
        return False
    if RUN_ID in variables:
        return variables[RUN_ID] == run_id
    if resource.facts.get("id") == app.id:
        return True
    if variables or not _may_be_unknown(resource.facts) or not is_newborn(app, resource, run_id):
        return False
    return not await api.has_process(app)


def _may_be_unknown(facts: Mapping[str, Any]) -> bool:
    """Whether an asking that was not answered may have made an app, or make another one than is known."""
    return "asked" not in facts or _unanswered(facts, was_seen=False) > 0


def _unanswered(facts: Mapping[str, Any], *, was_seen: bool) -> int:
    answered = was_seen or "id" in facts
    return int(facts.get("asked", 0)) - (1 if answered else 0)


async def _called(api: HerokuApi, name: str) -> HerokuApp | None:
    try:
        return await api.find_app(name)
    except Refused as refusal:
        if refusal.status == 403:
            return None  # a stranger was faster
        raise


async def _assert_would_be_seen(api: HerokuApi, resource: Resource) -> None:
    """An account that may not see an app may be told that there is none."""
    maker = resource.facts.get("account")
    if maker is None or "id" not in resource.facts:
        return
    account = await api.account()
    if account.email != maker:
        raise ArchitectError(
            f"app {resource.name} was made by {maker}, and {account.email}, who is logged in now, sees none; log in as "
            f"{maker}, then try again"
        )
