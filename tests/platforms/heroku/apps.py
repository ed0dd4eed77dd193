"""The apps there are: who may see them, who may make them, and what they may be called."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .app import App
from .errors import NAME_RULE, ApiError, forbidden, invalid, not_found, unverified
from .settings import Settings

NAME = re.compile(r"[a-z][a-z0-9-]*[a-z0-9]")
SHORTEST, LONGEST = 3, 30


class Apps(Mapping[str, App]):
    """Every app on the platform by name, those of strangers too. `user` is the e-mail address of the one account."""

    def __init__(self, directory: Path, user: str, teams: set[str], settings: Settings) -> None:
        self.directory, self.user, self.teams, self.settings = directory, user, teams, settings
        self.on_create: Callable[[App], Awaitable[None]] | None = None
        self._apps: dict[str, App] = {}
        self._ever: list[App] = []
        self._deletions: set[asyncio.Task[None]] = set()

    def __getitem__(self, name: str) -> App:
        return self._apps[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._apps)

    def __len__(self) -> int:
        return len(self._apps)

    def visible(self) -> list[App]:
        """What the account owns, works on, or has through a team."""
        return [app for app in self._apps.values() if self._sees(app)]

    def find(self, name_or_id: str) -> App:
        """The app that the account may use. Raises ApiError, 404 or 403."""
        for app in self._apps.values():
            if name_or_id in (app.name, app.id):
                if not self._sees(app):
                    raise forbidden(f"You do not have access to the app {app.name}.")
                return app
        raise not_found("app")

    async def create(self, asked: Mapping[str, Any], team: str | None = None) -> App:
        """Make an app of the account or a team. Raises ApiError."""
        name = asked.get("name") or f"quiet-{secrets.token_hex(4)}"
        self._check_name(name)
        self._check_may_create(team)
        owner = self.user if team is None else f"{team}@herokumanager.com"
        app = await self.put(name, owner=owner, team=team)
        app.region = asked.get("region") or app.region
        app.stack = asked.get("stack") or app.stack
        return app

    async def put(self, name: str, *, owner: str, team: str | None = None, collaborator: bool = False) -> App:
        """Have an app be there, for instance a stranger's; as `collaborator` the account may use it, but not delete it."""
        app = App(name, owner, team, self.directory / f"{name}-{secrets.token_hex(4)}", self.settings)
        app.directory.mkdir(parents=True)
        if collaborator:
            app.collaborators.add(self.user)
        self._apps[name] = app
        self._ever.append(app)
        if self.on_create is not None:
            await self.on_create(app)
        return app

    def delete(self, app: App) -> None:
        """Delete an app; with a delete lag it is shown, and runs, for a while longer. Raises ApiError."""
        if app.owner != self.user and app.team is None:
            raise forbidden(f"You do not have permission to delete the app {app.name}.")
        if not self.settings.delete_lag:
            self._remove(app)
        else:
            deletion = asyncio.create_task(self._remove_later(app))
            self._deletions.add(deletion)
            deletion.add_done_callback(self._deletions.discard)

    async def close(self) -> None:
        """End every dyno without any grace, those of deleted apps too."""
        for deletion in self._deletions:
            deletion.cancel()
        for app in self._ever:
            app.delete()
            app.kill()
        await asyncio.gather(*self._deletions, return_exceptions=True)
        await asyncio.gather(*(app.gone() for app in self._ever))

    async def _remove_later(self, app: App) -> None:
        await asyncio.sleep(self.settings.delete_lag)
        self._remove(app)

    def _remove(self, app: App) -> None:
        if self._apps.get(app.name) is app:
            del self._apps[app.name]
        app.delete()

    def _sees(self, app: App) -> bool:
        return app.owner == self.user or self.user in app.collaborators or app.team in self.teams

    def _check_name(self, name: Any) -> None:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise invalid(NAME_RULE)
        if not SHORTEST <= len(name) <= LONGEST:
            raise invalid(f"Name must be {SHORTEST} to {LONGEST} characters long.")
        if name in self._apps:
            raise invalid(f"Name {name} is already taken")

    def _check_may_create(self, team: str | None) -> None:
        if team is not None and team not in self.teams:
            raise ApiError(404, "not_found", "Couldn't find that team.", resource="team")
        if team is None and not self.settings.verified:
            raise unverified()
        owned = [app for app in self._apps.values() if app.team == team and (team or app.owner == self.user)]
        if len(owned) >= self.settings.app_limit:
            raise invalid(f"You've reached the limit of {self.settings.app_limit} apps.")
