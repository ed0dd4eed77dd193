"""What the Platform API can be asked, each question once and by name. Nothing is decided here.

All but `create_app`, `start_build` and their like may be asked twice, and are, where no answer comes.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from .credentials import api_address
from .errors import Refused
from .http import Connection, connected, patiently
from .rows import (
    WEB,
    HerokuAccount,
    HerokuApp,
    HerokuBuild,
    assert_all,
    source_in,
    understood,
    variables_in,
    web_states_in,
)

T = TypeVar("T")
TIMEOUT = 20.0
"""Seconds for one answer, where no task file says otherwise."""
AFFINITY = "http-session-affinity"


@asynccontextmanager
async def heroku(timeout: float = TIMEOUT, address: str | None = None) -> AsyncIterator[HerokuApi]:
    """The API, by default where HEROKU_HOST says, as whoever is logged in. Raises NoCredentials."""
    async with connected(address or api_address(), timeout) as connection:
        yield HerokuApi(connection)


class HerokuApi:
    """Raises Refused and Unanswered, whatever is asked."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def address(self) -> str:
        return self._connection.address

    @property
    def token(self) -> str:
        return self._connection.token

    def now(self) -> float:
        """Heroku's time, in seconds since the epoch."""
        return self._connection.now()

    # The account

    async def account(self) -> HerokuAccount:
        """Who is asking."""
        return await self._ask(HerokuAccount.of, "GET", "/account")

    async def teams(self) -> list[str]:
        """The teams that the account belongs to."""
        return await self._pages(lambda row: str(row["name"]), "/teams")

    # Apps

    async def find_app(self, name_or_id: str) -> HerokuApp | None:
        """The app; None if Heroku says that there is none. Refused with 403: there is one, and it is somebody else's."""
        return await self._find(HerokuApp.of, "GET", f"/apps/{_quoted(name_or_id)}")

    async def is_taken(self, name: str) -> bool:
        """Whether anybody has an app of that name."""
        try:
            return await self.find_app(name) is not None
        except Refused as refusal:
            if refusal.status == 403:
                return True
            raise

    async def apps(self) -> list[HerokuApp]:
        """Every app that the account or one of its teams has."""
        found = await self._pages(HerokuApp.of, "/apps")
        for team in await self.teams():
            found += await self._pages(HerokuApp.of, f"/teams/{_quoted(team)}/apps")
        return list({app.id: app for app in found}.values())

    async def create_app(self, name: str, team: str | None, region: str | None) -> HerokuApp:
        """Make an app. Asked once: what came of it if no answer comes is for the caller to find out."""
        wanted = {"name": name, "team": team, "region": region}
        asked = {key: value for key, value in wanted.items() if value is not None}
        return await self._ask_once(HerokuApp.of, "POST", "/apps" if team is None else "/teams/apps", asked)

    async def delete_app(self, app: HerokuApp) -> None:
        """Have an app deleted; quiet if there is none."""
        await self._find(HerokuApp.of, "DELETE", f"/apps/{app.id}")

    async def config_vars(self, app: HerokuApp) -> dict[str, str] | None:
        """The app's environment; None if the app is gone."""
        return await self._find(variables_in, "GET", f"/apps/{app.id}/config-vars")

    async def set_config_vars(self, app: HerokuApp, variables: Mapping[str, str]) -> None:
        """Add to the app's environment."""
        read = partial(assert_all, dict(variables))
        await self._ask(read, "PATCH", f"/apps/{app.id}/config-vars", dict(variables))

    async def keep_sessions(self, app: HerokuApp) -> None:
        """Have a browser's connections go to one dyno, also while one takes another's place."""
        enabled = {"enabled": True}
        await self._ask(partial(assert_all, enabled), "PATCH", f"/apps/{app.id}/features/{AFFINITY}", enabled)

    # What runs

    async def has_process(self, app: HerokuApp) -> bool:
        """Whether anything that runs was ever released to it."""
        return bool(await self._find(list, "GET", f"/apps/{app.id}/formation"))

    async def scale_web(self, app: HerokuApp, quantity: int, size: str) -> None:
        """Set how many web dynos run, and how large they are."""
        updates = [{"type": WEB, "quantity": quantity, "size": size}]
        await self._ask(list, "PATCH", f"/apps/{app.id}/formation", {"updates": updates})

    async def web_states(self, app: HerokuApp) -> list[str]:
        """What its web dynos are at: starting, up, crashed, …"""
        return await self._ask(web_states_in, "GET", f"/apps/{app.id}/dynos")

    async def log(self, app: HerokuApp, lines: int) -> AsyncGenerator[str, None]:
        """The last lines of its log, as an event stream."""
        asked = {"lines": lines, "tail": False}
        url = await self._ask(lambda row: str(row["logplex_url"]), "POST", f"/apps/{app.id}/log-sessions", asked)
        return self._connection.lines(url)

    # Builds

    async def new_source(self) -> tuple[str, str]:
        """Where a source may be put, and where a build gets it."""
        return await self._ask(source_in, "POST", "/sources")

    async def upload(self, put_url: str, archive: Path) -> None:
        """Put a source there."""
        await patiently(lambda: self._connection.put_file(put_url, archive))

    async def builds(self, app: HerokuApp) -> list[HerokuBuild]:
        """Oldest first."""
        builds = await self._pages(HerokuBuild.of, f"/apps/{app.id}/builds")
        return sorted(builds, key=lambda build: build.created_at)

    async def start_build(self, app: HerokuApp, source_url: str, version: str) -> HerokuBuild:
        """Have a source built. Asked once, as `create_app`."""
        asked = {"source_blob": {"url": source_url, "version": version}}
        return await self._ask_once(HerokuBuild.of, "POST", f"/apps/{app.id}/builds", asked)

    async def build(self, app: HerokuApp, build_id: str) -> HerokuBuild:
        """What became of a build."""
        return await self._ask(HerokuBuild.of, "GET", f"/apps/{app.id}/builds/{build_id}")

    def output(self, build: HerokuBuild) -> AsyncGenerator[str, None]:
        """What a build says, until it has ended."""
        return self._connection.lines(build.output_url)

    # Asking

    async def _ask_once(self, read: Callable[[Any], T], method: str, path: str, body: Any = None) -> T:
        said, _ = await self._connection.ask(method, path, body)
        return understood(read, said, f"{method} {path}")

    async def _ask(self, read: Callable[[Any], T], method: str, path: str, body: Any = None) -> T:
        return await patiently(lambda: self._ask_once(read, method, path, body))

    async def _find(self, read: Callable[[Any], T], method: str, path: str) -> T | None:
        """The same of something that may be gone: None then."""
        try:
            return await self._ask(read, method, path)
        except Refused as refusal:
            if refusal.is_absence:
                return None
            raise

    async def _pages(self, read: Callable[[Any], T], path: str) -> list[T]:
        """A whole list, page by page."""
        found: list[T] = []
        wanted: str | None = "id ..; max=1000"
        while wanted is not None:
            ask = partial(self._connection.ask, "GET", path, headers={"Range": wanted})
            rows, headers = await patiently(ask)
            found += understood(lambda rows: [read(row) for row in rows], rows, f"GET {path}")
            wanted = headers.get("Next-Range")
        return found


def _quoted(name: str) -> str:
    return quote(name, safe="")
