"""The contract's sentences about what a server is told: what the task file and the run say of it holds at the server itself.

It is asked, not its command line: how it was told is its architect's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import aiohttp

from ..contract.architect import Presence, Site
from .backend import Backend, args_of
from .trial import Trial
from .visit import Reception, hand_in

LARGEST_REQUEST = 2048
"""Bytes, as a task file may limit one request's JSON; far less than any router takes by itself."""
FRAME = "https://frame.example.org"
POLICY = "default-src 'self'; img-src https://pictures.example.org"
AN_ANSWER = 0.5
"""Seconds in which a worker would be answered, were he not to wait for the launcher."""


class TellingContract(Backend):
    """What `deploy` hands on. A setting that the architect's arguments do not have is a capability that it lacks."""

    async def test_the_limits_of_the_task_file_are_the_servers(self, trial: Trial, settings: Mapping[str, Any]) -> None:
        site = await self._up_with(trial, settings, limits={"submission": LARGEST_REQUEST})
        assert await trial.within(_status_of_posting(f"{site.url}/request_agent", b" " * 2 * LARGEST_REQUEST)) == 413

    async def test_whom_the_task_file_allows_may_frame_the_page(
        self, trial: Trial, settings: Mapping[str, Any]
    ) -> None:
        site = await self._up_with(trial, settings, frame_ancestors=[FRAME])
        assert f"frame-ancestors {FRAME}" in await trial.within(_policy_of(site))

    async def test_the_page_has_the_policy_of_the_task_file(self, trial: Trial, settings: Mapping[str, Any]) -> None:
        site = await self._up_with(trial, settings, content_security_policy=POLICY)
        assert (await trial.within(_policy_of(site))).startswith(POLICY)

    async def test_what_only_the_launcher_can_keep_is_not_answered_before_it_has_it(
        self, trial: Trial, settings: Mapping[str, Any]
    ) -> None:
        """Where the task file says `outbox: launcher`, and wherever the server's disk does not outlast a restart."""
        is_said = trial.architect.guarantees.disk_survives_restart
        site = await self._up_with(trial, settings, **({"outbox": "launcher"} if is_said else {}))
        async with Reception(trial.architect, site, trial.patience) as reception:
            handing_in = asyncio.create_task(hand_in(site.url or "", {"colour": "green"}, b"a file"))
            try:
                packet = await trial.within(reception.submissions.get())
                answered, _ = await asyncio.wait({handing_in}, timeout=AN_ANSWER)
                assert answered == set()
                reception.acknowledge(packet)
                await trial.within(handing_in)
            finally:
                handing_in.cancel()
                await asyncio.gather(handing_in, return_exceptions=True)

    async def test_a_server_ends_itself_when_it_is_as_old_as_it_may_get(self, trial: Trial) -> None:
        await self._assert_ends(trial, max_lifetime=self.soon)

    async def test_a_server_that_no_worker_comes_to_ends_itself(self, trial: Trial) -> None:
        self.needs(self.ends_when_idle, "no server that knows whether the run is idle")
        await self._assert_ends(trial, idle_timeout=self.soon)

    async def _up_with(self, trial: Trial, settings: Mapping[str, Any], **said: Any) -> Site:
        """A run whose task file says this too."""
        self.needs(self.serves_workers, "no router at the other end")
        known = {field.name for field in fields(trial.architect.ArgsClass)}
        for name in said:
            self.needs(name in known, f"no setting `{name}`")
        trial.args = args_of(trial.architect, {**settings, **said})
        return await trial.up()

    async def _assert_ends(self, trial: Trial, **limit: float) -> None:
        self.needs(self.serves_workers, "no router at the other end")
        self.needs_guarantee(trial.architect, "dies_with_lease")
        site = await trial.up(**limit)
        async with asyncio.timeout(self.patience):
            while await trial.presence(site) is not Presence.GONE:
                pass
        await trial.assert_nothing_stands(site)


async def _status_of_posting(url: str, body: bytes) -> int:
    headers = {"Content-Type": "application/json"}
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
        return answer.status


async def _policy_of(site: Site) -> str:
    async with aiohttp.ClientSession(raise_for_status=True) as session, session.get(f"{site.url}/") as answer:
        return answer.headers.get("Content-Security-Policy", "")
