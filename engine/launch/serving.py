"""The time in which a run's server stands: connect, publish, let people work until every unit is done, and take it down.

Whoever has a run at the right place begins here: a launch that puts its server up first, a resumed run whose server stands.
Whatever happens, the server comes down, and what was handed in is taken in before and after.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NoReturn

from ...router.wire.protocol import SUBMIT_UNIT
from ..channel.listener import Ears
from ..contract.architect import Presence
from ..contract.cancellation import uncancelled
from ..contract.provider import Provider
from ..errors import ConnectFailed
from ..ledger.ledger import Ledger
from ..report import Reporter
from ..run.run import Run
from ..work.foreman import Foreman
from .endings import (
    end_after,
    end_when_idle,
    forever,
    until,
)
from .farewell import take_down, take_leave
from .heartbeat import beating
from .salvage import held_by_lost

FAREWELL_TIMEOUT = 10.0
"""Seconds without anything arriving after which the server is not expected to hand over more, and is taken down."""
DONE, INTERRUPTED = "every unit has its submissions", "it was interrupted"
"""Why a run ends."""

Rehearsal = Callable[[str], Coroutine[Any, Any, NoReturn]]


async def no_rehearsal(url: str) -> NoReturn:
    """People do the work."""
    await forever()


class Serving:
    """One run's work. `age` is how many seconds of its `max_lifetime` are over already."""

    def __init__(
        self,
        run: Run,
        foreman: Foreman,
        provider: Provider,
        ledger: Ledger,
        reporter: Reporter,
        clock: Callable[[], float],
        *,
        rehearse: Rehearsal = no_rehearsal,
        cleans_up: bool = False,
        age: float = 0.0,
    ) -> None:
        self._run, self._foreman, self._provider = run, foreman, provider
        self._ledger, self._reporter, self._clock = ledger, reporter, clock
        self._rehearse, self._cleans_up, self._age = rehearse, cleans_up, age
        self._lost: asyncio.Queue[str] = asyncio.Queue()

    async def live(self, put_up: Callable[[], Awaitable[str]]) -> None:
        """Have a server from `put_up`, which returns its URL, and everything until it is down again.

        Whatever was handed in is stored when this returns or raises. Raises what ended the work early; a server that ended by
        itself and left all that was to be done is no such thing.
        """
        reason, lost = INTERRUPTED, None
        async with beating(self._ledger, self._run.site):
            try:
                await self._serve(await put_up())
                reason = DONE
            except ConnectFailed as error:
                await self._run.explain(error)
                reason, lost = DONE if self._foreman.done.is_set() else str(error), error
            except Exception as error:
                reason = str(error) or repr(error)
                raise
            finally:
                await uncancelled(take_down(self._run, self._foreman, self._reporter, reason))
        if lost is not None and not self._foreman.done.is_set():
            raise lost

    async def _serve(self, url: str) -> None:
        """Let people work, and take in what they handed in. Returns when every unit is done."""
        await self._connect()
        if self._cleans_up:
            await self._run.cleanup()
        try:
            await self._provider.publish(url)
            await self._work(url)
        finally:
            await uncancelled(self._wind_up())

    async def _connect(self) -> None:
        self._lost, foreman = asyncio.Queue(), self._foreman
        listener = Ears(foreman.channel_opened, self._lost.put_nowait, foreman.take)
        await self._run.connect(listener, foreman.acked, foreman.attach)
        await self._take_in_of_lost()

    async def _work(self, url: str) -> None:
        """Until every unit is done. Raises RunEnded at a limit, ConnectFailed if the server is lost."""
        limits, foreman = self._run.limits, self._foreman
        lifetime_left = None if limits.max_lifetime is None else max(0.0, limits.max_lifetime - self._age)
        watches = (
            foreman.watch(),
            end_when_idle(limits.idle_timeout, lambda: foreman.last_heard, self._clock),
            end_after(lifetime_left, limits.max_lifetime),
            self._stay_connected(),
            self._run.notice_death(),
            self._rehearse(url),
        )
        await until(foreman.done, watches)

    async def _stay_connected(self) -> NoReturn:
        """Connect again for as long as the server is there; of several, go on with those that are left."""
        while True:
            channel_id = await self._lost.get()
            if len(self._run.channels) > 1:
                await self._go_on_without(channel_id)
                continue
            await self._run.lose("the channel did not come back")
            presence = await self._run.hands.probe()
            if presence in (Presence.GONE, Presence.DOWN):
                raise ConnectFailed(f"the server is {presence}")
            await self._connect()

    async def _go_on_without(self, channel_id: str) -> None:
        """One of several servers is lost: what it held is taken in, and its workers' units are for others."""
        for channel in self._run.channels:
            if channel.channel_id == channel_id:
                await self._run.lose_one(channel)
        self._foreman.channel_lost(channel_id, await self._take_in_of_lost())
        self._reporter.say(f"server {channel_id} is lost; its workers are sent to the others")

    async def _take_in_of_lost(self) -> set[str | None]:
        """What servers held that are lost, now or before the run was resumed; returns the agents who handed in."""
        there = {channel.router_epoch for channel in self._run.channels}
        lost = await held_by_lost(self._run.hands.remains, there, self._reporter)
        for outbox in lost:
            for packet in outbox.packets:
                self._foreman.take_from_disk(outbox.router_epoch, packet)
        return {packet.subject_id for outbox in lost for packet in outbox.packets if packet.packet_type == SUBMIT_UNIT}

    async def _wind_up(self) -> None:
        """Invite nobody more, send everybody home, and take in what the server still holds."""
        await self._told(self._provider.withdraw)
        await take_leave(self._run, self._foreman, self._reporter, FAREWELL_TIMEOUT)

    async def _told(self, step: Callable[[], Awaitable[None]]) -> None:
        """A step on the way down: its error is told, and neither that nor its hanging keeps anything else from happening."""
        try:
            async with asyncio.timeout(FAREWELL_TIMEOUT):
                await step()
        except Exception as error:  # noqa: BLE001 - the way down goes on
            self._reporter.say(f"on the way down: {error!r}")
