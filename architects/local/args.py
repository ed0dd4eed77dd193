"""What the `architect:` section of a task file may say of a server on this machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from falsework.engine.contract.architect import ArchitectArgs
from falsework.engine.settings.fields import Duration
from falsework.router.wire.router_args import DiskSettings

from ..shipping.router_args import WrittenSettings


@dataclass(frozen=True)
class LocalArgs(WrittenSettings, DiskSettings, ArchitectArgs):
    """`architect: {type: local, …}`; docs/router.md has the router's."""

    router: Literal["python", "node"] = "python"
    replicas: int = field(default=1, metadata={"min": 1, "max": 64})
    """How many routers share the run's workers: one uses one core. Who opens the task is sent to the one that serves him."""
    port: int = field(default=0, metadata={"min": 0, "max": 65535})
    """0: a free one. Of several routers the first listens there, the others on free ones."""
    host: str = "127.0.0.1"
    """The address to listen on; 0.0.0.0 for every network that this machine is in."""
    public_url: str | None = None
    """What workers open, where a tunnel or a proxy leads to this machine. Default: the host and port themselves."""
    python: str | None = None
    """The interpreter that runs the router; it needs aiohttp and msgspec. Default: the launcher's own."""
    node: str | None = None
    """The Node (20 or newer) that runs a server written for it. Default: that of `falsework[node]`, else the PATH's."""
    server_source_path: Path | None = None
    """A server of one's own instead of the router: a directory that says how it is started, see server_source.py."""
    restart: Literal["never", "on-failure"] = "on-failure"
    """Whether a router that dies of a signal or an error comes back by itself, launcher or no launcher: same URL, same data."""
    ready_timeout: Duration = 20.0
    """How long the server may take to say that it is ready."""
    stop_grace: Duration = 5.0
    """How long the server may take to drain and end before it is killed."""
