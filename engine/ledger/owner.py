"""Whose a run is: a host, a process id, and the start time that tells a reused process id from the real one."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from math import inf

import psutil

CLOCK_TOLERANCE = 2.0
"""Seconds that two readings of one process's start time may differ."""
FRESH = 60.0
"""Seconds for which a heartbeat tells that its launcher lives: several intervals of heartbeat.py."""


@dataclass(frozen=True)
class Owner:
    """The launcher process that drives a run. `started` is in seconds since the epoch."""

    host: str
    pid: int
    started: float

    @classmethod
    def this_process(cls) -> Owner:
        """The process that asks."""
        return cls(socket.gethostname(), os.getpid(), psutil.Process().create_time())

    def is_on_this_host(self) -> bool:
        """Whether its life can be looked at from here."""
        return self.host == socket.gethostname()

    def is_alive(self, unheard: float = inf) -> bool:
        """Whether the process still runs, as far as it may be looked at: whoever may not be is not said to be dead.

        A process of that id with another start time is another one, unless the owner's last heartbeat is only `unheard`
        seconds old: then it may be the clock that was set. Legal on its own host only.
        """
        if not self.is_on_this_host():
            raise ValueError(f"{self} can only be looked at on {self.host}")
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < CLOCK_TOLERANCE or unheard < FRESH
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:
            return True

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"
