from __future__ import annotations

from dataclasses import replace

import pytest
from falsework.router.board.launcher_link import HandshakeRefused, LauncherLink
from falsework.router.wire.protocol import (
    BAD_TOKEN,
    DISPLACED,
    Hello,
    Limits,
)

from ..peers import RecordingPeer


def link(token: str | None = "secret", **limits: int) -> LauncherLink:
    return LauncherLink(token, replace(Limits(), **limits), now=1000.0)


def refusal(of: LauncherLink, hello: Hello) -> int | None:
    try:
        of.check(hello)
    except HandshakeRefused as refused:
        return refused.code
    return None


@pytest.mark.parametrize("token", [None, "", "secre", "secret ", "Secret", "s\u00e9cret", "\U0001f600", "\0"])
def test_a_wrong_token_is_refused(token: str | None) -> None:
    assert refusal(link(), Hello(token=token, protocol=1, epoch=9)) == BAD_TOKEN


def test_a_token_may_be_any_text() -> None:
    assert refusal(link("s\u00e9cret"), Hello(token="s\u00e9cret", protocol=1)) is None


def test_an_open_router_asks_for_no_token() -> None:
    assert refusal(link(None), Hello()) is None
    assert refusal(link(None), Hello(token="any", protocol=1)) is None


def test_only_a_newer_epoch_takes_over_from_a_launcher_that_is_there() -> None:
    attached = link()
    first = RecordingPeer()
    attached.attach(first, Hello(token="secret", protocol=1, epoch=5), 1001.0)
    assert refusal(attached, Hello(token="secret", protocol=1, epoch=4)) == DISPLACED
    assert refusal(attached, Hello(token="secret", protocol=1, epoch=5)) == DISPLACED
    attached.check(Hello(token="secret", protocol=1, epoch=6))
    attached.attach(RecordingPeer(), Hello(token="secret", protocol=1, epoch=6), 1002.0)
    assert first.closed is not None
    assert first.closed[0] == DISPLACED


def test_the_same_epoch_may_come_back_once_it_is_gone_but_no_older_one() -> None:
    left = link()
    left.attach(RecordingPeer(), Hello(token="secret", protocol=1, epoch=5), 1001.0)
    left.detach(1002.0)
    assert refusal(left, Hello(token="secret", protocol=1, epoch=5)) is None
    assert refusal(left, Hello(token="secret", protocol=1, epoch=4)) == DISPLACED


def test_a_launcher_of_protocol_0_has_no_epoch_and_always_takes_over() -> None:
    attached = link(None)
    attached.attach(RecordingPeer(), Hello(protocol=1, epoch=5), 1001.0)
    assert refusal(attached, Hello()) is None
    attached.attach(RecordingPeer(), Hello(), 1002.0)
    assert attached.epoch == 5


def test_only_protocol_1_takes_several_packets_in_a_frame() -> None:
    old, new = RecordingPeer(), RecordingPeer()
    attached = link(None)
    attached.attach(old, Hello(), 1001.0)
    attached.attach(new, Hello(protocol=1, epoch=1), 1002.0)
    assert (old.batches, new.batches) == (False, True)
    assert attached.connection == 2


def test_what_is_said_while_nobody_is_there_is_kept_in_order() -> None:
    away, peer = link(), RecordingPeer()
    for packet in (b"1", b"2", b"3"):
        away.send(packet)
    away.attach(peer, Hello(protocol=1), 1001.0)
    away.send_backlog()
    away.send(b"4")
    away.send_backlog()
    assert peer.sent == [b"1", b"2", b"3", b"4"]


def test_the_oldest_go_when_too_many_are_kept() -> None:
    away, peer = link(launcher_queue=3), RecordingPeer()
    for number in range(10):
        away.send(b"%d" % number)
    away.attach(peer, Hello(protocol=1), 1001.0)
    away.send_backlog()
    assert peer.sent == [b"7", b"8", b"9"]
    assert away.dropped == 7


def test_the_oldest_go_when_too_much_is_kept() -> None:
    away, peer = link(launcher_queue_bytes=25), RecordingPeer()
    for number in range(4):
        away.send(b"%010d" % number)
    away.send(b"x" * 26)
    away.send(b"last")
    away.attach(peer, Hello(protocol=1), 1001.0)
    away.send_backlog()
    assert peer.sent == [b"last"]
    assert away.dropped == 5


def test_it_knows_how_long_nobody_has_been_there() -> None:
    started = link()
    assert started.away_for(1007.0) == 7.0
    started.attach(RecordingPeer(), Hello(protocol=1), 1008.0)
    assert started.away_for(1100.0) == 0.0
    started.detach(1100.0)
    assert started.away_for(1103.0) == 3.0
