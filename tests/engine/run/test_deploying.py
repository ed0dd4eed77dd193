"""Deploying is tried again where that may help, and only where nothing stands any more of what the last attempt made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from falsework.engine.contract.architect import Resource, Site
from falsework.engine.contract.bundle import Bundle
from falsework.engine.errors import (
    ArchitectError,
    BundleError,
    DeployFailed,
    LedgerError,
    LimitReached,
    ShutdownFailed,
    TransientError,
)
from falsework.engine.lifecycle.states import State, Trigger
from falsework.engine.run.retry import AttemptTimedOut
from falsework.engine.run.run import CutOff
from falsework.engine.settings.sections import DeployArgs
from falsework.engine.testing import (
    BrokenArchitect,
    FlakyArchitect,
    ImmortalServer,
    InMemoryArchitect,
    LiarArchitect,
    NeverReady,
    SlowArchitect,
    StubbornArchitect,
)

from ..lives import (
    AT_ONCE,
    SOON,
    Life,
    at_rest,
    held,
    living,
)

RUN = "caption-7f3a9c"
ATTEMPT = ["deploy", "shutdown", "probe"]
"""What an architect is asked for in one attempt that fails."""
PATIENT = replace(AT_ONCE, deploy=DeployArgs(attempts=3, wait_min=0, wait_max=0, timeout=9000))


async def test_what_another_attempt_may_mend_is_tried_again_after_it_was_undone(tmp_path: Path) -> None:
    async with living(tmp_path, FlakyArchitect(failures=2)) as life:
        await life.drive("prepare")
        assert await life.do("deploy") == f"memory://{RUN}"
        assert life.architect.calls == ["prepare", *ATTEMPT, *ATTEMPT, "deploy"]
        assert life.architect.standing == {RUN}
        failures = [step.error for step in life.run.story if step.dest is State.DEPLOY_FAILED]
        assert failures == [f"TransientError: the weather; {left} more of it" for left in (1, 0)]
        assert life.said == [
            f"attempt {number} of 3 in 0.0 s: the weather; {left} more of it" for number, left in ((2, 1), (3, 0))
        ]
        assert life.ledger.resources(RUN) == [Resource("server", RUN)]


async def test_the_last_error_is_raised_as_itself_with_the_earlier_ones_as_notes(tmp_path: Path) -> None:
    async with living(tmp_path, FlakyArchitect(failures=9)) as life:
        await life.drive("prepare")
        with pytest.raises(TransientError, match="6 more of it") as last:
            await life.do("deploy")
        assert last.value.__notes__ == [
            "attempt 1: TransientError('the weather; 8 more of it')",
            "attempt 2: TransientError('the weather; 7 more of it')",
        ]
        assert life.run.state is State.DEPLOY_FAILED
        assert life.architect.standing == set()


class Raises(InMemoryArchitect):
    """Deploying raises this in its middle."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    async def in_the_middle(self, action: str, site: Site) -> None:
        if action == "deploy":
            raise self.error


@pytest.mark.parametrize(
    "error",
    [
        DeployFailed("no such plan"),
        ArchitectError("broken"),
        LimitReached(3, "architect.ready_timeout"),
        TimeoutError("its own"),
        OSError(5, "disk"),
        ZeroDivisionError(),
    ],
    ids=repr,
)
async def test_what_another_attempt_would_not_mend_is_not_tried_again(tmp_path: Path, error: Exception) -> None:
    async with living(tmp_path, Raises(error)) as life:
        await life.drive("prepare")
        with pytest.raises(type(error)) as raised:
            await life.do("deploy")
        assert raised.value is error
        assert life.architect.calls == ["prepare", *ATTEMPT]
        assert life.architect.standing == set()


async def test_a_bundle_that_cannot_be_sealed_is_not_deployed(tmp_path: Path) -> None:
    async with living(tmp_path) as life:
        await life.drive("prepare")
        life.bundle.seal()
        (life.bundle.directory / "stray").write_text("not listed")
        with pytest.raises(BundleError, match="stray"):
            await life.do("deploy")
        assert "deploy" not in life.architect.calls


# Waiting


async def wait_for_the_next_attempt(life: Life) -> asyncio.Task[str]:
    await life.drive("prepare")
    deploying = asyncio.create_task(life.do("deploy"))
    await life.said_something.wait()
    assert life.said == ["attempt 2 of 3 in 3600.0 s: the weather; 0 more of it"]
    assert life.run.state is State.DEPLOY_FAILED
    assert life.architect.standing == set()
    return deploying


