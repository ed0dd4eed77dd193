"""What happens in a schedule, read from bytes: a zero, and whatever comes after their end, is the choice without trouble."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


class Choices:
    """The bytes of one schedule. Once `calm` is set nothing goes wrong any more."""

    def __init__(self, data: bytes) -> None:
        self._data = iter(data)
        self.calm = False

    def byte(self) -> int:
        return 0 if self.calm else next(self._data, 0)

    def one_in(self, number: int) -> bool:
        """True for one byte in `number`, at most 256; the highest."""
        return self.byte() > 255 - 256 // number

    def pick(self, *options: T) -> T:
        """Any of them; the first is the harmless one."""
        return options[self.byte() % len(options)]
