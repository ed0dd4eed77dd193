"""The front door: what passes through it, where it leads, and what it closes."""

from __future__ import annotations

import io

import aiohttp
import pytest
from aiohttp import WSMsgType

from .heroku import HerokuPlatform
from .pushing import Api

FIVE_MEGABYTES = 5_000_000

pytestmark = pytest.mark.slow  # real processes start


async def test_requests_and_answers_pass_whole(api: Api) -> None:
    app = await api.create("app-1")
    await api.run(app)
    async with api.session.post(app.web_url + "size", data=io.BytesIO(b"x" * FIVE_MEGABYTES)) as response:
        assert await response.text() == str(FIVE_MEGABYTES)
    headers = (await api.who(app, headers={"X-Own": "kept"}))["headers"]
    assert headers["X-Own"] == "kept"
    assert headers["X-Forwarded-For"] == "127.0.0.1"
    assert headers["Host"] == app.web_url.split("/")[2]


async def test_a_websocket_passes_both_ways(api: Api) -> None:
    app = await api.create("app-1")
    await api.run(app)
    async with api.session.ws_connect(app.web_url + "socket") as socket:
        for number in range(3):
            await socket.send_str(f"word {number}")
            assert await socket.receive_str() == f"web.1 word {number}"
    assert "status=101" in await app.log.until("/socket")


async def test_the_host_header_leads_to_an_app_on_the_first_port(platform: HerokuPlatform, api: Api) -> None:
    app = await api.create("app-1")
    await api.run(app)
    _, domains = await api.ask("GET", "/apps/app-1/domains")
    host = {"Host": domains[0]["hostname"]}
    async with api.session.get(f"http://127.0.0.1:{platform.front_door.port}/", headers=host) as response:
        assert response.status == 200
    async with api.session.get(f"http://127.0.0.1:{platform.front_door.port}/") as response:
        assert response.status == 404


async def test_an_app_that_is_gone_is_no_such_app(api: Api) -> None:
    app = await api.create("app-1")
    await api.ask("DELETE", "/apps/app-1")
    async with api.session.get(app.web_url) as response:
        assert (response.status, "No such app" in await response.text()) == (404, True)


async def test_an_idle_connection_is_closed(platform: HerokuPlatform, api: Api) -> None:
    platform.settings.idle_limit = 0.3
    app = await api.create("app-1")
    await api.run(app)
    async with api.session.ws_connect(app.web_url + "socket") as socket:
        await socket.send_str("a word")
        assert await socket.receive_str() == "web.1 a word"
        assert (await socket.receive()).type in (WSMsgType.CLOSED, WSMsgType.CLOSE, WSMsgType.ERROR)
    assert await app.log.until("code=H15")


async def test_what_does_not_answer_in_time_is_refused(platform: HerokuPlatform, api: Api) -> None:
    platform.settings.request_limit = 0.2
    app = await api.create("app-1")
    await api.run(app, "immortal")
    async with api.session.get(app.web_url) as response:
        assert response.status == 503
    assert await app.log.until("code=H12")


async def test_connections_break_when_the_dyno_ends_or_the_platform_wants(platform: HerokuPlatform, api: Api) -> None:
    app = await api.create("app-1")
    await api.run(app)
    async with api.session.ws_connect(app.web_url + "socket") as socket:
        app.running()[0].kill()
        assert (await socket.receive()).type in (WSMsgType.CLOSED, WSMsgType.CLOSE, WSMsgType.ERROR)
    await app.log.until("State changed from crashed to starting")
    async with api.session.ws_connect(app.web_url + "socket") as socket:
        platform.front_door.cut(app)
        assert (await socket.receive()).type in (WSMsgType.CLOSED, WSMsgType.CLOSE, WSMsgType.ERROR)


@pytest.mark.parametrize("sticky", [False, True])
async def test_a_browser_stays_with_a_dyno_only_with_affinity(api: Api, sticky: bool) -> None:
    app = await api.create("app-1")
    await api.ask("PATCH", "/apps/app-1/features/http-session-affinity", {"enabled": sticky})
    await api.run(app)
    await api.ask("PATCH", "/apps/app-1/formation", {"updates": [{"type": "web", "quantity": 2}]})
    assert all([await dyno.is_up() for dyno in app.running()])
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        seen = []
        for _ in range(4):
            async with browser.get(app.web_url) as response:
                seen.append((await response.json())["environment"]["DYNO"])
    assert len(set(seen)) == (1 if sticky else 2)
