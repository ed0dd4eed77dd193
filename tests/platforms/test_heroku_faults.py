"""Faults: each happens where it was injected, as often as it was asked for, and does or does not do the deed."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from .heroku import HerokuPlatform
from .pushing import NO_TYPE, Api

LOST = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)


async def test_a_refusal_happens_once_and_changes_nothing(platform: HerokuPlatform, api: Api) -> None:
    platform.faults.inject("POST /apps", status=429, retry_after=2)
    async with api.session.post(platform.api_url + "/apps", json={"name": "app-1"}, headers=api.headers) as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "2")
        assert (await response.json())["id"] == "rate_limit"
    assert not platform.apps
    await api.create("app-1")


async def test_a_refusal_may_be_a_page(platform: HerokuPlatform, api: Api) -> None:
    platform.faults.inject("GET /apps", status=503, html=True, times=2, skip=1)
    statuses = []
    for _ in range(4):
        async with api.session.get(platform.api_url + "/apps", headers=api.headers) as response:
            statuses.append((response.status, response.content_type))
    assert statuses == [(200, "application/json"), *[(503, "text/html")] * 2, (200, "application/json")]


@pytest.mark.parametrize("drop, made", [("before", []), ("after", ["app-1"])])
async def test_a_reply_is_lost_before_or_after_the_deed(
    platform: HerokuPlatform, api: Api, drop: str, made: list[str]
) -> None:
    platform.faults.inject("POST /apps", drop=drop)
    with pytest.raises(LOST):
        await api.ask("POST", "/apps", {"name": "app-1"})
    assert list(platform.apps) == made
    assert platform.calls[-1].status == 0


async def test_a_lie_says_done_and_does_nothing(platform: HerokuPlatform, api: Api) -> None:
    await api.create("app-1")
    platform.faults.inject("DELETE /apps/{app}", status=200, body={})
    assert await api.ask("DELETE", "/apps/app-1") == (200, {})
    assert "app-1" in platform.apps


async def test_what_is_done_late_is_done_though_nobody_waits(platform: HerokuPlatform, api: Api) -> None:
    platform.faults.inject("POST /apps", delay=0.1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await api.ask("POST", "/apps", {"name": "app-1"})
    assert not platform.apps
    while not platform.calls:
        await api.ask("GET", "/account")
    while "app-1" not in platform.apps:
        await api.ask("GET", "/account")


async def test_what_is_held_back_is_done_at_once(platform: HerokuPlatform, api: Api) -> None:
    platform.faults.inject("POST /apps", hold=60)
    asking = asyncio.create_task(api.ask("POST", "/apps", {"name": "app-1"}))
    while "app-1" not in platform.apps:
        await api.ask("GET", "/account")
    assert not asking.done()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)


async def test_an_upload_may_be_lost_after_it_arrived(platform: HerokuPlatform, api: Api) -> None:
    _, source = await api.ask("POST", "/sources")
    platform.faults.inject("PUT /sources/{source}", drop="after", times=2)  # the client tries again once
    with pytest.raises(LOST):
        await api.session.put(source["source_blob"]["put_url"], data=b"a source", skip_auto_headers=NO_TYPE)
    async with api.session.get(source["source_blob"]["get_url"]) as response:
        assert await response.read() == b"a source"


@pytest.mark.slow
async def test_the_front_door_has_faults_too(platform: HerokuPlatform, api: Api) -> None:
    app = await api.create("app-1")
    await api.run(app)
    platform.faults.inject("* web_url", status=503)
    async with api.session.get(app.web_url) as response:
        assert response.status == 503
    for drop, seen in (("before", False), ("after", True)):
        platform.faults.inject("* web_url", drop=drop, times=None)
        with pytest.raises(LOST):
            await api.who(app)
        platform.faults.clear()
        assert any('path="/"' in line for line in app.log.lines) is seen


async def test_every_endpoint_can_fail(platform: HerokuPlatform) -> None:
    for endpoint in platform.endpoints:
        platform.faults.inject(endpoint, status=503)
    with pytest.raises(ValueError, match="is no endpoint"):
        platform.faults.inject("GET /nothing", status=503)
