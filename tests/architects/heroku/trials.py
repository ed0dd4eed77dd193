"""What tests of the Heroku architect need: a stand-in where HEROKU_HOST leads, a login there, and runs."""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from falsework.architects.heroku import creation as heroku_creation
from falsework.architects.heroku.architect import HerokuArchitect
from falsework.architects.heroku.args import HerokuArgs
from falsework.architects.heroku.ownership import APP
from falsework.engine.contract.architect import Presence, Site
from falsework.engine.contract.registry import GROUP
from falsework.engine.settings.sections import TaskArgs

from ...platforms.heroku import App, HerokuPlatform, Settings
from ...tools import need

TOKEN = "a-token-that-nobody-may-see"
HURRY = Settings(stop_grace=5.0)
LATE = 0.5
"""Seconds in which the stand-in may still do what nobody waits for any more."""


@pytest.fixture
async def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[HerokuPlatform]:
    """A Heroku of the test's own, where its user is logged in."""
    need("openssl", "git")
    async with HerokuPlatform(tmp_path, replace(HURRY)) as platform:
        monkeypatch.setenv("HEROKU_HOST", platform.api_url)
        monkeypatch.setenv("HEROKU_API_KEY", platform.token)
        monkeypatch.setattr(heroku_creation, "LATE", LATE)
        monkeypatch.setenv("GIT_SSL_CAINFO", str(platform.git.certificate))
        yield platform


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A run for which nothing was done yet."""
    return new_site(tmp_path)


@pytest.fixture
async def served(platform: HerokuPlatform, site: Site) -> Site:
    """A run whose server is up."""
    await up(site)
    return site


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The architect is found by its name, in child processes too."""
    place = tmp_path / "entry-point"
    metadata = place / "heroku_of_a_test-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: heroku_of_a_test\nVersion: 1.0\n")
    entry = f"[{GROUP}]\nheroku = falsework.architects.heroku.architect:HerokuArchitect\n"
    (metadata / "entry_points.txt").write_text(entry)
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.setenv("PYTHONPATH", str(place))


def log_out(patch: pytest.MonkeyPatch, home: Path) -> None:
    """Nobody is logged in any more, and there is no client to ask."""
    patch.delenv("HEROKU_API_KEY")
    patch.setenv("HOME", str(home))
    patch.setenv("PATH", "/nowhere")


def args(**settings: Any) -> HerokuArgs:
    """Settings with little patience."""
    return HerokuArgs("heroku", **{"request_timeout": 5.0, "ready_timeout": 30.0, **settings})


def new_site(directory: Path, **settings: Any) -> Site:
    static = directory / "static"
    static.mkdir(exist_ok=True)
    (static / "index.html").write_text("<p>Hello</p>")
    task = TaskArgs(name="caption", static=static, units=directory / "units.jsonl", config={"colour": "green"})
    run_id = f"caption-{secrets.token_hex(3)}"
    place = directory / "runs" / run_id
    place.mkdir(parents=True, mode=0o700)
    return Site(run_id, args(**settings), task, place, TOKEN, logging.getLogger("test"))


async def up(site: Site) -> str:
    architect = HerokuArchitect()
    site.url = await architect.deploy(site, await architect.prepare(site))
    return site.url


def app_of(platform: HerokuPlatform, site: Site) -> App:
    """The run's app, as the platform knows it."""
    (app,) = (app for app in platform.apps.values() if app.config_vars.get("FALSEWORK_RUN_ID") == site.run_id)
    return app


async def assert_down(platform: HerokuPlatform, site: Site) -> None:
    """Nothing of the run stands, and nothing of it is recorded."""
    assert not [app for app in platform.apps.values() if app.config_vars.get("FALSEWORK_RUN_ID") == site.run_id]
    assert site.standing(APP) == []
    assert await HerokuArchitect().probe(site) is Presence.GONE
