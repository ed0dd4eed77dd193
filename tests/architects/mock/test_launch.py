"""Whole launches on a stage: the real launcher, from a task file to what is stored, and whatever goes wrong in between."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from falsework.architects.mock.server import MockServer
from falsework.architects.mock.stage import MockStage
from falsework.architects.mock.waits import NotSeen
from falsework.engine.contract.architect import Presence
from falsework.engine.errors import (
    ArchitectError,
    ConfigError,
    ConnectFailed,
    DeployFailed,
    LimitReached,
    TransientError,
)
from falsework.engine.lifecycle.states import State

from .tasks import write_task

pytestmark = pytest.mark.slow

HURRY = "lifecycle.deploy={wait_min: 0s, wait_max: 0s}", "lifecycle.shutdown={wait_min: 0s, wait_max: 0s}"


@pytest.fixture
def task(tmp_path: Path) -> Path:
    """One unit, one worker."""
    return write_task(tmp_path / "task", [{"picture": "boat.png"}])


async def do_it(server: MockServer, worker: str = "ann") -> None:
    """A worker does one unit."""
    agent = await server.answer_to(server.register_mock_agent(worker))
    await server.acknowledged(server.submit_mock_unit(agent["agent_id"], {"by": worker}))


# To the end


@pytest.mark.decisive
async def test_a_task_is_done_to_its_end(falsework_mock: MockStage, task: Path) -> None:
    async with falsework_mock.launch(task) as launch:
        server = await launch.server()
        agent = await server.answer_to(server.register_mock_agent("ann"))
        assert agent["init_task_data"]["picture"] == "boat.png"
        number = server.submit_mock_unit(agent["agent_id"], {"text": "a boat"}, files={"photo": b"png"})
        await server.acknowledged(number)
        outcome = await launch.end()
        assert outcome.counts.done == 1
    assert launch.answers() == [{"text": "a boat"}]
    [stored] = launch.submissions()
    assert (outcome.directory / stored.files[0].path).read_bytes() == b"png"
    assert launch.states[-1] is State.SHUT_DOWN
    assert launch.url == f"http://127.0.0.1:{server.port}"
    assert falsework_mock.standing == {}
    assert [one.packet_type for one in server.packets][-1] == "bye"


async def test_an_onboarding_comes_before_the_first_unit(falsework_mock: MockStage, task: Path) -> None:
    async with falsework_mock.launch(task, "task.onboarding=true") as launch:
        server = await launch.server()
        ann = await server.answer_to(server.register_mock_agent("ann"))
        assert ann["agent_id"].startswith("onboarding")
        request = server.register_mock_agent_after_onboarding("ann", ann["agent_id"], {"age": 30})
        unit = await server.answer_to(request)
        server.submit_mock_unit(unit["agent_id"], "done")
        await launch.end()
    assert [one.kind for one in launch.submissions()] == ["onboarding", "unit"]


async def test_a_live_task_answers_its_workers(falsework_mock: MockStage, tmp_path: Path) -> None:
    hook = (
        "async def on_update(session, agent, update):\n"
        "    for one in session.agents: await one.send({'text': update['text'].upper()})\n"
    )
    task = write_task(tmp_path / "task", [1], hook="hook.py")
    (tmp_path / "task" / "hook.py").write_text(hook)
    async with falsework_mock.launch(task) as launch:
        server = await launch.server()
        ann = await server.answer_to(server.register_mock_agent("ann"))
        server.send_agent_act(ann["agent_id"], {"text": "hello"})
        said = await server.heard("client_bound_live_update", ann["agent_id"])
        assert said.data["text"] == "HELLO"
        assert server.actions_observed == 1
        server.submit_mock_unit(ann["agent_id"])
        await launch.end()
    assert launch.answers() == [{}]


async def test_a_worker_who_falls_silent_leaves_the_unit_to_the_next(falsework_mock: MockStage, task: Path) -> None:
    async with falsework_mock.launch(task) as launch:
        server = await launch.server()
        ann = await server.answer_to(server.register_mock_agent("ann"))
        bob = await server.answer_to(server.register_mock_agent("bob"))
        assert (bob["agent_id"], bob["failure_code"]) == (None, "all_in_work")
        server.disconnect_mock_agent(ann["agent_id"])
        await server.heard("update_status", ann["agent_id"], where=lambda packet: packet.data["status"] == "disconnect")
        await do_it(server, "bob")
        await launch.end()
    assert launch.answers() == [{"by": "bob"}]


# The connection


async def test_what_was_not_acknowledged_is_said_again_on_the_next_connection(
    falsework_mock: MockStage, task: Path
) -> None:
    async with falsework_mock.launch(task) as launch:
        server = await launch.server()
        agent = await server.answer_to(server.register_mock_agent("ann"))
        server.drop_launcher()
        await server.acknowledged(server.submit_mock_unit(agent["agent_id"], "once"))
        await launch.end()
    assert launch.answers() == ["once"]
    assert sum(one.packet_type == "alive" for one in server.packets) == 2


async def test_a_launcher_that_is_refused_fails_to_connect_and_all_comes_down(
    falsework_mock: MockStage, task: Path
) -> None:
    hang = falsework_mock.hang("connect")
    async with falsework_mock.launch(task) as launch:
        await hang.reached()
        (await falsework_mock.server()).refuse_launcher(4401, "not you")
        hang.release()
        with pytest.raises(ConnectFailed, match=r"refused this launcher \(4401\): not you"):
            await launch.server()
    assert launch.states[-1] is State.SHUT_DOWN


async def test_what_is_no_packet_costs_the_server_its_launcher_for_a_moment(
    falsework_mock: MockStage, task: Path
) -> None:
    async with falsework_mock.launch(task) as launch:
        server = await launch.server()
        server.send_frame("{")
        await server.heard("alive", count=2)
        await server.connected()
        await do_it(server)
        await launch.end()


# What goes wrong


async def test_a_deploy_that_fails_for_a_while_is_tried_again(falsework_mock: MockStage, task: Path) -> None:
    falsework_mock.fail_transiently("deploy", times=2, after_effect=True)
    async with falsework_mock.launch(task, *HURRY) as launch:
        await do_it(await launch.server())
        await launch.end()
    assert falsework_mock.actions.count("deploy") == len(falsework_mock.servers) == 3
    assert launch.lines[0].startswith("attempt 2 of 4")


@pytest.mark.parametrize("action", ["prepare", "deploy"])
async def test_an_error_ends_the_launch_with_itself_and_nothing_stands(
    falsework_mock: MockStage, task: Path, action: str
) -> None:
    falsework_mock.fail(action, DeployFailed("out of luck"), after_effect=True)
    async with falsework_mock.launch(task) as launch:
        with pytest.raises(DeployFailed, match="out of luck"):
            await launch.server()
        with pytest.raises(DeployFailed, match="out of luck"):
            await launch.end()
    assert launch.states[-1] is State.SHUT_DOWN
    assert falsework_mock.standing == {}


async def test_each_failure_may_be_an_error_of_its_own(falsework_mock: MockStage, task: Path) -> None:
    weather = iter(["rain", "hail"])
    falsework_mock.fail("deploy", lambda: TransientError(next(weather)), times=2)
    async with falsework_mock.launch(task, *HURRY) as launch:
        await do_it(await launch.server())
        await launch.end()
    assert [word for word in ("rain", "hail") if any(word in line for line in launch.lines)] == ["rain", "hail"]


async def test_an_error_in_preflight_makes_nothing(falsework_mock: MockStage, task: Path) -> None:
    falsework_mock.fail("assert_task_args", ConfigError("no credentials"))
    async with falsework_mock.launch(task) as launch:
        with pytest.raises(ConfigError, match="no credentials"):
            await launch.end()
    assert falsework_mock.actions == ["assert_task_args"]


async def test_an_action_that_hangs_is_reached_and_goes_on_when_it_is_released(
    falsework_mock: MockStage, task: Path
) -> None:
    hang = falsework_mock.hang("deploy", after_effect=True)
    async with falsework_mock.launch(task) as launch:
        await hang.reached()
        assert launch.states[-1] is State.DEPLOYING
        assert len(falsework_mock.standing) == 1
        hang.release()
        await do_it(await launch.server())
        await launch.end()


async def test_an_action_that_hangs_is_cancelled_by_shutting_down(falsework_mock: MockStage, task: Path) -> None:
    hang = falsework_mock.hang("deploy", after_effect=True)
    async with falsework_mock.launch(task) as launch:
        await hang.reached()
        launch.interrupt()
        with pytest.raises(asyncio.CancelledError):
            await launch.end()
    assert launch.states[-1] is State.SHUT_DOWN
    assert falsework_mock.standing == {}


@pytest.mark.decisive
async def test_a_shutdown_that_lies_is_found_out_and_tried_again(falsework_mock: MockStage, task: Path) -> None:
    falsework_mock.lie("shutdown", times=2)
    async with falsework_mock.launch(task, *HURRY) as launch:
        await do_it(await launch.server())
        await launch.end()
    assert falsework_mock.actions.count("shutdown") == 3
    assert falsework_mock.standing == {}


async def test_a_shutdown_that_fails_for_good_says_what_stands(falsework_mock: MockStage, task: Path) -> None:
    falsework_mock.fail("shutdown", ArchitectError("it does not die"))
    async with falsework_mock.launch(task, "lifecycle.shutdown={attempts: 2, wait_min: 0s, wait_max: 0s}") as launch:
        await do_it(await launch.server())
        with pytest.RaisesGroup(ArchitectError, ArchitectError):
            await launch.end()
        assert launch.states[-1] is State.SHUTDOWN_FAILED
        assert list(falsework_mock.standing) == [launch.run_id]


async def test_a_look_that_lies_keeps_the_run_from_being_down(falsework_mock: MockStage, task: Path) -> None:
    falsework_mock.lie("probe", Presence.UP, times=1)
    async with falsework_mock.launch(task, *HURRY) as launch:
        await do_it(await launch.server())
        await launch.end()
    assert falsework_mock.actions.count("probe") == 2


async def test_faults_of_one_action_come_one_after_the_other_and_healing_ends_them(
    falsework_mock: MockStage, task: Path
) -> None:
    falsework_mock.fail_transiently("deploy")
    falsework_mock.lie("deploy", times=1)
    falsework_mock.fail("deploy", DeployFailed("never reached"))
    async with falsework_mock.launch(task, *HURRY, "lifecycle.connect_timeout=50ms") as launch:
        with pytest.raises((ConnectFailed, LimitReached)):
            await launch.end()
    falsework_mock.heal()
    async with falsework_mock.launch(task) as launch:
        await do_it(await launch.server())
        await launch.end()


def test_what_is_no_action_is_refused_with_the_nearest(falsework_mock: MockStage) -> None:
    with pytest.raises(ValueError, match="'deplyo' is no action; did you mean 'deploy'"):
        falsework_mock.hang("deplyo")


# The context


async def look_away(falsework_mock: MockStage, task: Path) -> None:
    """A test that does not ask how its launch ends."""
    async with falsework_mock.launch(task) as launch:
        await launch.over()


async def make_a_mistake(falsework_mock: MockStage, task: Path) -> None:
    """A test that fails in the middle of its launch."""
    async with falsework_mock.launch(task):
        await falsework_mock.called("cleanup")
        raise ZeroDivisionError


async def test_an_error_that_nobody_asked_for_is_raised_in_the_end(falsework_mock: MockStage, task: Path) -> None:
    falsework_mock.fail("prepare", DeployFailed("out of luck"))
    with pytest.raises(DeployFailed, match="out of luck"):
        await look_away(falsework_mock, task)


async def test_a_test_that_fails_takes_its_launch_down(falsework_mock: MockStage, task: Path) -> None:
    falsework_mock.hang("cleanup", times=None)
    with pytest.raises(ZeroDivisionError):
        await make_a_mistake(falsework_mock, task)
    assert falsework_mock.did_shutdown
    assert falsework_mock.standing == {}


async def test_a_wait_in_vain_says_what_came_instead(falsework_mock: MockStage, task: Path) -> None:
    async with falsework_mock.launch(task) as launch:
        server = await launch.server()
        with pytest.raises(NotSeen, match=r"'agent_details'.* within 0.05 s. Seen: .*alive ×1"):
            await server.heard("agent_details", timeout=0.05)
        with pytest.raises(
            NotSeen, match="call 1 of leftovers: not seen within 0.05 s. Seen: assert_task_args, prepare"
        ):
            await falsework_mock.called("leftovers", timeout=0.05)
        with pytest.raises(NotSeen, match="the state disconnected: not seen within 0.05 s. Seen: preparing"):
            await launch.reached(State.DISCONNECTED, timeout=0.05)
        launch.interrupt()
        with pytest.raises(NotSeen, match="before the server was shut down"):
            await server.heard("agent_details")


async def test_a_hang_that_is_never_reached_is_not_waited_for_without_end(falsework_mock: MockStage) -> None:
    with pytest.raises(NotSeen, match="probe hanging"):
        await falsework_mock.hang("probe").reached(timeout=0.05)


async def test_a_task_file_with_a_mistake_is_refused(falsework_mock: MockStage, task: Path) -> None:
    with pytest.raises(ConfigError, match="architect.timeout"):
        async with falsework_mock.launch(task, "architect.timeout=soon"):
            pass
