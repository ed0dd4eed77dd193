"""The bundle as Heroku builds it: the router, and at the top what tells Heroku the language and the start command.

Procfile, start.sh                       how it is started
.python-version, requirements.txt        `router: python`: installed by Heroku, in the versions of this machine
package.json                             `router: node`: its packages are in the bundle, nothing is installed
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from falsework.engine.contract.architect import Site
from falsework.engine.contract.bundle import Bundle
from falsework.engine.contract.cancellation import uncancelled
from falsework.engine.errors import PrepareFailed

from ..machine.mark import RUN_ID
from ..shipping.node_binary import Node
from ..shipping.router_args import arguments, router_args
from ..shipping.routers import (
    NODE_SOURCE,
    OF_DEVELOPERS,
    PYTHON_SOURCE,
    SHARED,
    Shipment,
    make_bundle,
    node_and_modules,
)
from .start import (
    EXPIRES,
    SCRIPT,
    START,
    procfile,
)

TOKEN = "FALSEWORK_TOKEN"
"""The config var with the launcher's token."""
ENVIRONMENT = ("PORT", TOKEN, RUN_ID, EXPIRES)
NEEDED, FASTER = ("aiohttp", "msgspec"), ("uvloop",)
"""The packages of the router in Python; the last ones where this machine has them too."""
PYTHON_START = ("python", "-m", "router")
NODE_START = ("node", "router/server.js")


async def ship(site: Site) -> Bundle:
    """Make the run's bundle. Raises PrepareFailed, BundleError."""
    return await (_ship_node(site) if site.args.router == "node" else _ship_python(site))


def server_command(start: Sequence[str], site: Site) -> tuple[str, ...]:
    """How the router is started in a dyno, to be run in the bundle. The token is not in it: it comes in a config var."""
    told = replace(
        router_args(site, static=Path("static"), data=Path("data")),
        host="0.0.0.0",
        outbox="launcher",
        restart=True,
        max_lifetime=None,  # of the app, not of the dyno: start.sh says what is left of it
    )
    return (*start, *arguments(told))


async def _ship_python(site: Site) -> Bundle:
    files = {
        ".python-version": f"{sys.version_info.major}.{sys.version_info.minor}\n",
        "requirements.txt": "".join(f"{line}\n" for line in _requirements()),
    }
    shipment = Shipment("python", PYTHON_SOURCE, server_command(PYTHON_START, site), ("node",), ENVIRONMENT)
    return await _bundled(site, shipment, files)


async def _ship_node(site: Site) -> Bundle:
    node, modules = await node_and_modules(site)
    start = server_command(NODE_START, site)
    shipment = Shipment("node", NODE_SOURCE, start, OF_DEVELOPERS, ENVIRONMENT, SHARED, modules)
    return await _bundled(site, shipment, {"package.json": _package(site.run_id, node)})


async def _bundled(site: Site, shipment: Shipment, files: Mapping[str, str]) -> Bundle:
    """The bundle with these files and the start's at its top. No thread goes on at it once this has ended."""

    def make() -> Bundle:
        bundle = make_bundle(site, shipment)
        for name, text in {**files, "Procfile": procfile(bundle.start), START: SCRIPT}.items():
            path = bundle.directory / name
            path.write_text(text)
            path.chmod(0o600)
        return bundle

    try:
        return await uncancelled(asyncio.to_thread(make))
    except OSError as error:
        raise PrepareFailed(f"the bundle of run {site.run_id} cannot be made: {error}") from error


def _requirements() -> list[str]:
    """Exactly what runs here, and so is known to work."""
    present = []
    for name in (*NEEDED, *FASTER):
        try:
            present.append(f"{name}=={version(name)}")
        except PackageNotFoundError as error:
            if name in NEEDED:
                raise PrepareFailed(f"{name}, which the router needs, is not installed here") from error
    return present


def _package(run_id: str, node: Node) -> str:
    """Says which Node, and that nothing is to be installed."""
    major = node.version.partition(".")[0]
    package = {"name": run_id, "version": "1.0.0", "private": True, "engines": {"node": f"{major}.x"}}
    return json.dumps(package, indent=1) + "\n"
