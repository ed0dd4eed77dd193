"""The routers that can be shipped: what each one's bundle holds, and the command that starts it there.

All take the same flags, so that what an architect says to one it can say to the other. Another router is another `ship_…`
here, another word in `LocalArgs.router`, and another row in tests/router/router_process.py.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from falsework.engine.contract.architect import Site
from falsework.engine.contract.bundle import Bundle
from falsework.engine.contract.cancellation import uncancelled
from falsework.engine.contract.copying import copy_file, copy_tree
from falsework.engine.errors import PrepareFailed

from ..machine.mark import RUN_ID
from .node_binary import Node, NodeMissing, find_node
from .node_dependencies import (
    MODULES,
    install,
    link_tree,
    what_runs,
)

PYTHON_SOURCE = Path(str(files("falsework.router")))
NODE_SOURCE = PYTHON_SOURCE / "node"
CLIENT_SOURCE = PYTHON_SOURCE / "client"
"""falsework.js, which both routers serve."""
SHARED = {"client": CLIENT_SOURCE, "wire/agreed.json": PYTHON_SOURCE / "wire" / "agreed.json"}
"""What lies outside the Node router's directory where it is worked on, and inside it in a bundle."""
OF_DEVELOPERS = (MODULES, "tsconfig.json")
"""What lies beside the Node router where it is worked on."""


@dataclass(frozen=True)
class Shipment:
    """What is made into a bundle: the directory that becomes `router/`, without some of its entries, and how it is started.

    `start` is a command, to be run in the bundle; `environment` names the variables that it needs. What `adds` names comes
    into `router/` from elsewhere, as do the packages that are installed in `modules`.
    """

    router: str
    source: Path
    start: Sequence[str]
    leaves_out: Sequence[str] = ()
    environment: Sequence[str] = (RUN_ID,)
    adds: Mapping[str, Path] = field(default_factory=dict)
    modules: Path | None = None


async def ship_python(site: Site, source: Path, leaves_out: Sequence[str]) -> Bundle:
    """The bundle of the router written in Python; its packages are those of the interpreter that runs it."""
    start = (site.args.python or sys.executable, "-m", "router")
    return await bundled(site, Shipment("python", source, start, leaves_out))


async def ship_node(site: Site) -> Bundle:
    """The bundle of the router written for Node, its packages in it; they are installed the first time. Raises PrepareFailed."""
    node, modules = await node_and_modules(site)
    start = (str(node.program), "router/server.js")
    shipment = Shipment("node", NODE_SOURCE, start, OF_DEVELOPERS, adds=SHARED, modules=modules)
    return await bundled(site, shipment)


async def node_and_modules(site: Site) -> tuple[Node, Path]:
    """The Node of this machine, and the packages that it has installed for the router. Raises PrepareFailed."""
    try:
        node = await asyncio.to_thread(find_node, site.args.node)
    except NodeMissing as error:
        raise PrepareFailed(str(error)) from error
    return node, await install(NODE_SOURCE, node, run_id=site.run_id, log=site.log, keeps=what_runs)


async def bundled(site: Site, shipment: Shipment) -> Bundle:
    """The same in a thread, and to its end: whoever is cancelled meanwhile may prepare again at once."""
    return await uncancelled(asyncio.to_thread(make_bundle, site, shipment))


def make_bundle(site: Site, shipment: Shipment) -> Bundle:
    """The bundle of a run, which replaces one that was there before. Raises BundleError, PrepareFailed."""
    bundle = Bundle.make(
        site.directory,
        site.run_id,
        router=shipment.router,
        router_source=shipment.source,
        router_leaves_out=shipment.leaves_out,
        start=shipment.start,
        environment=shipment.environment,
        static=Path(site.task.static),
        task_config={**site.task.config, "task_name": site.task.name},
    )
    router = bundle.directory / "router"
    try:
        for name, source in shipment.adds.items():
            (copy_tree if source.is_dir() else copy_file)(source, router / name)
        if shipment.modules is not None:
            link_tree(shipment.modules, router / MODULES)
    except OSError as error:
        raise PrepareFailed(f"the bundle of run {site.run_id} cannot be made: {error}") from error
    return bundle
