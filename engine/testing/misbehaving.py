"""Doubles named by how they break the architect's contract, in memory: what the engine has to cope with."""

from __future__ import annotations

import asyncio

from ..contract.architect import Site
from ..errors import ArchitectError, TransientError
from .doubles import SERVER, InMemoryArchitect


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
