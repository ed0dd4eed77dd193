"""The stand-in as a whole: one account on a Heroku of its own, all of it on the loopback."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path
from tempfile import mkdtemp
from types import TracebackType
from typing import Self

from aiohttp import web

from .api_apps import AppEndpoints
from .api_running import RunningEndpoints
from .app import App
from .apps import Apps
from .builds import Builds
from .faults import Faults
from .front_door import WEB, FrontDoor
from .gate import Call, Gate
from .git_server import GitServer
from .settings import Settings

USER = "researcher@example.com"
TEAM = "lab"


class HerokuPlatform:
    """`async with HerokuPlatform(directory) as platform:`; leaving it ends every dyno and build, and removes its files.

    It lives in the loop of whoever entered it: let nothing else block that loop. `settings` may be changed at any time.
    """

    def __init__(self, directory: Path, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.token = f"HRKU-{secrets.token_hex(16)}"
        self.user, self.team = USER, TEAM
        self.directory = Path(mkdtemp(prefix="heroku-", dir=directory))
        self.api_url = ""
        """Where the API is; the same with `HEROKU_HOST` for the real client."""
        self.faults = Faults()
        self.apps = Apps(self.directory, self.user, {self.team}, self.settings)
        self.builds = Builds(self.directory)
        self.front_door = FrontDoor(self.apps, self.faults, self.settings)
        self.git = GitServer(self.directory, self.token, self.apps, self.builds, self.faults)
        self._gate = Gate(self.token)
        self._runner: web.AppRunner | None = None

    @property
    def endpoints(self) -> list[str]:
        """Where faults may be injected, such as `POST /apps` or `* web_url`."""
        return sorted(self.faults.endpoints)

    @property
    def calls(self) -> list[Call]:
        """What the API was asked, oldest first."""
        return self._gate.calls

    async def __aenter__(self) -> Self:
        self.apps.on_create = self._welcome
        await self.front_door.open()
        application = self._application()
        self.faults.endpoints = {WEB, *_endpoints_of(application), *await self.git.open()}
        self._runner = web.AppRunner(application, shutdown_timeout=0.1, handler_cancellation=False)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.api_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.settings.stop_grace = 0.0
        self.faults.close()
        await self.builds.close()
        await self.apps.close()
        await self.front_door.close()
        await self.git.close()
        if self._runner is not None:
            await self._runner.cleanup()
        shutil.rmtree(self.directory)

    async def put_app(self, name: str, *, owner: str, team: str | None = None, collaborator: bool = False) -> App:
        """Have an app be there that this account did not make; as `collaborator` it may use it, but not delete it."""
        return await self.apps.put(name, owner=owner, team=team, collaborator=collaborator)

    async def _welcome(self, app: App) -> None:
        await self.front_door.give_port(app)
        self.git.give_repository(app)

    def _application(self) -> web.Application:
        application = web.Application(
            middlewares=[self._gate.record, self.faults.middleware, self._gate.check], client_max_size=1 << 30
        )
        application.add_routes(AppEndpoints(self.apps).routes())
        application.add_routes(RunningEndpoints(self.apps, self.builds, lambda: self.api_url).routes())
        return application


def _endpoints_of(application: web.Application) -> set[str]:
    return {
        f"{route.method} {route.resource.canonical}"
        for route in application.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
