"""The real command-line client of Heroku, pointed at the stand-in."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from .heroku import HerokuPlatform
from .heroku_client import HerokuClient
from .pushing import Api, Checkout, app_files

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # the first of them installs the client


@pytest.fixture
async def heroku(platform: HerokuPlatform, tmp_path: Path) -> HerokuClient:
    return await asyncio.to_thread(HerokuClient, platform, tmp_path / "home")


async def test_it_is_logged_in_and_nobody_else_is_asked(platform: HerokuPlatform, heroku: HerokuClient) -> None:
    answer = await heroku.run("auth:whoami")
    assert (answer.status, answer.out.strip()) == (0, platform.user)
    answer = await heroku.run("auth:token")
    assert answer.out.strip() == platform.token


async def test_it_lists_an_app_reads_its_logs_and_destroys_it(api: Api, heroku: HerokuClient) -> None:
    app = await api.create("app-1")
    await api.run(app)
    await api.who(app)
    assert "app-1" in (await heroku.run("apps")).out.split()
    assert "app[web.1]: the echo is about to listen" in (await heroku.run("logs", "--app", "app-1")).out

    answer = await heroku.run("apps:destroy", "--app", "app-1", "--confirm", "app-1")

    assert answer.status == 0, answer.error
    assert not api.platform.apps
    assert (await heroku.run("apps:info", "--app", "app-1")).status == 2


async def test_it_makes_and_scales_and_restarts_what_the_api_shows(api: Api, heroku: HerokuClient) -> None:
    answer = await heroku.run("apps:create", "app-1")
    assert answer.status == 0, answer.error
    app = api.platform.apps["app-1"]
    await api.run(app)
    assert (await heroku.run("config:set", "COLOUR=green", "--app", "app-1")).status == 0
    assert (await heroku.run("ps:scale", "web=2", "--app", "app-1")).status == 0
    assert app.config_vars == {"COLOUR": "green"}
    assert [dyno.name for dyno in app.running()] == ["web.1", "web.2"]
    assert "Name app-1 is already taken" in (await heroku.run("apps:create", "app-1")).error


async def test_git_pushes_through_its_credentials(api: Api, heroku: HerokuClient, tmp_path: Path) -> None:
    app = await api.create("app-1")
    checkout = Checkout(api.platform, tmp_path / "checkout")
    await checkout.commit(app_files())
    assert (await heroku.run("git:remote", "--app", "app-1", cwd=checkout.directory)).status == 0

    pushed = await heroku.execute("git", "push", "heroku", "main", cwd=checkout.directory)

    assert pushed.status == 0, pushed.error
    assert (await api.who(app))["environment"]["DYNO"] == "web.1"
