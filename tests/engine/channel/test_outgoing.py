"""Packets that wait for a connection."""

from __future__ import annotations

import asyncio

import pytest
from falsework.engine.channel import outgoing
from falsework.engine.channel.outgoing import Outgoing


def _filled(*packets: bytes) -> Outgoing:
    queue = Outgoing()
    for packet in packets:
        queue.put(packet)
    return queue


def test_packets_leave_in_the_order_in_which_they_came() -> None:
    assert _filled(b"1", b"2", b"3").take(100) == [b"1", b"2", b"3"]


def test_a_frame_holds_what_fits() -> None:
    queue = _filled(*[b"x" * 10] * 5)
    assert len(queue.take(40)) == 3
    assert len(queue) == 2


def test_a_packet_that_fills_a_frame_leaves_alone() -> None:
    queue = _filled(b"x" * 50, b"y")
    assert queue.take(50) == [b"x" * 50]


def test_what_did_not_get_away_is_first_again() -> None:
    queue = _filled(b"1", b"2")
    taken = queue.take(100)
    queue.put(b"3")
    queue.put_back(taken)
    assert queue.take(100) == [b"1", b"2", b"3"]


def test_the_oldest_go_when_too_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "MOST_QUEUED", 2)
    queue = _filled(b"1", b"2", b"3")
    assert queue.dropped == 1
    assert queue.take(100) == [b"2", b"3"]


async def test_news_is_heard_once() -> None:
    queue = _filled(b"1")
    await queue.news()
    waiting = asyncio.ensure_future(queue.news())
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.put(b"2")
    await waiting