async def test_shutting_down_ends_a_wait_at_once(tmp_path: Path) -> None:
    async with living(tmp_path, FlakyArchitect(retry_after=3600), PATIENT) as life:
        deploying = await wait_for_the_next_attempt(life)
        await life.do("shutdown")
        with pytest.raises(CutOff):
            await deploying
        assert life.run.state is State.SHUT_DOWN


async def test_a_cancellation_ends_a_wait_at_once(tmp_path: Path) -> None:
    async with living(tmp_path, FlakyArchitect(retry_after=3600), PATIENT) as life:
        deploying = await wait_for_the_next_attempt(life)
        deploying.cancel()
        await asyncio.wait({deploying})
        assert deploying.cancelled()
        assert life.run.state is State.DEPLOY_FAILED
        await life.do("deploy")


async def test_there_is_no_waiting_for_an_attempt_that_would_come_too_late(tmp_path: Path) -> None:
    async with living(tmp_path, FlakyArchitect(retry_after=3600)) as life:
        await life.drive("prepare")
        with pytest.raises(TransientError, match="the weather"):
            await life.do("deploy")
        assert life.said == []


# Limits


@pytest.mark.slow
@pytest.mark.decisive
async def test_an_attempt_that_takes_too_long_is_undone_and_tried_again(tmp_path: Path) -> None:
    limits = replace(AT_ONCE, deploy=replace(AT_ONCE.deploy, attempts=2, attempt_timeout=0.2))
    async with living(tmp_path, NeverReady(), limits) as life:
        await life.drive("prepare")
        with pytest.raises(AttemptTimedOut, match=r"0.2 s \(lifecycle.deploy.attempt_timeout\)"):
            await life.do("deploy")
        assert life.architect.calls == ["prepare", *ATTEMPT * 2]
        assert life.architect.standing == set()


@pytest.mark.slow
@pytest.mark.decisive
async def test_an_attempt_that_ignores_its_limit_is_the_last(tmp_path: Path) -> None:
    limits = replace(AT_ONCE, deploy=replace(AT_ONCE.deploy, attempt_timeout=0.2))
    async with living(tmp_path, StubbornArchitect("deploy"), limits, settle_timeout=SOON) as life:
        await life.drive("prepare")
        with pytest.raises(ShutdownFailed) as failure:
            await life.do("deploy")
        assert "deploying goes on" in str(failure.value.exceptions)
        assert "lifecycle.deploy.attempt_timeout" in failure.value.__notes__[0]
        assert life.architect.calls.count("deploy") == 1
        life.architect.go_on.set()


class FlakyThenSlow(SlowArchitect):
    """The first attempt fails, the second hangs."""

    async def in_the_middle(self, action: str, site: Site) -> None:
        if action == "deploy" and self.calls.count("deploy") == 1:
            raise TransientError("the first trouble")
        await super().in_the_middle(action, site)


@pytest.mark.slow
@pytest.mark.decisive
async def test_the_limit_of_all_attempts_does_not_hide_what_went_wrong_before(tmp_path: Path) -> None:
    limits = replace(AT_ONCE, deploy=replace(AT_ONCE.deploy, timeout=0.5))
    async with living(tmp_path, FlakyThenSlow("deploy"), limits) as life:
        await life.drive("prepare")
        with pytest.raises(LimitReached, match=r"lifecycle.deploy.timeout") as ended:
            await life.do("deploy")
        assert ended.value.__notes__ == ["attempt 1: TransientError('the first trouble')"]
        assert life.architect.standing == {RUN}, (
            "what was cut off is for shutdown, or for the next deploy, to take down"
        )
        await life.do("shutdown")
        assert life.architect.standing == set()


# Undoing


@pytest.mark.parametrize("make", [LiarArchitect, ImmortalServer])
async def test_there_is_no_next_attempt_beside_what_could_not_be_undone(
    tmp_path: Path, make: Callable[[], InMemoryArchitect]
) -> None:
    class Flaky(make):  # type: ignore[misc, valid-type]
        async def in_the_middle(self, action: str, site: Site) -> None:
            if action == "deploy":
                raise TransientError("the weather")
            await super().in_the_middle(action, site)

    async with living(tmp_path, Flaky()) as life:
        await life.drive("prepare")
        with pytest.raises(ShutdownFailed, match="not down") as failure:
            await life.do("deploy")
        assert failure.value.__notes__ == ["this was to undo an attempt that failed with TransientError('the weather')"]
        assert life.architect.calls.count("deploy") == 1
        assert life.run.state is State.DEPLOY_FAILED


