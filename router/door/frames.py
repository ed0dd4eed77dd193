"""WebSocket frames as a server sees them (RFC 6455): bytes to messages, messages to bytes, the answer to a handshake. No I/O.

No extensions, so no compression: packets are small, and a compressor for each connection is not.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Iterator

from ..wire.agreed import AGREED, filled

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
"""Kinds of frames. Those from CLOSE on control the connection; they are short, whole, and may come inside a message."""
FINAL, RESERVED, MASKED = 0x80, 0x70, 0x80
"""The other bits of a frame's first two bytes: the last one of its message, an extension's, with a mask."""
WHOLE_TEXT = FINAL | TEXT
CONTROL_LIMIT = 125

# Close codes of the protocol itself.
PROTOCOL_ERROR, NO_CODE, ABNORMAL, MESSAGE_TOO_BIG = 1002, 1005, 1006, AGREED.closings.frame_too_large.code
_CODES_TO_SAY = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)})

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_SHORT, _MEDIUM, _LONG = struct.Struct("!BB").pack, struct.Struct("!BBH").pack, struct.Struct("!BBQ").pack
_HEADER_LENGTHS = {126: 8, 127: 14}
"""Bytes before the payload of a masked frame, by the length that its second byte says; 6 for the others."""


class FrameError(Exception):
    """The other end does not keep to the protocol, or to the limit; the code and the reason to close with."""

    def __init__(self, code: int, reason: str) -> None:
        self.code, self.reason = code, reason
        super().__init__(reason)


class FrameReader:
    """Bytes of one connection in, messages of at most `limit` bytes and control frames out."""

    __slots__ = ("_kind", "_limit", "_message", "_needed", "_rest")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest: bytearray | None = None
        self._needed = 0
        self._kind = CONTINUATION
        self._message: bytearray | None = None

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """What these bytes complete, as (kind, payload). Raises FrameError after what came before the fault."""
        if self._rest is not None:
            self._rest += data
            if len(self._rest) < self._needed:
                return
            data, self._rest = bytes(self._rest), None
        position, end = 0, len(data)
        while position < end:
            payload, beyond = self._measure(data, position, end)
            if beyond > end:
                self._rest, self._needed = bytearray(data[position:]), beyond - position
                return
            content = _unmasked(data[payload - 4 : payload], data[payload:beyond])
            if data[position] == WHOLE_TEXT:
                yield TEXT, content
            else:
                yield from self._put_together(data[position], content)
            position = beyond

    def _measure(self, data: bytes, position: int, end: int) -> tuple[int, int]:
        """Where the payload of the frame at `position` begins and ends, or the end of its header if that is not there yet."""
        if end - position < 2:
            return position, position + 2
        first, second = data[position], data[position + 1]
        length = second - MASKED
        if length < 0:
            raise FrameError(PROTOCOL_ERROR, "a frame of a client without a mask")
        payload = position + _HEADER_LENGTHS.get(length, 6)
        if payload > end:
            return position, payload
        if length > CONTROL_LIMIT:
            length = int.from_bytes(data[position + 2 : payload - 4])
        if first != WHOLE_TEXT or length > self._limit or self._message is not None:
            self._check(first, length)
        return payload, payload + length

    def _check(self, first: int, length: int) -> None:
        kind = first & 0x0F
        if first & RESERVED or BINARY < kind < CLOSE or kind > PONG:
            raise FrameError(PROTOCOL_ERROR, "a frame that is not of this protocol")
        if kind >= CLOSE:
            if length > CONTROL_LIMIT or first < FINAL:
                raise FrameError(PROTOCOL_ERROR, "a control frame that is too long, or in parts")
            return
        if (kind == CONTINUATION) != (self._message is not None):
            raise FrameError(PROTOCOL_ERROR, "the parts of a message are out of order")
        if length + len(self._message or b"") > self._limit:
            raise FrameError(MESSAGE_TOO_BIG, filled(AGREED.closings.frame_too_large.reason, limit=self._limit))

    def _put_together(self, first: int, content: bytes) -> Iterator[tuple[int, bytes]]:
        kind = first & 0x0F
        if kind >= CLOSE:
            yield kind, content
            return
        if self._message is None:
            self._kind, self._message = kind, bytearray()
        self._message += content
        if first & FINAL:
            message, self._message = bytes(self._message), None
            yield self._kind, message


def frame_header(kind: int, length: int) -> bytes:
    """What goes before the payload of a whole frame of a server, which has no mask."""
    first = FINAL | kind
    if length <= CONTROL_LIMIT:
        return _SHORT(first, length)
    if length < 1 << 16:
        return _MEDIUM(first, 126, length)
    return _LONG(first, 127, length)


def close_frame(code: int, reason: str) -> bytes:
    """A whole frame that closes; the reason is cut where it does not fit. NO_CODE says none."""
    if code == NO_CODE:
        return frame_header(CLOSE, 0)
    content = code.to_bytes(2) + reason.encode()[: CONTROL_LIMIT - 2].decode(errors="ignore").encode()
    return frame_header(CLOSE, len(content)) + content


def read_close(content: bytes) -> int:
    """The code of a close frame. Raises FrameError for one that nobody may say."""
    if not content:
        return NO_CODE
    code = int.from_bytes(content[:2])
    if len(content) == 1 or code not in _CODES_TO_SAY:
        raise FrameError(PROTOCOL_ERROR, "a close frame without a code that may be said")
    return code


def handshake_answer(key: str) -> bytes:
    """What turns an HTTP connection into a WebSocket. `key` is the client's `Sec-WebSocket-Key`."""
    accepted = base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        + accepted
        + b"\r\n\r\n"
    )


def is_handshake_key(key: str) -> bool:
    """Whether it is what a client must say: 16 bytes in base64."""
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except ValueError:
        return False


def _unmasked(mask: bytes, payload: bytes) -> bytes:
    content = bytearray(payload)
    _apply_mask(mask, content)
    return bytes(content)


def _apply_mask_in_python(mask: bytes, data: bytearray) -> None:
    """Twenty times as slow as aiohttp's for a long frame: about 2.4 ns for each byte."""
    length = len(data)
    key = int.from_bytes((mask * (length // 4 + 1))[:length])
    data[:] = (int.from_bytes(data) ^ key).to_bytes(length)


try:
    from aiohttp._websocket.helpers import websocket_mask as _apply_mask
except ImportError:  # it is not part of aiohttp's public face, and may move
    _apply_mask = _apply_mask_in_python
