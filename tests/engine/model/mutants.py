"""Architects and runs that break the promise in one place each: a model that does not notice them proves nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from falsework.engine.contract.architect import Presence, Resource, Site
from falsework.engine.errors import ArchitectError, ShutdownFailed
from falsework.engine.lifecycle.states import Trigger
from falsework.engine.run.limit import Limit
from falsework.engine.run.run import Run

from .backend import SimulatedArchitect

# Architects


class Unannounced(SimulatedArchitect):
    """Creates first, and announces what it has created."""

    async def make(self, site: Site, resource: Resource) -> None:
        await self.provider.create(resource.name, site.run_id)
        await site.announce(resource)


class OneLook(SimulatedArchitect):
    """Believes the first listing that shows nothing."""

    async def take_down(self, site: Site) -> None:
        for resource in site.resources:
            await self.provider.delete(resource.name)
        if await self.names(site):
            raise ArchitectError("it still stands")
        for resource in list(site.resources):
            await site.forget(resource)


class Overzealous(SimulatedArchitect):
    """Takes what is called like the run for the run's own."""

    async def names(self, site: Site) -> set[str]:
        return {name for name, _ in await self.provider.listing() if name.startswith(site.run_id)}


class Blind(SimulatedArchitect):
    """Says that it is gone without looking."""

    async def take_down(self, site: Site) -> None:
        for resource in list(site.resources):
            await self.provider.delete(resource.name)
            await site.forget(resource)

    async def look(self, site: Site) -> Presence:
        return Presence.GONE


# Runs


class ActsFirst(Run):
    """Does the work, and then says that it is about to."""

    async def _work(self, trigger: Trigger, action: Callable[[], Awaitable[Any]], limit: Limit) -> Any:
        work = self._account.destination(trigger)
        result = await limit.apply(action)
        await self._account.begin(trigger)
        await self._account.succeed(work)
        return result


class NeverLooks(Run):
    """Takes its architect's word for it."""

    async def _see_it_gone(self) -> None:
        """Nothing is looked at."""


class TriesOnce(Run):
    """Takes it down once, and calls that done."""

    async def _bring_down(self, limit: Limit) -> None:
        try:
            await limit.apply(lambda: self._take_down(limit))
        except (ShutdownFailed, TimeoutError) as error:
            self._say(f"so what: {error}")


class LetsItGoOn(Run):
    """Takes down beside whatever is under way."""

    async def _shut_down(self, reason: str) -> None:
        self._stoppable.clear()
        await super()._shut_down(reason)
