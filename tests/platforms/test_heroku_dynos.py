"""Dynos: real processes that come, crash, are restarted and go, each on an empty disk."""

from __future__ import annotations

import os
from pathlib import Path

import aiohttp
import pytest

from ..tools import need
from .heroku import HerokuPlatform
from .pushing import Api, app_files

pytestmark = pytest.mark.slow  # real processes start


@pytest.mark.decisive
async def test_a_dyno_knows_its_port_and_its_config_vars_and_nothing_else(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OURS_ALONE", "1")
    app = await api.create("app-1")
    await api.ask("PATCH", "/apps/app-1/config-vars", {"COLOUR": "green"})
    await api.run(app)
    environment = (await api.who(app))["environment"]
    assert environment["COLOUR"] == "green"
    assert environment["PORT"] == str(app.running()[0].port)
    assert "OURS_ALONE" not in environment


async def test_every_start_is_on_an_empty_disk(api: Api) -> None:
    app = await api.create("app-1")
    await api.run(app)
    first = await api.who(app)
    assert not first["seen"]
    assert (await api.who(app))["seen"]

    assert (await api.ask("DELETE", "/apps/app-1/dynos"))[0] == 202

    second = await api.who(app)
    assert not second["seen"]
    assert second["pid"] != first["pid"]


async def test_a_change_of_config_vars_restarts_what_runs(api: Api) -> None:
    app = await api.create("app-1")
    await api.run(app)
    first = await api.who(app)
    await api.ask("PATCH", "/apps/app-1/config-vars", {"COLOUR": "red"})
    second = await api.who(app)
    assert second["environment"]["COLOUR"] == "red"
    await api.ask("PATCH", "/apps/app-1/config-vars", {"COLOUR": "red"})
    assert (await api.who(app))["pid"] == second["pid"] != first["pid"]


async def test_a_dyno_that_ends_by_itself_has_crashed_and_comes_back(api: Api) -> None:
    app = await api.create("app-1")
    await api.run(app)
    first = await api.who(app)
    async with api.session.post(app.web_url + "crash") as response:
        assert response.status == 503
    await app.log.until("State changed from crashed to starting")
    second = await api.who(app)
    assert second["pid"] != first["pid"]
    assert not second["seen"]
    assert app.running()[0].died == 1


async def test_a_dyno_that_is_killed_comes_back(api: Api) -> None:
    app = await api.create("app-1")
    await api.run(app)
    first = await api.who(app)
    app.running()[0].kill()
    await app.log.until("Process exited with status 137")
    await app.log.until("State changed from crashed to starting")
    assert (await api.who(app))["pid"] != first["pid"]


async def test_what_ignores_sigterm_is_killed_after_the_grace(platform: HerokuPlatform, api: Api) -> None:
    platform.settings.stop_grace = 0.1
    app = await api.create("app-1")
    await api.run(app, "immortal")
    await app.running()[0].is_up()
    await api.ask("DELETE", "/apps/app-1")
    await app.gone()
    assert any("Error R12" in line for line in app.log.lines)
    assert any("Process exited with status 137" in line for line in app.log.lines)


async def test_what_listens_on_the_loopback_only_is_never_reached(platform: HerokuPlatform, api: Api) -> None:
    platform.settings.boot_limit = 1.0
    app = await api.create("app-1")
    await api.run(app, arguments="--loopback")
    async with api.session.get(app.web_url) as response:
        assert response.status == 503
    assert await app.log.until("Error R10")


async def test_scaling_starts_and_ends_dynos(api: Api) -> None:
    app = await api.create("app-1")
    assert (await api.ask("PATCH", "/apps/app-1/formation", {"updates": [{"type": "web", "quantity": 1}]}))[0] == 404
    await api.run(app)
    await scale(api, quantity=2, size="standard-1x")
    _, dynos = await api.ask("GET", "/apps/app-1/dynos")
    assert [(dyno["name"], dyno["size"]) for dyno in dynos] == [("web.1", "Standard-1x"), ("web.2", "Standard-1x")]

    await scale(api, quantity=0)

    await app.gone()
    assert (await api.ask("GET", "/apps/app-1/dynos"))[1] == []
    async with api.session.get(app.web_url) as response:
        assert response.status == 503
    assert await app.log.until("code=H14")
    assert (await api.ask("PATCH", "/apps/app-1/formation", {"updates": [{"type": "web", "size": "huge"}]}))[0] == 422


async def test_a_deleted_app_leaves_no_process(platform: HerokuPlatform, api: Api) -> None:
    app = await api.create("app-1")
    await api.run(app)
    pid = (await api.who(app))["pid"]
    await api.ask("DELETE", "/apps/app-1")
    await app.gone()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_logs_are_an_event_stream(api: Api) -> None:
    app = await api.create("app-1")
    await api.run(app)
    await api.who(app)
    _, session = await api.ask("POST", "/apps/app-1/log-sessions", {"lines": 100, "source": "app", "dyno": "web.1"})
    async with api.session.get(session["logplex_url"]) as stream:
        text = await stream.text()
    assert "app[web.1]: the echo is about to listen\n\n" in text
    assert "heroku[" not in text


async def test_logs_are_followed_until_the_app_is_gone(api: Api) -> None:
    app = await api.create("app-1")
    _, session = await api.ask("POST", "/apps/app-1/log-sessions", {"tail": True})
    async with api.session.get(session["logplex_url"]) as stream:
        await api.run(app)
        await api.who(app)
        await api.ask("DELETE", "/apps/app-1")
        await app.gone()
        text = await stream.text()
    assert "State changed from starting to up" in text
    assert "Process exited with status" in text


async def test_leaving_the_platform_ends_everything_at_once(tmp_path: Path) -> None:
    need("openssl", "git")
    async with HerokuPlatform(tmp_path) as platform, aiohttp.ClientSession() as session:
        api = Api(platform, session)
        app = await api.create("app-1")
        await api.push(app, app_files("immortal"))
        dyno = app.running()[0]
        assert await dyno.is_up()
    assert list(tmp_path.iterdir()) == []


async def scale(api: Api, **update: object) -> None:
    assert (await api.ask("PATCH", "/apps/app-1/formation", {"updates": [{"type": "web", **update}]}))[0] == 200
