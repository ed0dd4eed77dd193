"""The architect for tests: `architect: {type: mock}` puts nothing up, or a scripted server in the launcher's own process.

It keeps the architect's contract like any other, so that what it is used to test is tested with it; where it should not, its
stage says so (stage.py), where every call is noted as well. What the server can be told is in server.py and
workers.py. A server ends with the process that made it: nothing of it is left to sweep, and no other process can reach it.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, ClassVar

from falsework.engine.channel.channel import Channel
from falsework.engine.channel.download import FileMissing
from falsework.engine.channel.listener import Listener
from falsework.engine.contract.architect import (
    Architect,
    ArchitectArgs,
    Guarantees,
    Leftover,
    Presence,
    Resource,
    Site,
)
from falsework.engine.contract.bundle import Bundle
from falsework.engine.contract.cancellation import uncancelled
from falsework.engine.errors import ArchitectError, ConfigError, DeployFailed
from falsework.engine.ledger.owner import Owner
from falsework.engine.settings.fields import Duration

from ..local.preflight import problems_of_address
from ..machine.address import run_id_at, url_of
from ..shipping.routers import Shipment, make_bundle
from .channels import SilentChannel, StagedChannel
from .faults import NO_SERVER
from .http import HOST
from .server import MockServer
from .stage import MockStage, current_stage

if TYPE_CHECKING:
    from falsework.engine.settings.sections import TaskArgs

SERVER = "mock server"
"""The kind of the one resource; its name is the run id."""
ANSWER_LIMIT = 5.0
"""Seconds for a server in this process to answer one request."""


@dataclass(frozen=True)
class MockArgs(ArchitectArgs):
    """`architect: {type: mock, …}`."""

    should_run_server: bool = False
    """Whether there is a server, on the loopback; otherwise calls are noted, and that is all."""
    port: int = field(default=0, metadata={"min": 0, "max": 65535})
    """0: a free one."""
    timeout: Duration = field(default=10.0, metadata={"above": 0})
    """How long a test waits for what its server is to hear, where the wait names no time of its own."""


class MockArchitect(Architect):
    """Plays on the stage that was open when it was made."""

    ArgsClass: ClassVar[type[ArchitectArgs]] = MockArgs
    guarantees: ClassVar[Guarantees] = Guarantees(
        dies_with_lease=False, disk_survives_restart=False, found_without_ledger=True, resumable=False
    )

    def __init__(self) -> None:
        self.stage: MockStage = current_stage()

    @classmethod
    async def assert_task_args(cls, args: MockArgs, task: TaskArgs) -> None:
        """A fixed port must be free, if there is to be a server."""

        async def check() -> None:
            if args.should_run_server and (problems := await problems_of_address(HOST, args.port)):
                raise ConfigError(*problems)

        await current_stage().play("assert_task_args", None, check, args=args, task=task)

    async def prepare(self, site: Site) -> Bundle:
        """A real bundle of the task's page; the directory of the router's code is empty."""
        return await self.stage.play("prepare", site.run_id, lambda: uncancelled(asyncio.to_thread(_make_bundle, site)))

    async def deploy(self, site: Site, bundle: Bundle) -> str:
        """Start the server. Raises DeployFailed if its port is taken, or if the run has one."""
        return await self.stage.play("deploy", site.run_id, lambda: self._deploy(site, bundle), bundle=bundle)

    async def probe(self, site: Site) -> Presence:
        """Gone: it is not on the stage. Down: it is, and does not answer. Unknown: it is another process's, which lives."""
        return await self.stage.play("probe", site.run_id, lambda: self._look(site))

    def get_channels(self, site: Site, listener: Listener) -> list[Channel]:
        """The real channel to the server, or one to nobody. Opening it is the action `connect`."""
        if site.url is None:
            raise ValueError("get_channels is legal once the run is deployed")
        self.stage.note("get_channels", site.run_id)
        if not site.args.should_run_server:
            return [SilentChannel(self.stage, site.run_id, listener)]
        return [
            StagedChannel(
                self.stage,
                site.run_id,
                site.url,
                token=site.token,
                epoch=site.epoch,
                listener=listener,
            )
        ]

    async def download_file(self, site: Site, filename: str, save_dir: Path) -> Path:
        async def fetch() -> Path:
            if not site.args.should_run_server:
                raise FileMissing(f"run {site.run_id} has no server, and so no file {filename}")
            return await super(MockArchitect, self).download_file(site, filename, save_dir)

        return await self.stage.play("download_file", site.run_id, fetch, filename=filename, save_dir=save_dir)

    async def cleanup(self, site: Site) -> None:
        async def nothing() -> None:
            """Deploying needed nothing that running does not."""

        await self.stage.play("cleanup", site.run_id, nothing)

    async def log_tail(self, site: Site, lines: int) -> list[str]:
        """What the server said and heard, without what was in it."""

        async def tail() -> list[str]:
            server = self.stage.standing.get(site.run_id)
            return list(server.log)[-lines:] if server is not None and lines > 0 else []

        return await self.stage.play("log_tail", site.run_id, tail, lines=lines)

    async def shutdown(self, site: Site) -> None:
        """Stop the server. Raises ArchitectError if it is another process's, which lives."""
        await self.stage.play("shutdown", site.run_id, lambda: self._shut_down(site))

    async def leftovers(self) -> list[Leftover]:
        """What stands on the stage."""

        async def look() -> list[Leftover]:
            return [Leftover(run_id, SERVER, run_id, "in this process") for run_id in self.stage.standing]

        return await self.stage.play("leftovers", None, look)

    # The sound actions

    async def _deploy(self, site: Site, bundle: Bundle) -> str:
        await asyncio.to_thread(bundle.seal)
        if site.run_id in self.stage.standing:
            raise DeployFailed(f"run {site.run_id} has a mock server already; shut it down first")
        resource = Resource(SERVER, site.run_id, asdict(Owner.this_process()))
        await site.announce(resource)
        if not site.args.should_run_server:
            self.stage.put_up(site.run_id, None)
            return NO_SERVER
        port = self._start(site)
        await site.learn(resource, port=port)
        url = url_of(HOST, port)
        if await run_id_at(url, ANSWER_LIMIT) != site.run_id:
            raise DeployFailed(f"the mock server of run {site.run_id} does not answer at {url}")
        return url

    def _start(self, site: Site) -> int:
        server = MockServer(site.run_id, site.token, site.args.timeout)
        try:
            port = server.start(site.args.port)
        except OSError as error:
            raise DeployFailed(f"a mock server cannot listen on port {site.args.port} of {HOST}: {error}") from error
        self.stage.put_up(site.run_id, server)
        return port

    async def _look(self, site: Site) -> Presence:
        if site.run_id not in self.stage.standing:
            return Presence.UNKNOWN if _others(site) else Presence.GONE
        server = self.stage.standing[site.run_id]
        if server is None or await run_id_at(url_of(HOST, server.port), ANSWER_LIMIT) == site.run_id:
            return Presence.UP
        return Presence.DOWN

    async def _shut_down(self, site: Site) -> None:
        server = self.stage.standing.get(site.run_id)
        if server is not None:
            await server.stop()
        elif owner := _others(site):
            raise ArchitectError(f"the mock server of run {site.run_id} is in the process {owner}, and ends with it")
        self.stage.standing.pop(site.run_id, None)
        for resource in site.standing(SERVER):
            await site.forget(resource)


def _make_bundle(site: Site) -> Bundle:
    with TemporaryDirectory() as nothing:
        return make_bundle(site, Shipment("mock", Path(nothing), start=(), environment=()))


def _others(site: Site) -> Owner | None:
    """The process that has the recorded server, if that is not this one and may still live."""
    for resource in site.standing(SERVER):
        if "pid" in resource.facts:
            owner = Owner(resource.facts["host"], resource.facts["pid"], resource.facts["started"])
            if owner != Owner.this_process() and not (owner.is_on_this_host() and not owner.is_alive()):
                return owner
    return None
