"""Every fault at every endpoint that a deploy meets: it goes through, or it says why not; and then nothing is left."""

from __future__ import annotations

from typing import Any

import pytest
from falsework.architects.heroku.architect import HerokuArchitect
from falsework.engine.contract.architect import Presence, Site
from falsework.engine.errors import DeployFailed, TransientError

from ...platforms.heroku import HerokuPlatform
from .trials import (  # noqa: F401
    args,
    assert_down,
    platform,
    site,
    up,
)

# ruff: noqa: F811  (pytest's fixtures)

pytestmark = pytest.mark.slow

ASKED = [
    "GET /account",
    "GET /apps/{app}",
    "POST /apps",
    "PATCH /apps/{app}/config-vars",
    "PATCH /apps/{app}/features/{feature}",
    "POST /sources",
    "PUT /sources/{source}",
    "GET /apps/{app}/builds",
    "POST /apps/{app}/builds",
    "GET /apps/{app}/builds/{build}",
    "PATCH /apps/{app}/formation",
]
"""What a deploy cannot do without."""
LOOKED_AT = ["GET /streams/{build}", "* web_url"]
"""What it looks at for as long as it takes."""
ON_THE_WAY_DOWN = ["GET /apps/{app}", "GET /apps/{app}/config-vars", "DELETE /apps/{app}"]

BELIEVED = ["* web_url", "PUT /sources/{source}", "GET /streams/{build}"]
"""Where any answer is one: they do not speak Heroku's JSON."""

PASSING = {
    "503 as HTML": {"status": 503, "html": True},
    "429 with Retry-After": {"status": 429, "retry_after": 0.1},
    "lost before it was done": {"drop": "before"},
    "lost after it was done": {"drop": "after"},
    "an answer that is not Heroku's": {"status": 200, "body": {"welcome": "to the hotel's network"}},
}
LASTING = {
    "503": ({"status": 503, "times": None}, TransientError),
    "a long 429": ({"status": 429, "retry_after": 60, "times": None}, TransientError),
    "lost": ({"drop": "before", "times": None}, TransientError),
    "403": ({"status": 403, "times": None}, DeployFailed),
}

A_STRANGERS = ("GET /apps/{app}", "403")
"""Hinders nothing: the name is somebody else's, and another is chosen."""
HINDRANCES = [(endpoint, kind) for endpoint in ASKED for kind in LASTING if (endpoint, kind) != A_STRANGERS]


def endpoints_of(platform: HerokuPlatform) -> set[str]:
    return {call.endpoint for call in platform.calls}


async def test_these_are_the_endpoints(platform: HerokuPlatform, site: Site) -> None:
    await up(site)
    looked_at = {"GET /apps/{app}/dynos", "GET /sources/{source}", *LOOKED_AT}
    assert endpoints_of(platform) - looked_at == set(ASKED)
    platform.calls.clear()
    await HerokuArchitect().shutdown(site)
    assert endpoints_of(platform) == set(ON_THE_WAY_DOWN)


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
async def test_a_deploy_goes_through_if_each_endpoint_fails_once(
    platform: HerokuPlatform, site: Site, fault: dict[str, Any]
) -> None:
    site.args = args(request_timeout=2.0)
    for endpoint in [*ASKED, *LOOKED_AT]:
        if "body" not in fault or endpoint not in BELIEVED:
            platform.faults.inject(endpoint, **fault)
    await up(site)
    assert len(platform.apps) == 1
    assert len(platform.builds.all) == 1
    assert await HerokuArchitect().probe(site) is Presence.UP
    await take_down(platform, site)


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
async def test_it_comes_down_if_each_endpoint_fails_once(
    platform: HerokuPlatform, site: Site, fault: dict[str, Any]
) -> None:
    site.args = args(request_timeout=2.0)
    await up(site)
    for endpoint in ON_THE_WAY_DOWN:
        platform.faults.inject(endpoint, **fault)
    await take_down(platform, site)


@pytest.mark.parametrize("endpoint, kind", HINDRANCES)
async def test_a_deploy_that_an_endpoint_keeps_from_going_on_says_so_and_leaves_nothing(
    platform: HerokuPlatform, site: Site, endpoint: str, kind: str
) -> None:
    fault, expected = LASTING[kind]
    site.args = args(request_timeout=1.0)
    platform.faults.inject(endpoint, **fault)
    with pytest.raises(expected) as failed:
        await up(site)
    assert type(failed.value).__mro__.index(expected) < 3
    assert endpoint.split()[0] in str(failed.value) or endpoint.startswith("PUT")
    platform.faults.clear()
    await take_down(platform, site)


