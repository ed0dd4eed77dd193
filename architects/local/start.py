"""Starting one of a run's servers on this machine, and seeing that it is ready: what says so itself, and then proves it.

How a process is started is in child.py, what it is told in told.py.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from falsework.engine.contract.architect import Resource, Site
from falsework.engine.contract.bundle import Bundle
from falsework.engine.directories import write_secret
from falsework.engine.errors import DeployFailed, TransientError

from ..machine import child
from ..machine.address import run_id_at, url_of
from .replica import Replica, planned
from .server_process import chosen_port, until_answering
from .told import router_command, server_environment, token_file

if TYPE_CHECKING:
    from .args import LocalArgs

ANSWER_LIMIT = 5.0
"""Seconds for a server that is ready to answer one request, however busy the machine is."""


@dataclass(frozen=True)
class StartingReplica:
    """A server that was just started. `port` is None for one that says it when it is ready, as the routers do."""

    resource: Resource
    process: child.StartedProcess
    port: int | None


def lay_out(site: Site) -> Path:
    """Make the data directories and the token's file, which is returned. Raises DeployFailed."""
    path = token_file(site)
    try:
        for replica in planned(site):
            replica.data.parent.mkdir(mode=0o700, exist_ok=True)
            replica.data.mkdir(mode=0o700, exist_ok=True)
        write_secret(path, site.token)
    except OSError as error:
        raise DeployFailed(f"the directory of run {site.run_id} cannot be written: {error}") from error
    return path


def log_file(site: Site) -> Path:
    """Where the servers log, all of them."""
    return site.directory / "router.log"


async def start(site: Site, bundle: Bundle, replica: Replica, open_pipes: ExitStack) -> StartingReplica:
    """Announce it and start it, in this order; the pipe to it is open until `open_pipes` is left."""
    of_server = site.args.server_source_path is not None
    command, environment, port = (_start_of_server if of_server else _start_of_router)(site, bundle, replica)
    resource = replica.resource
    await site.announce(resource)
    started = open_pipes.enter_context(
        child.start(command, cwd=bundle.directory, env=environment, run_id=site.run_id, log=log_file(site))
    )
    identity = started.identity
    resource = await site.learn(resource, pid=identity.pid, started=identity.started)
    return StartingReplica(resource, started, port)


async def until_ready(site: Site, starting: StartingReplica) -> int:
    """The port of the server once it is ready, which is recorded.

    Raises DeployFailed if it ends first or somebody else answers, TransientError if it takes too long; both carry the last
    lines of its log.
    """
    args: LocalArgs = site.args
    port, started = starting.port, starting.process
    if port is not None:
        port = await until_answering(started, args.host, port, args.ready_timeout)
    else:
        port = _port_of(await started.ready_line(args.ready_timeout, "architect.ready_timeout"), site.run_id)
        await _assert_answers(url_of(args.host, port), started)
    await site.learn(starting.resource, port=port)
    return port


Start = tuple[Sequence[str], dict[str, str], int | None]
"""A command, its environment, and the port where its server will be if that is known."""


def _start_of_router(site: Site, bundle: Bundle, replica: Replica) -> Start:
    return router_command(bundle.start, site, replica), _environment(), None


def _start_of_server(site: Site, bundle: Bundle, replica: Replica) -> Start:
    port = chosen_port(site.args.host, site.args.port)
    return bundle.start, server_environment(_environment(), site, port), port


def _environment() -> dict[str, str]:
    """Ours, without what would give the token away, hide the bundle from its own Python, or write into the sealed bundle."""
    ours = {name: value for name, value in os.environ.items() if name not in ("FALSEWORK_TOKEN", "PYTHONSAFEPATH")}
    return {**ours, "PYTHONDONTWRITEBYTECODE": "1"}


def _port_of(ready: dict[str, Any], run_id: str) -> int:
    port = ready.get("port")
    if not isinstance(port, int):
        raise DeployFailed(f"the server of run {run_id} is ready without saying on which port: {ready}")
    return port


async def _assert_answers(url: str, started: child.StartedProcess) -> None:
    answered = await run_id_at(url, ANSWER_LIMIT)
    if answered == started.run_id:
        return
    told = "\n  ".join(started.last_lines())
    if answered is None:
        raise TransientError(
            f"the server of run {started.run_id} was ready, but {url} does not answer; its log:\n  {told}"
        )
    raise DeployFailed(f"{url} answers for run {answered} instead of {started.run_id}; its log:\n  {told}")
