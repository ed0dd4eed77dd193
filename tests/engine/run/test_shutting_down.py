"""Shutting down works from everywhere, is done when it was seen to be done, and never says so before."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from falsework.engine.channel.channel import Channel
from falsework.engine.channel.listener import Ears
from falsework.engine.contract.architect import Presence, Resource, Site
from falsework.engine.contract.bundle import Bundle
from falsework.engine.errors import (
    ArchitectError,
    IllegalTransition,
    LedgerError,
    LimitReached,
    ShutdownFailed,
)
from falsework.engine.ledger.ledger import Ledger, RunTakenOver
from falsework.engine.ledger.owner import Owner
from falsework.engine.lifecycle.states import FINAL, State, Trigger
from falsework.engine.run.run import CutOff
from falsework.engine.settings.sections import ShutdownArgs
from falsework.engine.testing import (
    BrokenArchitect,
    FlakyArchitect,
    IdleChannel,
    ImmortalServer,
    InMemoryArchitect,
    LiarArchitect,
    SlowArchitect,
    StubbornArchitect,
)

from ..lives import (
    AT_ONCE,
    SOON,
    WAYS,
    Life,
    at_rest,
    counted_steps,
    held,
    living,
)

RUN = "caption-7f3a9c"
ACTIONS = {"prepare": State.PREPARING, "deploy": State.DEPLOYING, "connect": State.CONNECTING}
UP = "prepare deploy connect"


def before(action: str) -> str:
    """The actions that come before this one."""
    return UP[: UP.index(action)]


def assert_down(life: Life) -> None:
    """It is down, it was seen to be down, and everybody knows."""
    assert life.run.state is FINAL
    assert life.architect.standing == set()
    assert life.site.resources == life.ledger.resources(life.site.run_id) == []
    assert life.run.channels == []
    assert life.architect.calls[-1] == "probe"


# From everywhere


@pytest.mark.parametrize("state", WAYS)
async def test_shutting_down_is_legal_at_rest(tmp_path: Path, state: State) -> None:
    async with at_rest(tmp_path, state) as life:
        await life.do("shutdown")
        assert_down(life)
        assert life.run.story[-2].source is state or state is FINAL


@pytest.mark.parametrize("action", ACTIONS)
async def test_shutting_down_in_the_middle_of_an_action_cuts_it_off(tmp_path: Path, action: str) -> None:
    async with living(tmp_path, SlowArchitect(action)) as life:
        await life.drive(before(action))
        under_way = asyncio.create_task(life.do(action))
        await life.architect.halted.wait()
        await life.run.shutdown("somebody else said so")
        with pytest.raises(CutOff, match=f"{action} of {RUN} was cut off"):
            await under_way
        assert_down(life)
        *_, began, ended = life.run.story
        assert (began.source, began.reason) == (ACTIONS[action], "somebody else said so")
        assert (ended.source, ended.dest) == (State.SHUTTING_DOWN, FINAL)


async def test_shutting_down_in_the_middle_of_cleaning_up_cuts_it_off(tmp_path: Path) -> None:
    async with living(tmp_path, SlowArchitect("cleanup")) as life:
        await life.drive(UP)
        under_way = asyncio.create_task(life.do("cleanup"))
        await life.architect.halted.wait()
        await life.do("shutdown")
        await under_way
        assert_down(life)


@pytest.mark.parametrize("action", ACTIONS)
async def test_shutting_down_after_the_action_was_cancelled(tmp_path: Path, action: str) -> None:
    async with living(tmp_path, SlowArchitect(action)) as life:
        await life.drive(before(action))
        under_way = asyncio.create_task(life.do(action))
        await life.architect.halted.wait()
        under_way.cancel()
        await life.do("shutdown")
        with pytest.raises(asyncio.CancelledError):
            await under_way
        assert_down(life)


async def shut_down(life: Life, up: asyncio.Task[None]) -> None:
    await life.do("shutdown")


async def cancel(life: Life, up: asyncio.Task[None]) -> None:
    up.cancel()
    await asyncio.wait({up})
    await life.do("shutdown")


async def cancel_and_shut_down_at_once(life: Life, up: asyncio.Task[None]) -> None:
    up.cancel()
    await life.do("shutdown")


async def cancel_everything(life: Life, up: asyncio.Task[None]) -> None:
    everything = asyncio.all_tasks() - {asyncio.current_task()}
    for task in everything:
        task.cancel()
    await asyncio.wait(everything | {up})
    await life.do("shutdown")


@pytest.mark.slow
@pytest.mark.parametrize("interrupt", [shut_down, cancel, cancel_and_shut_down_at_once, cancel_everything])
@pytest.mark.parametrize("architect", [InMemoryArchitect, FlakyArchitect])
@pytest.mark.decisive
async def test_it_comes_down_at_whatever_step_it_is_interrupted(
    tmp_path: Path,
    architect: type[InMemoryArchitect],
    interrupt: Callable[[Life, asyncio.Task[None]], Awaitable[None]],
) -> None:
    """A step is what a task does from one await to the next: each of them in turn, until a whole life has no more of them."""
    for number in range(1, 1000):
        async with living(tmp_path, architect(), run_id=f"run-{number}") as life:
            with counted_steps(number) as reached:
                up = asyncio.create_task(life.drive(f"{UP} shutdown"))
                interrupted = asyncio.ensure_future(reached.wait())
                await asyncio.wait({up, interrupted}, return_when=asyncio.FIRST_COMPLETED)
            ended = not interrupted.done()
            interrupted.cancel()
            await interrupt(life, up)
            assert_down(life)
            (ended_with,) = await asyncio.gather(up, return_exceptions=True)
            assert isinstance(ended_with, asyncio.CancelledError | CutOff | IllegalTransition | None)
        if ended:
            assert number > 30
            return


# By several, again and again, and by who does not wait


async def test_several_that_shut_down_at_once_are_joined(tmp_path: Path) -> None:
    async with at_rest(tmp_path, State.CONNECTED) as life:
        await asyncio.gather(*(life.run.shutdown(f"caller {number}") for number in range(5)))
        assert life.architect.calls.count("shutdown") == 1
        assert [step.reason for step in life.run.story if step.trigger is Trigger.SHUTDOWN] == ["caller 0"]


async def test_several_that_shut_down_in_vain_all_hear_of_it(tmp_path: Path) -> None:
    async with living(tmp_path, LiarArchitect()) as life:
        await life.drive(UP)
        told = await asyncio.gather(*(life.do("shutdown") for _ in range(3)), return_exceptions=True)
        assert {type(error) for error in told} == {ShutdownFailed}


async def test_shutting_down_twice_is_quiet(tmp_path: Path) -> None:
    async with at_rest(tmp_path, State.CONNECTED) as life:
        await life.do("shutdown")
        calls, story = list(life.architect.calls), list(life.run.story)
        await life.do("shutdown")
        assert (life.architect.calls, life.run.story) == (calls, story)


@pytest.mark.parametrize("times", [1, 2])
async def test_shutting_down_goes_on_when_who_waits_for_it_is_cancelled(tmp_path: Path, times: int) -> None:
    async with living(tmp_path, SlowArchitect("shutdown")) as life:
        await life.drive(UP)
        for _ in range(times):
            waiting = asyncio.create_task(life.do("shutdown"))
            await life.architect.halted.wait()
            waiting.cancel()
            await asyncio.wait({waiting})
            assert waiting.cancelled()
        life.architect.go_on.set()
        await life.do("shutdown")
        assert_down(life)
        assert life.architect.calls.count("shutdown") == 1


def test_shutting_down_that_the_end_of_the_loop_cuts_off_is_on_record(tmp_path: Path) -> None:
    async def leave_in_the_middle() -> None:
        life = await context.__aenter__()
        await life.drive(UP)
        left.append(asyncio.create_task(life.do("shutdown")))
        await life.architect.halted.wait()

    context = living(tmp_path, SlowArchitect("shutdown"), agrees=False)
    left: list[asyncio.Task[None]] = []
    asyncio.run(leave_in_the_middle())
    ledger = Ledger.at(tmp_path / "ledger.db")
    assert ledger.run(RUN).state is State.SHUTDOWN_FAILED
    assert ledger.story(RUN)[-1].error == "cancelled"
    assert len(ledger.resources(RUN)) == 1
    asyncio.run(ledger.close())


# Until it is gone


async def test_shutting_down_is_tried_again_until_it_is_gone(tmp_path: Path) -> None:
    async with living(tmp_path, ImmortalServer(survives=2)) as life:
        await life.drive(UP)
        await life.do("shutdown")
        assert_down(life)
        assert [line.split(" in ")[0] for line in life.said] == ["attempt 2 of 3", "attempt 3 of 3"]


async def test_what_does_not_go_is_named_and_may_be_taken_down_later(tmp_path: Path) -> None:
    async with living(tmp_path, ImmortalServer(survives=3)) as life:
        await life.drive(UP)
        with pytest.raises(ShutdownFailed) as failure:
            await life.do("shutdown")
        assert [str(error) for error in failure.value.exceptions] == [
            f"the server of {RUN} does not die",
            "the server is up, not gone, after it was taken down",
        ]
        assert life.run.state is State.SHUTDOWN_FAILED
        assert life.run.story[-1].error == (
            f"ShutdownFailed: run {RUN} is not down (ArchitectError: the server of {RUN} does not die; "
            "ArchitectError: the server is up, not gone, after it was taken down)"
        )
        assert life.ledger.resources(RUN) == life.site.resources != []
        await life.do("shutdown")
        assert_down(life)


async def test_a_liar_never_ends_in_shut_down(tmp_path: Path) -> None:
    async with living(tmp_path, LiarArchitect()) as life:
        await life.drive(UP)
        for _ in range(2):
            with pytest.raises(ShutdownFailed, match="not down"):
                await life.do("shutdown")
            assert life.run.state is State.SHUTDOWN_FAILED
        assert FINAL not in life.visited


class Sees(InMemoryArchitect):
    """A look at its server says this, or raises this."""

    def __init__(self, sight: Presence | Exception) -> None:
        super().__init__()
        self.sight = sight

    async def probe(self, site: Site) -> Presence:
        if isinstance(self.sight, Exception):
            raise self.sight
        return self.sight


@pytest.mark.parametrize("sight", [Presence.UP, Presence.DOWN, Presence.UNKNOWN, OSError("no network")], ids=str)
async def test_only_what_was_seen_to_be_gone_is_down(tmp_path: Path, sight: Presence | Exception) -> None:
    async with living(tmp_path, Sees(sight)) as life:
        await life.drive(UP)
        with pytest.raises(ShutdownFailed):
            await life.do("shutdown")
        assert str(sight) in (life.run.story[-1].error or "")
        life.architect.sight = Presence.GONE
        await life.do("shutdown")


async def test_shutting_down_that_hangs_ends_with_the_name_of_its_limit(tmp_path: Path) -> None:
    limits = replace(AT_ONCE, shutdown=ShutdownArgs(timeout=SOON, wait_min=0))
    async with living(tmp_path, SlowArchitect("shutdown"), limits) as life:
        await life.drive(UP)
        with pytest.raises(ShutdownFailed) as failure:
            await life.do("shutdown")
        limit = failure.value.exceptions[0]
        assert isinstance(limit, LimitReached)
        assert (limit.seconds, limit.setting) == (SOON, "lifecycle.shutdown.timeout")
        life.run.limits = AT_ONCE
        life.architect.go_on.set()
        await life.do("shutdown")
        assert_down(life)


class FailsThenHangs(SlowArchitect):
    """Shutting down fails once, and hangs the second time."""

    failed = False

    async def in_the_middle(self, action: str, site: Site) -> None:
        if action == "shutdown" and not self.failed:
            self.failed = True
            raise ArchitectError("the first trouble")
        await super().in_the_middle(action, site)


@pytest.mark.slow
async def test_the_limit_of_shutting_down_does_not_hide_what_went_wrong_before(tmp_path: Path) -> None:
    limits = replace(AT_ONCE, shutdown=ShutdownArgs(timeout=0.5, wait_min=0))
    async with living(tmp_path, FailsThenHangs("shutdown"), limits) as life:
        await life.drive(UP)
        with pytest.raises(ShutdownFailed):
            await life.do("shutdown")
        assert "lifecycle.shutdown.timeout" in (life.run.story[-1].error or "")
        assert "the first trouble" in (life.run.story[-1].error or "")


@pytest.mark.parametrize("action", ["shutdown", "probe"])
async def test_shutting_down_that_ignores_its_end_is_given_up(tmp_path: Path, action: str) -> None:
    limits = replace(AT_ONCE, shutdown=ShutdownArgs(timeout=SOON, wait_min=0))
    async with living(tmp_path, StubbornArchitect(action), limits, settle_timeout=SOON) as life:
        await life.drive(UP)
        with pytest.raises(ShutdownFailed):
            await life.do("shutdown")
        assert life.run.state is State.SHUTDOWN_FAILED
        life.run.limits = AT_ONCE
        life.architect.go_on.set()
        await life.do("shutdown")


# What must not stand in its way


@pytest.mark.parametrize("action", ["prepare", "connect"])
async def test_an_action_that_ignores_its_cancellation_keeps_nothing_up(tmp_path: Path, action: str) -> None:
    async with living(tmp_path, StubbornArchitect(action), settle_timeout=SOON) as life:
        await life.drive(before(action))
        under_way = asyncio.create_task(life.do(action))
        await life.architect.halted.wait()
        await life.do("shutdown")
        assert_down(life)
        with pytest.raises(CutOff):
            await under_way
        life.architect.go_on.set()


async def test_a_deploy_that_ignores_its_cancellation_may_still_make_something(tmp_path: Path) -> None:
    async with living(tmp_path, StubbornArchitect("deploy"), settle_timeout=SOON) as life:
        await life.drive("prepare")
        under_way = asyncio.create_task(life.do("deploy"))
        await life.architect.halted.wait()
        with pytest.raises(ShutdownFailed, match="not down") as failure:
            await life.do("shutdown")
        assert "deploying goes on" in str(failure.value.exceptions)
        assert life.architect.standing == set()
        with pytest.raises(CutOff):
            await under_way
        life.architect.go_on.set()
        await asyncio.sleep(0)
        await life.do("shutdown")
        assert_down(life)


class AnnouncesLate(StubbornArchitect):
    """Cancelling it does not keep it from making one thing more."""

    refused: Exception | None = None

    async def deploy(self, site: Site, bundle: Bundle) -> str:
        url = await super().deploy(site, bundle)
        try:
            await site.announce(Resource("late", "thing"))
        except ArchitectError as error:
            self.refused = error
            raise
        return url


async def test_nothing_new_is_made_on_the_way_down(tmp_path: Path) -> None:
    async with living(tmp_path, AnnouncesLate("deploy"), settle_timeout=SOON) as life:
        await life.drive("prepare")
        under_way = asyncio.create_task(life.do("deploy"))
        await life.architect.halted.wait()
        with pytest.raises(ShutdownFailed):
            await life.do("shutdown")
        life.architect.go_on.set()
        with pytest.raises(CutOff):
            await under_way
        await life.do("shutdown")
        assert "late thing may not be made any more" in str(life.architect.refused)
        assert_down(life)


class BadChannel(IdleChannel):
    """Closing it raises."""

    async def close(self) -> None:
        raise OSError("the network is down")


@pytest.mark.parametrize("broken", ["channel", "shutdown", "probe"])
async def test_a_step_that_fails_does_not_keep_the_next_from_being_tried(tmp_path: Path, broken: str) -> None:
    async with living(tmp_path, BrokenArchitect(broken)) as life:
        await life.drive(UP)
        channel: Channel = BadChannel(RUN, Ears())
        life.run.channels.append(channel)
        if broken == "channel":
            await life.do("shutdown")
            assert_down(life)
        else:
            with pytest.raises(ShutdownFailed):
                await life.do("shutdown")
        assert life.said[0] == f"channel {RUN} could not be closed: the network is down"
        assert {"shutdown", "probe"} <= set(life.architect.calls)


# The ledger on the way down


async def test_a_ledger_that_cannot_be_written_keeps_nothing_up(tmp_path: Path) -> None:
    async with at_rest(tmp_path, State.CONNECTED) as life:
        with held(life.file), pytest.raises(LedgerError, match="held by another process") as told:
            await life.do("shutdown")
        assert told.value.__notes__ == [f"run {RUN} is down, but the ledger does not know"]
        assert life.run.state is FINAL
        assert life.architect.standing == set()
        assert sum("going on without the ledger" in line for line in life.said) == 2
        assert life.ledger.run(RUN).state is State.CONNECTED
        await life.do("shutdown")


async def test_a_ledger_that_can_be_written_again_hears_the_whole_story(tmp_path: Path) -> None:
    async with living(tmp_path, SlowArchitect("shutdown")) as life:
        await life.drive(UP)
        with held(life.file):
            down = asyncio.create_task(life.do("shutdown"))
            await life.architect.halted.wait()
        life.architect.go_on.set()
        await down
        assert_down(life)


async def test_failing_without_the_ledger_is_told_to_it_later(tmp_path: Path) -> None:
    async with living(tmp_path, ImmortalServer(survives=3)) as life:
        await life.drive(UP)
        with held(life.file), pytest.raises(ShutdownFailed):
            await life.do("shutdown")
        assert life.run.state is State.SHUTDOWN_FAILED
        assert life.ledger.run(RUN).state is State.CONNECTED
        await life.do("shutdown")
        assert_down(life)


async def test_a_run_that_another_process_took_over_is_left_to_it(tmp_path: Path) -> None:
    async with at_rest(tmp_path, State.CONNECTED) as life:
        other = Ledger.at(life.file)
        await other.claim(other.run(RUN), Owner("elsewhere", 42, 0.0))
        await other.close()
        channels = life.run.channels
        for _ in range(2):
            with pytest.raises(RunTakenOver, match="elsewhere:42"):
                await life.do("shutdown")
        with pytest.raises(RunTakenOver):
            await life.do("lose")
        assert life.run.state is State.CONNECTED
        assert life.architect.standing == {RUN}
        assert "shutdown" not in life.architect.calls
        assert [channel.is_open for channel in channels] == [False]  # type: ignore[attr-defined]


async def test_a_run_that_was_moved_in_the_ledger_moves_nothing_more_but_comes_down(tmp_path: Path) -> None:
    async with at_rest(tmp_path, State.PREPARED, agrees=False) as life:
        story = list(life.run.story)
        await life.ledger.record(RUN, replace(story[-1], source=State.PREPARED, dest=State.DEPLOYING))
        with pytest.raises(LedgerError, match="is deploying in the ledger, not prepared"):
            await life.do("deploy")
        assert (life.run.state, life.run.story) == (State.PREPARED, story)
        assert "deploy" not in life.architect.calls
        with pytest.raises(LedgerError, match="is deploying in the ledger"):
            await life.do("shutdown")
        assert life.run.state is FINAL
