"""The whole life of a server on Heroku, action by action, on the stand-in."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from falsework.architects.heroku.architect import HerokuArchitect
from falsework.architects.heroku.build import ARCHIVE
from falsework.architects.heroku.ownership import APP
from falsework.engine.channel.listener import Ears
from falsework.engine.contract.architect import Presence, Resource, Site
from falsework.engine.errors import ArchitectError, ShutdownFailed

from ...platforms.heroku import HerokuPlatform
from .trials import (  # noqa: F401
    TOKEN,
    app_of,
    args,
    assert_down,
    log_out,
    new_site,
    platform,
    served,
    site,
    up,
)

# ruff: noqa: F811  (pytest's fixtures)

pytestmark = pytest.mark.slow

MOST_SECONDS_SLEPT = 1.0


async def test_an_app_is_made_marked_and_runs_the_router_until_it_is_taken_down(
    platform: HerokuPlatform, site: Site
) -> None:
    site.max_lifetime = 3600.0
    site.args = args(heroku_config_args={"COLOUR": "green", "DEPTH": 3}, dyno="standard-1x", region="eu")
    url = await up(site)
    app = app_of(platform, site)
    assert app.name == f"fw-{site.run_id}"
    assert (url, app.region, app.sticky) == (app.web_url.rstrip("/"), "eu", True)
    assert app.formation == {"web": (1, "standard-1x")}
    assert app.config_vars.items() >= {"COLOUR": "green", "DEPTH": "3", "FALSEWORK_TOKEN": TOKEN}.items()
    assert TOKEN not in "".join(app.process_types.values())
    assert platform.token not in json.dumps(app.config_vars)
    async with aiohttp.ClientSession() as session, session.get(url) as page:
        assert await page.text() == "<p>Hello</p>"
    architect = HerokuArchitect()
    assert await architect.probe(site) is Presence.UP
    await architect.shutdown(site)
    await architect.shutdown(site)
    await assert_down(platform, site)
    assert not platform.apps


async def test_no_second_is_waited_in_vain(
    platform: HerokuPlatform,
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    """Heroku's own work takes its time; what the architect sleeps beside that is counted."""
    slept: list[float] = []
    sleep = asyncio.sleep

    async def counted(seconds: float) -> None:
        if sys._getframe(1).f_globals["__name__"].startswith("falsework.architects"):
            slept.append(seconds)
        await sleep(seconds)

    monkeypatch.setattr(asyncio, "sleep", counted)
    await up(site)
    await HerokuArchitect().shutdown(site)
    record_property("seconds_slept_in_a_whole_cycle", sum(slept))
    assert sum(slept) <= MOST_SECONDS_SLEPT


# Looking


async def test_it_is_down_when_its_dyno_is_gone_and_gone_when_its_app_is(
    platform: HerokuPlatform, served: Site
) -> None:
    architect = HerokuArchitect()
    app = app_of(platform, served)
    app.scale("web", 0, None)
    assert await architect.probe(served) is Presence.DOWN
    platform.apps.delete(app)
    assert await architect.probe(served) is Presence.GONE
    await architect.shutdown(served)
    assert served.standing(APP) == []


