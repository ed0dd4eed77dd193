"""The real `heroku` command, pinned, installed outside the tree, and pointed at a stand-in of its own platform."""

from __future__ import annotations

from .client import ClientAnswer, HerokuClient
from .installation import installed_client

__all__ = ["ClientAnswer", "HerokuClient", "installed_client"]
