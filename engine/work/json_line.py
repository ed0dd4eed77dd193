"""The data of a submission, made fit for a file of JSON lines: in one line, and never too deep for whoever reads it later."""

from __future__ import annotations

import re
from itertools import accumulate

import msgspec

DEEPEST = 200
"""What is nested deeper than this is kept as a JSON string of its text: a later reader may have less stack to spare."""

_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in _STEPS)


def one_line(text: bytes) -> bytes:
    """The same JSON in one line, and in a string if it is nested too deep. Raises ValueError for what is no JSON."""
    try:
        text.decode()
        if _nesting(text) > DEEPEST:
            return msgspec.json.encode(text.decode())
        return msgspec.json.format(text, indent=-1)
    except (UnicodeDecodeError, msgspec.MsgspecError) as error:
        raise ValueError(f"the data of a submission is no JSON: {error}") from error


def _nesting(text: bytes) -> int:
    """How deep arrays and objects stand in each other; where their number is no more than DEEPEST, that number."""
    opened = text.count(b"[") + text.count(b"{")
    if opened <= DEEPEST:
        return opened
    return max(accumulate(map(_STEPS.__getitem__, _STRINGS.sub(b"", text).translate(None, _NO_BRACKETS))))
