"""The Heroku architect keeps the contract of every architect, on the stand-in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from falsework.architects.heroku.architect import HerokuArchitect
from falsework.architects.heroku.ownership import APP
from falsework.engine.contract.architect import Architect, Site
from falsework.engine.testing import ArchitectContract, Trial
from falsework.engine.testing.contract_of_serving import ANSWER, FILE
from falsework.engine.testing.visit import Reception, hand_in
from falsework.router.wire.protocol import Packet

from ...platforms.heroku import HerokuPlatform
from .trials import app_of, platform  # noqa: F401

# ruff: noqa: F811  (pytest's fixtures)


@pytest.mark.slow
@pytest.mark.timeout(600)
class TestHerokuArchitect(ArchitectContract):
    """What is done at the provider behind the architect's back is done to the stand-in."""

    most_cuts = 20
    wrong_settings = {
        "architect.heroku_team": {"heroku_team": "nobodys"},
        "architect.heroku_app_name": {"heroku_app_name": "taken"},
    }

    @pytest.fixture
    def architect(self, platform: HerokuPlatform) -> Architect:
        self.platform = platform
        return HerokuArchitect()

    @pytest.fixture
    def settings(self) -> Mapping[str, Any]:
        return {"request_timeout": 2, "ready_timeout": 30}

    @pytest.fixture(autouse=True)
    async def strangers(self, platform: HerokuPlatform) -> None:
        await platform.put_app("taken", owner="somebody@example.org")

    async def standing(self, architect: Architect, site: Site) -> set[tuple[str, str]]:
        """What is marked with the run, or named for it."""
        return {
            (APP, app.name)
            for app in self.platform.apps.values()
            if app.config_vars.get("FALSEWORK_RUN_ID") == site.run_id or app.name == f"fw-{site.run_id}"
        }

    async def destroy(self, site: Site) -> None:
        self.platform.apps.delete(app_of(self.platform, site))

    async def silence(self, site: Site) -> None:
        app_of(self.platform, site).scale("web", 0, None)

    @asynccontextmanager
    async def unreachable(self, site: Site) -> AsyncIterator[None]:
        self.platform.faults.inject("GET /apps/{app}", status=503, html=True, times=None)
        yield
        self.platform.faults.clear()

    @asynccontextmanager
    async def failing(self, site: Site) -> AsyncIterator[None]:
        self.platform.builds.script("ModuleNotFoundError: no module of that name", fails=True)
        yield

    @asynccontextmanager
    async def foreign(self, site: Site) -> AsyncIterator[Any]:
        """The run's own app was deleted, and somebody of the same account has the name now."""
        own = app_of(self.platform, site)
        self.platform.apps.delete(own)
        other = await self.platform.put_app(own.name, owner=self.platform.user)

        async def still_stands() -> bool:
            return self.platform.apps.get(own.name) is other

        yield still_stands
        del self.platform.apps._apps[own.name]
        other.delete()

    # A worker here is answered only once the launcher has what was handed in, and the contract's launcher never says so.

    @pytest_asyncio.fixture
    async def uploaded(self, trial: Trial) -> AsyncIterator[tuple[Site, str, bytes]]:
        site = await trial.up()
        async with Reception(trial.architect, site, trial.patience) as reception, handing_in(site):
            packet = await trial.within(reception.submissions.get())
            yield site, packet.files[0].filename, FILE

    async def test_what_a_worker_hands_in_comes_through_a_channel(self, trial: Trial) -> None:
        site = await trial.up()
        async with Reception(trial.architect, site, trial.patience) as reception, handing_in(site):
            assert_is_answer(await trial.within(reception.submissions.get()))

    async def test_a_new_launcher_takes_up_the_live_server(self, trial: Trial) -> None:
        site = await trial.up()
        async with Reception(trial.architect, site, trial.patience) as first, handing_in(site):
            await trial.within(first.submissions.get())
            async with Reception(trial.architect, trial.taken_up(site), trial.patience) as second:
                assert_is_answer(await trial.within(second.submissions.get()))


@asynccontextmanager
async def handing_in(site: Site) -> AsyncIterator[None]:
    """A worker who waits for an answer while this is open."""
    worker = asyncio.create_task(hand_in(site.url or "", ANSWER, FILE))
    try:
        yield
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)


def assert_is_answer(packet: Packet) -> None:
    assert msgspec.json.decode(packet.data).items() >= ANSWER.items()
