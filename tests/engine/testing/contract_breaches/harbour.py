"""An architect that keeps every sentence of its contract, and the contract's class for it. Its provider is a directory.

A thing at the provider is a file `KIND.NAME` that holds its owner's run id. Each request to the provider takes two turns of
the event loop, one before and one after it has its effect, so that work can be cut off on either side.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
from breaches import breaks
from falsework.engine.channel.channel import Channel
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
from falsework.engine.errors import (
    ChannelError,
    ConfigError,
    DeployFailed,
    Problem,
)
from falsework.engine.settings.sections import TaskArgs
from falsework.engine.testing import ArchitectContract

BERTH, SHIP = "berth", "ship"
FULL, SILENT, FOGGY = "full", "silent", "foggy"
"""Files at the provider that say what is wrong with it: no room for a ship, a crew that answers nobody, nothing to be seen."""
UPLOAD = "logbook.bin"
CONTENT = bytes(range(256)) * 8


@dataclass(frozen=True)
class HarbourArgs(ArchitectArgs):
    provider: Path
    draught: int = field(default=5, metadata={"min": 1})
    """In metres; the harbour is 12 deep."""


@breaks()
class HarbourArchitect(Architect):
    """Moors a ship at a berth."""

    ArgsClass: ClassVar[type[ArchitectArgs]] = HarbourArgs
    guarantees: ClassVar[Guarantees] = Guarantees(
        dies_with_lease=False, disk_survives_restart=True, found_without_ledger=True, resumable=False
    )
    provider: ClassVar[Path]
    """Where `leftovers` looks; a real one would have it from the user's configuration."""

    @classmethod
    async def assert_task_args(cls, args: HarbourArgs, task: TaskArgs) -> None:
        if args.draught > 12:
            raise ConfigError(Problem(f"{args.draught} is deeper than the harbour", key="architect.draught"))

    async def prepare(self, site: Site) -> Bundle:
        source = site.directory / "source"
        source.mkdir(exist_ok=True)
        (source / "__main__.py").write_text("print('ahoy')")
        await asyncio.sleep(0)
        static = Path(site.task.static)
        return Bundle.make(site.directory, site.run_id, router_source=source, static=static, start=("python", "router"))

    async def deploy(self, site: Site, bundle: Bundle) -> str:
        for resource in (Resource(BERTH, site.run_id), Resource(SHIP, site.run_id)):
            await site.announce(resource)
            await self.make(site, resource)
        await site.learn(resource, flag="red")
        (site.directory / "data").mkdir(exist_ok=True)
        return f"harbour://{site.run_id}"

    async def probe(self, site: Site) -> Presence:
        if site.args.provider.joinpath(FOGGY).exists():
            return Presence.UNKNOWN
        if not things_of(site):
            return Presence.GONE
        return Presence.DOWN if site.args.provider.joinpath(SILENT).exists() else Presence.UP

    def get_channels(self, site: Site, listener: Listener) -> list[Channel]:
        return []

    async def download_file(self, site: Site, filename: str, save_dir: Path) -> Path:
        content = await self.fetch(site, filename)
        path = save_dir / filename
        path.write_bytes(content)
        return path

    async def cleanup(self, site: Site) -> None:
        (site.directory / "source" / "__main__.py").unlink(missing_ok=True)

    async def log_tail(self, site: Site, lines: int) -> list[str]:
        return ["moored", "all quiet"][-lines:]

    def remains(self, site: Site) -> Path | None:
        return site.directory / "data"

    async def shutdown(self, site: Site) -> None:
        for thing in sorted(things_of(site), reverse=True):
            await self.remove(thing)
        for resource in list(reversed(site.resources)):
            await site.forget(resource)

    async def leftovers(self) -> list[Leftover]:
        things = self.provider.glob("*.*-*")
        return [Leftover(thing.read_text(), *thing.name.split(".")) for thing in sorted(things)]

    # The provider

    async def make(self, site: Site, resource: Resource) -> None:
        await asyncio.sleep(0)
        if resource.kind == SHIP and site.args.provider.joinpath(FULL).exists():
            raise DeployFailed("there is no room for a ship")
        place_of(site, resource.kind).write_text(site.run_id)
        await asyncio.sleep(0)

    async def remove(self, thing: Path) -> None:
        await asyncio.sleep(0)
        thing.unlink(missing_ok=True)
        await asyncio.sleep(0)

    async def fetch(self, site: Site, filename: str) -> bytes:
        await asyncio.sleep(0)
        if filename != UPLOAD:
            raise ChannelError(f"there is no file {filename}")
        return CONTENT


def place_of(site: Site, kind: str) -> Path:
    """Where a thing of this run stands."""
    return Path(site.args.provider, f"{kind}.{site.run_id}")


def things_of(site: Site) -> list[Path]:
    """What stands and belongs to the run: by its owner, not by its name alone."""
    return [thing for thing in site.args.provider.glob("*.*-*") if thing.read_text() == site.run_id]


class HarbourContract(ArchitectContract):
    """All of the contract that needs no router, for `architect_class`."""

    architect_class: ClassVar[type[HarbourArchitect]] = HarbourArchitect
    patience = 10.0
    serves_workers = False
    wrong_settings: ClassVar = {"architect.draught": {"draught": 13}}

    @pytest.fixture
    def settings(self, tmp_path: Path) -> dict[str, Any]:
        provider = tmp_path / "provider"
        provider.mkdir()
        return {"provider": str(provider)}

    @pytest.fixture
    def architect(self, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> HarbourArchitect:
        monkeypatch.setattr(HarbourArchitect, "provider", Path(settings["provider"]), raising=False)
        return self.architect_class()

    async def standing(self, architect: Architect, site: Site) -> set[tuple[str, str]] | None:
        return {(kind, name) for kind, name in (thing.name.split(".") for thing in things_of(site))}

    async def destroy(self, site: Site) -> None:
        for thing in things_of(site):
            thing.unlink()

    async def silence(self, site: Site) -> None:
        site.args.provider.joinpath(SILENT).touch()

    @asynccontextmanager
    async def unreachable(self, site: Site) -> AsyncIterator[None]:
        with _Marked(site.args.provider / FOGGY):
            yield

    @asynccontextmanager
    async def failing(self, site: Site) -> AsyncIterator[None]:
        with _Marked(site.args.provider / FULL):
            yield

    @asynccontextmanager
    async def foreign(self, site: Site) -> AsyncIterator[Callable[[], Any]]:
        """Somebody else's cargo at the run's own berth, under the run's own name."""
        cargo = place_of(site, "cargo")
        cargo.write_text("somebody else")

        async def still_stands() -> bool:
            return cargo.exists()

        yield still_stands

    async def upload(self, site: Site) -> tuple[str, bytes]:
        return UPLOAD, CONTENT


class _Marked:
    """While it is open, a file is there."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __enter__(self) -> None:
        self.file.touch()

    def __exit__(self, *_: object) -> None:
        self.file.unlink()
