"""Architects that break a sentence about serving workers each: the local one, tampered with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from breaches import breaks
from falsework.architects.local.architect import LocalArchitect
from falsework.engine.channel.channel import Channel
from falsework.engine.channel.listener import Listener
from falsework.engine.contract.architect import Site
from falsework.engine.contract.bundle import Bundle
from falsework.engine.testing.contract_of_serving import ServingContract
from falsework.engine.testing.contract_of_telling import TellingContract

breaks()(LocalArchitect)


@breaks("channels_are_open_only_once_they_were_opened")
class OpensItsChannelsAtOnce(LocalArchitect):
    def get_channels(self, site: Site, listener: Listener) -> list[Channel]:
        listener.opened("too early")
        return super().get_channels(site, listener)


@breaks("a_server_ends_itself_when_its_lease_and_grace_are_over")
class IgnoresTheLease(LocalArchitect):
    async def deploy(self, site: Site, bundle: Bundle) -> str:
        with _saying(site, lease=900.0):
            return await super().deploy(site, bundle)


@breaks("the_limits_of_the_task_file_are_the_servers")
class ForgetsTheLimits(LocalArchitect):
    async def deploy(self, site: Site, bundle: Bundle) -> str:
        with _saying(site, args=replace(site.args, limits={})):
            return await super().deploy(site, bundle)


@breaks("what_only_the_launcher_can_keep_is_not_answered_before_it_has_it")
class ForgetsTheOutbox(LocalArchitect):
    async def deploy(self, site: Site, bundle: Bundle) -> str:
        with _saying(site, args=replace(site.args, outbox="disk")):
            return await super().deploy(site, bundle)


@breaks("whom_the_task_file_allows_may_frame_the_page")
class ForgetsWhoMayFrameThePage(LocalArchitect):
    async def deploy(self, site: Site, bundle: Bundle) -> str:
        with _saying(site, args=replace(site.args, frame_ancestors=[])):
            return await super().deploy(site, bundle)


@breaks("the_page_has_the_policy_of_the_task_file")
class ForgetsThePolicy(LocalArchitect):
    async def deploy(self, site: Site, bundle: Bundle) -> str:
        with _saying(site, args=replace(site.args, content_security_policy=None)):
            return await super().deploy(site, bundle)


@breaks("a_server_ends_itself_when_it_is_as_old_as_it_may_get")
class ForgetsTheLifetime(LocalArchitect):
    async def deploy(self, site: Site, bundle: Bundle) -> str:
        with _saying(site, max_lifetime=None):
            return await super().deploy(site, bundle)


@breaks("a_server_that_no_worker_comes_to_ends_itself")
class ForgetsTheIdleTimeout(LocalArchitect):
    async def deploy(self, site: Site, bundle: Bundle) -> str:
        with _saying(site, idle_timeout=None):
            return await super().deploy(site, bundle)


@breaks("workers_get_what_was_sealed")
class ServesWhatWasNotSealed(LocalArchitect):
    async def deploy(self, site: Site, bundle: Bundle) -> str:
        url = await super().deploy(site, bundle)
        (bundle.static / "extra" / "added.txt").write_text("changed after it was sealed")
        return url


@breaks("a_new_launcher_takes_up_the_live_server")
class ForgetsTheToken(LocalArchitect):
    """Of a run that it did not launch itself."""

    def get_channels(self, site: Site, listener: Listener) -> list[Channel]:
        return super().get_channels(replace(site, token="") if site.epoch > 1 else site, listener)


@contextmanager
def _saying(site: Site, **otherwise: Any) -> Iterator[None]:
    """While it is open, the site says something else."""
    said = {name: getattr(site, name) for name in otherwise}
    vars(site).update(otherwise)
    try:
        yield
    finally:
        vars(site).update(said)


@pytest.mark.asyncio
class LocalServing(ServingContract, TellingContract):
    """Only what is said of serving, and of what a server is told; the rest is for the harbour's breaches."""

    architect_class: ClassVar[type[LocalArchitect]]

    @pytest.fixture
    def architect(self) -> LocalArchitect:
        return self.architect_class()
