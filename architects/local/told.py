"""What a server on this machine is told: a router by its command line, a server of the user's own by its environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from falsework.engine.contract.architect import Site
from falsework.router.wire.router_args import RouterArgs

from ..shipping.router_args import arguments, router_args, variables
from .replica import DATA, Replica


def token_file(site: Site) -> Path:
    """Where the servers find the token; it goes with them."""
    return site.directory / "token"


def router_command(start: Sequence[str], site: Site, replica: Replica | None = None) -> list[str]:
    """The start command with what belongs to this run and this machine. The token itself is never on a command line.

    `replica` is the router that is started, where that matters; else the only one.
    """
    is_first = replica is None or replica.number == 1
    told = _told(site, Path("static"), site.directory / DATA if replica is None else replica.data)
    return [*start, *arguments(told if is_first else replace(told, port=0))]


def server_variables(site: Site, port: int) -> dict[str, str]:
    """What a server of the user's own is told, by the names of its variables; the token is only in the file that is named."""
    return variables(
        replace(_told(site, site.directory.resolve() / "bundle" / "static", site.directory / DATA), port=port)
    )


def server_environment(ours: Mapping[str, str], site: Site, port: int) -> dict[str, str]:
    """What a server of the user's own is started with: ours, its variables, and the launcher's own `python` first."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{ours.get('PATH', os.defpath)}"
    return {**ours, **server_variables(site, port), "PATH": path}


def _told(site: Site, static: Path, data: Path) -> RouterArgs:
    """Of several routers none is told when the run is idle: one that has no workers says nothing of the others."""
    return replace(
        router_args(site, static=static, data=data.resolve()),
        host=site.args.host,
        port=site.args.port,
        token_file=token_file(site).resolve(),
        restart=site.args.restart == "on-failure",
        idle_timeout=site.idle_timeout if site.args.replicas == 1 else None,
    )
