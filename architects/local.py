"""The server on this machine: the router as a process of its own that outlives its launcher.

How a process is started is in child.py, how it is known again and ended in process.py, what is looked at before anything is
made in preflight.py, which routers there are in routers.py, and what a server of the user's own has to be like in
server_source.py.

In the run's directory: `bundle/`, `data/` (what workers handed in, until the launcher has it), `router.log`, `token`. The
token goes with the server; the rest is the user's and is never deleted here. There is nothing to clean up after a deploy:
the router serves its pages from the bundle.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from falsework.engine.architect import Architect, ArchitectArgs, Guarantees, Leftover, Presence, Resource, Site
from falsework.engine.bundle import Bundle
from falsework.engine.channel import Channel, WebSocketChannel
from falsework.engine.config.fields import Duration
from falsework.engine.errors import ArchitectError, ConfigError, DeployFailed, Problem, ShutdownFailed, TransientError
from falsework.router.protocol import check_policy

from . import child, process
from .address import run_id_at, url_of
from .node_binary import problems_of_node
from .node_dependencies import are_installed, what_runs
from .preflight import problems_of_address, problems_of_limits, problems_of_public_url, problems_of_python
from .process import ProcessIdentity
from .router_limits import check_frame_ancestors, read_limits
from .routers import NODE_SOURCE, PYTHON_SOURCE, router_command, ship_node, ship_python
from .server_process import chosen_port, server_environment, until_answering
from .server_source import problems_of_server, ship_server

if TYPE_CHECKING:
    from falsework.engine.config import TaskArgs

DATA = "data"
"""The router's data directory, in the run's directory."""
PROCESS = "process"
"""The kind of the one resource; its name is the run id."""

ANSWER_LIMIT = 5.0
"""Seconds for a server on this machine to answer one request, however busy the machine is."""


@dataclass(frozen=True)
class LocalArgs(ArchitectArgs):
    """`architect: {type: local, …}`."""

    router: Literal["python", "node"] = "python"
    port: int = field(default=0, metadata={"min": 0, "max": 65535})
    """0: a free one."""
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
    limits: dict[str, Any] = field(default_factory=dict, metadata={"check": read_limits})
    """The router's limits by name, see `falsework.router.protocol.Limits`."""
    outbox: Literal["disk", "launcher"] = "disk"
    restart: Literal["never", "on-failure"] = "on-failure"
    """Whether a router that dies of a signal or an error comes back by itself, launcher or no launcher: same URL, same data."""
    frame_ancestors: list[str] = field(default_factory=list, metadata={"check": check_frame_ancestors})
    """The sites that may show the task in a frame, such as a crowd site. Default: none."""
    content_security_policy: str | None = field(default=None, metadata={"check": check_policy})
    """In place of the strict one that the router sends, for pages with scripts that are no files, or from elsewhere."""
    ready_timeout: Duration = 20.0
    """How long the server may take to say that it is ready."""
    stop_grace: Duration = 5.0
    """How long the server may take to drain and end before it is killed."""


