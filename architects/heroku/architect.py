"""The server on Heroku: an app for each run, deleted with it. docs/heroku.md tells its users what that means.

Who is asked, and as whom, is in credentials.py; what can be asked in api.py; whose an app is, and so what may
be deleted, in ownership.py. In the run's directory: `bundle/`, and until it is cleaned up what was shipped.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, ClassVar

from falsework.engine.contract.architect import (
    Architect,
    ArchitectArgs,
    Guarantees,
    Leftover,
    Presence,
    Resource,
    Site,
)
from falsework.engine.contract.bundle import Bundle
from falsework.engine.errors import ArchitectError, ConfigError, ShutdownFailed

from ..machine.address import run_id_at
from ..machine.mark import RUN_ID
from .api import HerokuApi, heroku
from .args import HerokuArgs, read_config_args
from .build import ARCHIVE, ship_by_build
from .bundle import TOKEN, ship
from .creation import create_app
from .errors import Refused, refusal_ends_deploy
from .log import log_tail
from .names import run_id_in
from .ownership import APP, is_settled, own_app
from .push import REPOSITORY, ship_by_push
from .readiness import ANSWER_LIMIT, until_serving
from .removal import remove_app
from .rows import HerokuApp
from .start import EXPIRES, destruct_variables

if TYPE_CHECKING:
    from falsework.engine.settings.sections import TaskArgs

LOOKS_AT_ONCE = 8
"""Apps that are asked for their mark at the same time."""


class HerokuArchitect(Architect):
    """Runs the server on Heroku."""

    ArgsClass: ClassVar[type[ArchitectArgs]] = HerokuArgs
    guarantees: ClassVar[Guarantees] = Guarantees(
        dies_with_lease=False, disk_survives_restart=False, found_without_ledger=True, resumable=True
    )

    @classmethod
    async def assert_task_args(cls, args: HerokuArgs, task: TaskArgs) -> None:
        """Check the credentials, the account, the team, the app's name, and what this machine needs. Creates nothing."""
        from .preflight import problems_of_settings

        if problems := await problems_of_settings(args):
            raise ConfigError(*problems)

    async def prepare(self, site: Site) -> Bundle:
        """Copy the router and the task's static directory into the bundle, with what tells Heroku how to run them.

        What Node needs is installed the first time. Raises PrepareFailed.
        """
        return await ship(site)

    async def deploy(self, site: Site, bundle: Bundle) -> str:
        """Make the app, mark it, ship the sealed bundle, run it, and wait until it answers with the run's id.

        Raises DeployFailed for what Heroku refuses, with the last lines of a build that failed; TransientError for what it
        leaves unanswered.
        """
        await asyncio.to_thread(bundle.seal)
        with refusal_ends_deploy():
            async with heroku(site.args.request_timeout) as api:
                app = (await create_app(site, api)).app
                await api.set_config_vars(app, _config_vars(site, api, app))
                await api.keep_sessions(app)
                ship_it = ship_by_push if site.args.push == "git" else ship_by_build
                await ship_it(site, api, app, bundle)
                await api.scale_web(app, 1, site.args.dyno)
                await until_serving(site, api, app)
        return app.url

    async def probe(self, site: Site) -> Presence:
        """Gone: Heroku has no app of the run. Down: it has, which does not answer. Unknown: Heroku could not be asked."""
        found = [await self._presence(site, resource) for resource in site.standing(APP)]
        order = (Presence.UP, Presence.DOWN, Presence.UNKNOWN)
        return next((presence for presence in order if presence in found), Presence.GONE)

    async def _presence(self, site: Site, resource: Resource) -> Presence:
        try:
            async with _heroku_of(site, resource) as api:
                app = await own_app(api, resource, site.run_id)
                is_over = is_settled(resource.facts, api.now(), was_seen=False)
        except ArchitectError:
            return Presence.UNKNOWN
        if app is None:
            return Presence.GONE if is_over else Presence.UNKNOWN
        return Presence.UP if await run_id_at(app.url, ANSWER_LIMIT) == site.run_id else Presence.DOWN

    async def cleanup(self, site: Site) -> None:
        """Remove the archive or the repository that was shipped."""
        (site.directory / ARCHIVE).unlink(missing_ok=True)
        await asyncio.to_thread(shutil.rmtree, site.directory / REPOSITORY, ignore_errors=True)

    async def log_tail(self, site: Site, lines: int) -> list[str]:
        """The last lines that the server, and Heroku about it, wrote; none where Heroku cannot be asked."""
        for resource in site.standing(APP) if lines > 0 else ():
            try:
                async with _heroku_of(site, resource) as api:
                    app = await own_app(api, resource, site.run_id)
                    return await log_tail(api, app, lines) if app else []
            except ArchitectError as error:
                site.log.info("the log of app %s cannot be had: %s", resource.name, error)
        return []

    async def shutdown(self, site: Site) -> None:
        """Delete every app that was recorded and is the run's own, and see that it is gone.

        Heroku tells the server to end, and kills it after half a minute. Where an asking for the app was never answered,
        this looks until it cannot be answered any more.
        """
        failures: list[Exception] = []
        for resource in site.standing(APP):
            try:
                async with _heroku_of(site, resource) as api:
                    await remove_app(site, api, resource)
            except ArchitectError as error:
                failures.append(error)
        if failures:
            raise ShutdownFailed(f"an app of run {site.run_id} stands on Heroku, or may stand", failures)
        await self.cleanup(site)

    async def leftovers(self) -> list[Leftover]:
        """Every app of the account and of its teams that is marked with a run, or named for one and not marked yet."""
        async with heroku() as api:
            room = asyncio.Semaphore(LOOKS_AT_ONCE)
            found = await asyncio.gather(*(_leftover(api, app, room) for app in await api.apps()))
        return [leftover for leftover in found if leftover is not None]


@asynccontextmanager
async def _heroku_of(site: Site, resource: Resource) -> AsyncIterator[HerokuApi]:
    """The API that made the resource, wherever HEROKU_HOST leads by now."""
    async with heroku(site.args.request_timeout, resource.facts.get("api")) as api:
        yield api


def _config_vars(site: Site, api: HerokuApi, app: HerokuApp) -> dict[str, str]:
    """The app's environment: the user's, the run's mark, and what the server needs."""
    variables = {**read_config_args(site.args.heroku_config_args), RUN_ID: site.run_id, TOKEN: site.token}
    if site.max_lifetime is not None:
        variables[EXPIRES] = str(int(api.now() + site.max_lifetime))
    if site.args.self_destruct:
        variables |= destruct_variables(api.address, app.id, api.token)
    return variables


async def _leftover(api: HerokuApi, app: HerokuApp, room: asyncio.Semaphore) -> Leftover | None:
    async with room:
        run_id = await _run_id_of(api, app)
    return Leftover(run_id, APP, app.name, app.url) if run_id else None


async def _run_id_of(api: HerokuApi, app: HerokuApp) -> str | None:
    """Whose an app says that it is; None for everybody else's, and for one that may not be looked into."""
    try:
        variables = await api.config_vars(app)
        if variables or variables is None:
            run_id = (variables or {}).get(RUN_ID, "")
            return run_id if re.fullmatch(r"[a-z0-9][a-z0-9-]*", run_id) else None
        named = run_id_in(app.name)
        return named if named and not await api.has_process(app) else None
    except Refused:
        return None
