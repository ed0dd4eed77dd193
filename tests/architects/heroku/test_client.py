"""The real command-line client beside falsework: it sees what falsework made, and may destroy it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from falsework.architects.heroku.architect import HerokuArchitect
from falsework.architects.heroku.credentials import find_token
from falsework.engine.contract.architect import Presence, Site

from ...platforms.heroku import HerokuPlatform
from ...platforms.heroku_client import HerokuClient
from .trials import (  # noqa: F401
    app_of,
    assert_down,
    new_site,
    platform,
    served,
    site,
    up,
)

# ruff: noqa: F811  (pytest's fixtures)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # the first of them installs the client


@pytest.fixture
async def client(platform: HerokuPlatform, tmp_path: Path) -> HerokuClient:
    return await asyncio.to_thread(HerokuClient, platform, tmp_path / "home-of-client")


async def test_it_lists_the_app_reads_its_log_and_destroys_it_and_then_there_is_nothing_to_do(
    platform: HerokuPlatform, client: HerokuClient, served: Site
) -> None:
    name = app_of(platform, served).name
    assert name in (await client.run("apps")).out.split()
    assert f"--run-id={served.run_id}" in (await client.run("logs", "--app", name)).out
    assert "FALSEWORK_RUN_ID" in (await client.run("config", "--app", name)).out

    destroyed = await client.run("apps:destroy", "--app", name, "--confirm", name)

    assert destroyed.status == 0, destroyed.error
    assert await HerokuArchitect().probe(served) is Presence.GONE
    await HerokuArchitect().shutdown(served)
    await assert_down(platform, served)


async def test_its_own_login_is_falseworks(
    platform: HerokuPlatform, client: HerokuClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By netrc, as `heroku login` writes it, and by the client itself; git pushes with it too."""
    monkeypatch.delenv("HEROKU_API_KEY")
    for name in ("HOME", "PATH", "HEROKU_HOST", "HEROKU_GIT_HOST", "HEROKU_PARTICLEBOARD_URL"):
        monkeypatch.setenv(name, client.environment[name])
    netrc = client.home / ".netrc"
    netrc.write_text(
        "".join(
            f"machine {machine}\n  login {platform.user}\n  password {platform.token}\n"
            for machine in (platform.api_url.partition("//")[2], platform.git.host)
        )
    )
    netrc.chmod(0o600)
    assert await find_token(platform.api_url) == platform.token
    site = new_site(tmp_path, push="git")
    await up(site)
    await HerokuArchitect().shutdown(site)
    await assert_down(platform, site)


async def test_what_only_the_client_knows_is_asked_of_it(
    platform: HerokuPlatform, client: HerokuClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrapper holds the login, as a keychain does."""
    monkeypatch.delenv("HEROKU_API_KEY")
    for name, value in client.environment.items():
        if name != "HEROKU_API_KEY":
            monkeypatch.setenv(name, value)
    wrapper = client.home / "keychain" / "heroku"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\nHEROKU_API_KEY={platform.token} exec "{client.home}/bin/heroku" "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper.parent}:{client.environment['PATH']}")
    assert await find_token(platform.api_url) == platform.token
