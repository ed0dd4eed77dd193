"""The contract of a backend, and the run's side of it.

An architect supplies only the actions, each a promise about one thing. Order, retries, time-outs, the ledger and signals
belong to the engine: one Run is the only caller of its architect.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..channel.channel import Channel, WebSocketChannel
from ..channel.download import download
from ..channel.listener import Listener

if TYPE_CHECKING:
    from ..settings.sections import TaskArgs
    from .bundle import Bundle


class Presence(StrEnum):
    """What a look at the server found. `unknown` is an answer: the backend could not be asked."""

    UP = "up"
    DOWN = "down"
    GONE = "gone"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Resource:
    """Something that an architect created, or is about to create, and that must go.

    `name` alone must suffice to find it (with the run id), since a crash may come between announcing and creating; `facts`
    are what was learned later, such as a process id and its start time. Values of `facts` are JSON values.
    """

    kind: str
    name: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    def with_facts(self, **facts: Any) -> Resource:
        """A copy that knows more."""
        return replace(self, facts={**self.facts, **facts})


@dataclass(frozen=True)
class Leftover:
    """Something at the provider that carries falsework's mark, whether or not a ledger knows of it."""

    run_id: str
    kind: str
    name: str
    detail: str = ""


@dataclass(frozen=True)
class Guarantees:
    """Which lines of the promise a backend keeps without a launcher. The docs print this table."""

    dies_with_lease: bool
    """The server ends itself, and what it runs in, when its lease and grace have passed."""
    disk_survives_restart: bool
    """What the router wrote is there after a restart."""
    found_without_ledger: bool
    """`leftovers` finds what stands even if the ledger is lost."""
    resumable: bool
    """A new launcher can take up the live server."""


@dataclass(frozen=True)
class ArchitectArgs:
    """The `architect:` section of a task file. A subclass adds its fields; its annotations become the schema."""

    type: str


@dataclass
class Site:
    """The run's side of the contract: all that an architect may know and keep. An architect has no state besides it.

    `announce`, `learn` and `forget` are durable when they return.
    """

    run_id: str
    args: Any
    task: TaskArgs
    directory: Path
    token: str
    log: logging.LoggerAdapter[logging.Logger] | logging.Logger
    lease: float = 900.0
    """How long the server may go on unheard, in seconds."""
    grace: float = 86400.0
    """How long it keeps what nobody collected, in seconds."""
    idle_timeout: float | None = None
    """How long the server may go on without hearing from any worker, in seconds; None: no limit."""
    max_lifetime: float | None = None
    """How long it may go on at all, in seconds; None: no limit."""
    epoch: int = 1
    """Counts the launchers of this run; a router prefers the newest."""
    url: str | None = None
    resources: list[Resource] = field(default_factory=list)
    record: Callable[[Resource, bool], Awaitable[None]] | None = None
    """Writes a resource and whether it stands to the ledger; None keeps it in memory only."""

    async def announce(self, resource: Resource) -> None:
        """Say what is about to be created, before creating it."""
        await self._record(resource, True)

    async def learn(self, resource: Resource, **facts: Any) -> Resource:
        """Add to what is known of an announced resource; returns it."""
        known = resource.with_facts(**facts)
        await self._record(known, True)
        return known

    async def forget(self, resource: Resource) -> None:
        """Say that a resource is gone, after seeing that it is."""
        await self._record(resource, False)

    def standing(self, kind: str) -> list[Resource]:
        """The recorded resources of a kind that are not known to be gone, newest first."""
        return [resource for resource in reversed(self.resources) if resource.kind == kind]

    def remember(self, resource: Resource, stands: bool) -> None:
        """Know that a resource stands, in the place of what was known of it before, or that it is gone. In memory only."""
        keys = [(known.kind, known.name) for known in self.resources]
        place = keys.index(key) if (key := (resource.kind, resource.name)) in keys else len(keys)
        self.resources[place : place + 1] = [resource] if stands else []

    async def _record(self, resource: Resource, stands: bool) -> None:
        if self.record is not None:
            await self.record(resource, stands)
        self.remember(resource, stands)


class Architect(ABC):
    """A backend. Found by name through the entry-point group `falsework.architects`; constructed without arguments."""

    ArgsClass: ClassVar[type[ArchitectArgs]]
    guarantees: ClassVar[Guarantees]

    @classmethod
    @abstractmethod
    async def assert_task_args(cls, args: Any, task: TaskArgs) -> None:
        """Preflight: credentials, tools, names, ports. Creates nothing; raises ConfigError that says what to do."""

    @abstractmethod
    async def prepare(self, site: Site) -> Bundle:
        """Make the bundle under `site.directory`. Files only; no network that a lock file does not pin. May be repeated."""

    @abstractmethod
    async def deploy(self, site: Site, bundle: Bundle) -> str:
        """Put the server up from the sealed bundle and return its public URL once it answers with this run's id.

        Announces each resource before making it. Raises TransientError where another attempt may help, DeployFailed
        where it would not. Whatever it made when it was cancelled or failed is `shutdown`'s to take down.
        """

    @abstractmethod
    async def probe(self, site: Site) -> Presence:
        """Look at the server. Changes nothing, never raises for a server that is away."""

    def get_channels(self, site: Site, listener: Listener) -> list[Channel]:
        """The connections to the deployed server, one a router, not yet open. By default one, to its public URL."""
        if site.url is None:
            raise ValueError("get_channels is legal once the run is deployed")
        return [
            WebSocketChannel(
                site.run_id,
                site.url,
                token=site.token,
                epoch=site.epoch,
                listener=listener,
            )
        ]

    async def download_file(self, site: Site, filename: str, save_dir: Path) -> Path:
        """Fetch an uploaded file. It appears under `save_dir` whole or not at all. Raises ChannelError."""
        if site.url is None:
            raise ValueError("download_file is legal once the run is deployed")
        return await download(site.url, filename, save_dir, site.token)

    async def cleanup(self, site: Site) -> None:
        """Remove what deploying needed and running does not. May be repeated."""

    async def log_tail(self, site: Site, lines: int) -> list[str]:
        """The last `lines` of what the server logged; empty where there is nothing to read. Raises nothing for a server
        that is away, and is not called once it is gone."""
        return []

    def remains(self, site: Site) -> Path | None:
        """The server's data directory, where it is on this machine and outlives the server; None where it does not.

        It holds the router's outbox and uploads; what was not handed over is taken from there once the server is gone.
        """
        return None

    @abstractmethod
    async def shutdown(self, site: Site) -> None:
        """Take down everything recorded, graceful first, then forceful. Returns once it was seen to be gone.

        Gone is success; repeating it is quiet; works from `site.resources` alone in a new process, and for a deploy that
        was cut off anywhere. Raises what went wrong, as one ShutdownFailed if it was several things.
        """

    @abstractmethod
    async def leftovers(self) -> list[Leftover]:
        """What carries falsework's mark at the provider, ledger or no ledger. Changes nothing."""
