"""Architects that break a sentence about serving workers each: the local one, tampered with."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import pytest
from breaches import breaks
from falsework.architects.local.architect import LocalArchitect
from falsework.engine.channel.channel import Channel
from falsework.engine.channel.listener import Listener
from falsework.engine.contract.architect import Site
from falsework.engine.contract.bundle import Bundle
from falsework.engine.testing.contract_of_serving import ServingContract

breaks()(LocalArchitect)


@breaks("channels_are_open_only_once_they_were_opened")
class OpensItsChannelsAtOnce(LocalArchitect):
    def get_channels(self, site: Site, listener: Listener) -> list[Channel]:
        listener.opened("too early")
        return super().get_channels(site, listener)


@breaks("a_server_ends_itself_when_its_lease_and_grace_are_over")
class IgnoresTheLease(LocalArchitect):
    async def deploy(self, site: Site, bundle: Bundle) -> str:
        lease, site.lease = site.lease, 900.0
        try:
            return await super().deploy(site, bundle)
        finally:
            site.lease = lease


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


@pytest.mark.asyncio
class LocalServing(ServingContract):
    """Only what is said of serving; the rest is for the harbour's breaches."""

    architect_class: ClassVar[type[LocalArchitect]]

    @pytest.fixture
    def architect(self) -> LocalArchitect:
        return self.architect_class()
