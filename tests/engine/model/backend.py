"""The architect of the simulated provider. It keeps the contract, as well as it can be kept there.

It announces right before each request to create, and calls something gone only after a listing that proves it. What it may
do, it does in some schedules: it makes several things, tries again by itself, has no time-out of its own, ignores its
cancellation for a while, says that it took something down before it did.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ClassVar, TypeVar

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
from falsework.engine.errors import ArchitectError, ConnectFailed, ShutdownFailed, TransientError
from falsework.engine.settings.sections import TaskArgs
from falsework.engine.testing import IdleArgs, IdleChannel

from .choices import Choices
from .processes import this_process
from .provider import CERTAINTY, Provider
from .watch import Watch

T = TypeVar("T")

THING = "thing"
"""The kind of every resource."""
CALL_TIMEOUT = 20.0
"""Seconds that one call may take, where this architect has a time-out of its own."""
GLANCE = 9.0
"""Seconds between two looks at what is being taken down."""
LONG = 1e6
"""Seconds that nobody waits in a schedule."""
PATIENCE = 2 * CERTAINTY
"""Seconds after which taking down is said to have failed."""


class SealedBundle(Bundle):
    """A bundle without files."""

    def __init__(self, site: Site) -> None:
        super().__init__(site.directory / "bundle", site.run_id, "none", (), ())

    def seal(self) -> None:
        """There is nothing to seal."""


class SimulatedArchitect(Architect):
    """Made anew for each process; what it may know, `site` holds."""

    ArgsClass: ClassVar[type[ArchitectArgs]] = IdleArgs
    guarantees: ClassVar[Guarantees] = Guarantees(
        dies_with_lease=False, disk_survives_restart=False, found_without_ledger=True, resumable=False
    )

    def __init__(
        self, provider: Provider, choices: Choices, watch: Watch, clock: Callable[[], float], stubborn: int
    ) -> None:
        """`stubborn`: one action in so many does not mind being cancelled."""
        self.provider, self.choices, self.watch, self.clock = provider, choices, watch, clock
        self.stubborn = stubborn
        self.call_timeout = choices.pick(CALL_TIMEOUT, CALL_TIMEOUT, None)
        self.parts = choices.pick(("app",), ("app", "disk"), ("app", "disk", "box"))

    @classmethod
    async def assert_task_args(cls, args: Any, task: TaskArgs) -> None:
        """Anything goes."""

    async def prepare(self, site: Site) -> Bundle:
        with self.watch.acting("prepare", site.epoch):
            await self._obstinately(lambda: self.provider.think("prepare"))
            return SealedBundle(site)

    async def deploy(self, site: Site, bundle: Bundle) -> str:
        with self.watch.acting("deploy", site.epoch):
            this_process().saw_it_gone = False
            await self._obstinately(lambda: self._put_up(site))
            return f"simulated://{site.run_id}"

    async def probe(self, site: Site) -> Presence:
        found: list[Presence] = []

        async def look() -> None:
            found.append(await self.look(site))

        with self.watch.acting("probe", site.epoch):
            await self._obstinately(look)
            this_process().saw_it_gone = found[-1] is Presence.GONE
            return found[-1]

    def get_channels(self, site: Site, listener: Listener) -> list[Channel]:
        return [SimulatedChannel(f"{part} of {site.run_id}", listener, self, site) for part in self.parts]

    async def cleanup(self, site: Site) -> None:
        with self.watch.acting("cleanup", site.epoch):
            await self._obstinately(lambda: self.provider.think("cleanup"))

    async def shutdown(self, site: Site) -> None:
        with self.watch.acting("shutdown", site.epoch):
            this_process().saw_it_gone = False
            if not self.choices.one_in(64):  # else it is said to be done, and was not even begun
                await self._obstinately(lambda: self.take_down(site))

    async def leftovers(self) -> list[Leftover]:
        return [Leftover(name, THING, name) for name in sorted(self.provider.own())]

    # Putting up

    async def _put_up(self, site: Site) -> None:
        for part in self.parts:
            await self.make(site, Resource(THING, f"{site.run_id}-{part}"))

    async def make(self, site: Site, resource: Resource) -> None:
        """Announce and create, once or several times."""
        for more in range(self.choices.pick(0, 1, 7), -1, -1):
            await site.announce(resource)
            try:
                await self._ask(lambda: self.provider.create(resource.name, site.run_id))
                break
            except TransientError:
                if not more:
                    raise
            await asyncio.sleep(GLANCE)
        await site.learn(resource, made=True)

    # Taking down

    async def take_down(self, site: Site) -> None:
        """Delete what is recorded or carries the run's mark, until a listing proves that nothing is left or will come."""
        began, errors = self.clock(), []
        seen = {resource.name for resource in reversed(site.resources)}
        while True:
            errors = await self._delete(seen)
            looked = self.clock()
            try:
                seen = await self.names(site)
            except ArchitectError as error:
                errors.append(error)
            else:
                if looked - began >= CERTAINTY:
                    await self._forget_all_but(seen, site)
                    if not seen:
                        return
            if self.clock() - began > PATIENCE:
                raise ShutdownFailed("it does not go away", errors or [ArchitectError(f"{sorted(seen)} still stands")])
            await asyncio.sleep(GLANCE)

    async def _delete(self, names: set[str]) -> list[Exception]:
        errors: list[Exception] = []
        for name in sorted(names):
            try:
                await self._ask(lambda name=name: self.provider.delete(name))  # type: ignore[misc]
            except ArchitectError as error:
                errors.append(error)
        return errors

    async def _forget_all_but(self, seen: set[str], site: Site) -> None:
        for resource in site.standing(THING):
            if resource.name not in seen:
                await site.forget(resource)

    # Looking

    async def look(self, site: Site) -> Presence:
        try:
            seen = await self.names(site)
        except ArchitectError:
            return Presence.UNKNOWN
        if seen:
            return Presence.UP
        return Presence.UNKNOWN if site.resources else Presence.GONE

    async def names(self, site: Site) -> set[str]:
        return {name for name, owner in await self._ask(self.provider.listing) if owner == site.run_id}

    # Calls

    async def _ask(self, call: Callable[[], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(self.call_timeout):
                return await call()
        except TimeoutError as error:
            raise TransientError("no answer") from error

    async def _obstinately(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do it, and in some schedules do not mind being cancelled for a while."""
        if not self.choices.one_in(self.stubborn):
            return await work()
        task, until = asyncio.create_task(work()), math.inf
        patience = self.choices.pick(2.0, 15.0, 40.0, 60.0, 90.0)
        while not task.done() and (left := until - self.clock()) > 0:
            try:
                await asyncio.wait({task}, timeout=min(left, LONG))
            except asyncio.CancelledError:
                until = min(until, self.clock() + patience)
        task.cancel()
        return await task


class SimulatedChannel(IdleChannel):
    """A channel that may hang or fail when it is opened and when it is closed."""

    def __init__(self, channel_id: str, listener: Listener, architect: SimulatedArchitect, site: Site) -> None:
        super().__init__(channel_id, listener)
        self._architect, self._site = architect, site

    async def open(self, timeout: float, reconnect_timeout: float) -> None:
        try:
            await self._architect.provider.think(f"open {self.channel_id}")
        except ArchitectError as error:
            raise ConnectFailed(str(error)) from error
        await super().open(timeout, reconnect_timeout)

    async def close(self) -> None:
        await super().close()
        await self._architect.provider.think(f"close {self.channel_id}")
