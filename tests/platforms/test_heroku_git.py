"""Pushing by git, over https, with the token as password."""

from __future__ import annotations

from pathlib import Path

import pytest

from .heroku import HerokuPlatform
from .pushing import Api, Checkout, app_files

pytestmark = pytest.mark.slow  # real processes start


@pytest.fixture
def checkout(platform: HerokuPlatform, tmp_path: Path) -> Checkout:
    return Checkout(platform, tmp_path / "checkout")


async def test_a_push_to_main_is_built_and_runs(api: Api, checkout: Checkout) -> None:
    app = await api.create("app-1")
    await checkout.commit(app_files())
    status, said = await checkout.push(app)
    assert status == 0
    assert "remote:        Procfile declares types -> web" in said
    assert (await api.who(app))["environment"]["DYNO"] == "web.1"

    assert "Everything up-to-date" in (await checkout.push(app))[1]
    assert len(api.platform.builds.of(app)) == 1


async def test_a_push_that_cannot_be_built_is_refused_and_may_be_repeated(api: Api, checkout: Checkout) -> None:
    app = await api.create("app-1")
    await checkout.commit({"requirements.txt": ""})
    for _ in range(2):
        status, said = await checkout.push(app)
        assert status == 1
        assert "there is no Procfile" in said
        assert "pre-receive hook declined" in said


async def test_a_push_to_another_branch_is_kept_and_not_built(api: Api, checkout: Checkout) -> None:
    app = await api.create("app-1")
    await checkout.commit(app_files())
    status, said = await checkout.push(app, "main:draft")
    assert (status, "skipping build" in said) == (0, True)
    assert not app.dynos


async def test_a_push_needs_the_token_and_an_app(platform: HerokuPlatform, api: Api, checkout: Checkout) -> None:
    app = await api.create("app-1")
    strange = await platform.put_app("strange-1", owner="stranger@example.com")
    await checkout.commit(app_files())
    assert "Authentication failed" in (await checkout.push(app, token="wrong"))[1]
    assert "403" in (await checkout.push(strange))[1]
    await api.ask("DELETE", "/apps/app-1")
    assert "not found" in (await checkout.push(app))[1]


@pytest.mark.parametrize("drop, builds", [("before", 0), ("after", 1)])
async def test_a_push_may_break(platform: HerokuPlatform, api: Api, checkout: Checkout, drop: str, builds: int) -> None:
    app = await api.create("app-1")
    await checkout.commit(app_files())
    platform.faults.inject("POST /{app}.git/git-receive-pack", drop=drop, times=None)  # git tries again
    assert (await checkout.push(app))[0] != 0
    assert len(platform.builds.of(app)) == builds
