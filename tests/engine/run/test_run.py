"""A run acts in the order of the table, has it in the ledger first, and records whatever ends an action as what it is."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from falsework.engine.channel.channel import Channel
from falsework.engine.channel.listener import Ears
from falsework.engine.contract.architect import Resource, Site
from falsework.engine.contract.bundle import Bundle
from falsework.engine.errors import (
    ArchitectError,
    IllegalTransition,
    LedgerError,
    LimitReached,
)
from falsework.engine.ledger.ledger import Ledger
from falsework.engine.lifecycle.guard import Lifecycle
from falsework.engine.lifecycle.states import (
    SETTLED,
    WORK,
    State,
    Trigger,
)
from falsework.engine.settings.sections import DeployArgs, LifecycleArgs
from falsework.engine.testing import (
    SERVER,
    BrokenArchitect,
    IdleArchitect,
    InMemoryArchitect,
    SlowArchitect,
    StubbornArchitect,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from ..lives import (
    AT_ONCE,
    SOON,
    WAYS,
    at_rest,
    held,
    living,
)

ACTIONS = {"prepare": State.CONFIGURED, "deploy": State.PREPARED, "connect": State.DEPLOYED}
"""Each action of an architect, and where it is legal."""
BEGUN = {"prepare": State.PREPARING, "deploy": State.DEPLOYING, "connect": State.CONNECTING}
ILLEGAL = [
    (state, action)
    for state in WAYS
    for action, trigger in {**{name: name for name in ACTIONS}, "lose": "lost"}.items()
    if Trigger(trigger) not in Lifecycle("any", state).legal()
]


def ignore(*news: object) -> None:
    """A callback that does nothing."""


def failed(action: str) -> State:
    return WORK[BEGUN[action]][1]


def before(action: str) -> str:
    """The actions that come before this one."""
    return " ".join(list(ACTIONS)[: list(ACTIONS).index(action)])


# Order


async def test_a_whole_life_goes_through_every_state_in_order(tmp_path: Path) -> None:
    async with living(tmp_path) as life:
        await life.drive("prepare deploy connect cleanup shutdown")
        assert [state for state in life.visited if state in SETTLED] == list(SETTLED)[1:]
        assert [step.source for step in life.run.story] == [State.CONFIGURED, *life.visited[:-1]]
        assert life.architect.calls == ["prepare", "deploy", "connect", "cleanup", "shutdown", "probe"]
        assert life.architect.standing == set()
        assert life.run.story[-2].reason == "the day is over"


@pytest.mark.parametrize("state, action", ILLEGAL)
async def test_an_action_out_of_order_changes_nothing_and_tells_the_story(
    tmp_path: Path, state: State, action: str
) -> None:
    async with at_rest(tmp_path, state) as life:
        calls, story, channels = list(life.architect.calls), list(life.run.story), list(life.run.channels)
        with pytest.raises(IllegalTransition) as refusal:
            await life.do(action)
        assert refusal.value.story == tuple(str(step) for step in story)
        assert refusal.value.legal == tuple(Lifecycle("any", state).legal())
        assert (life.run.state, life.run.story, life.run.channels) == (state, story, channels)
        assert life.architect.calls == calls
        assert all(channel.is_open for channel in channels if state is State.CONNECTED)  # type: ignore[attr-defined]


@pytest.mark.parametrize("second", ["prepare", "deploy", "connect"])
@pytest.mark.parametrize("first", ACTIONS)
async def test_one_action_at_a_time(tmp_path: Path, first: str, second: str) -> None:
    async with living(tmp_path, SlowArchitect(first)) as life:
        await life.drive(before(first))
        under_way = asyncio.create_task(life.do(first))
        await life.architect.halted.wait()
        with pytest.raises(IllegalTransition, match=r"legal: shutdown\)"):
            await life.do(second)
        life.architect.go_on.set()
        await under_way
        assert life.run.state is WORK[BEGUN[first]][0]


async def test_two_at_the_same_instant_are_one_and_a_refusal(tmp_path: Path) -> None:
    async with living(tmp_path) as life:
        one, other = await asyncio.gather(life.run.prepare(), life.run.prepare(), return_exceptions=True)
        assert isinstance(one, Bundle)
        assert isinstance(other, IllegalTransition)
        assert life.run.state is State.PREPARED


# Write-ahead


class Witness(InMemoryArchitect):
    """Looks into the ledger, as another process would, in the middle of each action and when its server appears."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self.standing = WatchedServers(self)
        self.ledger = ledger
        self.seen: dict[str, tuple[State, list[Resource]]] = {}

    async def in_the_middle(self, action: str, site: Site) -> None:
        self.look(action, site.run_id)

    def look(self, moment: str, run_id: str) -> None:
        self.seen[moment] = self.ledger.run(run_id).state, self.ledger.resources(run_id)


