"""How far the work of a run is, in numbers. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Counts:
    """Where the work stands. Always: counted + agents_open + places_free == units * per_unit."""

    units: int
    done: int
    """Units that have all their submissions."""
    in_work: int
    """Units that are not done and that somebody is at, or has submitted."""
    places_free: int
    """Places that nobody holds: how many more assignments there may be at once."""
    agents_open: int
    counted: int
    """Submissions that count."""
    extras: int
    """Submissions that do not: too late, or of a group that was broken."""
