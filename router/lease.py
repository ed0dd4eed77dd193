"""How long the server lives without hearing from its launcher. No I/O, no clock.

Heard within the lease: it serves. Unheard for longer: it admits no new workers, and keeps what it holds. Once that has been
collected, or after the grace, it is over, and the server ends itself.
"""

from __future__ import annotations

from enum import StrEnum


class Admission(StrEnum):
    """Whether new workers are let in, and why not."""

    OPEN = "open"
    DRAINING = "draining"
    """The launcher asked for it."""
    UNHEARD = "unheard"
    """The lease has run out; any word from the launcher opens it again."""
    CLOSED = "closed"
    """The launcher said that it leaves for good."""


class Lease:
    """All times in seconds of a monotonic clock that is handed in."""

    def __init__(self, seconds: float, grace: float, now: float) -> None:
        self.seconds, self.grace, self.heard = seconds, grace, now
        self._asked: Admission | None = None

    def renew(self, now: float, seconds: float | None = None) -> None:
        """The launcher was heard; `seconds` sets a new length."""
        self.heard = now
        if seconds is not None:
            self.seconds = seconds

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

    def admission(self, now: float) -> Admission:
        """Whether new workers are let in."""
        if self._asked is Admission.CLOSED:
            return self._asked
        if now - self.heard > self.seconds:
            return Admission.UNHEARD
        return self._asked or Admission.OPEN

    def is_over(self, now: float, held: int) -> bool:
        """Whether the server should end itself, holding `held` packets that nobody has collected."""
        if self.admission(now) not in (Admission.UNHEARD, Admission.CLOSED):
            return False
        return held == 0 or now - self.heard > self.seconds + self.grace
