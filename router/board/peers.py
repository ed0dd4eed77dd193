"""Which of several routers of one run a worker belongs to, as the launcher last said which there are. No I/O, no clock.

Every router works it out by itself, and all come to the same: of the routers that there are, a worker's is the one whose
digest with the worker's name is the greatest. When one is lost, only its own workers get another.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256


class Peers:
    """The routers of a run, by number: on which port each one listens. `own` is the number of this one."""

    def __init__(self, own: str = "", ports: Mapping[str, int] | None = None) -> None:
        self._own, self._ports = own, dict(ports or {})

    def __bool__(self) -> bool:
        """Whether there are any others."""
        return any(number != self._own for number in self._ports)

    def port_of(self, visitor: str) -> int | None:
        """Where a visitor belongs; None where that is here."""
        if not self:
            return None
        number = max(self._ports, key=lambda number: sha256(f"{number}\0{visitor}".encode(errors="replace")).digest())
        return None if number == self._own else self._ports[number]