class LocalArchitect(Architect):
    """Runs the server on this machine."""

    ArgsClass: ClassVar[type[ArchitectArgs]] = LocalArgs
    guarantees: ClassVar[Guarantees] = Guarantees(
        dies_with_lease=True, disk_survives_restart=True, found_without_ledger=True, resumable=True
    )
    router_source: ClassVar[Path] = PYTHON_SOURCE
    """The package directory that is shipped as `router/`, where that is written in Python."""
    router_leaves_out: ClassVar[Sequence[str]] = ("node",)

    @classmethod
    async def assert_task_args(cls, args: LocalArgs, task: TaskArgs) -> None:
        """Check limits, public URL, programs, host and port. A fixed port must be free; nothing is left listening."""
        problems = [*problems_of_limits(args.limits), *problems_of_public_url(args.public_url)]
        problems += await asyncio.to_thread(_problems_of_programs, args)
        problems += await problems_of_address(args.host, args.port)
        if problems:
            raise ConfigError(*problems)

    async def prepare(self, site: Site) -> Bundle:
        """Copy the router, or the user's own server, and the task's static directory into the bundle.

        What Node needs is installed the first time, and linked in from there ever after. Raises PrepareFailed.
        """
        if site.args.server_source_path is not None:
            return await ship_server(site)
        if site.args.router == "node":
            return await ship_node(site)
        return await ship_python(site, self.router_source, self.router_leaves_out)

    async def deploy(self, site: Site, bundle: Bundle) -> str:
        """Start the sealed bundle's server. Ready is what says so itself, and then proves it by answering with the run id.

        Raises DeployFailed if it ends first or somebody else answers, TransientError if it takes too long; both carry the
        last lines of its log.
        """
        await asyncio.to_thread(bundle.seal)
        start = _start_of_server if site.args.server_source_path is not None else _start_of_router
        command, environment, port = start(site, bundle, _lay_out(site))
        resource = Resource(PROCESS, site.run_id)
        await site.announce(resource)
        log = _log_file(site)
        with child.start(command, cwd=bundle.directory, env=environment, run_id=site.run_id, log=log) as started:
            identity = started.identity
            resource = await site.learn(resource, pid=identity.pid, started=identity.started)
            port = await _until_ready(site, started, port)
            await site.learn(resource, port=port)
        return site.args.public_url or url_of(site.args.host, port)

    async def probe(self, site: Site) -> Presence:
        """Gone: no process carries the run id. Down: one does, but does not answer. Unknown: it may not be looked at."""
        try:
            standing = await asyncio.to_thread(_stands, site)
        except ArchitectError:
            return Presence.UNKNOWN
        if not standing:
            return Presence.GONE
        url = _local_url(site)
        answering = url is not None and await run_id_at(url, ANSWER_LIMIT) == site.run_id
        return Presence.UP if answering else Presence.DOWN

    def get_channels(
        self,
        site: Site,
        on_channel_open: Callable[[str], None],
        on_catastrophic_disconnect: Callable[[str], None],
        on_message: Callable[[str, Any], None],
    ) -> list[Channel]:
        """One channel to the one router, past any tunnel."""
        url = _local_url(site) or site.url
        if url is None:
            raise ValueError("get_channels is legal once the run is deployed")
        return [
            WebSocketChannel(
                site.run_id,
                url,
                token=site.token,
                epoch=site.epoch,
                on_channel_open=on_channel_open,
                on_catastrophic_disconnect=on_catastrophic_disconnect,
                on_message=on_message,
            )
        ]

    def remains(self, site: Site) -> Path | None:
        """Its data directory, which is in the run's."""
        return site.directory / DATA

    async def shutdown(self, site: Site) -> None:
        """End every process that was recorded or that carries the run id. The log and the data stay where they are."""
        failures = await _terminate_all(site, _recorded(site))
        strays = await asyncio.to_thread(process.find, site.run_id)
        failures += await _terminate_all(site, strays)
        if strays and not failures and (standing := await asyncio.to_thread(process.find, site.run_id)):
            failures.append(ArchitectError(f"run {site.run_id} starts anew as fast as it is ended: {standing}"))
        if failures:
            raise ShutdownFailed(f"the server of run {site.run_id} still stands on this machine", failures)
        _token_file(site).unlink(missing_ok=True)
        for resource in site.standing(PROCESS):
            await site.forget(resource)

    async def log_tail(self, site: Site, lines: int) -> list[str]:
        """The last lines of what the server logged, every attempt's; none if it never ran. Legal whatever stands."""
        return await asyncio.to_thread(child.last_lines, _log_file(site), lines) if lines > 0 else []

    async def leftovers(self) -> list[Leftover]:
        """Every server on this machine that was started for a run: marked in its environment and on its command line."""
        marked = await asyncio.to_thread(process.marked)
        first = {found.run_id: found for found in reversed(marked) if f"--run-id={found.run_id}" in found.command}
        return [
            Leftover(run_id, PROCESS, run_id, f"process {found.identity.pid}: {' '.join(found.command)}")
            for run_id, found in first.items()
        ]


def _problems_of_programs(args: LocalArgs) -> list[Problem]:
    if args.server_source_path is not None:
        return problems_of_server(args)
    if args.router == "node":
        return problems_of_node(args.node, npm_is_needed=not are_installed(NODE_SOURCE, what_runs))
    return problems_of_python(args.python)


Start = tuple[Sequence[str], dict[str, str], int | None]
"""A command, its environment, and the port where its server will be if that is known."""


def _start_of_router(site: Site, bundle: Bundle, token_file: Path) -> Start:
    return router_command(bundle.start, site, token_file), _environment(), None


def _start_of_server(site: Site, bundle: Bundle, token_file: Path) -> Start:
    port = chosen_port(site.args.host, site.args.port)
    return bundle.start, server_environment(_environment(), site, token_file, port), port


async def _until_ready(site: Site, started: child.StartedProcess, port: int | None) -> int:
    """The port of a server that is ready. `port` is None for one that says it first, as the routers do."""
    args: LocalArgs = site.args
    if port is not None:
        return await until_answering(started, args.host, port, args.ready_timeout)
    port = _port_of(await started.ready_line(args.ready_timeout, "architect.ready_timeout"), site.run_id)
    await _assert_answers(url_of(args.host, port), started)
    return port


def _local_url(site: Site) -> str | None:
    ports = [resource.facts["port"] for resource in site.standing(PROCESS) if "port" in resource.facts]
    return url_of(site.args.host, ports[0]) if ports else None


def _log_file(site: Site) -> Path:
    return site.directory / "router.log"


def _token_file(site: Site) -> Path:
    return site.directory / "token"


def _lay_out(site: Site) -> Path:
    """Make the data directory and the token's file, which is returned."""
    path = _token_file(site)
    try:
        (site.directory / DATA).mkdir(mode=0o700, exist_ok=True)
        path.unlink(missing_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(site.token)
    except OSError as error:
        raise DeployFailed(f"the directory of run {site.run_id} cannot be written: {error}") from error
    return path


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


def _recorded(site: Site) -> list[ProcessIdentity]:
    return [
        ProcessIdentity(resource.facts["pid"], resource.facts["started"])
        for resource in site.standing(PROCESS)
        if "pid" in resource.facts
    ]


def _stands(site: Site) -> bool:
    return any(process.alive(one, site.run_id) for one in _recorded(site)) or bool(process.find(site.run_id))


async def _terminate_all(site: Site, identities: Sequence[ProcessIdentity]) -> list[Exception]:
    ended = await asyncio.gather(
        *(process.terminate(identity, site.run_id, site.args.stop_grace) for identity in identities),
        return_exceptions=True,
    )
    return [outcome for outcome in ended if isinstance(outcome, Exception)]
