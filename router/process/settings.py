"""What a router is started with. Light to import: the process above a router needs no more than this."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ..wire.protocol import Limits


@dataclass(frozen=True)
class Settings:
    """`token` None makes it open to any launcher. Times in seconds; a limit that is None is none."""

    static: Path
    data: Path
    run_id: str = "standalone"
    token: str | None = None
    host: str = "127.0.0.1"
    port: int = 0
    lease: float = 900.0
    grace: float = 86400.0
    idle_timeout: float | None = None
    max_lifetime: float | None = None
    outbox: str = "disk"
    restart: bool = False
    """Whether a router that dies is started again."""
    frame_ancestors: tuple[str, ...] = ()
    """The sites that may show the task in a frame, in the words of a Content-Security-Policy."""
    content_security_policy: str | None = None
    """In place of the default one."""
    limits: Limits = field(default_factory=Limits)