class WatchedServers(set[str]):
    def __init__(self, witness: Witness) -> None:
        super().__init__()
        self.witness = witness

    def add(self, run_id: str) -> None:
        self.witness.look("creation", run_id)
        super().add(run_id)


async def test_the_ledger_knows_of_each_work_and_each_resource_before_it_begins(tmp_path: Path) -> None:
    witnessed = Ledger.at(tmp_path / "ledger.db")
    async with living(tmp_path, Witness(witnessed)) as life:
        await life.drive("prepare deploy connect shutdown")
        announced = [Resource(SERVER, "caption-7f3a9c")]
        assert life.architect.seen == {
            "prepare": (State.PREPARING, []),
            "creation": (State.DEPLOYING, announced),
            "deploy": (State.DEPLOYING, announced),
            "connect": (State.CONNECTING, announced),
            "shutdown": (State.SHUTTING_DOWN, announced),
            "probe": (State.SHUTTING_DOWN, []),
        }
        await witnessed.close()
        assert life.ledger.run("caption-7f3a9c").url == life.site.url == "memory://caption-7f3a9c"


class CannotAnnounce(InMemoryArchitect):
    """The ledger becomes unwritable just when it is about to announce its server."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file

    async def deploy(self, site: Site, bundle: Bundle) -> str:
        with held(self.file):
            return await super().deploy(site, bundle)


async def test_what_cannot_be_announced_is_not_made(tmp_path: Path) -> None:
    async with living(tmp_path, CannotAnnounce(tmp_path / "ledger.db")) as life:
        await life.drive("prepare")
        with pytest.raises(LedgerError, match="held by another process"):
            await life.do("deploy")
        assert life.architect.standing == set()
        assert life.site.resources == []
        assert life.run.state is State.DEPLOY_FAILED


@pytest.mark.parametrize("action", ACTIONS)
async def test_work_that_the_ledger_cannot_be_told_of_does_not_begin(tmp_path: Path, action: str) -> None:
    async with living(tmp_path) as life:
        await life.drive(before(action))
        calls = list(life.architect.calls)
        with held(life.file), pytest.raises(LedgerError, match="held by another process"):
            await life.do(action)
        assert life.run.state is ACTIONS[action]
        assert life.architect.calls == calls
        await life.do(action)


@pytest.mark.parametrize("action", ACTIONS)
async def test_work_that_was_done_and_cannot_be_recorded_does_not_go_on(tmp_path: Path, action: str) -> None:
    async with living(tmp_path, SlowArchitect(action)) as life:
        await life.drive(before(action))
        under_way = asyncio.create_task(life.do(action))
        await life.architect.halted.wait()
        life.architect.go_on.set()
        with held(life.file), pytest.raises(LedgerError):
            await under_way
        assert life.run.state in (BEGUN[action], failed(action))
        life.site.url = None
        await life.do("shutdown")
        assert life.architect.standing == set()


async def test_a_failure_that_cannot_be_recorded_is_told_when_the_ledger_can_be_written_again(tmp_path: Path) -> None:
    async with living(tmp_path, SlowArchitect("prepare")) as life:
        under_way = asyncio.create_task(life.do("prepare"))
        await life.architect.halted.wait()
        with held(life.file):
            under_way.cancel()
            await asyncio.wait({under_way})
        assert life.run.state is State.PREPARE_FAILED
        assert life.ledger.run("caption-7f3a9c").state is State.PREPARING
        assert "going on without the ledger" in life.said[-1]
        life.architect.go_on.set()
        await life.do("prepare")


# How actions end


@pytest.mark.parametrize("action", ACTIONS)
async def test_an_action_that_fails_is_recorded_with_its_error_and_may_be_done_again(
    tmp_path: Path, action: str
) -> None:
    async with living(tmp_path, BrokenArchitect(action)) as life:
        await life.drive(before(action))
        with pytest.raises(ArchitectError, match=f"{action} is broken"):
            await life.do(action)
        assert life.run.state is failed(action)
        assert life.run.story[-1].error == f"ArchitectError: {action} is broken"
        life.replace_architect(InMemoryArchitect())
        await life.do(action)


@pytest.mark.parametrize("architect", [SlowArchitect, StubbornArchitect])
@pytest.mark.parametrize(
    "action, limits",
    [
        ("prepare", LifecycleArgs(prepare_timeout=SOON)),
        ("deploy", LifecycleArgs(deploy=DeployArgs(attempts=1, attempt_timeout=SOON))),
        ("deploy", LifecycleArgs(deploy=DeployArgs(attempts=1, timeout=SOON))),
        ("connect", LifecycleArgs(connect_timeout=SOON)),
    ],
)
async def test_an_action_that_takes_too_long_ends_with_the_name_of_its_limit(
    tmp_path: Path, action: str, limits: LifecycleArgs, architect: type[SlowArchitect]
) -> None:
    async with living(tmp_path, architect(action), limits, settle_timeout=SOON) as life:
        life.run.limits = LifecycleArgs(limits.deploy, AT_ONCE.shutdown, limits.prepare_timeout, limits.connect_timeout)
        await life.drive(before(action))
        with pytest.raises((LimitReached, ArchitectError)) as ended:
            await life.do(action)
        told = " ".join([str(ended.value), *getattr(ended.value, "__notes__", [])])
        setting = {
            "prepare": "lifecycle.prepare_timeout",
            "deploy": "lifecycle.deploy.timeout"
            if limits.deploy.timeout == SOON
            else "lifecycle.deploy.attempt_timeout",
            "connect": "lifecycle.connect_timeout",
        }[action]
        assert f"({setting})" in told
        assert life.run.state is failed(action)
        life.architect.go_on.set()


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("action", ACTIONS)
async def test_an_action_that_is_cancelled_ends_as_cancelled(tmp_path: Path, action: str, times: int) -> None:
    async with living(tmp_path, SlowArchitect(action)) as life:
        await life.drive(before(action))
        under_way = asyncio.create_task(life.do(action))
        await life.architect.halted.wait()
        for _ in range(times):
            under_way.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await under_way
        assert life.run.state is failed(action)
        assert life.run.story[-1].error == "cancelled"


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("action", ACTIONS)
async def test_an_action_that_ignores_its_cancellation_is_given_up(tmp_path: Path, action: str, times: int) -> None:
    async with living(tmp_path, StubbornArchitect(action), settle_timeout=SOON) as life:
        await life.drive(before(action))
        under_way = asyncio.create_task(life.do(action))
        await life.architect.halted.wait()
        for _ in range(times):
            under_way.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await under_way
        life.architect.go_on.set()
        assert life.run.state is failed(action)
        assert f"{action} goes on, 0.01 s after it was cancelled" in life.said
        assert life.architect.cancelled >= min(times, 2)  # some reach it as one


class CancelsItself(InMemoryArchitect):
    """Something in it ends in a cancellation that nobody asked for."""

    async def in_the_middle(self, action: str, site: Site) -> None:
        raise asyncio.CancelledError


@pytest.mark.parametrize("action", ACTIONS)
async def test_a_cancellation_that_nobody_asked_for_is_an_error(tmp_path: Path, action: str) -> None:
    async with living(tmp_path) as life:
        await life.drive(before(action))
        life.replace_architect(CancelsItself())
        with pytest.raises(ArchitectError, match="cancelled from within"):
            await life.do(action)
        assert life.run.state is failed(action)


# Channels


async def test_channels_are_attached_and_told_what_is_safe_before_they_open(tmp_path: Path) -> None:
    async with at_rest(tmp_path, State.DEPLOYED) as life:
        attached: list[tuple[Channel, bool]] = []
        opened: list[str] = []

        def attach(channels: list[Channel]) -> None:
            attached.extend((channel, channel.is_open) for channel in channels)  # type: ignore[attr-defined]

        channels = await life.run.connect(Ears(opened.append), {"epoch": 7}, attach)
        assert attached == [(channels[0], False)]
        assert channels[0].acked == {"epoch": 7}
        assert opened == ["caption-7f3a9c"]


async def test_a_lost_connection_is_made_anew_with_new_channels(tmp_path: Path) -> None:
    async with at_rest(tmp_path, State.CONNECTED) as life:
        first = life.run.channels
        await life.drive("lose connect")
        assert [channel.is_open for channel in first + life.run.channels] == [False, True]  # type: ignore[attr-defined]
        assert life.run.story[-3].reason == "the cable"


async def test_channels_that_could_not_all_be_opened_are_all_closed(tmp_path: Path) -> None:
    async with at_rest(tmp_path, State.DEPLOYED) as life:
        life.replace_architect(BrokenArchitect("connect"))
        attached: list[Channel] = []
        with pytest.raises(ArchitectError, match="connect is broken"):
            await life.run.connect(Ears(), None, attached.extend)
        assert [channel.is_open for channel in attached] == [False]  # type: ignore[attr-defined]
        assert life.run.channels == []


# Beside the order


async def test_cleaning_up_that_fails_is_told_and_ends_nothing(tmp_path: Path) -> None:
    async with living(tmp_path, BrokenArchitect("cleanup")) as life:
        await life.drive("prepare deploy connect cleanup")
        assert life.said == ["cleanup after deploying failed: cleanup is broken"]
        assert life.run.state is State.CONNECTED


async def test_a_listener_that_raises_ends_nothing(tmp_path: Path) -> None:
    def raising(news: object) -> None:
        raise BrokenPipeError("the terminal was closed")

    async with living(tmp_path, BrokenArchitect("cleanup"), say=raising, on_state=raising) as life:
        await life.drive("prepare deploy connect cleanup shutdown")
        assert life.run.state is State.SHUT_DOWN


async def test_the_clock_that_was_handed_in_dates_the_story(tmp_path: Path) -> None:
    async with living(tmp_path, clock=iter(range(100, 200)).__next__) as life:
        await life.drive("prepare shutdown")
        assert [step.at for step in life.run.story] == [100, 101, 102, 103]


# Any order


@pytest.mark.slow
@settings(max_examples=60)
@given(st.lists(st.sampled_from(["prepare", "deploy", "connect", "lose", "cleanup", "shutdown"]), max_size=12))
@pytest.mark.decisive
def test_whatever_is_asked_in_whatever_order_the_ledger_tells_the_same(
    tmp_path_factory: Any, actions: list[str]
) -> None:
    async def live() -> None:
        async with living(tmp_path_factory.mktemp("life"), IdleArchitect()) as life:
            for action in actions:
                legal = Lifecycle("any", life.run.state).legal()
                trigger = {"lose": Trigger.LOST, "cleanup": None}.get(action, action)
                is_legal = trigger in (None, *legal) or (action == "shutdown" and life.run.state is State.SHUT_DOWN)
                try:
                    await life.do(action)
                except IllegalTransition:
                    assert not is_legal
                else:
                    assert is_legal
                life.assert_agrees()

    asyncio.run(live())
