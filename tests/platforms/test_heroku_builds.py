"""Builds: what is pushed is what runs, or it is refused with a reason."""

from __future__ import annotations

import pytest

from .heroku import HerokuPlatform
from .pushing import NO_TYPE, Api, app_files, tar_gz


@pytest.mark.slow
async def test_what_is_pushed_runs(api: Api) -> None:
    app = await api.create("app-1")
    status, output = await api.push(app, app_files())
    assert status == "succeeded"
    assert "Procfile declares types -> web" in output
    said = await api.who(app)
    assert said["environment"]["DYNO"] == "web.1"
    assert (await api.ask("GET", "/apps/app-1/formation"))[1][0]["quantity"] == 1


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"Procfile": None}, "there is no Procfile"),
        ({"Procfile": "nothing here"}, "names no process"),
        ({"requirements.txt": None}, "No default language could be detected"),
        ({"requirements.txt": "no-such-package == 1\n"}, "No matching distribution found for no-such-package == 1"),
        ({"requirements.txt": "aiohttp < 1\n"}, "No matching distribution found for aiohttp < 1"),
        ({"requirements.txt": None, "package.json": '{"dependencies": {"ws": "8"}}'}, "ws is not in node_modules"),
        ({"requirements.txt": None, "package.json": "{"}, "JSON.parse"),
    ],
)
async def test_what_could_not_run_is_not_built(api: Api, change: dict[str, str | None], reason: str) -> None:
    app = await api.create("app-1")
    files = {name: text for name, text in (app_files() | change).items() if text is not None}
    status, output = await api.push(app, files)
    assert status == "failed"
    assert reason in output
    assert " !     Push failed" in output
    assert not app.dynos


async def test_a_build_fails_when_told_to_and_the_next_one_does_not(platform: HerokuPlatform, api: Api) -> None:
    app = await api.create("app-1")
    platform.builds.script("Collecting patience", "ERROR: none found", fails=True)
    status, output = await api.push(app, app_files())
    assert (status, "ERROR: none found" in output) == ("failed", True)
    assert (await api.push(app, app_files()))[0] == "succeeded"


async def test_a_build_takes_its_time_and_ends_with_the_platform(platform: HerokuPlatform, api: Api) -> None:
    app = await api.create("app-1")
    platform.builds.script(seconds=60)
    build = await api.start_build(app, app_files())
    assert (await api.ask("GET", f"/apps/app-1/builds/{build['id']}"))[1]["status"] == "pending"


async def test_an_app_that_was_deleted_during_its_build_does_not_come_back(platform: HerokuPlatform, api: Api) -> None:
    app = await api.create("app-1")
    platform.builds.script(seconds=0.1)
    build = await api.start_build(app, app_files())
    await api.ask("DELETE", "/apps/app-1")
    assert " !     No such app" in await api.output(build)
    assert app.dynos == []


async def test_a_source_is_put_as_its_signature_says(api: Api) -> None:
    _, source = await api.ask("POST", "/sources")
    url = source["source_blob"]["put_url"]
    async with api.session.put(url, data=b"x") as response:
        assert response.status == 403

    async def stream() -> object:
        yield tar_gz({})

    async with api.session.put(url, data=stream(), skip_auto_headers=NO_TYPE) as response:
        assert response.status == 501


async def test_a_source_that_is_no_archive_is_refused(api: Api) -> None:
    await api.create("app-1")
    _, build = await api.ask(
        "POST", "/apps/app-1/builds", {"source_blob": {"url": f"{api.platform.api_url}/sources/none"}}
    )
    assert "the source cannot be had: status 404" in await api.output(build)
    assert (await api.ask("POST", "/apps/app-1/builds", {}))[0] == 422
