"""Doubles that keep the architect's contract, in memory. Those that break it are in misbehaving.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ...router.wire.protocol import Envelope
from ..channel.channel import Channel
from ..channel.listener import Listener
from ..contract.architect import (
    Architect,
    ArchitectArgs,
    Guarantees,
    Leftover,
    Presence,
    Resource,
    Site,
)
from ..contract.bundle import Bundle
from ..settings.sections import TaskArgs

SERVER = "server"
"""The kind of the one resource of an InMemoryArchitect's run; the run's id is its name."""


@dataclass(frozen=True)
class IdleArgs(ArchitectArgs):
    """Nothing to set."""


class IdleArchitect(Architect):
    """Does nothing, and keeps the contract: one resource that exists only in the ledger, no server, no channels."""

    ArgsClass: ClassVar[type[ArchitectArgs]] = IdleArgs
    guarantees: ClassVar[Guarantees] = Guarantees(
        dies_with_lease=True, disk_survives_restart=True, found_without_ledger=False, resumable=True
    )

    @classmethod
    async def assert_task_args(cls, args: Any, task: TaskArgs) -> None:
        """Anything goes."""

    async def prepare(self, site: Site) -> Bundle:
        bundle = Bundle(site.directory / "bundle", site.run_id, "none", (), ())
        bundle.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return bundle

    async def deploy(self, site: Site, bundle: Bundle) -> str:
        await site.announce(Resource("nothing", site.run_id))
        return "http://127.0.0.1:9"

    async def probe(self, site: Site) -> Presence:
        return Presence.UP if site.standing("nothing") else Presence.GONE

    def get_channels(self, site: Site, listener: Listener) -> list[Channel]:
        return []

    async def shutdown(self, site: Site) -> None:
        for resource in site.standing("nothing"):
            await site.forget(resource)

    async def leftovers(self) -> list[Leftover]:
        return []


class IdleChannel(Channel):
    """A channel to nobody: opens at once, sends into the void."""

    def __init__(self, channel_id: str, listener: Listener) -> None:
        self.channel_id, self.acked, self.router_epoch = channel_id, {}, None
        self.is_open = False
        self._listener = listener

    async def open(self, timeout: float, reconnect_timeout: float) -> None:
        self.is_open = True
        self._listener.opened(self.channel_id)

    def send(self, envelope: Envelope) -> None:
        """Nobody hears it."""

    def acknowledge(self, router_epoch: str, number: int) -> None:
        self.acked[router_epoch] = number

    async def say_bye(self, timeout: float) -> bool:
        return True

    async def close(self) -> None:
        self.is_open = False


class InMemoryArchitect(IdleArchitect):
    """Keeps the contract. Its servers are the run ids in `standing`, whatever a ledger says of them.

    `in_the_middle` of each action is where a double misbehaves: prepare, deploy and connect have had their effect by then,
    shutdown has not. `calls` are the actions that began, in order.
    """

    def __init__(self) -> None:
        self.standing: set[str] = set()
        self.calls: list[str] = []

    async def in_the_middle(self, action: str, site: Site) -> None:
        """What happens in the middle of prepare, deploy, connect, cleanup, probe and shutdown. Here: nothing."""

    async def prepare(self, site: Site) -> Bundle:
        self.calls.append("prepare")
        bundle = await super().prepare(site)
        await self.in_the_middle("prepare", site)
        return bundle

    async def deploy(self, site: Site, bundle: Bundle) -> str:
        self.calls.append("deploy")
        await site.announce(Resource(SERVER, site.run_id))
        self.standing.add(site.run_id)
        await self.in_the_middle("deploy", site)
        return f"memory://{site.run_id}"

    async def probe(self, site: Site) -> Presence:
        self.calls.append("probe")
        await self.in_the_middle("probe", site)
        return Presence.UP if site.run_id in self.standing else Presence.GONE

    def get_channels(self, site: Site, listener: Listener) -> list[Channel]:
        self.calls.append("connect")
        return [_InMemoryChannel(self, site, listener)]

    async def cleanup(self, site: Site) -> None:
        self.calls.append("cleanup")
        await self.in_the_middle("cleanup", site)

    async def shutdown(self, site: Site) -> None:
        self.calls.append("shutdown")
        await self.in_the_middle("shutdown", site)
        self.standing.discard(site.run_id)
        for resource in site.standing(SERVER):
            await site.forget(resource)

    async def leftovers(self) -> list[Leftover]:
        return [Leftover(run_id, SERVER, run_id) for run_id in sorted(self.standing)]


class _InMemoryChannel(IdleChannel):
    def __init__(self, architect: InMemoryArchitect, site: Site, listener: Listener) -> None:
        super().__init__(site.run_id, listener)
        self._architect, self._site = architect, site

    async def open(self, timeout: float, reconnect_timeout: float) -> None:
        await super().open(timeout, reconnect_timeout)
        await self._architect.in_the_middle("connect", self._site)
