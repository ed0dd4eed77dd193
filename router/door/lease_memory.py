"""What a router knows of its lease, where it outlives it: in memory that it shares with the process above it.

A router that dies again and again while its launcher is away must not get a new lease each time, or it would live for ever.
"""

from __future__ import annotations

import mmap
import struct

from ..board.lease import Admission, LeaseState

_FORM = struct.Struct("?7x4d")
_ASKED = (None, *Admission)


class LeaseMemory:
    """Make it before the fork. Both times of the state are of the system's monotonic clock, which all processes share."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, _FORM.size)

    def save(self, state: LeaseState) -> None:
        """Each number is whole whenever the process may die."""
        _FORM.pack_into(self._shared, 0, True, *state[:3], _ASKED.index(state.asked))

    def load(self) -> LeaseState | None:
        """What was saved last; None if nothing was."""
        is_saved, heard, seconds, worked, asked = _FORM.unpack_from(self._shared)
        return LeaseState(heard, seconds, worked, _ASKED[int(asked)]) if is_saved else None
