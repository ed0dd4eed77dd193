"""Which units still need people: the arithmetic behind the assignments. Pure, and never a walk over all the units."""

from __future__ import annotations

from collections.abc import Iterator


class Places:
    """How many people each unit has, and which units need more. A unit has `per_unit` places."""

    def __init__(self, units: int, per_unit: int) -> None:
        self.units, self.per_unit = units, per_unit
        self.free = units * per_unit
        """Places that nobody holds."""
        self.counted = 0
        """Places taken for good."""
        self.begun = self.done = 0
        """Units of which some places are held; units of which all are taken for good."""
        self.unfinished = UnitSet(units)
        self._taken = [0] * units
        self._counted = [0] * units
        self._untouched = UnitSet(units)
        self._needing = UnitSet()  # begun and not full

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Places) and vars(self) == vars(other)

    def lowest_free_outside(self, units: UnitSet) -> int | None:
        """The lowest unit with a free place that is none of `units`; of those that were begun, if there is one."""
        begun = self._needing.lowest_outside(units)
        return self._untouched.lowest_outside(units) if begun is None else begun

    def lowest_free_within(self, units: UnitSet) -> int | None:
        """The same for a unit that is one of `units`."""
        begun = self._needing.lowest_within(units)
        return self._untouched.lowest_within(units) if begun is None else begun

    def is_free(self, unit: int) -> bool:
        """Whether the unit has a place that nobody holds."""
        return self._taken[unit] < self.per_unit

    def take(self, unit: int) -> None:
        """Somebody holds a place from now on. Legal where one is free."""
        self._occupy(unit, 1)

    def leave(self, unit: int) -> None:
        """Somebody who took a place gives it back."""
        self._occupy(unit, -1)

    def count(self, unit: int) -> None:
        """A submission takes a place for good. Legal where one is free."""
        self._occupy(unit, 1)
        self._counted[unit] += 1
        self.counted += 1
        if self._counted[unit] == self.per_unit:
            self.done += 1
            self.unfinished.discard(unit)

    def uncount(self, unit: int) -> None:
        """A submission gives its place back after all. Only for a unit that is not done: what is done stays done."""
        self._occupy(unit, -1)
        self._counted[unit] -= 1
        self.counted -= 1

    def _occupy(self, unit: int, change: int) -> None:
        before = self._taken[unit]
        after = self._taken[unit] = before + change
        self.free -= change
        self.begun += (after > 0) - (before > 0)
        self._untouched.put(unit, after == 0)
        self._needing.put(unit, 0 < after < self.per_unit)


class UnitSet:
    """A set of unit indices that finds its lowest member outside or within another set without visiting the members.

    The indices are bits in chunks of `CHUNK` units. A search looks at each chunk at most once, and never at an empty
    one.
    """

    CHUNK = 1024

    def __init__(self, below: int = 0) -> None:
        """The indices from 0 up to, and without, `below`."""
        whole, rest = divmod(below, self.CHUNK)
        self._bits = dict.fromkeys(range(whole), (1 << self.CHUNK) - 1)
        if rest:
            self._bits[whole] = (1 << rest) - 1
        self._chunks = (1 << len(self._bits)) - 1
        """Bit c: chunk c has members."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UnitSet) and self._bits == other._bits

    def __bool__(self) -> bool:
        return bool(self._chunks)

    def put(self, unit: int, belongs: bool) -> None:
        """Make the unit a member, or none. May be repeated."""
        if belongs:
            self.add(unit)
        else:
            self.discard(unit)

    def add(self, unit: int) -> None:
        """Make the unit a member. May be repeated."""
        chunk, bit = divmod(unit, self.CHUNK)
        self._bits[chunk] = self._bits.get(chunk, 0) | 1 << bit
        self._chunks |= 1 << chunk

    def discard(self, unit: int) -> None:
        """Make the unit none of the members. May be repeated."""
        chunk, bit = divmod(unit, self.CHUNK)
        left = self._bits.get(chunk, 0) & ~(1 << bit)
        if left:
            self._bits[chunk] = left
        elif self._bits.pop(chunk, 0):
            self._chunks ^= 1 << chunk

    def lowest_outside(self, other: UnitSet) -> int | None:
        """The lowest member that `other` does not have."""
        for chunk in _bits_of(self._chunks):
            found = self._bits[chunk] & ~other._bits.get(chunk, 0)
            if found:
                return chunk * self.CHUNK + _lowest_bit(found)
        return None

    def lowest_within(self, other: UnitSet) -> int | None:
        """The lowest member that `other` has as well."""
        for chunk in _bits_of(self._chunks & other._chunks):
            found = self._bits[chunk] & other._bits[chunk]
            if found:
                return chunk * self.CHUNK + _lowest_bit(found)
        return None


def _bits_of(bits: int) -> Iterator[int]:
    while bits:
        yield _lowest_bit(bits)
        bits &= bits - 1


def _lowest_bit(bits: int) -> int:
    return (bits & -bits).bit_length() - 1
