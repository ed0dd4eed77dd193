"""The channels of the mock architect: whether they open is the stage's to say, as it is for every action."""

from __future__ import annotations

from typing import Any

from falsework.engine.channel.channel import Channel, WebSocketChannel
from falsework.engine.channel.listener import Listener
from falsework.router.wire.protocol import Envelope

from .stage import MockStage


class StagedChannel(WebSocketChannel):
    """The real channel to a mock server."""

    def __init__(self, stage: MockStage, run_id: str, url: str, **wiring: Any) -> None:
        super().__init__(run_id, url, **wiring)
        self._stage = stage

    async def open(self, timeout: float, reconnect_timeout: float) -> None:
        connect = super().open

        async def effect() -> None:
            await connect(timeout, reconnect_timeout)

        await self._stage.play("connect", self.channel_id, effect, timeout=timeout, reconnect_timeout=reconnect_timeout)


class SilentChannel(Channel):
    """A channel to nobody: opens at once, and the stage has what is sent."""

    def __init__(self, stage: MockStage, run_id: str, listener: Listener) -> None:
        self.channel_id, self.acked, self.router_epoch = run_id, {}, None
        self._stage, self._listener = stage, listener

    async def open(self, timeout: float, reconnect_timeout: float) -> None:
        async def effect() -> None:
            self._listener.opened(self.channel_id)

        await self._stage.play("connect", self.channel_id, effect, timeout=timeout, reconnect_timeout=reconnect_timeout)

    def send(self, envelope: Envelope) -> None:
        self._stage.sent.append(envelope)

    def acknowledge(self, router_epoch: str, number: int) -> None:
        self.acked[router_epoch] = number

    async def say_bye(self, timeout: float) -> bool:
        return True

    async def close(self) -> None:
        """There is nothing to close."""
