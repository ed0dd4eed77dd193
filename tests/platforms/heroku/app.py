"""One app: its names, its settings, what was released, and the dynos that run it. What the API says of it is in views.py."""

from __future__ import annotations

import asyncio
import secrets
import uuid
from datetime import UTC, datetime
from pathlib import Path

from .dyno import Dyno
from .errors import invalid, not_found
from .settings import Settings
from .transcript import Transcript

SIZES = ("eco", "basic", "standard-1x", "standard-2x", "performance-m", "performance-l")
AFFINITY = "http-session-affinity"


class App:
    """Made by `Apps`. `owner` is an e-mail address; `team` is a team's name, for an app that belongs to one."""

    def __init__(self, name: str, owner: str, team: str | None, directory: Path, settings: Settings) -> None:
        self.id, self.name, self.owner, self.team = str(uuid.uuid4()), name, owner, team
        self.collaborators: set[str] = set()
        self.region, self.stack = "us", "heroku-24"
        self.hostname = f"{name}-{secrets.token_hex(6)}.herokuapp.com"
        self.web_url = f"https://{self.hostname}/"
        self.git_url = f"https://git.heroku.com/{name}.git"
        self.created_at = now()
        self.config_vars: dict[str, str] = {}
        self.features: set[str] = set()
        self.process_types: dict[str, str] = {}
        self.formation: dict[str, tuple[int, str]] = {}
        self.dynos: list[Dyno] = []
        self.log = Transcript()
        self.releases = ["Initial release", "Enable Logplex"]
        self.deleted = False
        self.directory, self.settings = directory, settings
        self.slug: Path | None = None
        self._ending: dict[asyncio.Task[None], Dyno] = {}

    @property
    def version(self) -> int:
        return len(self.releases)

    @property
    def sticky(self) -> bool:
        """Whether a browser stays with one dyno."""
        return AFFINITY in self.features

    def write_log(self, source: str, process: str, text: str) -> None:
        self.log.write(f"{now(precise=True)} {source}[{process}]: {text}")

    def running(self, process_type: str = "web") -> list[Dyno]:
        """The dynos of a type that were not told to end."""
        return [dyno for dyno in self.dynos if dyno.type == process_type]

    def set_config(self, changes: dict[str, str | None]) -> None:
        """Change variables; one that is None goes. A change restarts what runs."""
        kept = {key: value for key, value in (self.config_vars | changes).items() if value is not None}
        if kept != self.config_vars:
            self.config_vars = kept
            self._note_release(f"Set {', '.join(changes)} config vars")
            self.restart()

    def release(self, slug: Path, process_types: dict[str, str]) -> None:
        """Run what a build made. The first release of an app with a web process runs one of it."""
        self.slug, self.process_types = slug, process_types
        if "web" in process_types and "web" not in self.formation:
            self.formation["web"] = (1, "basic")
        self._note_release("Deploy")
        self.restart()

    def scale(self, process_type: str, quantity: int | None, size: str | None) -> None:
        """Set how many dynos of a type run, and how large they are."""
        if process_type not in self.process_types:
            raise not_found(f"process type ({process_type})")
        if size is not None and size.lower() not in SIZES:
            raise invalid(f"No such dyno size {size}. Available: {', '.join(SIZES)}")
        if quantity is not None and quantity < 0:
            raise invalid("Quantity must be 0 or more")
        before = self.formation.get(process_type, (0, "basic"))
        self.formation[process_type] = (before[0] if quantity is None else quantity, (size or before[1]).lower())
        self.write_log("app", "api", f"Scaled to {process_type}@{self.formation[process_type][0]} by user {self.owner}")
        self._run()

    def restart(self, name: str | None = None) -> None:
        """End every dyno, or the one of that name, and start others, each on an empty disk, without waiting for the end."""
        for dyno in [dyno for dyno in self.dynos if name in (None, dyno.name, dyno.type)]:
            self._end(dyno)
        self._run()

    def delete(self) -> None:
        """End it all."""
        self.deleted = True
        self.formation.clear()
        self._run()

    def kill(self) -> None:
        """Give what was told to end no more time."""
        for dyno in self._ending.values():
            dyno.kill()

    async def gone(self) -> None:
        """Wait until nothing runs that was told to end."""
        while self._ending:
            await asyncio.wait(self._ending)
        if self.deleted:
            self.log.end()

    def _note_release(self, description: str) -> None:
        self.releases.append(description)
        self.write_log("app", "api", f"{description} by user {self.owner}")
        self.write_log("app", "api", f"Release v{self.version} created by user {self.owner}")

    def _run(self) -> None:
        """Bring what runs to what the formation asks for."""
        wanted = [f"{kind}.{n + 1}" for kind, (quantity, _) in self.formation.items() for n in range(quantity)]
        for dyno in [dyno for dyno in self.dynos if dyno.name not in wanted]:
            self._end(dyno)
        there = {dyno.name for dyno in self.dynos}
        if self.slug is not None:
            self.dynos += [self._start(name, self.slug) for name in wanted if name not in there]

    def _start(self, name: str, slug: Path) -> Dyno:
        command = self.process_types[name.partition(".")[0]]
        return Dyno(name, command, slug, self.config_vars, self.settings, self.write_log)

    def _end(self, dyno: Dyno) -> None:
        self.dynos.remove(dyno)
        ending = dyno.end()
        self._ending[ending] = dyno
        ending.add_done_callback(self._ending.pop)


def now(*, precise: bool = False) -> str:
    moment = datetime.now(UTC)
    return moment.isoformat(timespec="microseconds") if precise else moment.strftime("%Y-%m-%dT%H:%M:%SZ")