async def test_undoing_is_tried_again_too(tmp_path: Path) -> None:
    class Hardy(ImmortalServer, FlakyArchitect):
        async def in_the_middle(self, action: str, site: Site) -> None:
            await ImmortalServer.in_the_middle(self, action, site)
            await FlakyArchitect.in_the_middle(self, action, site)

    architect = Hardy(survives=2)
    architect.failures, architect.retry_after = 1, None
    async with living(tmp_path, architect) as life:
        await life.drive("prepare deploy")
        assert life.architect.calls.count("shutdown") == 3


async def test_a_deploy_after_one_that_was_cut_off_takes_down_what_that_made(tmp_path: Path) -> None:
    async with living(tmp_path, SlowArchitect("deploy")) as life:
        await life.drive("prepare")
        deploying = asyncio.create_task(life.do("deploy"))
        await life.architect.halted.wait()
        deploying.cancel()
        await asyncio.wait({deploying})
        assert life.architect.standing == {RUN}
        life.architect.go_on.set()
        await life.do("deploy")
        assert life.architect.calls == ["prepare", "deploy", "shutdown", "probe", "deploy"]


async def test_a_deploy_beside_one_that_was_given_up_does_not_begin(tmp_path: Path) -> None:
    async with living(tmp_path, StubbornArchitect("deploy"), settle_timeout=SOON) as life:
        await life.drive("prepare")
        deploying = asyncio.create_task(life.do("deploy"))
        await life.architect.halted.wait()
        deploying.cancel()
        await asyncio.wait({deploying})
        with pytest.raises(ShutdownFailed):
            await life.do("deploy")
        assert life.architect.calls.count("deploy") == 1
        life.architect.go_on.set()


# Record


class CannotRecordUrl(InMemoryArchitect):
    """The ledger cannot be written from the moment when its server is up."""

    async def deploy(self, site: Site, bundle: Bundle) -> str:
        url = await super().deploy(site, bundle)
        self.holding = held(site.directory / "ledger.db")
        self.holding.__enter__()
        return url


async def test_a_server_whose_url_cannot_be_recorded_is_not_gone_on_with(tmp_path: Path) -> None:
    async with living(tmp_path, CannotRecordUrl()) as life:
        await life.drive("prepare")
        with pytest.raises(LedgerError, match="held by another process"):
            await life.do("deploy")
        life.architect.holding.__exit__(None, None, None)
        assert life.site.url is None
        await life.do("shutdown")
        assert life.architect.standing == set()
        assert [step.trigger for step in life.ledger.story(RUN)][-3:] == [
            Trigger.FAILED,
            Trigger.SHUTDOWN,
            Trigger.SUCCEEDED,
        ]


async def test_a_failed_deploy_may_be_done_again(tmp_path: Path) -> None:
    async with at_rest(tmp_path, State.DEPLOY_FAILED) as life:
        assert isinstance(life.architect, BrokenArchitect)
        life.replace_architect(InMemoryArchitect())
        await life.drive("deploy connect shutdown")


# How far it is


def frames_of(task: asyncio.Task[Any]) -> list[str]:
    """The engine's own coroutines that this task is in, from the outside in."""
    frames, awaited = [], task.get_coro()
    while (code := getattr(awaited, "cr_code", None)) is not None:
        if "/engine/" in code.co_filename and "/tests/" not in code.co_filename:
            frames.append(code.co_qualname)
        awaited = awaited.cr_await  # type: ignore[union-attr]
    return frames


async def test_few_frames_lie_between_a_run_and_its_architect(tmp_path: Path) -> None:
    async with living(tmp_path, SlowArchitect("deploy")) as life:
        await life.drive("prepare")
        before = asyncio.all_tasks()
        under_way = asyncio.create_task(life.run.deploy(life.bundle))
        await life.architect.halted.wait()
        frames = [frame for task in asyncio.all_tasks() - before for frame in frames_of(task)]
        between = [frame for frame in frames if "Architect" not in frame and frame != "Run.deploy"]
        assert "Run.deploy" in frames
        assert "Hands.deploy" in frames
        assert len(between) <= 8, between
        life.architect.go_on.set()
        await under_way
        await life.do("shutdown")
