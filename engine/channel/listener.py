"""Who hears of channels: that they are open or lost, and what comes through them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ...router.wire.protocol import Packet


class Listener(Protocol):
    """Hears of the channels to one run's routers. An architect hands it on to each channel that it makes."""

    def opened(self, channel_id: str, /) -> None:
        """Hear that a channel was opened, now or once more."""

    def lost(self, channel_id: str, /) -> None:
        """Hear, once, that a channel was lost and does not come back."""

    def received(self, channel_id: str, packet: Packet, /) -> None:
        """Hear a packet that came through a channel."""


@dataclass
class Ears:
    """A listener made of functions; by default it is deaf."""

    opened: Callable[[str], None] = lambda channel_id: None
    lost: Callable[[str], None] = lambda channel_id: None
    received: Callable[[str, Packet], None] = lambda channel_id, packet: None