async def test_an_engine_that_is_told_to_come_back_later_knows_when(platform: HerokuPlatform, site: Site) -> None:
    platform.faults.inject("POST /sources", status=429, retry_after=60)
    with pytest.raises(TransientError) as told:
        await up(site)
    assert told.value.retry_after == 60
    await take_down(platform, site)


@pytest.mark.parametrize("fault", [{"delay": 0.8}, {"hold": 0.8}], ids=["done late", "answered late"])
async def test_what_is_done_after_nobody_waited_any_more_makes_nothing_twice(
    platform: HerokuPlatform, site: Site, fault: dict[str, Any]
) -> None:
    site.args = args(request_timeout=0.5)
    platform.faults.inject("POST /apps", **fault)
    await up(site)
    assert len(platform.apps) == 1
    await take_down(platform, site)


async def test_an_app_that_appears_when_its_asking_was_given_up_is_taken_down(
    platform: HerokuPlatform, site: Site
) -> None:
    """The launcher shuts down before there is anything; a look that finds nothing proves nothing."""
    site.args = args(request_timeout=0.3)
    platform.faults.inject("POST /apps", delay=0.6, times=None)
    with pytest.raises(TransientError):
        await up(site)
    await take_down(platform, site)


async def test_a_server_that_answers_nobody_is_given_up(platform: HerokuPlatform, site: Site) -> None:
    site.args = args(ready_timeout=0.5)
    platform.faults.inject("* web_url", status=503, html=True, times=None)
    with pytest.raises(TransientError, match=r"did not answer as this run within 0\.5 s .*architect\.ready_timeout"):
        await up(site)
    await take_down(platform, site)


async def test_a_server_that_dies_of_itself_is_noticed_at_once(platform: HerokuPlatform, site: Site) -> None:
    site.args = args(ready_timeout=60.0)
    platform.settings.crash_wait = 5.0
    architect = HerokuArchitect()
    bundle = await architect.prepare(site)
    (bundle.directory / "start.sh").write_text("echo the harbour is closed; exit 3\n")
    with pytest.raises(DeployFailed, match="dies as often as Heroku starts it"):
        await architect.deploy(site, bundle)
    assert "the harbour is closed" in "".join(await architect.log_tail(site, 20))
    await take_down(platform, site)


async def test_a_build_that_fails_is_told_with_its_last_lines(platform: HerokuPlatform, site: Site) -> None:
    platform.builds.script(*(f"line {n}" for n in range(30)), "No matching distribution found for tide", fails=True)
    with pytest.raises(DeployFailed, match="No matching distribution found for tide") as failed:
        await up(site)
    assert "line 29" in str(failed.value)
    assert "line 3\n" not in str(failed.value)
    await take_down(platform, site)


async def test_the_last_lines_of_a_build_are_had_though_the_stream_broke(platform: HerokuPlatform, site: Site) -> None:
    platform.faults.inject("GET /streams/{build}", status=404)
    platform.builds.script("the tide is out", fails=True)
    with pytest.raises(DeployFailed, match="the tide is out"):
        await up(site)
    await take_down(platform, site)


async def test_an_app_that_is_deleted_late_is_waited_for(platform: HerokuPlatform, site: Site) -> None:
    await up(site)
    platform.settings.delete_lag = 0.5
    await take_down(platform, site)


async def test_a_platform_that_lies_about_deleting_is_told_again(
    platform: HerokuPlatform, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("falsework.architects.heroku.removal.GONE_LIMIT", 0.3)
    await up(site)
    app = platform.apps[f"fw-{site.run_id}"]
    row = {"id": app.id, "name": app.name, "web_url": app.web_url, "git_url": app.git_url, "created_at": app.created_at}
    platform.faults.inject("DELETE /apps/{app}", status=200, body=row)
    with pytest.raises(ExceptionGroup) as failed:
        await HerokuArchitect().shutdown(site)
    assert "is still there" in str(failed.value.exceptions[0])
    assert len(platform.apps) == 1
    await take_down(platform, site)


async def take_down(platform: HerokuPlatform, site: Site) -> None:
    await HerokuArchitect().shutdown(site)
    await assert_down(platform, site)
    assert not platform.apps
