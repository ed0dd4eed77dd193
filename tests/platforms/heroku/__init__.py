"""A Heroku to test against: it answers like the Platform API and really runs what is pushed. README.md says how to use it."""

from __future__ import annotations

from .app import App
from .dyno import Dyno
from .faults import Fault
from .gate import Call
from .platform import HerokuPlatform
from .settings import Settings

__all__ = ["App", "Call", "Dyno", "Fault", "HerokuPlatform", "Settings"]
