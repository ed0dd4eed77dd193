"""WebSocket frames as bytes: what a client may send, cut anywhere, and what it may not."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest
from falsework.router.door import frames
from falsework.router.door.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FINAL,
    PING,
    PONG,
    TEXT,
    FrameError,
    FrameReader,
)
from hypothesis import given
from hypothesis import strategies as st

LIMIT = 1000
MASK = b"\x12\x00\xfe\x7f"


def masked(first: int, payload: bytes, mask: bytes = MASK) -> bytes:
    """A frame of a client."""
    length = len(payload)
    if length < 126:
        head = bytes([first, 0x80 | length])
    elif length < 1 << 16:
        head = bytes([first, 0x80 | 126]) + length.to_bytes(2)
    else:
        head = bytes([first, 0x80 | 127]) + length.to_bytes(8)
    return head + mask + bytes(byte ^ key for byte, key in zip(payload, itertools.cycle(mask), strict=False))


def in_parts(kind: int, parts: list[bytes]) -> Iterable[bytes]:
    for number, part in enumerate(parts):
        first = CONTINUATION if number else kind
        yield masked(first | (FINAL if number == len(parts) - 1 else 0), part)


def read(*chunks: bytes, limit: int = LIMIT) -> list[tuple[int, bytes]]:
    reader = FrameReader(limit)
    return [message for chunk in chunks for message in reader.feed(chunk)]


messages = st.lists(
    st.tuples(st.sampled_from([TEXT, BINARY]), st.lists(st.binary(max_size=200), min_size=1, max_size=4)), max_size=6
)


@given(messages, st.lists(st.integers(0, 4000), max_size=12), st.booleans())
def test_messages_come_out_as_they_went_in_wherever_the_bytes_are_cut(
    sent: list[tuple[int, list[bytes]]], cuts: list[int], with_pings: bool
) -> None:
    separator = masked(FINAL | PING, b"?") if with_pings else b""
    stream = b"".join(frame + separator for kind, parts in sent for frame in in_parts(kind, parts))
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    received = read(*(stream[start:end] for start, end in itertools.pairwise(edges)))
    assert [message for message in received if message[0] != PING] == [(kind, b"".join(parts)) for kind, parts in sent]
    assert received.count((PING, b"?")) == (sum(len(parts) for _, parts in sent) if with_pings else 0)


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65535, 65536, 1 << 20])
def test_every_way_to_write_a_length_is_read(length: int) -> None:
    payload = bytes(range(256)) * (length // 256 + 1)
    assert read(masked(FINAL | TEXT, payload[:length]), limit=1 << 20) == [(TEXT, payload[:length])]


@pytest.mark.parametrize("length", [0, 125, 126, 65535, 65536])
def test_a_header_says_the_length_of_what_follows(length: int) -> None:
    header = frames.frame_header(TEXT, length)
    assert header[0] == FINAL | TEXT
    said = header[1] if len(header) == 2 else int.from_bytes(header[2:])
    assert said == length


@pytest.mark.parametrize(
    "stream, code",
    [
        pytest.param(bytes([FINAL | TEXT, 1, 65]), frames.PROTOCOL_ERROR, id="without a mask"),
        pytest.param(masked(FINAL | 0x40 | TEXT, b"x"), frames.PROTOCOL_ERROR, id="compressed"),
        pytest.param(masked(FINAL | 0x3, b"x"), frames.PROTOCOL_ERROR, id="a kind that is none"),
        pytest.param(masked(FINAL | 0xB, b"x"), frames.PROTOCOL_ERROR, id="a control that is none"),
        pytest.param(masked(FINAL | CONTINUATION, b"x"), frames.PROTOCOL_ERROR, id="a part of nothing"),
        pytest.param(masked(TEXT, b"x") + masked(FINAL | TEXT, b"y"), frames.PROTOCOL_ERROR, id="a message in another"),
        pytest.param(masked(PING, b"x"), frames.PROTOCOL_ERROR, id="a ping in parts"),
        pytest.param(masked(FINAL | PONG, bytes(126)), frames.PROTOCOL_ERROR, id="a pong that is too long"),
        pytest.param(masked(FINAL | TEXT, bytes(LIMIT + 1)), frames.MESSAGE_TOO_BIG, id="over the limit"),
        pytest.param(masked(FINAL | TEXT, bytes(LIMIT + 1))[:8], frames.MESSAGE_TOO_BIG, id="over it by its header"),
        pytest.param(
            b"".join(in_parts(TEXT, [bytes(LIMIT), b"x"])), frames.MESSAGE_TOO_BIG, id="over the limit in parts"
        ),
        pytest.param(bytes([FINAL | TEXT, 0xFF, *[0xFF] * 8, *MASK]), frames.MESSAGE_TOO_BIG, id="as long as can be"),
    ],
)
def test_what_is_not_of_the_protocol_is_refused_after_what_came_before_it(stream: bytes, code: int) -> None:
    heard = []
    with pytest.raises(FrameError) as caught:  # noqa: PT012 - what was read before the fault counts
        for message in FrameReader(LIMIT).feed(masked(FINAL | TEXT, b"before") + stream):
            heard.append(message)
    assert heard == [(TEXT, b"before")]
    assert caught.value.code == code


def test_a_message_at_the_limit_is_taken() -> None:
    assert read(masked(FINAL | TEXT, bytes(LIMIT))) == [(TEXT, bytes(LIMIT))]


@pytest.mark.parametrize("content, code", [(b"", frames.NO_CODE), (b"\x03\xe8bye", 1000), (b"\x11\x29", 4393)])
def test_a_close_says_its_code(content: bytes, code: int) -> None:
    assert frames.read_close(content) == code


@pytest.mark.parametrize("content", [b"\x03", b"\x00\x00", b"\x03\xed", b"\x03\xee", b"\xff\xff"])
def test_a_close_with_a_code_that_nobody_may_say_is_refused(content: bytes) -> None:
    with pytest.raises(FrameError):
        frames.read_close(content)


def test_the_reason_of_a_close_is_cut_between_letters() -> None:
    frame = frames.close_frame(4401, "é" * 100)
    assert frame[:4] == bytes([FINAL | CLOSE, len(frame) - 2]) + (4401).to_bytes(2)
    assert frame[4:].decode() == "é" * 61


def test_a_handshake_is_answered_as_the_standard_shows_it() -> None:
    answer = frames.handshake_answer("dGhlIHNhbXBsZSBub25jZQ==")
    assert b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n" in answer


@pytest.mark.parametrize("key", ["", "short", "dGhlIHNhbXBsZSBub25jZQ", "é", "dGhlIHNhbXBsZSBub25jZQ==\r\nx"])
def test_a_key_that_is_none_is_seen(key: str) -> None:
    assert not frames.is_handshake_key(key)


@given(st.binary(min_size=4, max_size=4), st.binary(max_size=300))
def test_both_ways_to_take_a_mask_off_agree(mask: bytes, payload: bytes) -> None:
    plain = bytearray(payload)
    frames._apply_mask_in_python(mask, plain)
    assert frames._unmasked(mask, payload) == plain
