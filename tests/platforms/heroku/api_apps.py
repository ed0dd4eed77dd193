"""The endpoints about accounts and apps: make, list, show, delete, and their settings."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from .app import App
from .apps import Apps
from .errors import invalid, not_found
from .gate import body_of
from .pages import page
from .views import FEATURES, account_row, app_row, domain_row, feature_row


class AppEndpoints:
    """Each method is one endpoint; `routes` says which."""

    def __init__(self, apps: Apps) -> None:
        self.apps = apps

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/account", self.account),
            web.get("/users/~", self.account),
            web.get("/oauth/authorizations", self.authorizations),
            web.get("/teams", self.teams),
            web.get("/apps", self.list),
            web.post("/apps", self.create),
            web.get("/users/~/apps", self.list_of_user),
            web.get("/teams/{team}/apps", self.list_of_team),
            web.post("/teams/apps", self.create),
            web.get("/apps/{app}", self.show),
            web.delete("/apps/{app}", self.delete),
            web.get("/apps/{app}/config-vars", self.config_vars),
            web.patch("/apps/{app}/config-vars", self.set_config_vars),
            web.get("/apps/{app}/features", self.features),
            web.get("/apps/{app}/features/{feature}", self.feature),
            web.patch("/apps/{app}/features/{feature}", self.set_feature),
            web.get("/apps/{app}/domains", self.domains),
            web.get("/apps/{app}/collaborators", self.collaborators),
            web.get("/apps/{app}/addons", self.nothing),
        ]

    async def account(self, request: web.Request) -> web.Response:
        return web.json_response(account_row(self.apps.user, self.apps.settings.verified))

    async def authorizations(self, request: web.Request) -> web.Response:
        return web.json_response([])

    async def teams(self, request: web.Request) -> web.Response:
        return page(request, [{"id": name, "name": name, "role": "admin"} for name in self.apps.teams], self._most)

    async def list(self, request: web.Request) -> web.Response:
        return page(request, [app_row(app) for app in self.apps.visible()], self._most)

    async def list_of_user(self, request: web.Request) -> web.Response:
        return page(request, [app_row(app) for app in self.apps.visible() if app.team is None], self._most)

    async def list_of_team(self, request: web.Request) -> web.Response:
        team = request.match_info["team"]
        if team not in self.apps.teams:
            raise not_found("team")
        return page(request, [app_row(app) for app in self.apps.values() if app.team == team], self._most)

    async def create(self, request: web.Request) -> web.Response:
        asked = await body_of(request)
        return web.json_response(app_row(await self.apps.create(asked, asked.get("team"))), status=201)

    async def show(self, request: web.Request) -> web.Response:
        return web.json_response(app_row(self._app(request)))

    async def delete(self, request: web.Request) -> web.Response:
        app = self._app(request)
        self.apps.delete(app)
        return web.json_response(app_row(app))

    async def config_vars(self, request: web.Request) -> web.Response:
        return web.json_response(self._app(request).config_vars)

    async def set_config_vars(self, request: web.Request) -> web.Response:
        app, changes = self._app(request), await body_of(request)
        _check_config(changes)
        app.set_config(changes)
        return web.json_response(app.config_vars)

    async def features(self, request: web.Request) -> web.Response:
        app = self._app(request)
        return page(request, [feature_row(app, name) for name in FEATURES], self._most)

    async def feature(self, request: web.Request) -> web.Response:
        return web.json_response(feature_row(self._app(request), _feature_of(request)))

    async def set_feature(self, request: web.Request) -> web.Response:
        app, name, asked = self._app(request), _feature_of(request), await body_of(request)
        if not isinstance(asked.get("enabled"), bool):
            raise invalid("`enabled` is true or false.")
        (app.features.add if asked["enabled"] else app.features.discard)(name)
        return web.json_response(feature_row(app, name))

    async def domains(self, request: web.Request) -> web.Response:
        return web.json_response([domain_row(self._app(request))])

    async def collaborators(self, request: web.Request) -> web.Response:
        app = self._app(request)
        return web.json_response([{"user": {"email": email}} for email in sorted({app.owner, *app.collaborators})])

    async def nothing(self, request: web.Request) -> web.Response:
        self._app(request)
        return web.json_response([])

    @property
    def _most(self) -> int:
        return self.apps.settings.page_size

    def _app(self, request: web.Request) -> App:
        return self.apps.find(request.match_info["app"])


def _feature_of(request: web.Request) -> str:
    name = request.match_info["feature"]
    if name not in FEATURES:
        raise not_found("feature")
    return name


def _check_config(changes: dict[str, Any]) -> None:
    for key, value in changes.items():
        if not isinstance(value, str | None):
            raise invalid(f"Config var {key} must be a string.")
        if not key or "=" in key or "\0" in f"{key}{value}":
            raise invalid(f"Config var {key!r} cannot be named so.")
        if key in ("PORT", "DYNO"):
            raise invalid(f"Config var {key} is reserved by the platform.")
