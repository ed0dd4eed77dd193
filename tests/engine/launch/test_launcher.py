"""From a task file to its workers' submissions and down again, with a real server, whatever happens on the way."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from falsework.architects.local.architect import LocalArchitect
from falsework.engine.config import load_task_file
from falsework.engine.contract.provider import LinkProvider
from falsework.engine.errors import (
    ConfigError,
    ConnectFailed,
    FalseworkError,
    LedgerError,
)
from falsework.engine.launch import serving
from falsework.engine.launch.endings import RunEnded
from falsework.engine.launch.launcher import LARGEST_UNIT, BotSettings, TaskLauncher
from falsework.engine.ledger.ledger import Ledger
from falsework.engine.lifecycle.states import State
from falsework.engine.work import bots
from falsework.engine.work.submissions import StoreFailed, Submissions

from ..launching import (
    EXAMPLES,
    Launch,
    assert_done_as_asked,
    launched,
    write_task,
)

pytestmark = pytest.mark.slow

HURRY = {"deploy": {"attempts": 1}, "reconnect_timeout": "1s", "connect_timeout": "10s"}
NOTHING = "def bot_answer(data, random):\n    return data['nothing']\n"


def _answers(launch: Launch) -> list[Any]:
    return [msgspec.json.decode(one.data) for one in launch.stored()]


# To the end


@pytest.mark.parametrize("example, units, per_unit", [("caption", 6, 2), ("question", 4, 1), ("chat", 4, 2)])
@pytest.mark.decisive
async def test_an_example_is_done_by_bots(home: Path, example: str, units: int, per_unit: int) -> None:
    async with launched(home, EXAMPLES / example, bots=BotSettings(3)) as launch:
        outcome = await launch.end()
        assert (outcome.state, outcome.counts.done) == (State.SHUT_DOWN, units)
        assert_done_as_asked(launch.stored(), units, per_unit)
        launch.assert_down()
        assert launch.watcher.states == [
            State.PREPARING,
            State.PREPARED,
            State.DEPLOYING,
            State.DEPLOYED,
            State.CONNECTING,
            State.CONNECTED,
            State.SHUTTING_DOWN,
            State.SHUT_DOWN,
        ]
        assert launch.ledger.story(outcome.run_id)[-2].reason == "every unit has its submissions"


@pytest.mark.timeout(180)
@pytest.mark.parametrize("seed", [1])
async def test_fifty_bots_with_faults_do_every_unit_as_often_as_asked(home: Path, tmp_path: Path, seed: int) -> None:
    task = write_task(
        tmp_path / "task",
        [{"n": n} for n in range(200)],
        task={"assignments_per_unit": 2},
        architect={"type": "local", "limits": {"silence": "1s"}},
    )
    async with launched(home, task, bots=BotSettings(50, think=0.05, faults=0.1, seed=seed)) as launch:
        outcome = await launch.end()
        assert outcome.counts.counted == 400
        assert_done_as_asked(launch.stored(), 200, 2)
        launch.assert_down()


async def test_a_live_task_is_done_by_bots_with_faults(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bots, "HEARTBEAT", 0.3)
    hook = (
        "async def on_update(session, agent, update):\n"
        "    for one in session.agents: await one.send({'text': update['text']})\n"
        "def bot_updates(data, random): return [{'text': 'hi'}] * 3\n"
    )
    task = write_task(
        tmp_path / "task",
        [{"n": n} for n in range(10)],
        hook=hook,
        task={"assignments_per_unit": 2, "together": True},
        architect={"type": "local", "limits": {"silence": "1s"}},
    )
    async with launched(home, task, bots=BotSettings(6, faults=0.05, seed=3)) as launch:
        outcome = await launch.end()
        assert outcome.counts.counted == 20
        launch.assert_down()


async def test_a_task_with_an_onboarding_is_done_by_bots(home: Path, tmp_path: Path) -> None:
    task = write_task(tmp_path / "task", [1, 2, 3], task={"onboarding": True})
    async with launched(home, task, bots=BotSettings(2)) as launch:
        await launch.end()
        assert {one.kind for one in launch.stored()} == {"unit", "onboarding"}
        launch.assert_down()


@pytest.mark.decisive
async def test_people_do_a_task(home: Path, tmp_path: Path) -> None:
    async with launched(home, write_task(tmp_path / "task", [1, 2])) as launch:
        worker = await launch.worker("ann")
        await worker.submit({"n": 1})
        await worker.join()
        await worker.submit_files({"n": 2}, photo=b"png")
        outcome = await launch.end()
        assert _answers(launch) == [{"n": 1}, {"n": 2}]
        assert outcome.directory == launch.watcher.directory
        launch.assert_down()


# Before anything exists


async def _assert_nothing_was_made(launch: Launch) -> None:
    assert launch.ledger.runs(ended=True) == []
    assert not (launch.home / "runs").exists() or list((launch.home / "runs").iterdir()) == []
    assert launch.watcher.states == []


async def test_too_few_bots_are_refused(home: Path) -> None:
    async with launched(home, EXAMPLES / "caption", bots=BotSettings(1)) as launch:
        with pytest.raises(ConfigError, match="1 bots cannot do it: each unit needs 2 different workers"):
            await launch.end()
        await _assert_nothing_was_made(launch)


async def test_a_unit_too_large_for_a_page_is_refused(home: Path, tmp_path: Path) -> None:
    task = write_task(tmp_path / "task", [1, "x" * LARGEST_UNIT, "y" * LARGEST_UNIT])
    async with launched(home, task) as launch:
        with pytest.raises(ConfigError, match="unit 2 .*is larger than"):
            await launch.end()
        await _assert_nothing_was_made(launch)


async def test_the_largest_unit_reaches_its_page(home: Path, tmp_path: Path) -> None:
    unit = {"text": "x" * (LARGEST_UNIT - 20)}
    async with launched(home, write_task(tmp_path / "task", [unit])) as launch:
        worker = await launch.worker("ann")
        assert worker.agent_id
        await worker.submit({})
        await launch.end()


async def test_an_error_in_the_preflight_makes_nothing(home: Path, tmp_path: Path) -> None:
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    task = write_task(tmp_path / "task", [1], architect={"type": "local", "port": port})
    async with launched(home, task) as launch:
        with pytest.raises(ConfigError, match=f"port {port} is taken"):
            await launch.end()
        await _assert_nothing_was_made(launch)
    server.close()
    await server.wait_closed()


async def test_a_hook_that_fails_makes_nothing(home: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ZeroDivisionError"):
        Launch(home, write_task(tmp_path / "task", [1], hook="1 / 0"), (), None)
    assert not (home / "runs").exists()


async def test_a_ledger_that_cannot_be_written_leaves_no_directory(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(ledger: Ledger, run: Any) -> None:
        raise LedgerError("the ledger is full")

    monkeypatch.setattr(Ledger, "create", refuse)
    async with launched(home, write_task(tmp_path / "task", [1])) as launch:
        with pytest.raises(LedgerError, match="is full"):
            await launch.end()
        await _assert_nothing_was_made(launch)


async def test_a_store_that_cannot_be_opened_ends_the_run_before_anything_stands(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(store: Submissions) -> None:
        raise StoreFailed(store.directory, OSError(28, "No space left on device"))

    monkeypatch.setattr(Submissions, "open", refuse)
    async with launched(home, write_task(tmp_path / "task", [1])) as launch:
        with pytest.raises(StoreFailed):
            await launch.end()
        launch.assert_down()
        assert launch.watcher.states == [State.SHUTTING_DOWN, State.SHUT_DOWN]


# Ended early


@pytest.mark.parametrize("limit", ["idle_timeout", "max_lifetime"])
async def test_a_limit_ends_the_run_and_says_which(home: Path, tmp_path: Path, limit: str) -> None:
    task = write_task(tmp_path / "task", [1], lifecycle={limit: "1s"})
    async with launched(home, task) as launch:
        with pytest.raises(RunEnded, match=rf"1 s \(lifecycle\.{limit}\)"):
            await launch.end()
        launch.assert_down()
        assert limit in launch.ledger.story(launch.watcher.run_id)[-2].reason


async def test_a_worker_who_is_heard_puts_the_idle_limit_off(home: Path, tmp_path: Path) -> None:
    task = write_task(tmp_path / "task", [1], lifecycle={"idle_timeout": "1s"})
    async with launched(home, task) as launch:
        worker = await launch.worker("ann")
        began = asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() < began + 1.5:
            await worker.submit_metadata({})
        assert not launch.work.done()
        with pytest.raises(RunEnded, match="idle_timeout"):
            await launch.end()


async def test_bots_that_may_do_no_more_end_the_run(home: Path, tmp_path: Path) -> None:
    task = write_task(tmp_path / "task", [1, 2, 3], task={"units_per_worker": 1})
    async with launched(home, task, bots=BotSettings(2)) as launch:
        with pytest.raises(RunEnded, match=r"2 bots did all they may \(nothing_left\).*try more of them"):
            await launch.end()
        assert len(launch.stored()) == 2
        launch.assert_down()


@pytest.mark.parametrize(
    "hook, told",
    [
        (NOTHING, r"bot_answer failed: .*hook\.py:2"),
        ("def bot_answer(data, random): return 'x' * 40_000_000", r"what bots hand in is refused \(413\)"),
        ("def on_onboarding(worker_id, data): return False", r"not_qualified"),
    ],
)
async def test_bots_that_cannot_do_it_end_the_run_and_say_why(home: Path, tmp_path: Path, hook: str, told: str) -> None:
    onboarding = "on_onboarding" in hook
    task = write_task(tmp_path / "task", [{}], hook=hook, task={"onboarding": onboarding})
    async with launched(home, task, bots=BotSettings(2)) as launch:
        with pytest.raises(RunEnded, match=told):
            await launch.end()
        launch.assert_down()


async def test_a_bot_that_would_wait_for_a_partner_for_ever_ends_the_run(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bots, "HEARTBEAT", 0.1)
    task = write_task(
        tmp_path / "task", [1, 2], task={"assignments_per_unit": 2, "together": True, "units_per_worker": 1}
    )
    async with launched(home, task, bots=BotSettings(3)) as launch:
        with pytest.raises(RunEnded, match="all bots that are left wait for partners"):
            await launch.end()
        assert len(launch.stored()) == 2
        launch.assert_down()


async def test_a_provider_that_fails_ends_the_run(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(provider: LinkProvider, *url: str) -> None:
        raise RuntimeError("the site is closed")

    monkeypatch.setattr(LinkProvider, "publish", fail)
    monkeypatch.setattr(LinkProvider, "withdraw", fail)
    async with launched(home, write_task(tmp_path / "task", [1])) as launch:
        with pytest.raises(RuntimeError, match="the site is closed"):
            await launch.end()
        assert launch.watcher.said("on the way down: RuntimeError('the site is closed')")
        launch.assert_down()


async def test_a_provider_that_hangs_does_not_keep_the_server_up(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(provider: LinkProvider) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(serving, "FAREWELL_TIMEOUT", 0.3)
    monkeypatch.setattr(LinkProvider, "withdraw", hang)
    async with launched(home, write_task(tmp_path / "task", [1])) as launch:
        worker = await launch.worker("ann")
        await worker.submit({})
        await launch.end()
        assert launch.watcher.said("on the way down: TimeoutError()")
        launch.assert_down()


async def test_a_request_that_waits_when_the_run_ends_is_answered(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "FAREWELL_TIMEOUT", 0.3)
    hook = "import asyncio\nasync def on_onboarding(worker_id, data): await asyncio.Event().wait()"
    task = write_task(tmp_path / "task", [1], hook=hook, task={"onboarding": True}, lifecycle={"max_lifetime": "1s"})
    async with launched(home, task) as launch:
        worker = await launch.worker("ann")
        handed_in = {"provider_data": {"USED_AGENT_ID": worker.agent_id, "onboarding_data": {"age": 20}}}
        asking = asyncio.create_task(worker.ask("/submit_onboarding", json=handed_in))
        with pytest.raises(RunEnded):
            await launch.end()
        status, told = await asking
        assert (status, told["error"]) == (410, "finished")
        assert [(one.kind, one.counted) for one in launch.stored()] == [("onboarding", False)]
        launch.assert_down()


# Cancelled


@pytest.mark.parametrize(
    "phase",
    ["preparing", "prepared", "deploying", "deployed", "connecting", "connected", "shutting_down"],
)
@pytest.mark.parametrize("times", [1, 2])
async def test_a_run_that_is_cancelled_in_any_phase_is_down(home: Path, tmp_path: Path, phase: str, times: int) -> None:
    task = write_task(tmp_path / "task", [1], lifecycle={"max_lifetime": "1s"})
    async with launched(home, task) as launch:
        launch.watcher.when[State(phase)] = launch.work.cancel
        if times == 2:
            launch.watcher.when[State.SHUTTING_DOWN] = launch.work.cancel
        with pytest.raises(asyncio.CancelledError):
            await launch.end()
        assert launch.watcher.states.count(State.SHUT_DOWN) == 1
        launch.assert_down()


async def test_a_run_that_is_cancelled_as_it_is_entered_is_down(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = Ledger.create

    async def create_and_cancel(ledger: Ledger, run: Any) -> Any:
        asyncio.get_running_loop().call_soon(launch.work.cancel)
        return await create(ledger, run)

    monkeypatch.setattr(Ledger, "create", create_and_cancel)
    async with launched(home, write_task(tmp_path / "task", [1])) as launch:
        with pytest.raises(asyncio.CancelledError):
            await launch.end()
        (run,) = launch.ledger.runs(ended=True)
        assert run.state is State.SHUT_DOWN


async def test_a_run_that_is_cancelled_in_the_preflight_made_nothing(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with launched(home, write_task(tmp_path / "task", [1])) as launch:

        async def wait(args: Any, task: Any) -> None:
            launch.work.cancel()
            await asyncio.Event().wait()

        monkeypatch.setattr(LocalArchitect, "assert_task_args", wait)
        with pytest.raises(asyncio.CancelledError):
            await launch.end()
        await _assert_nothing_was_made(launch)


# The server dies


@pytest.mark.decisive
async def test_a_server_that_was_killed_ends_the_run_as_failed_and_down(home: Path, tmp_path: Path) -> None:
    task = write_task(tmp_path / "task", [1, 2], lifecycle=HURRY)
    async with launched(home, task) as launch:
        worker = await launch.worker("ann")
        assert (await worker.submit({"n": 1}))[0] == 200
        (pid,) = launch.processes()
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(ConnectFailed, match="the server is gone"):
            await launch.end()
        assert _answers(launch) == [{"n": 1}]
        launch.assert_down()
        assert State.DISCONNECTED in launch.watcher.states


async def test_bots_whose_server_is_killed_do_not_hide_what_happened(home: Path, tmp_path: Path) -> None:
    task = write_task(tmp_path / "task", list(range(500)), lifecycle=HURRY)
    async with launched(home, task, bots=BotSettings(5, think=0.02)) as launch:
        await launch.url()
        (pid,) = launch.processes()
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(ConnectFailed, match="the server is gone"):
            await launch.end()
        launch.assert_down()


async def test_a_launch_without_a_reporter_is_quiet(home: Path) -> None:
    ledger = Ledger.at(home / "ledger.db")
    outcome = await TaskLauncher(load_task_file(EXAMPLES / "question"), ledger, bots=BotSettings(1)).launch()
    await ledger.close()
    assert outcome.state is State.SHUT_DOWN


def test_what_ends_a_run_is_an_error_of_falseworks_own() -> None:
    assert issubclass(RunEnded, FalseworkError)
