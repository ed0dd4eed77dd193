"""What a stand-in is told: Heroku's own limits, all of which a test may move at any time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Settings:
    """Times in seconds. The defaults are Heroku's, but for the waits after a crash."""

    idle_limit: float = 55.0
    """How long a connection through the front door may be silent in both directions."""
    request_limit: float = 30.0
    """How long a dyno may take to begin its answer (H12)."""
    boot_limit: float = 60.0
    """How long a web dyno may take to listen on its PORT (R10)."""
    stop_grace: float = 30.0
    """How long a dyno may take to end after SIGTERM before it is killed (R12)."""
    crash_wait: float = 0.2
    """How long a dyno that crashed for the second time stays crashed; doubled each time. The first restart is at once."""
    delete_lag: float = 0.0
    """How long a deleted app is still shown, and runs."""
    page_size: int = 200
    """The most that one page of a list holds, whatever the Range asks for."""
    app_limit: int = 100
    """How many apps the account, and each team, may have."""
    verified: bool = True
    """Whether the account has a credit card; without one it may not create apps (402)."""
