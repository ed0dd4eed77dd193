from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from falsework.router.door.delivery import Delivery
from falsework.router.door.outbox import MemoryOutbox
from falsework.router.wire.protocol import Envelope

from ..peers import RecordingPeer

PACKET = 200
"""About the bytes of one packet here."""


class Handing:
    """An outbox in memory, and workers who hand things in and wait."""

    def __init__(self) -> None:
        self.outbox = MemoryOutbox(lambda: None, lambda files: None)
        self._puts: list[asyncio.Task[None]] = []

    async def hand_in(self, count: int, size: int = PACKET) -> None:
        for _ in range(count):
            envelope = Envelope("submit_unit", "a1", "x" * size)
            self._puts.append(asyncio.create_task(self.outbox.put(envelope)))
        await asyncio.sleep(0)

    async def close(self) -> None:
        self.outbox.acknowledge(self.outbox.router_epoch, 1000)
        await asyncio.gather(*self._puts)


@pytest.fixture
async def handing() -> AsyncIterator[Handing]:
    handing = Handing()
    yield handing
    await handing.close()


def numbers(peer: RecordingPeer) -> list[int]:
    return [packet["number"] for packet in peer.received()]


async def test_what_is_held_is_sent_once_and_in_order(handing: Handing) -> None:
    peer = RecordingPeer()
    delivery = Delivery(handing.outbox, peer, 1 << 20, acknowledges=True)
    await handing.hand_in(3)
    delivery.pump()
    delivery.pump()
    assert numbers(peer) == [1, 2, 3]
    await handing.hand_in(1)
    delivery.pump()
    assert numbers(peer) == [4]


async def test_a_new_connection_gets_all_that_is_not_acknowledged(handing: Handing) -> None:
    await handing.hand_in(3)
    Delivery(handing.outbox, RecordingPeer(), 1 << 20, acknowledges=True).pump()
    handing.outbox.acknowledge(handing.outbox.router_epoch, 1)
    again = RecordingPeer()
    Delivery(handing.outbox, again, 1 << 20, acknowledges=True).pump()
    assert numbers(again) == [2, 3]


async def test_no_more_than_the_window_is_on_the_way(handing: Handing) -> None:
    peer = RecordingPeer()
    delivery = Delivery(handing.outbox, peer, 5 * PACKET, acknowledges=True)
    await handing.hand_in(6)
    delivery.pump()
    assert numbers(peer) == [1, 2, 3]
    handing.outbox.acknowledge(handing.outbox.router_epoch, 2)
    delivery.acknowledged(2)
    assert numbers(peer) == [4, 5]
    handing.outbox.acknowledge(handing.outbox.router_epoch, 5)
    delivery.acknowledged(5)
    assert numbers(peer) == [6]


async def test_a_packet_larger_than_the_window_goes_alone(handing: Handing) -> None:
    peer = RecordingPeer()
    delivery = Delivery(handing.outbox, peer, 50, acknowledges=True)
    await handing.hand_in(2)
    delivery.pump()
    assert numbers(peer) == [1]
    handing.outbox.acknowledge(handing.outbox.router_epoch, 1)
    delivery.acknowledged(1)
    assert numbers(peer) == [2]


async def test_a_repeated_or_early_acknowledgement_does_no_harm(handing: Handing) -> None:
    peer = RecordingPeer()
    delivery = Delivery(handing.outbox, peer, 3 * PACKET, acknowledges=True)
    delivery.acknowledged(7)
    await handing.hand_in(1)
    delivery.pump()
    handing.outbox.acknowledge(handing.outbox.router_epoch, 1)
    delivery.acknowledged(1)
    delivery.acknowledged(1)
    await handing.hand_in(1)
    delivery.pump()
    assert numbers(peer) == [1, 2]


async def test_a_launcher_without_acknowledgements_has_what_was_sent(handing: Handing) -> None:
    peer = RecordingPeer()
    delivery = Delivery(handing.outbox, peer, 50, acknowledges=False)
    await handing.hand_in(3)
    delivery.pump()
    assert numbers(peer) == [1, 2, 3]
    assert handing.outbox.held == 0
