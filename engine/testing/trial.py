"""One architect on trial: runs of its own, its actions within a time limit, and a look at what stands afterwards.

What it has to do is said in the contract's files; what a backend's author supplies, in backend.py.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from ..contract.architect import Architect, Presence, Site
from ..contract.bundle import Bundle
from ..settings.sections import TaskArgs
from .journal import Journal, Key

T = TypeVar("T")
TASK = "contract"
PAGE = "<!doctype html><title>The contract</title>"
EXTRA, EXTRA_TEXT = "extra/added.txt", b"added between preparing and deploying\n"
"""A file that each bundle here gets before it is sealed."""


class Trial:
    """The architect, and every run that a test makes with it. `patience` is in seconds, for one action."""

    def __init__(
        self,
        architect: Architect,
        args: Any,
        directory: Path,
        patience: float,
        look: Callable[[Site], Awaitable[set[Key] | None]],
    ) -> None:
        self.architect, self.args, self.directory, self.patience = architect, args, directory, patience
        self.task = TaskArgs(TASK, static=directory / "static", units=directory / "units.jsonl")
        self._look = look
        self._journals: dict[str, Journal] = {}
        self._sites: list[Site] = []
        _write_task(self.task)

    # Runs

    def new_site(self, **known: Any) -> Site:
        """A run for which nothing was done yet."""
        run_id = f"{TASK}-{secrets.token_hex(3)}"
        directory = self.directory / "runs" / run_id
        directory.mkdir(mode=0o700, parents=True)
        log = logging.LoggerAdapter(logging.getLogger("falsework.architect"), {"run": run_id})
        return self._with_journal(Site(run_id, self.args, self.task, directory, secrets.token_hex(32), log, **known))

    def taken_up(self, site: Site) -> Site:
        """The same run as another process finds it: what is recorded, the run's directory, and no more."""
        resources = self.journal(site).standing()
        return self._with_journal(replace(site, resources=resources, epoch=site.epoch + 1, record=None))

    def journal(self, site: Site) -> Journal:
        """What the run recorded."""
        return self._journals[site.run_id]

    async def prepared(self, **known: Any) -> tuple[Site, Bundle]:
        """A run with its sealed bundle."""
        site = self.new_site(**known)
        bundle = await self.prepare(site)
        await asyncio.to_thread(_seal, bundle)
        return site, bundle

    async def up(self, **known: Any) -> Site:
        """A run whose server is up."""
        site, bundle = await self.prepared(**known)
        await self.deploy(site, bundle)
        return site

    # Actions

    async def prepare(self, site: Site) -> Bundle:
        return await self.within(self.architect.prepare(site))

    async def deploy(self, site: Site, bundle: Bundle) -> None:
        """Deploy, and note the URL, as a run does."""
        self.journal(site).is_going_down = False
        site.url = await self.within(self.architect.deploy(site, bundle))

    async def shutdown(self, site: Site, architect: Architect | None = None) -> None:
        """Shut down; nothing new can be announced from now on."""
        self.journal(site).is_going_down = True
        await self.within((architect or self.architect).shutdown(site))

    async def presence(self, site: Site) -> Presence:
        return await self.within(self.architect.probe(site))

    async def standing(self, site: Site) -> set[Key] | None:
        """The kinds and names of what stands of the run at the provider, whatever is recorded; None where no look tells."""
        return await self.within(self._look(site))

    async def within(self, action: Awaitable[T]) -> T:
        """Whatever the architect is asked has to end."""
        async with asyncio.timeout(self.patience):
            return await action

    # Looks

    async def assert_up(self, site: Site) -> None:
        assert await self.presence(site) is Presence.UP

    async def assert_nothing_stands(self, site: Site) -> None:
        """By a look of the test's own, or by the architect's where there is none."""
        standing = await self.standing(site)
        if standing is None:
            assert await self.presence(site) is Presence.GONE
        else:
            assert standing == set()

    # The end

    async def end(self) -> None:
        """Take down what any test left standing. Every run is tried; raises what went wrong, together."""
        ended = await asyncio.gather(*(self._end(site) for site in self._sites), return_exceptions=True)
        errors = [outcome for outcome in ended if isinstance(outcome, Exception)]
        if errors:
            raise ExceptionGroup("runs of the test could not be taken down", errors)

    async def _end(self, site: Site) -> None:
        journal = self.journal(site)
        journal.fails_from = journal.before_announcing = None
        if journal.announced:
            await self.shutdown(site)

    def _with_journal(self, site: Site) -> Site:
        """A run taken up by another process goes on in its one journal."""
        journal = self._journals.setdefault(site.run_id, Journal())
        journal.site = site
        site.record = journal.record
        self._sites = [known for known in self._sites if known.run_id != site.run_id] + [site]
        return site


def _write_task(task: TaskArgs) -> None:
    task.static.mkdir(parents=True, exist_ok=True)
    (task.static / "index.html").write_text(PAGE)
    task.units.write_text("1\n")


def _seal(bundle: Bundle) -> None:
    bundle.static.mkdir(exist_ok=True)
    bundle.add(EXTRA, EXTRA_TEXT)
    bundle.seal()
