"""Names that are taken, answers that were lost, crashes in between: one app, known to be ours, or none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from falsework.architects.heroku.api import heroku
from falsework.architects.heroku.architect import HerokuArchitect
from falsework.architects.heroku.creation import Created, create_app
from falsework.architects.heroku.ownership import APP
from falsework.engine.contract.architect import Presence, Resource, Site
from falsework.engine.errors import DeployFailed

from ...platforms.heroku import HerokuPlatform
from .trials import (  # noqa: F401
    args,
    new_site,
    platform,
    site,
    up,
)

# ruff: noqa: F811  (pytest's fixtures)


async def create(site: Site) -> Created:
    async with heroku(site.args.request_timeout) as api:
        return await create_app(site, api)


async def shutdown(site: Site) -> None:
    await HerokuArchitect().shutdown(site)


def as_announced(site: Site) -> Site:
    """The run as its ledger had it just before anybody asked for the app."""
    (resource,) = site.standing(APP)
    facts = {key: value for key, value in resource.facts.items() if key != "id"}
    return replace(site, resources=[Resource(APP, resource.name, facts)])


async def test_it_is_announced_before_it_is_asked_for(platform: HerokuPlatform, site: Site) -> None:
    seen: list[tuple[str, list[str]]] = []

    async def record(resource: Resource, stands: bool) -> None:
        seen.append((resource.name, list(platform.apps)))

    site.record = record
    await create(site)
    assert seen[0] == (f"fw-{site.run_id}", [])
    assert seen[-1] == (f"fw-{site.run_id}", [f"fw-{site.run_id}"])


@pytest.mark.parametrize("owner", ["somebody@example.org", "researcher@example.com"])
async def test_a_name_that_is_taken_is_left_to_whoever_has_it(platform: HerokuPlatform, site: Site, owner: str) -> None:
    theirs = await platform.put_app(f"fw-{site.run_id}", owner=owner)
    created = await create(site)
    assert created.app.name.startswith(f"fw-{site.run_id}-")
    assert [resource.name for resource in site.standing(APP)] == [created.app.name]
    await shutdown(site)
    assert list(platform.apps.values()) == [theirs]


@pytest.mark.parametrize("owner", ["somebody@example.org", "researcher@example.com"])
async def test_a_name_that_was_taken_between_looking_and_asking_is_left_too(
    platform: HerokuPlatform, site: Site, owner: str
) -> None:
    """However young and empty the other app is: our asking was answered, and made nothing."""
    theirs = await platform.put_app(f"fw-{site.run_id}", owner=owner)
    platform.faults.inject("GET /apps/{app}", status=404)
    created = await create(site)
    assert created.app.name != theirs.name
    await shutdown(site)
    assert list(platform.apps.values()) == [theirs]


async def test_a_chosen_name_that_is_taken_is_told_and_nothing_is_deleted(platform: HerokuPlatform, site: Site) -> None:
    site.args = args(heroku_app_name="my-study")
    theirs = await platform.put_app("my-study", owner=platform.user)
    with pytest.raises(DeployFailed, match=r"an app my-study already.*choose another heroku_app_name"):
        await create(site)
    platform.faults.inject("GET /apps/{app}", status=404)
    with pytest.raises(DeployFailed, match="an app my-study already"):
        await create(site)
    assert site.resources == []
    await shutdown(site)
    assert list(platform.apps.values()) == [theirs]


async def test_names_that_are_all_taken_are_given_up(
    platform: HerokuPlatform, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda size: "05d1")
    for suffix in ("", "-05d1"):
        await platform.put_app(f"fw-{site.run_id}{suffix}", owner="somebody@example.org")
    with pytest.raises(DeployFailed, match="every name that was tried"):
        await create(site)


async def test_an_app_whose_making_was_not_answered_is_adopted(platform: HerokuPlatform, site: Site) -> None:
    platform.faults.inject("POST /apps", drop="after")
    created = await create(site)
    assert [created.app.id] == [app.id for app in platform.apps.values()]
    assert len([call for call in platform.calls if call.endpoint == "POST /apps"]) == 2
    await shutdown(site)
    assert not platform.apps


async def test_an_asking_that_is_seen_to_after_the_app_was_deleted_leaves_none(
    platform: HerokuPlatform, site: Site
) -> None:
    """The first asking was given up, the second made the app, and the first comes when that is gone again."""
    site.args = args(request_timeout=0.4)
    platform.faults.inject("POST /apps", delay=0.8)
    created = await create(site)
    await shutdown(site)
    made = [call.status for call in platform.calls if call.endpoint == "POST /apps"]
    assert len(made) == 2
    assert created.app.id not in [app.id for app in platform.apps.values()]
    assert not platform.apps


async def test_a_crash_before_the_app_is_marked_leaves_an_app_that_is_known(
    platform: HerokuPlatform, site: Site
) -> None:
    await create(site)
    crashed = as_announced(site)
    assert await HerokuArchitect().probe(crashed) is Presence.DOWN
    await shutdown(crashed)
    assert not platform.apps
    assert crashed.resources == []


async def test_a_crash_before_the_app_was_asked_for_is_over_when_its_time_has_passed(
    platform: HerokuPlatform, site: Site
) -> None:
    site.args = args(request_timeout=0.2)
    await create(site)
    crashed = as_announced(site)
    platform.apps.delete(platform.apps[f"fw-{site.run_id}"])
    assert await HerokuArchitect().probe(crashed) is Presence.UNKNOWN
    await shutdown(crashed)
    assert crashed.resources == []
    assert await HerokuArchitect().probe(crashed) is Presence.GONE


@pytest.mark.parametrize("what", ["has run", "has a config var", "is another's", "is younger", "is another run's"])
async def test_an_app_of_that_name_that_cannot_be_of_our_making_is_left_alone(
    platform: HerokuPlatform, site: Site, what: str
) -> None:
    """Somebody of the same account made one of the same name, after the launcher died."""
    site.args = args(heroku_app_name="my-study", request_timeout=0.1)
    await create(site)
    crashed = as_announced(site)
    own = platform.apps["my-study"]
    platform.apps.delete(own)
    theirs = await platform.put_app("my-study", owner=platform.user)
    match what:
        case "has run":
            theirs.formation["web"] = (1, "basic")
        case "has a config var":
            theirs.set_config({"COLOUR": "green"})
        case "is another's":
            theirs.owner = "somebody@example.org"
        case "is younger":
            theirs.created_at = "2099-01-01T00:00:00Z"
        case "is another run's":
            theirs.set_config({"FALSEWORK_RUN_ID": "caption-ffffff"})
    await shutdown(crashed)
    assert list(platform.apps.values()) == [theirs]
    assert crashed.resources == []


REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "an app limit": ({"app_limit": 0}, "the limit of 0 apps"),
    "an unverified account": ({"verified": False}, r"402 verification_required.*https://heroku\.com/verify"),
}


@pytest.mark.parametrize("settings, told", REFUSALS.values(), ids=REFUSALS)
async def test_a_refusal_is_told_with_what_to_do_and_nothing_is_recorded(
    platform: HerokuPlatform, site: Site, settings: dict[str, Any], told: str
) -> None:
    for name, value in settings.items():
        setattr(platform.settings, name, value)
    with pytest.raises(DeployFailed, match=told):
        await up(site)
    assert site.resources == []


async def test_a_team_has_its_own_apps(platform: HerokuPlatform, tmp_path: Path) -> None:
    site = new_site(tmp_path, heroku_team=platform.team)
    platform.settings.verified = False
    created = await create(site)
    assert platform.apps[created.app.name].team == platform.team
    assert [one.name for one in await HerokuArchitect().leftovers()] == [created.app.name]
    await shutdown(site)
    assert not platform.apps
