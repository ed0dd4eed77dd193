"""The ledger's part in a test of an architect: what a run recorded, as another process would read it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

from ..contract.architect import Resource, Site
from ..errors import ArchitectError, LedgerError

Key = tuple[str, str]
"""The kind and the name of a resource."""


def key_of(resource: Resource) -> Key:
    """By what a resource is known."""
    return resource.kind, resource.name


class Journal:
    """Keeps what one site records, durably at once, as far as its test allows.

    `before_announcing` is called with a resource that was not known to stand, before it is; `announced` are the kinds and
    names of all that ever was. From word number `fails_from` on (the first is 1) nothing can be written. Once the run
    `is_going_down`, nothing new may stand.
    """

    site: Site
    """The one that records at present."""

    def __init__(self) -> None:
        self.announced: list[Key] = []
        self.words = 0
        self.fails_from: int | None = None
        self.is_going_down = False
        self.before_announcing: Callable[[Resource], Awaitable[None]] | None = None
        self._standing: dict[Key, str] = {}

    async def record(self, resource: Resource, stands: bool) -> None:
        """What a site calls. Written and remembered, or neither, whoever is cancelled meanwhile."""
        self.words += 1
        if self.fails_from is not None and self.words >= self.fails_from:
            raise LedgerError("the ledger cannot be written; the test wants it so")
        if stands and key_of(resource) not in self._standing:
            await self._announce(resource)
        self._write(resource, stands)
        self.site.remember(resource, stands)
        await asyncio.sleep(0)  # a place to be cancelled

    def standing(self) -> list[Resource]:
        """What is recorded and not known to be gone, read anew."""
        return [Resource(kind, name, json.loads(facts)) for (kind, name), facts in self._standing.items()]

    def forget_all(self) -> None:
        """Another process has seen that all of it is gone."""
        self._standing.clear()

    async def _announce(self, resource: Resource) -> None:
        if self.is_going_down:
            raise ArchitectError(f"{resource.kind} {resource.name} is new, on the way down")
        if self.before_announcing is not None:
            await self.before_announcing(resource)
        self.announced.append(key_of(resource))

    def _write(self, resource: Resource, stands: bool) -> None:
        if stands:
            self._standing[key_of(resource)] = json.dumps(dict(resource.facts))
        else:
            self._standing.pop(key_of(resource), None)
