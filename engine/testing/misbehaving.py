"""Doubles named by how they break the architect's contract: what the engine has to cope with. Nothing stands outside of them."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from ..contract.architect import Leftover, Presence, Site
from ..contract.bundle import Bundle
from ..errors import ArchitectError, TransientError
from ..settings.sections import TaskArgs
from .doubles import SERVER, IdleArchitect, InMemoryArchitect

AGES = 3600.0
"""Seconds for which a MuleArchitect keeps the loop from turning."""


class SlowArchitect(InMemoryArchitect):
    """Halts in the middle of the actions named until told to go on. Ends at once when it is cancelled there."""

    def __init__(self, *actions: str) -> None:
        super().__init__()
        self._actions = actions
        self.halted = asyncio.Event()
        self.go_on = asyncio.Event()

    async def in_the_middle(self, action: str, site: Site) -> None:
        if action in self._actions:
            self.halted.set()
            await self.go_on.wait()


class NeverReady(SlowArchitect):
    """Its server is up, and never says that it is ready."""

    def __init__(self) -> None:
        super().__init__("deploy")


class StubbornArchitect(SlowArchitect):
    """Halts like SlowArchitect, and goes on halting however often it is cancelled. `cancelled` counts how often."""

    cancelled = 0

    async def in_the_middle(self, action: str, site: Site) -> None:
        while True:
            try:
                return await super().in_the_middle(action, site)
            except asyncio.CancelledError:
                self.cancelled += 1


class BrokenArchitect(InMemoryArchitect):
    """The actions named fail in their middle, each time, and another attempt does not help."""

    def __init__(self, *actions: str) -> None:
        super().__init__()
        self._actions = actions

    async def in_the_middle(self, action: str, site: Site) -> None:
        if action in self._actions:
            raise ArchitectError(f"{action} is broken")


class FlakyArchitect(InMemoryArchitect):
    """Deploying fails in its middle as often as told, in a way that another attempt may mend, then it works."""

    def __init__(self, failures: int = 1, retry_after: float | None = None) -> None:
        super().__init__()
        self.failures, self.retry_after = failures, retry_after

    async def in_the_middle(self, action: str, site: Site) -> None:
        if action == "deploy" and self.failures > 0:
            self.failures -= 1
            raise TransientError(f"the weather; {self.failures} more of it", self.retry_after)


class ImmortalServer(InMemoryArchitect):
    """Its server survives being shut down as often as told (by default always), and shutdown says so."""

    def __init__(self, survives: float = float("inf")) -> None:
        super().__init__()
        self.survives = survives

    async def in_the_middle(self, action: str, site: Site) -> None:
        if action == "shutdown" and self.survives > 0:
            self.survives -= 1
            raise ArchitectError(f"the server of {site.run_id} does not die")


class LiarArchitect(InMemoryArchitect):
    """Says that the server is gone, and has it forgotten, without doing anything. Only a look tells."""

    async def shutdown(self, site: Site) -> None:
        self.calls.append("shutdown")
        for resource in site.standing(SERVER):
            await site.forget(resource)


class MuleArchitect(IdleArchitect):
    """Does not move: hangs in the methods named, and does not mind being cancelled there.

    With `blocks` it keeps the whole loop from turning. What it deploys stands in the
    ledger alone, so that another process finds it. `balked` are the methods in which it hung, `halted` says that it does,
    `let_go` lets it end. A subclass may name `methods` and `blocks` itself; where the class is asked, these count.
    """

    methods: ClassVar[frozenset[str]] = frozenset()
    blocks: ClassVar[bool] = False

    def __init__(self, *methods: str, blocks: bool | None = None) -> None:
        self.balking = frozenset(methods) or self.methods
        self.blocking = self.blocks if blocks is None else blocks
        self.balked: list[str] = []
        self.halted, self.let_go = asyncio.Event(), asyncio.Event()

    @classmethod
    async def assert_task_args(cls, args: Any, task: TaskArgs) -> None:
        await cls()._balk("assert_task_args")

    async def prepare(self, site: Site) -> Bundle:
        await self._balk("prepare")
        return await super().prepare(site)

    async def deploy(self, site: Site, bundle: Bundle) -> str:
        url = await super().deploy(site, bundle)
        await self._balk("deploy")
        return url

    async def probe(self, site: Site) -> Presence:
        await self._balk("probe")
        return await super().probe(site)

    async def download_file(self, site: Site, filename: str, save_dir: Path) -> Path:
        await self._balk("download_file")
        return await super().download_file(site, filename, save_dir)

    async def cleanup(self, site: Site) -> None:
        await self._balk("cleanup")

    async def log_tail(self, site: Site, lines: int) -> list[str]:
        await self._balk("log_tail")
        return []

    async def shutdown(self, site: Site) -> None:
        await self._balk("shutdown")
        await super().shutdown(site)

    async def leftovers(self) -> list[Leftover]:
        await self._balk("leftovers")
        return []

    async def _balk(self, method: str) -> None:
        if method not in self.balking:
            return
        self.balked.append(method)
        self.halted.set()
        if self.blocking:
            time.sleep(AGES)  # noqa: ASYNC251 - what it is for
        while not self.let_go.is_set():
            with suppress(asyncio.CancelledError):
                await self.let_go.wait()
