"""What a router is started with, once it was read. Light to import: the process above a router needs no more than this."""

from __future__ import annotations

from dataclasses import dataclass

from ..wire.router_args import RouterArgs

BACKLOG = 1024
"""Connections that wait to be accepted, at the most."""


@dataclass(frozen=True, kw_only=True)
class Settings(RouterArgs):
    """All that the router was told, and the token itself; None makes it open to any launcher."""

    token: str | None = None
