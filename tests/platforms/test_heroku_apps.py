"""Apps as the stand-in's API shows, makes, refuses and deletes them."""

from __future__ import annotations

import pytest

from .heroku import HerokuPlatform
from .pushing import Api


async def test_an_app_is_made_shown_and_deleted(api: Api) -> None:
    status, made = await api.ask("POST", "/apps", {"name": "caption-1"})
    assert status == 201
    assert made["web_url"].startswith("http://127.0.0.1:")
    assert await api.ask("GET", "/apps/caption-1") == (200, made)
    assert await api.ask("GET", f"/apps/{made['id']}") == (200, made)

    assert (await api.ask("DELETE", "/apps/caption-1"))[0] == 200

    status, refusal = await api.ask("GET", "/apps/caption-1")
    assert (status, refusal["id"]) == (404, "not_found")
    assert (await api.ask("DELETE", "/apps/caption-1"))[0] == 404


@pytest.mark.parametrize("name", ["1st", "Caption", "a_b", "ends-", "ab", "a" * 31, 7])
async def test_a_bad_name_is_refused(api: Api, name: object) -> None:
    status, refusal = await api.ask("POST", "/apps", {"name": name})
    assert (status, refusal["id"]) == (422, "invalid_params")
    assert not api.platform.apps


async def test_a_name_is_taken_also_by_those_whom_we_do_not_see(platform: HerokuPlatform, api: Api) -> None:
    await platform.put_app("caption-1", owner="stranger@example.com")

    status, refusal = await api.ask("POST", "/apps", {"name": "caption-1"})

    assert (status, refusal["message"]) == (422, "Name caption-1 is already taken")
    assert (await api.ask("GET", "/apps/caption-1"))[0] == 403
    assert (await api.ask("DELETE", "/apps/caption-1"))[0] == 403
    assert await api.ask("GET", "/apps") == (200, [])


async def test_a_collaborator_uses_an_app_but_does_not_delete_it(platform: HerokuPlatform, api: Api) -> None:
    await platform.put_app("shared-1", owner="colleague@example.com", collaborator=True)

    assert (await api.ask("PATCH", "/apps/shared-1/config-vars", {"A": "1"}))[0] == 200
    assert [app["name"] for app in (await api.ask("GET", "/users/~/apps"))[1]] == ["shared-1"]
    assert (await api.ask("DELETE", "/apps/shared-1"))[0] == 403
    assert "shared-1" in platform.apps


async def test_a_team_has_apps_of_its_own(platform: HerokuPlatform, api: Api) -> None:
    status, made = await api.ask("POST", "/teams/apps", {"name": "team-1", "team": platform.team})
    assert (status, made["team"]["name"]) == (201, "lab")
    assert [app["name"] for app in (await api.ask("GET", "/teams/lab/apps"))[1]] == ["team-1"]
    assert await api.ask("GET", "/users/~/apps") == (200, [])
    assert (await api.ask("POST", "/teams/apps", {"name": "team-2", "team": "others"}))[0] == 404
    assert (await api.ask("DELETE", "/apps/team-1"))[0] == 200


async def test_the_account_has_its_limits(platform: HerokuPlatform, api: Api) -> None:
    platform.settings.app_limit = 1
    await api.create("first")
    status, refusal = await api.ask("POST", "/apps", {"name": "second"})
    assert (status, refusal["message"]) == (422, "You've reached the limit of 1 apps.")

    platform.settings.verified = False
    status, refusal = await api.ask("POST", "/apps", {"name": "third"})
    assert (status, refusal["id"]) == (402, "verification_required")


async def test_nobody_is_served_without_the_token_or_the_version(api: Api) -> None:
    assert (await api.ask("GET", "/account"))[0] == 200
    assert (await api.ask("GET", "/account", Authorization="Bearer wrong"))[0] == 401
    assert (await api.ask("GET", "/account", Accept="application/json"))[0] == 404
    assert (await api.ask("GET", "/no/such/endpoint"))[0] == 404


async def test_long_lists_come_in_pages(platform: HerokuPlatform, api: Api) -> None:
    platform.settings.page_size = 2
    names = [(await api.create(f"app-{number}")).name for number in range(5)]
    found: list[str] = []
    asked, statuses = "name ..", []
    while asked:
        async with api.session.get(platform.api_url + "/apps", headers=api.headers | {"Range": asked}) as response:
            found += [app["name"] for app in await response.json()]
            statuses.append(response.status)
            asked = response.headers.get("Next-Range", "")
    assert (found, statuses) == (names, [206, 206, 200])


async def test_config_vars_are_changed_one_by_one(api: Api) -> None:
    await api.create("app-1")
    await api.ask("PATCH", "/apps/app-1/config-vars", {"A": "1", "B": "2"})
    assert await api.ask("PATCH", "/apps/app-1/config-vars", {"A": None, "C": "3"}) == (200, {"B": "2", "C": "3"})
    assert await api.ask("GET", "/apps/app-1/config-vars") == (200, {"B": "2", "C": "3"})
    assert (await api.ask("PATCH", "/apps/app-1/config-vars", {"PORT": "80"}))[0] == 422
    assert (await api.ask("PATCH", "/apps/app-1/config-vars", {"A": 1}))[0] == 422


async def test_a_deleted_app_may_linger(platform: HerokuPlatform, api: Api) -> None:
    platform.settings.delete_lag = 60.0
    await api.create("app-1")
    assert (await api.ask("DELETE", "/apps/app-1"))[0] == 200
    assert (await api.ask("GET", "/apps/app-1"))[0] == 200
