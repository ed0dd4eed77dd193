"""What becomes of a run whose launcher is gone: it goes on, what its server holds is taken in, or it is taken down.

Each of these makes this process the run's owner first (takeover.py), so that two of them never work on one run. Who may be
taken for dead is the caller's to decide (sweeper.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from ..channel.listener import Ears
from ..contract.architect import Presence
from ..contract.cancellation import uncancelled
from ..contract.provider import make_provider
from ..errors import (
    ConfigError,
    ConnectFailed,
    FalseworkError,
    Problem,
)
from ..ledger.ledger import Ledger, RunRecord, RunTakenOver
from ..lifecycle.states import FINAL, State
from ..report import Reporter
from ..run.limit import Limit
from ..run.run import Run
from ..settings.units import UNITS_FILE, load_units
from ..work.foreman import Foreman
from ..work.hook import Hook
from ..work.submissions import read
from . import farewell
from .launcher import Outcome, cleans_up_after_deploy
from .salvage import salvage
from .serving import FAREWELL_TIMEOUT, Serving
from .takeover import Settings, settings_of, take_over
from .workplace import workplace

SERVED = (State.DEPLOYED, State.CONNECTING, State.CONNECT_FAILED, State.CONNECTED, State.DISCONNECTED)
"""Where a server may stand that answers: these can be taken up, the others only taken down."""

FAREWELL_LIMIT = Limit(30.0, "the time for connecting to a server that is to be taken down")


class NotResumable(FalseworkError):
    """There is no server that answers for this run; nothing was changed."""


@dataclass(frozen=True)
class Collected:
    """What collecting came to: how many submissions were taken in, and whether the server is gone by now."""

    stored: int
    is_gone: bool


async def resume(
    ledger: Ledger, record: RunRecord, reporter: Reporter, clock: Callable[[], float] = time.time
) -> Outcome:
    """Take up a run where its dead launcher left it, and see it to its end as a launch would: same URL, same agents.

    Raises NotResumable, or ConfigError if what it was launched with is gone, before anything is changed; RunTakenOver if
    another process was faster; later what a launch raises.
    """
    if record.state not in SERVED:
        raise NotResumable(
            f"run {record.run_id} is {record.state}: no server answers for it. `falsework show {record.run_id}` tells its "
            f"story, `falsework shutdown {record.run_id}` takes it down"
        )
    settings = _complete(record)
    hook = Hook.load(settings.task.hook, reporter.say)
    reporter.begun(record.run_id, record.directory)
    dead = record.owner
    run = await take_over(ledger, record, reporter, settings)
    async with _at_work(run, settings, hook, reporter, clock) as foreman:
        serving = Serving(
            run,
            foreman,
            make_provider(settings.provider, reporter),
            ledger,
            reporter,
            clock,
            cleans_up=cleans_up_after_deploy(settings.lifecycle, settings.task),
            age=max(0.0, clock() - record.started),
        )

        async def find_server() -> str:
            await _let_go(run, f"its launcher {dead} is gone; resumed")
            if await run.hands.probe() is Presence.GONE:
                raise ConnectFailed("the server is gone as well")
            return run.site.url or ""

        await serving.live(find_server)
        return Outcome(run.site.run_id, run.state, run.site.directory, foreman.counts)


async def collect(
    ledger: Ledger, record: RunRecord, reporter: Reporter, clock: Callable[[], float] = time.time
) -> Collected:
    """Take in what the server of a dead launcher's run holds; the run is not resumed, and nobody is given work.

    A server that is gone is seen down, after what it left on this machine was taken in; so is that of a run that is down.
    Raises RunTakenOver if another process was faster, ConnectFailed if the server stands and cannot be connected to.
    """
    settings = settings_of(record)
    reporter.begun(record.run_id, record.directory)
    run = await take_over(ledger, record, reporter, settings)
    async with _at_work(run, settings, Hook(None, reporter.say), reporter, clock, admits=False) as foreman:
        before = _count(run)
        try:
            is_gone = await _collect(run, foreman, reporter)
        finally:
            await uncancelled(_let_go(run, "collected what its server held"))
        return Collected(_count(run) - before, is_gone)


async def take_down(
    ledger: Ledger, record: RunRecord, reporter: Reporter, reason: str, clock: Callable[[], float] = time.time
) -> Run:
    """Take a dead launcher's run down, after taking in what its server holds. Raises what `Run.shutdown` does.

    What cannot be taken in is told, and keeps nothing from coming down; on this machine it is looked for once more then.
    """
    settings = settings_of(record)
    run = await take_over(ledger, record, reporter, settings)
    if record.state not in SERVED and not _has_remains(run):
        await uncancelled(run.shutdown(reason))
        return run
    try:
        async with _at_work(run, settings, Hook(None, reporter.say), reporter, clock, admits=False) as foreman:
            try:
                if record.state in SERVED:
                    await _say_farewell(run, foreman, reporter)
            finally:
                await uncancelled(farewell.take_down(run, foreman, reporter, reason))
    except RunTakenOver:
        raise
    except FalseworkError as error:
        if run.state in (State.SHUTDOWN_FAILED, FINAL):
            raise
        reporter.say(f"what was handed in cannot be taken in: {error}")
        await uncancelled(run.shutdown(reason))
    return run


# Pieces


def _complete(record: RunRecord) -> Settings:
    settings = settings_of(record)
    if not settings.is_complete:
        advice = "put it and the files that it names back, or take the run down with `falsework shutdown`"
        raise ConfigError(
            Problem(f"{record.run_id} was launched from it, and it is gone; {advice}", str(record.task_file))
        )
    return settings


def _at_work(
    run: Run, settings: Settings, hook: Hook, reporter: Reporter, clock: Callable[[], float], *, admits: bool = True
) -> AbstractAsyncContextManager[Foreman]:
    units = load_units(run.site.directory / UNITS_FILE)
    return workplace(run, settings.task, units, hook, reporter, clock, admits=admits)


async def _collect(run: Run, foreman: Foreman, reporter: Reporter) -> bool:
    """Take in what there is; returns whether the server is gone."""
    if run.state is not FINAL and await run.hands.probe() is not Presence.GONE:
        await _connect(run, foreman)
        await farewell.take_in(run, foreman, reporter, FAREWELL_TIMEOUT)
        return False
    if run.state is not FINAL:
        await run.shutdown("its server is gone")
    await salvage(run.hands.remains, foreman, reporter)
    return True


async def _say_farewell(run: Run, foreman: Foreman, reporter: Reporter) -> None:
    """As a launch ends: nobody begins anything any more, and what the server holds is taken in."""
    try:
        if await run.hands.probe() is Presence.GONE:
            return
        await FAREWELL_LIMIT.apply(lambda: _connect(run, foreman))
        await farewell.take_leave(run, foreman, reporter, FAREWELL_TIMEOUT)
    except FalseworkError as error:
        reporter.say(f"what its server holds cannot be taken in over the network: {error}")


async def _connect(run: Run, foreman: Foreman) -> None:
    await _let_go(run, "its launcher is gone")
    await run.connect(Ears(foreman.channel_opened, received=foreman.take), foreman.acked, foreman.attach)


async def _let_go(run: Run, reason: str) -> None:
    if run.state is State.CONNECTED:
        await run.lose(reason)


def _count(run: Run) -> int:
    return sum(1 for _ in read(run.site.directory))


def _has_remains(run: Run) -> bool:
    return run.hands.remains is not None and run.hands.remains.exists()
