"""The channels to several routers of one run: they tell each router of the others, and notice when one is gone for good.

Who opens the task is sent to the router that is to serve him, by the routers themselves (`peers` of the wire contract). When
a router is gone for good, the others send nobody there any more.
"""

from __future__ import annotations

import asyncio

from falsework.engine.channel.channel import WebSocketChannel
from falsework.engine.channel.listener import Ears, Listener
from falsework.engine.contract.architect import Presence, Site
from falsework.engine.errors import ConnectFailed
from falsework.engine.run.watching import raise_once_gone
from falsework.router.wire.protocol import LAUNCHER_SUBJECT, PEERS, Envelope

from .replica import Replica, url_at

GLANCE = 1.0
"""Seconds between two looks at a router that does not answer."""


class Spread:
    """Which of a run's routers are there, as far as its channels know."""

    def __init__(self) -> None:
        self._channels: dict[int, ReplicaChannel] = {}

    def add(self, channel: ReplicaChannel) -> None:
        """A channel that is about to be opened."""
        self._channels[channel.replica.number] = channel

    def lose(self, replica: Replica) -> None:
        """A router is lost for good: the others hear of it. May be repeated."""
        if self._channels.pop(replica.number, None) is not None:
            for channel in self._channels.values():
                self.tell(channel)

    def tell(self, channel: ReplicaChannel) -> None:
        """Say to a router which there are; quiet for one that is lost."""
        own = channel.replica.number
        if own not in self._channels:
            return
        ports = {str(number): channel.replica.port for number, channel in sorted(self._channels.items())}
        channel.send(Envelope(PEERS, LAUNCHER_SUBJECT, {"own": str(own), "ports": ports}))


class ReplicaChannel(WebSocketChannel):
    """The channel to one of several routers."""

    def __init__(
        self,
        site: Site,
        replica: Replica,
        spread: Spread,
        *,
        listener: Listener,
    ) -> None:
        def opened(channel_id: str) -> None:
            spread.tell(self)  # one that was started again knows of nobody
            listener.opened(channel_id)

        def lost(channel_id: str) -> None:
            spread.lose(replica)
            listener.lost(channel_id)

        super().__init__(
            replica.name,
            url_at(site, replica) or "",
            token=site.token,
            epoch=site.epoch,
            listener=Ears(opened, lost, listener.received),
        )
        self.replica = replica
        self._run_id, self._spread = site.run_id, spread
        spread.add(self)

    async def open(self, timeout: float, reconnect_timeout: float) -> None:
        try:
            await super().open(timeout, reconnect_timeout)
        except ConnectFailed:
            self._spread.lose(self.replica)
            raise
        watching = asyncio.create_task(self._notice_death())
        watching.add_done_callback(self._ended)
        self._tasks.append(watching)

    async def _notice_death(self) -> None:
        """Give the channel up once the router is gone: connecting again would be tried for much longer."""
        try:
            await raise_once_gone(self._look, lambda: self.is_connected, GLANCE, GLANCE)
        except ConnectFailed as error:
            self._give_up(str(error))

    async def _look(self) -> Presence:
        may_stand = await asyncio.to_thread(self.replica.may_stand, self._run_id)
        return Presence.UP if may_stand else Presence.GONE