async def test_it_is_unknown_while_heroku_or_the_login_is_away(
    platform: HerokuPlatform, served: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    architect = HerokuArchitect()
    platform.faults.inject("GET /apps/{app}", status=503, html=True, times=None)
    assert await architect.probe(served) is Presence.UNKNOWN
    platform.faults.clear()
    platform.faults.inject("GET /apps/{app}", status=404, body={"welcome": "to the hotel's network"}, times=None)
    assert await architect.probe(served) is Presence.UNKNOWN
    platform.faults.clear()
    with monkeypatch.context() as patch:
        patch.setenv("HEROKU_API_KEY", "HRKU-nobodys")
        assert await architect.probe(served) is Presence.UNKNOWN
        log_out(patch, served.directory)
        assert await architect.probe(served) is Presence.UNKNOWN
        assert await architect.log_tail(served, 10) == []
    await architect.shutdown(served)


async def test_the_api_that_made_it_is_asked_wherever_the_environment_leads_by_now(
    platform: HerokuPlatform, served: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEROKU_HOST", "http://127.0.0.1:9")
    architect = HerokuArchitect()
    assert await architect.probe(served) is Presence.UP
    await architect.shutdown(served)
    assert not platform.apps


async def test_another_account_that_sees_no_app_does_not_take_it_for_gone(
    platform: HerokuPlatform, served: Site
) -> None:
    app_of(platform, served).owner = "somebody@example.org"
    platform.faults.inject("GET /apps/{app}", status=404, times=None)
    platform.faults.inject("GET /account", status=200, body={"email": "another@example.org"}, times=None)
    architect = HerokuArchitect()
    assert await architect.probe(served) is Presence.UNKNOWN
    with pytest.raises(ShutdownFailed) as failed:
        await architect.shutdown(served)
    assert f"was made by {platform.user}" in str(failed.value.exceptions[0])
    platform.faults.clear()
    app_of(platform, served).owner = platform.user
    await architect.shutdown(served)
    await assert_down(platform, served)


async def test_the_log_has_the_servers_own_lines_and_no_requests(platform: HerokuPlatform, served: Site) -> None:
    await app_of(platform, served).log.until("app[web.1]")
    lines = await HerokuArchitect().log_tail(served, 5)
    assert len(lines) == 5
    everything = await HerokuArchitect().log_tail(served, 1000)
    assert any("app[web.1]" in line for line in everything)
    assert not [line for line in everything if "heroku[router]" in line]
    assert await HerokuArchitect().log_tail(served, 0) == []
    await HerokuArchitect().shutdown(served)
    assert await HerokuArchitect().log_tail(served, 10) == []


# Leftovers


async def test_every_marked_app_of_the_account_and_its_teams_is_found_page_by_page(
    platform: HerokuPlatform, served: Site
) -> None:
    platform.settings.page_size = 2
    for number in range(5):
        await platform.put_app(f"users-own-{number}", owner=platform.user)
    stranger = await platform.put_app("a-strangers", owner="somebody@example.org")
    stranger.set_config({"FALSEWORK_RUN_ID": "caption-000001"})
    team = await platform.put_app("teams", owner="lab@herokumanager.com", team=platform.team)
    team.set_config({"FALSEWORK_RUN_ID": "caption-000002"})
    odd = await platform.put_app("odd", owner=platform.user)
    odd.set_config({"FALSEWORK_RUN_ID": "../../etc"})
    await platform.put_app("fw-caption-000003", owner=platform.user)
    found = await HerokuArchitect().leftovers()
    assert {(one.run_id, one.name) for one in found} == {
        (served.run_id, f"fw-{served.run_id}"),
        ("caption-000002", "teams"),
        ("caption-000003", "fw-caption-000003"),
    }
    assert {one.kind for one in found} == {APP}


@pytest.mark.parametrize("name", ["fw-caption-000003", "fw-caption-000003-05d1"])
async def test_an_unmarked_leftover_is_taken_down_by_its_name_alone(
    platform: HerokuPlatform, tmp_path: Path, name: str
) -> None:
    await platform.put_app(name, owner=platform.user)
    (found,) = await HerokuArchitect().leftovers()
    site = replace(new_site(tmp_path), run_id=found.run_id, resources=[Resource(found.kind, found.name)], token="")
    await HerokuArchitect().shutdown(site)
    assert not platform.apps


# Taking down


async def test_what_may_not_be_deleted_is_told(platform: HerokuPlatform, served: Site) -> None:
    app = app_of(platform, served)
    app.owner, app.collaborators = "somebody@example.org", {platform.user}
    with pytest.raises(ShutdownFailed) as failed:
        await HerokuArchitect().shutdown(served)
    assert "permission to delete" in str(failed.value.exceptions[0])
    assert served.standing(APP)
    app.owner = platform.user
    await HerokuArchitect().shutdown(served)


async def test_an_app_that_became_another_runs_is_left_alone(platform: HerokuPlatform, served: Site) -> None:
    app = app_of(platform, served)
    app.set_config({"FALSEWORK_RUN_ID": "caption-ffffff"})
    await HerokuArchitect().shutdown(served)
    assert list(platform.apps) == [app.name]
    assert served.standing(APP) == []


async def test_an_app_whose_mark_was_taken_off_is_known_by_its_id(platform: HerokuPlatform, served: Site) -> None:
    app_of(platform, served).set_config({"FALSEWORK_RUN_ID": None})
    await HerokuArchitect().shutdown(served)
    assert not platform.apps


async def test_nothing_of_what_was_shipped_stays_in_the_runs_directory(platform: HerokuPlatform, served: Site) -> None:
    archive = served.directory / ARCHIVE
    assert archive.stat().st_mode & 0o777 == 0o600
    await HerokuArchitect().cleanup(served)
    await HerokuArchitect().cleanup(served)
    assert not archive.exists()


async def test_a_channel_needs_a_deployed_run(site: Site) -> None:
    with pytest.raises(ValueError, match="once the run is deployed"):
        HerokuArchitect().get_channels(site, Ears())


async def test_without_a_login_nothing_is_made_and_it_says_how_to_log_in(
    platform: HerokuPlatform, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_out(monkeypatch, tmp_path)
    with pytest.raises(ArchitectError, match="heroku login"):
        await up(site)
    assert site.resources == []
