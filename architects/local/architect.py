"""The server on this machine: the router as a process of its own that outlives its launcher, or several of them.

How one is started and seen to be ready is in start.py, how a process is known again and ended in machine/process.py, what is
looked at before anything is made in preflight.py, which routers there are in shipping/routers.py, and what a server of the
user's own has to be like in server_source.py. What several routers of one run are called, and how they share its workers, is in
replica.py and replica_channels.py.

In the run's directory: `bundle/`, `data/` (what workers handed in, until the launcher has it), `router.log`, `token`. The
token goes with the server; the rest is the user's and is never deleted here. There is nothing to clean up after a deploy:
the router serves its pages from the bundle.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from falsework.engine.channel.channel import Channel, WebSocketChannel
from falsework.engine.channel.listener import Listener
from falsework.engine.contract.architect import (
    Architect,
    ArchitectArgs,
    Guarantees,
    Leftover,
    Presence,
    Site,
)
from falsework.engine.contract.bundle import Bundle
from falsework.engine.errors import (
    ArchitectError,
    ConfigError,
    Problem,
    ShutdownFailed,
)

from ..machine import child, process
from ..machine.address import run_id_at
from ..machine.process import ProcessIdentity
from ..shipping.node_binary import problems_of_node
from ..shipping.node_dependencies import are_installed, what_runs
from ..shipping.router_args import argument
from ..shipping.routers import (
    NODE_SOURCE,
    PYTHON_SOURCE,
    ship_node,
    ship_python,
)
from .args import LocalArgs
from .preflight import (
    problems_of_address,
    problems_of_limits,
    problems_of_public_url,
    problems_of_python,
)
from .replica import (
    DATA,
    PROCESS,
    Replica,
    name_of_process,
    planned,
    recorded,
    url_at,
)
from .replica_channels import ReplicaChannel, Spread
from .replica_files import fetch
from .server_source import problems_of_server, ship_server
from .start import (
    lay_out,
    log_file,
    start,
    until_ready,
)
from .told import token_file

if TYPE_CHECKING:
    from falsework.engine.settings.sections import TaskArgs

ANSWER_LIMIT = 5.0
"""Seconds for a server on this machine to answer one request, however busy the machine is."""


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
        problems += _problems_of_replicas(args)
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
        """Start the sealed bundle's servers; returns the first one's URL. Ready is what says so, and answers with the run id.

        Raises DeployFailed if one ends first or somebody else answers, TransientError if it takes too long; both carry the
        last lines of its log.
        """
        await asyncio.to_thread(bundle.seal)
        lay_out(site)
        with ExitStack() as open_pipes:
            starting = [await start(site, bundle, replica, open_pipes) for replica in planned(site)]
            for one in starting:
                await until_ready(site, one)
        return site.args.public_url or url_at(site, recorded(site)[0]) or ""

    async def probe(self, site: Site) -> Presence:
        """Gone: no process carries the run id. Down: one does, but not every server answers. Unknown: it may not be looked at."""
        try:
            standing = await asyncio.to_thread(_stands, site)
            is_whole = standing and await asyncio.to_thread(_all_stand, site)
        except ArchitectError:
            return Presence.UNKNOWN
        if not standing:
            return Presence.GONE
        urls = [url for replica in recorded(site) if (url := url_at(site, replica))]
        answers = await asyncio.gather(*(run_id_at(url, ANSWER_LIMIT) for url in urls))
        is_answering = len(urls) >= site.args.replicas and set(answers) == {site.run_id}
        return Presence.UP if is_whole and is_answering else Presence.DOWN

    def get_channels(self, site: Site, listener: Listener) -> list[Channel]:
        """One channel to each router that stands, past any tunnel; where none does, to all of them."""
        replicas = [replica for replica in recorded(site) if replica.port is not None]
        if len(replicas) > 1:
            return _channels_to(site, replicas, listener)
        url = url_at(site, replicas[0]) if replicas else site.url
        if url is None:
            raise ValueError("get_channels is legal once the run is deployed")
        return [WebSocketChannel(site.run_id, url, token=site.token, epoch=site.epoch, listener=listener)]

    async def download_file(self, site: Site, filename: str, save_dir: Path) -> Path:
        """From the router that has it; from its disk, where that router is gone and others go on."""
        replicas = recorded(site)
        if len(replicas) > 1:
            return await fetch(site, replicas, filename, save_dir)
        return await super().download_file(site, filename, save_dir)

    def remains(self, site: Site) -> Path | None:
        """Its data directory, which is in the run's; of several servers the directory that holds those of each."""
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
        token_file(site).unlink(missing_ok=True)
        for resource in site.standing(PROCESS):
            await site.forget(resource)

    async def log_tail(self, site: Site, lines: int) -> list[str]:
        """The last lines of what the server logged, every attempt's; none if it never ran. Legal whatever stands."""
        return await asyncio.to_thread(child.last_lines, log_file(site), lines) if lines > 0 else []

    async def leftovers(self) -> list[Leftover]:
        """Every server on this machine that was started for a run: marked in its environment and on its command line."""
        first: dict[str, Leftover] = {}
        for found in await asyncio.to_thread(process.marked):
            if argument("run_id", found.run_id) in found.command:
                name = name_of_process(found)
                detail = f"process {found.identity.pid}: {' '.join(found.command)}"
                first.setdefault(name, Leftover(found.run_id, PROCESS, name, detail))
        return list(first.values())


def _problems_of_replicas(args: LocalArgs) -> list[Problem]:
    """What goes with one server only."""
    if args.replicas == 1:
        return []
    problems = []
    if args.public_url is not None:
        told = (
            f"{args.public_url!r} leads to one server, and there are {args.replicas}; use replicas: 1, or no public_url"
        )
        problems.append(Problem(told, key="architect.public_url"))
    if args.server_source_path is not None:
        told = "several servers share their workers only if they are falsework's routers; use replicas: 1"
        problems.append(Problem(told, key="architect.replicas"))
    return problems


def _problems_of_programs(args: LocalArgs) -> list[Problem]:
    if args.server_source_path is not None:
        return problems_of_server(args)
    if args.router == "node":
        return problems_of_node(args.node, npm_is_needed=not are_installed(NODE_SOURCE, what_runs))
    return problems_of_python(args.python)


def _channels_to(site: Site, replicas: Sequence[Replica], listener: Listener) -> list[Channel]:
    there = [replica for replica in replicas if replica.may_stand(site.run_id)]
    spread = Spread()
    return [ReplicaChannel(site, replica, spread, listener=listener) for replica in there or replicas]


def _recorded(site: Site) -> list[ProcessIdentity]:
    return [replica.identity for replica in recorded(site) if replica.identity is not None]


def _stands(site: Site) -> bool:
    return any(process.alive(one, site.run_id) for one in _recorded(site)) or bool(process.find(site.run_id))


def _all_stand(site: Site) -> bool:
    """Whether none of several is gone: the others serve on, and the run is not whole."""
    replicas = recorded(site)
    return len(replicas) < 2 or all(replica.stands(site.run_id) for replica in replicas)


async def _terminate_all(site: Site, identities: Sequence[ProcessIdentity]) -> list[Exception]:
    ended = await asyncio.gather(
        *(process.terminate(identity, site.run_id, site.args.stop_grace) for identity in identities),
        return_exceptions=True,
    )
    return [outcome for outcome in ended if isinstance(outcome, Exception)]
