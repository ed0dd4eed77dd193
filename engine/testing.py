"""For tests: doubles that keep the architect's contract, and doubles named by how they break it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from .architect import Architect, ArchitectArgs, Guarantees, Leftover, Presence, Resource, Site
from .bundle import Bundle
from .channel import Channel
from .config import TaskArgs


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

    def get_channels(
        self,
        site: Site,
        on_channel_open: Callable[[str], None],
        on_catastrophic_disconnect: Callable[[str], None],
        on_message: Callable[[str, Any], None],
    ) -> list[Channel]:
        return []

    async def shutdown(self, site: Site) -> None:
        for resource in site.standing("nothing"):
            await site.forget(resource)

    async def leftovers(self) -> list[Leftover]:
        return []
