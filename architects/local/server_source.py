"""A server of the user's own in the router's place: a directory whose start command stands in a file of it.

`architect: {type: local, server_source_path: my-server}` ships that directory as the bundle's `router/`, and starts there what
one of these files says, the first that is there:

    Procfile        web: python server.py --port $PORT
    manifest.json   {"start": ["python", "server.py"]}, or a line as above
    package.json    {"scripts": {"start": "node server.js"}}

A line is run by /bin/sh. Beside the launcher's own environment (but for FALSEWORK_TOKEN) the server gets:

    PORT, HOST                   where to listen; the port is a free one unless architect.port names one
    FALSEWORK_RUN_ID             what /is_alive has to answer with
    FALSEWORK_TOKEN_FILE         the file (0600) with the token that the launcher will say
    FALSEWORK_…                  each of the router's flags that docs/router.md names a variable for, where it has a value

It is ready once `GET /is_alive` answers with JSON that holds `"run_id": "$FALSEWORK_RUN_ID"`. On another port than $PORT it
says so in a line `{"ready": {"port": 5000}}`. All that it prints is in router.log. It is ended by SIGTERM, and SIGKILL after
architect.stop_grace. It speaks the wire contract of a router, and keeps the lease, limits and outbox by itself, or does not:
`restart` has no effect on it, and what the router alone understands (limits, …) is refused beside `server_source_path`.

What it needs is shipped with it: nothing is installed where it runs. Of a `package-lock.json` without a `node_modules` beside
it, the packages are installed once (`npm ci --omit=dev`, no scripts) and linked in. Hidden files (`.env`, `node_modules/.bin`)
are not shipped, and a link out of the directory is refused. `python` means the launcher's own.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from falsework.engine.contract.architect import Site
from falsework.engine.contract.bundle import Bundle
from falsework.engine.errors import PrepareFailed, Problem

from ..shipping.node_binary import NodeMissing, find_node, problems_of_node
from ..shipping.node_dependencies import (
    MANIFESTS,
    MODULES,
    are_installed,
    install,
)
from ..shipping.router_args import argument, only_routers_understand
from ..shipping.routers import Shipment, bundled
from .told import server_variables

if TYPE_CHECKING:
    from .args import LocalArgs

ROUTER = "own"
"""What the manifest calls it."""
KEY = "architect.server_source_path"
OF_THE_ROUTER = ("router", "python", *only_routers_understand())
"""Settings that mean nothing to somebody else's server."""
IN_A_SHELL = 'exec 1>&2; cd router && shift && trap : TERM INT && eval "$1"'
AS_IT_IS = 'exec 1>&2; cd router && shift && trap : TERM INT && "$@"'
"""All output to the log. The trap keeps the shell there until the server, which is told to end as well, has ended."""

Command = str | tuple[str, ...]
"""A line for a shell, or the arguments themselves."""


class NoStartCommand(ValueError):
    """A directory does not say how its server is started."""


def start_command(source: Path) -> Command:
    """The line, or the arguments, that start the server of a directory. Raises NoStartCommand."""
    for name, read in (("Procfile", _of_procfile), ("manifest.json", _of_manifest), ("package.json", _of_package)):
        if (source / name).is_file():
            try:
                command = read((source / name).read_text("utf-8"))
            except (OSError, ValueError) as error:
                raise NoStartCommand(f"{source / name} cannot be read: {error}") from error
            if command:
                return command
    raise NoStartCommand(
        f"{source} does not say how its server is started; allowed: a Procfile with a line `web: COMMAND`, a manifest.json "
        'with {"start": …}, or a package.json with {"scripts": {"start": …}}'
    )


def problems_of_server(args: LocalArgs) -> list[Problem]:
    """Whether the directory can be shipped and started. May start Node, so call this in a thread."""
    source = args.server_source_path
    if source is None:
        return []
    if not source.is_dir():
        return [Problem(f"found no directory {source}; allowed: the directory of a server", key=KEY)]
    problems = [
        Problem(f"is the router's; the server of {source} would not get it", key=f"architect.{name}")
        for name in _set_in_vain(args)
    ]
    try:
        start_command(source)
    except NoStartCommand as error:
        problems.append(Problem(str(error), key=KEY))
    return problems + _problems_of_packages(source, args.node)


async def ship_server(site: Site) -> Bundle:
    """The bundle of the user's own server, complete. Raises PrepareFailed, BundleError."""
    args: LocalArgs = site.args
    source = args.server_source_path
    if source is None:
        raise ValueError("ship_server is legal where there is a server_source_path")
    try:
        command = start_command(source)
        modules = await _packages(site, source) if _has_to_install(source) else None
    except (NoStartCommand, NodeMissing) as error:
        raise PrepareFailed(str(error)) from error
    start = _as_arguments(command, site.run_id)
    environment = tuple(server_variables(site, args.port))
    shipment = Shipment(ROUTER, source, start, environment=environment, modules=modules)
    return await bundled(site, shipment)


def _of_procfile(text: str) -> Command | None:
    found = re.search(r"^web:[ \t]*(\S.*)$", text, re.MULTILINE)
    return found[1].strip() if found else None


def _of_manifest(text: str) -> Command | None:
    return _command_of(_object(text).get("start"), "start")


def _of_package(text: str) -> Command | None:
    scripts = _object(text).get("scripts")
    return _command_of(scripts.get("start"), "scripts.start") if isinstance(scripts, dict) else None


def _object(text: str) -> dict[str, Any]:
    said = json.loads(text)
    if not isinstance(said, dict):
        raise ValueError("it holds no JSON object")
    return said


def _command_of(said: Any, key: str) -> Command | None:
    if said is None or isinstance(said, str):
        return said
    if isinstance(said, list) and said and all(isinstance(argument, str) for argument in said):
        return tuple(said)
    raise ValueError(f"{key} is neither a line nor a list of arguments")


def _as_arguments(command: Command, run_id: str) -> tuple[str, ...]:
    """The same to be run in the bundle, the run id on its command line, by which `leftovers` knows it."""
    script, arguments = (IN_A_SHELL, (command,)) if isinstance(command, str) else (AS_IT_IS, command)
    return ("/bin/sh", "-c", script, "server", argument("run_id", run_id), *arguments)


def _set_in_vain(args: LocalArgs) -> Iterator[str]:
    for field in fields(args):
        default = field.default if field.default_factory is MISSING else field.default_factory()
        if field.name in OF_THE_ROUTER and getattr(args, field.name) != default:
            yield field.name


def _has_to_install(source: Path) -> bool:
    return all((source / name).is_file() for name in MANIFESTS) and not (source / MODULES).is_dir()


def _problems_of_packages(source: Path, node: str | None) -> list[Problem]:
    if _has_to_install(source):
        return problems_of_node(node, npm_is_needed=not are_installed(source))
    if (source / MODULES).is_dir() or not _has_dependencies(source / "package.json"):
        return []
    return [Problem(f"{source} has dependencies that nothing locks; run npm install there, which does", key=KEY)]


def _has_dependencies(package: Path) -> bool:
    try:
        return bool(_object(package.read_text("utf-8")).get("dependencies"))
    except (OSError, ValueError):  # if it matters, the start command says so
        return False


async def _packages(site: Site, source: Path) -> Path:
    node = await asyncio.to_thread(find_node, site.args.node)
    return await install(source, node, run_id=site.run_id, log=site.log)
