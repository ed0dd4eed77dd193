"""What is looked at before anything is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from falsework.architects.heroku.architect import HerokuArchitect
from falsework.engine.contract.architect import Site
from falsework.engine.errors import ConfigError, Problem

from ...platforms.heroku import HerokuPlatform
from .trials import (  # noqa: F401
    args,
    log_out,
    platform,
    site,
)

# ruff: noqa: F811  (pytest's fixtures)


async def problems(site: Site, **settings: Any) -> list[Problem]:
    with pytest.raises(ConfigError) as refused:
        await HerokuArchitect.assert_task_args(args(**settings), site.task)
    return list(refused.value.problems)


async def only_problem(site: Site, **settings: Any) -> tuple[str, str]:
    (problem,) = await problems(site, **settings)
    return problem.key or "", problem.message


async def test_what_is_good_is_accepted_and_nothing_is_made(platform: HerokuPlatform, site: Site) -> None:
    good = args(heroku_team=platform.team, heroku_app_name="my-study", push="git", heroku_config_args={"A": 1})
    await HerokuArchitect.assert_task_args(good, site.task)
    await HerokuArchitect.assert_task_args(args(), site.task)
    assert not platform.apps
    assert {call.endpoint.partition(" ")[0] for call in platform.calls} == {"GET"}


async def test_a_token_that_is_not_valid_is_told(
    platform: HerokuPlatform, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEROKU_API_KEY", "HRKU-old")
    key, message = await only_problem(site)
    assert key == "architect.type"
    assert "401" in message
    assert "log in again (heroku login)" in message
    assert "HRKU-old" not in message


async def test_no_login_is_told(
    platform: HerokuPlatform, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_out(monkeypatch, tmp_path)
    assert "nobody is logged in" in (await only_problem(site))[1]


async def test_a_heroku_that_is_not_there_is_told(
    platform: HerokuPlatform, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEROKU_HOST", "http://127.0.0.1:9")
    assert "Heroku did not answer GET /account" in (await only_problem(site))[1]


async def test_an_account_that_may_make_no_apps_is_told_unless_a_team_makes_them(
    platform: HerokuPlatform, site: Site
) -> None:
    platform.settings.verified = False
    assert "https://heroku.com/verify" in (await only_problem(site))[1]
    await HerokuArchitect.assert_task_args(args(heroku_team=platform.team), site.task)


async def test_a_team_that_is_not_the_accounts_is_told_with_those_that_are(
    platform: HerokuPlatform, site: Site
) -> None:
    assert await only_problem(site, heroku_team="labs") == (
        "architect.heroku_team",
        f"{platform.user} is in no team 'labs'; its teams: lab",
    )


@pytest.mark.parametrize("owner", ["researcher@example.com", "somebody@example.org"])
async def test_a_name_that_is_taken_is_told(platform: HerokuPlatform, site: Site, owner: str) -> None:
    await platform.put_app("my-study", owner=owner)
    key, message = await only_problem(site, heroku_app_name="my-study")
    assert key == "architect.heroku_app_name"
    assert "deletes only what it made itself" in message


async def test_everything_that_is_wrong_is_told_at_once(platform: HerokuPlatform, site: Site, tmp_path: Path) -> None:
    wrong = {
        "heroku_app_name": "My Study",
        "heroku_config_args": {"PORT": 1},
        "limits": {"wings": 2},
        "router": "node",
        "node": str(tmp_path / "no-node"),
        "heroku_team": "labs",
    }
    found = {problem.key for problem in await problems(site, **wrong)}
    assert found >= {f"architect.{name}" for name in wrong if name != "router"}
