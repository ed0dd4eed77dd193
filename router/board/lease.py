"""How long the server lives: by its launcher's word, by its workers' words, and in all. No I/O, no clock.

Within its lease and its limits it serves. Past one of them it admits no new workers, and keeps what it holds. Once that has
been collected, or after the grace, it is over, and the server ends itself.
"""

from __future__ import annotations

from enum import StrEnum
from math import inf
from typing import NamedTuple

OVERTIME = 60.0
"""Seconds past a limit that an attached launcher has for taking the server down itself, which it does in better order."""


class Admission(StrEnum):
    """Whether new workers are let in, and why not."""

    OPEN = "open"
    DRAINING = "draining"
    """The launcher asked for it."""
    UNHEARD = "unheard"
    """The lease has run out; any word from the launcher opens it again."""
    IDLE = "idle"
    """No worker was heard for too long; any word from one opens it again."""
    EXPIRED = "expired"
    """The server is as old as it may get."""
    CLOSED = "closed"
    """The launcher said that it leaves for good."""


class LeaseState(NamedTuple):
    """What passes over to a router that takes the place of one that died."""

    heard: float
    seconds: float
    worked: float
    asked: Admission | None


class Lease:
    """All times in seconds of a monotonic clock that is handed in."""

    def __init__(
        self,
        seconds: float,
        grace: float,
        now: float,
        *,
        idle_timeout: float | None = None,
        lifetime_left: float | None = None,
        before: LeaseState | None = None,
    ) -> None:
        """`lifetime_left` is what is left of the time that the server may exist, `before` what a router before it knew."""
        self.started, self.grace = now, grace
        self.heard, self.seconds, self.worked, self._asked = before or LeaseState(now, seconds, now, None)
        self._idle_timeout = inf if idle_timeout is None else idle_timeout
        self._expires = inf if lifetime_left is None else now + lifetime_left

    @property
    def state(self) -> LeaseState:
        """For a router that may have to take this one's place."""
        return LeaseState(self.heard, self.seconds, self.worked, self._asked)

    def renew(self, now: float, seconds: float | None = None) -> None:
        """The launcher was heard; `seconds` sets a new length."""
        self.heard = now
        if seconds is not None:
            self.seconds = seconds

    def worker_heard(self, now: float) -> None:
        """Any worker."""
        self.worked = now

    def drain(self) -> None:
        """Admit nobody more."""
        self._asked = self._asked or Admission.DRAINING

    def end(self) -> None:
        """The launcher leaves for good."""
        self._asked = Admission.CLOSED

    @property
    def is_closed(self) -> bool:
        """Whether the launcher said that it leaves for good."""
        return self._asked is Admission.CLOSED

    def lifetime_left(self, now: float) -> float | None:
        """Seconds until the server is as old as it may get; None if it may get as old as it likes."""
        return None if self._expires == inf else max(0.0, self._expires - now)

    def admission(self, now: float) -> Admission:
        """Whether new workers are let in."""
        if self._asked is Admission.CLOSED:
            return self._asked
        if now > self._expires:
            return Admission.EXPIRED
        if now > self.heard + self.seconds:
            return Admission.UNHEARD
        if now > self.worked + self._idle_timeout:
            return Admission.IDLE
        return self._asked or Admission.OPEN

    def is_over(self, now: float, held: int, *, is_attended: bool = False) -> bool:
        """Whether the server should end itself, holding `held` packets that nobody has collected.

        At a limit of its own, a launcher that is attached comes first: it keeps the same limits.
        """
        lease_end = self.heard + self.seconds
        limit = min(self._expires, self.worked + self._idle_timeout)
        overtime = OVERTIME if is_attended else 0.0
        left_for_good = self.is_closed and held == 0
        return left_for_good or self._is_past(lease_end, now, held) or self._is_past(limit + overtime, now, held)

    def _is_past(self, end: float, now: float, held: int) -> bool:
        return now > (end if held == 0 else end + self.grace)
