from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from falsework.router.wire.errors import Malformed
from falsework.router.wire.protocol import (
    STATUSES,
    TAKEN,
    WORKING,
    Envelope,
    Limits,
    decode,
    decode_frame,
    encode,
    encode_frame,
)
from hypothesis import example, given
from hypothesis import strategies as st

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
PACKETS = st.fixed_dictionaries(
    {"packet_type": st.text()},
    optional={
        "subject_id": JSON_VALUES,
        "data": JSON_VALUES,
        "client_timestamp": JSON_VALUES,
        "number": JSON_VALUES,
        "files": JSON_VALUES,
    },
)


def accepts(frame: bytes) -> bool:
    try:
        decode_frame(frame)
    except Malformed:
        return False
    return True


@given(st.binary(max_size=200))
@example(b"")
@example(b"\xef\xbb\xbf{}")
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b'{"packet_type": "a", "data": ' + b"[" * 5000 + b"]" * 5000 + b"}")
@example(b'{"packet_type": "a", "number": ' + b"9" * 5000 + b"}")
@example(b'{"packet_type": "a", "client_timestamp": 1e999}')
@example(b'{"packet_type": "\\ud83d"}')
@example(b'{"packet_type": "\\')
@example(b'"\\ud83')
def test_bytes_of_any_kind_are_packets_or_malformed(frame: bytes) -> None:
    accepts(frame)


@given(PACKETS | st.lists(PACKETS | JSON_VALUES, max_size=3) | JSON_VALUES, st.data())
def test_json_of_any_kind_whole_or_damaged_is_packets_or_malformed(value: Any, data: st.DataObject) -> None:
    frame = json.dumps(value).encode()
    accepts(frame)
    accepts(frame[: data.draw(st.integers(0, len(frame)))])
    where = data.draw(st.integers(0, len(frame)))
    accepts(frame[:where] + data.draw(st.binary(max_size=3)) + frame[where:])


@given(st.text(), JSON_VALUES)
def test_what_is_encoded_is_decoded_as_it_was(text: str, value: Any) -> None:
    data = msgspec.Raw(json.dumps({"text": text, "value": value}, ensure_ascii=False).encode())
    frame = encode(Envelope("submit_unit", text, data, number=7))
    [packet] = decode_frame(frame)
    assert (packet.packet_type, packet.subject_id, packet.number) == ("submit_unit", text, 7)
    assert bytes(packet.data) == bytes(data)


def test_a_packet_needs_only_its_type() -> None:
    [packet] = decode_frame(b'{"packet_type": "heartbeat"}')
    assert packet.subject_id is None
    assert bytes(packet.data) == b"{}"
    assert packet.client_timestamp is None


def test_a_frame_is_one_packet_or_an_array_of_them() -> None:
    packets = [encode(Envelope("a", "x", {})), encode(Envelope("b", "y", {}))]
    assert [packet.packet_type for packet in decode_frame(encode_frame(packets))] == ["a", "b"]
    assert encode_frame(packets[:1]) == packets[0]
    assert decode_frame(b"[]") == []


def test_fields_that_nobody_knows_are_passed_over() -> None:
    [packet] = decode_frame(b'{"packet_type": "alive", "sender_id": 5, "__proto__": {}, "data": [1]}')
    assert bytes(packet.data) == b"[1]"


@pytest.mark.parametrize(
    "frame",
    [
        b"{}",
        b"null",
        b"7",
        b'"alive"',
        b'{"packet_type": 5}',
        b'{"packet_type": null}',
        b'{"packet_type": "a", "subject_id": 5}',
        b'{"packet_type": "a", "client_timestamp": "noon"}',
        b'{"packet_type": "a", "number": 1.5}',
        b'{"packet_type": "a", "data": NaN}',
        b'[{"packet_type": "a"}, 5]',
        b'{"packet_type": "a"} {"packet_type": "b"}',
        b'{"packet_type": "caf\xe9"}',
        b'{"packet_type": "a", "data": "\xed\xa0\xbd"}',
    ],
)
def test_what_is_no_packet_is_told_what_was_expected(frame: bytes) -> None:
    with pytest.raises(Malformed, match="^expected a packet or an array of packets: "):
        decode_frame(frame)


@pytest.mark.parametrize(
    "said, read",
    [
        (rb'"half \ud83d"', "half \ufffd"),
        (rb'"\ude00 the other half"', "\ufffd the other half"),
        (rb'"whole \ud83d\ude00"', "whole \U0001f600"),
        (rb'"\ud83d\ud83d\ude00"', "\ufffd\U0001f600"),
        (rb'"\\ud83d stays"', r"\ud83d stays"),
        (rb'"\\\ud83d"', "\\\ufffd"),
        (rb'"\uD83D\uD83D"', "\ufffd\ufffd"),
    ],
)
def test_half_a_surrogate_pair_is_mended(said: bytes, read: str) -> None:
    [packet] = decode_frame(b'{"packet_type": "a", "data": {"text": ' + said + b'}, "subject_id": ' + said + b"}")
    assert packet.subject_id == read
    assert json.loads(bytes(packet.data)) == {"text": read}


def test_decode_says_what_it_expected() -> None:
    with pytest.raises(Malformed, match="expected a list of numbers: "):
        decode(b"{}", msgspec.json.Decoder(list[int]), "a list of numbers")


def test_the_statuses_are_those_of_the_contract() -> None:
    assert len(STATUSES) == 14
    assert {"onboarding", "waiting", "in task"} == WORKING
    assert WORKING | TAKEN < STATUSES


def test_limits_are_overridden_by_name_and_keep_their_kind() -> None:
    limits = Limits().override({"frame": "4096", "silence": "0.5"})
    assert (limits.frame, limits.silence, limits.upload) == (4096, 0.5, Limits().upload)
    assert isinstance(limits.frame, int)


@pytest.mark.parametrize(
    "settings, complaint",
    [
        ({"frames": "1"}, "'frames' is no limit; the limits are frame, "),
        ({"frame": "many"}, "limit frame: 'many' is no positive number"),
        ({"frame": "0"}, "no positive number"),
        ({"silence": "-1"}, "no positive number"),
        ({"silence": "inf"}, "no positive number"),
        ({"silence": ""}, "no positive number"),
    ],
)
def test_a_limit_that_is_none_is_refused(settings: dict[str, str], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Limits().override(settings)
