"""Workers at a router in this process, and the foreman who gives them units and stores what they hand in."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from falsework.engine.channel.listener import Ears
from falsework.engine.work.answers import REASONS
from falsework.engine.work.submissions import Submission
from falsework.router.wire import protocol as wire
from falsework.router.wire.protocol import Packet

from ..full_disk import full_disk
from ..serving import Worker, soon
from ..workshop import Workshop, working, working_for_a_process

UNITS = [{"picture": "a"}, {"picture": "b"}]
ALMOST_A_FRAME = "x" * ((1 << 20) - 4500)
SUBMITTED = (200, {"status": "Submitted!"})
QUICK_SILENCE = ("--limit", "silence=0.4", "--limit", "ping=1")
PASS_ON = """
async def on_start(session):
    for agent in session.agents:
        await agent.send({"type": "start", "with": len(session.agents)})

async def on_update(session, agent, update):
    for other in session.agents:
        await other.send({"from": agent.worker_id, "text": update["text"]})

async def on_leave(session, agent):
    for other in session.agents:
        await other.send({"type": "left", "who": agent.worker_id})
"""


def _answer(submission: Submission) -> Any:
    return msgspec.json.decode(submission.data)


# Who gets what


async def test_a_page_gets_its_unit_in_both_forms(tmp_path: Path) -> None:
    async with working(tmp_path, UNITS) as shop:
        details = await shop.worker("ann").join()
        assert details["worker_id"] == "ann"
        data = details["init_task_data"]
        own = data.pop("falsework")
        assert data == {"picture": "a", "past_live_updates": []}
        assert (own["data"], own["index"], own["live"]) == (UNITS[0], 0, False)
        assert 1790 < own["expires_in"] <= 1800


@pytest.mark.parametrize("unit", [7, "text", [1, 2], None])
async def test_a_unit_may_be_any_json(tmp_path: Path, unit: Any) -> None:
    async with working(tmp_path, [unit]) as shop:
        details = await shop.worker("ann").join()
        assert details["init_task_data"]["falsework"]["data"] == unit


async def test_a_reload_gets_the_same_agent(tmp_path: Path) -> None:
    async with working(tmp_path, UNITS) as shop:
        worker = shop.worker("ann")
        first = await worker.join()
        again = await worker.join()
        elsewhere = await shop.worker("ann").join()
        assert first["agent_id"] == again["agent_id"] == elsewhere["agent_id"]


async def test_a_worker_who_comes_back_goes_on_where_it_was(tmp_path: Path) -> None:
    async with working(tmp_path, UNITS, *QUICK_SILENCE) as shop:
        worker = await shop.at_work("ann")
        agent_id = worker.agent_id
        await worker.close_socket()
        await shop.listener.until(lambda: shop.foreman.counts.agents_open == 0)
        assert (await worker.join())["agent_id"] == agent_id
        assert await worker.submit({"back": True}) == SUBMITTED
        (submission,) = await shop.until_stored(1)
        assert submission.counted


async def test_three_answers_come_from_three_workers(tmp_path: Path) -> None:
    async with working(tmp_path, UNITS[:1], assignments_per_unit=3) as shop:
        for name in ("ann", "bob", "cem"):
            worker = shop.worker(name)
            await worker.join()
            assert await worker.submit({"from": name}) == SUBMITTED
        submissions = await shop.until_stored(3)
        assert {(one.worker_id, one.unit, one.counted) for one in submissions} == {
            ("ann", 0, True),
            ("bob", 0, True),
            ("cem", 0, True),
        }
        await asyncio.wait_for(shop.foreman.done.wait(), 5)
        assert _refusal_of(await shop.worker("dee").join()) == "finished"


def _refusal_of(details: dict[str, Any]) -> str:
    assert details["agent_id"] is None
    assert details["failure_reason"] == REASONS[details["failure_code"]]
    return str(details["failure_code"])


async def test_who_has_done_all_is_told_that_there_is_nothing_left(tmp_path: Path) -> None:
    async with working(tmp_path, UNITS[:1], assignments_per_unit=2) as shop:
        worker = shop.worker("ann")
        await worker.join()
        await worker.submit({})
        await shop.until_stored(1)
        assert _refusal_of(await worker.join()) == "nothing_left"


async def test_who_comes_when_all_is_in_work_is_told_to_come_back(tmp_path: Path) -> None:
    async with working(tmp_path, UNITS[:1]) as shop:
        await shop.worker("ann").join()
        assert _refusal_of(await shop.worker("bob").join()) == "all_in_work"


@pytest.mark.parametrize(
    "registration",
    [
        {"worker_name": None},
        {"worker_name": ""},
        {"worker_name": "x" * 201},
        {"worker_name": 5},
        {"worker_name": {"no": "name"}},
        {"assignment_id": 5},
    ],
)
async def test_a_page_without_a_name_that_can_be_used_is_told_so(tmp_path: Path, registration: Any) -> None:
    async with working(tmp_path, UNITS) as shop:
        assert _refusal_of(await shop.worker("ann").join(**registration)) == "no_name"


async def test_a_page_whose_worker_is_called_by_id_is_known(tmp_path: Path) -> None:
    async with working(tmp_path, UNITS) as shop:
        assert (await shop.worker("ann").join(worker_name=None, worker_id="w-1"))["worker_id"] == "w-1"


async def test_a_unit_too_large_for_a_page_is_told_to_its_worker(tmp_path: Path) -> None:
    async with working(tmp_path, ["x" * (1 << 20)]) as shop:
        assert _refusal_of(await shop.worker("ann").join()) == "too_large"
        assert shop.listener.said("over the router's limit")
        assert not shop.lost.is_set()


async def test_a_unit_that_takes_too_long_goes_to_somebody_else(tmp_path: Path) -> None:
    async with working(tmp_path, UNITS[:1], submission_timeout=0.2) as shop:
        late = await shop.at_work("ann")
        await late.hear_status("timeout")
        assert (await shop.worker("bob").join())["agent_id"] is not None


async def test_a_page_that_falls_silent_loses_its_unit(tmp_path: Path) -> None:
    async with working(tmp_path, UNITS[:1], *QUICK_SILENCE) as shop:
        gone = await shop.at_work("ann")
        await gone.close_socket()
        await shop.listener.until(lambda: shop.foreman.counts.agents_open == 0)
        assert (await shop.worker("bob").join())["agent_id"] is not None


# What is handed in


async def test_a_late_submission_counts_if_nobody_has_the_place(tmp_path: Path) -> None:
    async with working(tmp_path, UNITS[:1], submission_timeout=0.2) as shop:
        late = await shop.at_work("ann")
        await late.hear_status("timeout")
        assert await late.submit({"late": True}) == SUBMITTED
        (submission,) = await shop.until_stored(1)
        assert submission.counted
        await asyncio.wait_for(shop.foreman.done.wait(), 5)


async def test_a_late_submission_is_stored_though_it_does_not_count(tmp_path: Path) -> None:
    async with working(tmp_path, UNITS[:1], *QUICK_SILENCE) as shop:
        late = await shop.at_work("ann")
        await late.close_socket()
        await shop.listener.until(lambda: shop.foreman.counts.agents_open == 0)
        other = shop.worker("bob")
        await other.join()
        assert await late.submit({"late": True}) == SUBMITTED
        assert await other.submit({"late": False}) == SUBMITTED
        submissions = await shop.until_stored(2)
        assert {(one.worker_id, one.counted) for one in submissions} == {("ann", False), ("bob", True)}
        assert shop.foreman.counts.extras == 1


async def test_handing_in_twice_is_answered_alike_and_stored_once(tmp_path: Path) -> None:
    async with working(tmp_path, UNITS) as shop:
        worker = shop.worker("ann")
        await worker.join()
        answers = await asyncio.gather(*(worker.submit({"n": 1}, "the-one") for _ in range(5)))
        assert answers == [SUBMITTED] * 5
        await shop.until_stored(1)
        assert await worker.submit({"n": 1}, "the-one") == SUBMITTED
        status, told = await worker.submit({"n": 2}, "another")
        assert (status, told["error"]) == (409, "already_taken")
        assert [_answer(one) for one in shop.stored()] == [{"n": 1}]


async def test_who_handed_in_is_not_told_that_time_is_up(tmp_path: Path) -> None:
    async with working(tmp_path, UNITS[:1]) as shop:
        worker = await shop.at_work("ann")
        await worker.submit({})
        await worker.hear_status("completed")
        shop.foreman._release(worker.agent_id, "timeout")
        shop.foreman.expire_all()
        await worker.say("heartbeat", {})
        echo = await worker.hear(lambda packet: packet["packet_type"] in ("heartbeat", "update_status"))
        assert echo["data"]["status"] == "completed"


async def test_a_submission_says_who_when_and_what(tmp_path: Path) -> None:
    async with working(tmp_path, UNITS) as shop:
        before = time.time()
        worker = shop.worker("ann")
        await worker.join()
        await worker.submit({"text": "«Ä» \U0001f600", "n": [1, 2.5, None]})
        (submission,) = await shop.until_stored(1)
        assert _answer(submission) == {"text": "«Ä» \U0001f600", "n": [1, 2.5, None]}
        assert (submission.kind, submission.worker_id, submission.unit) == ("unit", "ann", 0)
        assert (submission.agent_id, submission.registration_id) == (worker.agent_id, "ann-1")
        assert before <= submission.received_at <= time.time()
        assert submission.submitted_at is not None


async def test_files_are_stored_as_they_were_uploaded(tmp_path: Path) -> None:
    async with working(tmp_path, UNITS) as shop:
        contents = {"photo": os.urandom(2_500_000), "note": b"", "sound": b"\0" * 70_000}
        worker = shop.worker("ann")
        await worker.join()
        assert await worker.submit_files({"text": "three files"}, **contents) == SUBMITTED
        (submission,) = await shop.until_stored(1)
        assert _answer(submission) == {"text": "three files"}
        assert {file.field for file in submission.files} == set(contents)
        for file in submission.files:
            content = (shop.directory / file.path).read_bytes()
            assert content == contents[file.field]
            assert file.sha256 == hashlib.sha256(content).hexdigest()
            assert (file.name, file.size) == (f"{file.field}.bin", len(content))
        await soon(lambda: not list((shop.router.data / "uploads").iterdir()))


async def test_an_answer_of_many_megabytes_is_stored_whole(tmp_path: Path) -> None:
    async with working(tmp_path, UNITS) as shop:
        answer = {"strokes": [[n, n * 2] for n in range(300_000)]}
        worker = shop.worker("ann")
        await worker.join()
        assert len(json.dumps(answer)) > 3 << 20
        assert await worker.submit(answer) == SUBMITTED
        (submission,) = await shop.until_stored(1)
        assert _answer(submission) == answer
        assert [path for path in (shop.directory / "files").rglob("*") if path.is_file()] == []


async def test_an_answer_too_large_for_a_frame_with_files_is_stored_with_them(tmp_path: Path) -> None:
    async with working(tmp_path, UNITS) as shop:
        worker = shop.worker("ann")
        await worker.join()
        assert await worker.submit_files({"text": ALMOST_A_FRAME}, photo=b"png") == SUBMITTED
        (submission,) = await shop.until_stored(1)
        assert _answer(submission) == {"text": ALMOST_A_FRAME}
        assert [file.name for file in submission.files] == ["photo.bin"]


async def test_files_that_a_worker_only_claims_are_text(tmp_path: Path) -> None:
    async with working(tmp_path, UNITS) as shop:
        worker = shop.worker("ann")
        await worker.join()
        claim = {"files": [{"filename": "../../secret"}], "filesByFields": {}}
        assert await worker.submit(claim) == SUBMITTED
        (submission,) = await shop.until_stored(1)
        assert _answer(submission) == claim
        assert submission.files == []


@pytest.mark.parametrize("depth", [100, 500, 900])
async def test_an_answer_that_is_nested_deeply_is_stored(tmp_path: Path, depth: int) -> None:
    async with working(tmp_path, UNITS) as shop:
        worker = shop.worker("ann")
        await worker.join()
        nested = "[" * depth + "]" * depth
        body = f'{{"USED_AGENT_ID": "{worker.agent_id}", "final_data": {nested}}}'
        async with worker.session.post(f"{shop.router.url}/submit_task", data=body) as answer:
            assert answer.status == 200
        (submission,) = await shop.until_stored(1)
        stored = _answer(submission)
        assert (stored if isinstance(stored, str) else json.dumps(stored)) == nested
        await _everything_is_acknowledged(shop)


async def test_an_upload_that_the_server_lost_is_told_and_the_answer_is_kept(tmp_path: Path) -> None:
    async with working(tmp_path, UNITS) as shop:
        worker = shop.worker("ann")
        await worker.join()
        with full_disk("submissions"):
            assert await worker.submit_files({"text": "kept"}, photo=b"png") == SUBMITTED
            await shop.listener.until(lambda: shop.listener.said("cannot be written"))
            for directory in (shop.router.data / "uploads", shop.directory / "files" / worker.agent_id):
                for path in directory.iterdir():
                    path.unlink()
        (submission,) = await shop.until_stored(1)
        assert (_answer(submission), submission.files) == ({"text": "kept"}, [])
        assert shop.listener.said("the upload 'photo.bin' is lost")
        await _everything_is_acknowledged(shop)


async def _everything_is_acknowledged(shop: Workshop) -> None:
    """So that the router lets the launcher go."""
    assert await shop.channel.say_bye(5)


async def test_metadata_is_stored_beside_the_units(tmp_path: Path) -> None:
    async with working(tmp_path, UNITS) as shop:
        worker = shop.worker("ann")
        await worker.join()
        for number in range(2):
            assert await worker.submit_metadata({"n": number}) == (200, {"status": "Submitted metadata"})
        submissions = await shop.until_stored(2)
        assert [(one.kind, _answer(one), one.counted) for one in submissions] == [
            ("metadata", {"n": 0}, False),
            ("metadata", {"n": 1}, False),
        ]
        assert shop.foreman.counts.counted == 0


async def test_an_agent_that_nobody_knows_is_stored_as_an_orphan(tmp_path: Path) -> None:
    """The launcher's journal was lost, and the router's was not."""
    async with working(tmp_path, UNITS) as shop:
        shop.foreman._answers.tell_status("agent-of-old", "in task")
        worker = shop.worker("ann")
        worker.agent_id = "agent-of-old"
        while (answer := await worker.submit({"orphan": True}))[0] == 404:
            pass  # the router has not heard of the agent yet
        assert answer == SUBMITTED
        (submission,) = await shop.until_stored(1)
        assert (submission.worker_id, submission.unit, submission.counted) == ("", None, False)
        assert submission.agent_id == "agent-of-old"


async def test_a_copy_that_comes_while_the_first_is_being_stored_is_passed_over(tmp_path: Path) -> None:
    """As it does after a reconnection: both fetch the same file, and only the first would count."""
    async with working(tmp_path, UNITS) as shop:
        worker = shop.worker("ann")
        await worker.join()
        took = shop.foreman.take

        def take_twice(channel_id: str, packet: Packet) -> None:
            copy = msgspec.structs.replace(packet, data=msgspec.Raw(bytes(packet.data)))
            took(channel_id, packet)
            took(channel_id, copy)

        shop.channel._listener = Ears(shop.foreman.channel_opened, received=take_twice)
        assert await worker.submit_files({"n": 1}, photo=b"png") == SUBMITTED
        (submission,) = await shop.until_stored(1)
        assert submission.counted
        await shop.foreman.settle()
        assert len(shop.stored()) == 1
        assert len(submission.files) == 1


# Onboarding

ADULTS = "def on_onboarding(worker_id, data): return data['age'] > 17"


async def test_who_passes_the_onboarding_gets_a_unit_now_and_later(tmp_path: Path) -> None:
    async with working(tmp_path, UNITS, hook=ADULTS, onboarding=True) as shop:
        worker = shop.worker("ann")
        first = await worker.join()
        assert first["agent_id"].startswith("onboarding-")
        assert (await worker.join())["agent_id"] == first["agent_id"]
        unit = await worker.submit_onboarding({"age": 20})
        assert unit["init_task_data"]["picture"] == "a"
        assert (await worker.join())["agent_id"] == unit["agent_id"]
        await worker.submit({})
        submissions = await shop.until_stored(2)
        kinds = [(one.kind, one.worker_id, one.counted, one.registration_id) for one in submissions]
        assert kinds == [("onboarding", "ann", True, None), ("unit", "ann", True, "ann-1")]
        assert (await worker.join())["init_task_data"]["picture"] == "b"


async def test_who_fails_the_onboarding_gets_no_unit(tmp_path: Path) -> None:
    async with working(tmp_path, UNITS, hook=ADULTS, onboarding=True) as shop:
        worker = shop.worker("ann")
        await worker.join()
        assert _refusal_of(await worker.submit_onboarding({"age": 10})) == "not_qualified"
        (submission,) = await shop.until_stored(1)
        assert (submission.kind, submission.counted, submission.worker_id) == ("onboarding", False, "ann")
        assert (await worker.join())["agent_id"].startswith("onboarding-")


async def test_an_onboarding_that_the_hook_cannot_judge_is_stored(tmp_path: Path) -> None:
    async with working(tmp_path, UNITS, hook=ADULTS, onboarding=True) as shop:
        worker = shop.worker("ann")
        await worker.join()
        assert _refusal_of(await worker.submit_onboarding("no age")) == "not_qualified"
        assert shop.listener.said("on_onboarding failed: TypeError")
        await shop.until_stored(1)
        await _everything_is_acknowledged(shop)


async def test_without_a_hook_everybody_passes(tmp_path: Path) -> None:
    async with working(tmp_path, UNITS, onboarding=True) as shop:
        worker = shop.worker("ann")
        await worker.join()
        assert (await worker.submit_onboarding({}))["init_task_data"]["picture"] == "a"


# Live tasks


async def test_two_workers_talk_through_the_launcher_in_order(tmp_path: Path) -> None:
    async with working(tmp_path, UNITS[:1], hook=PASS_ON, assignments_per_unit=2, together=True) as shop:
        first = await shop.at_work("ann")
        await first.hear_status("waiting")
        second = await shop.at_work("bob")
        for worker in (first, second):
            assert (await worker.hear_update())["with"] == 2
        for number in range(20):
            await first.send_update({"text": f"a{number}"})
        for number in range(20):
            await second.send_update({"text": f"b{number}"})
        heard = [[await worker.hear_update() for _ in range(40)] for worker in (first, second)]
        assert [one["text"] for one in heard[0]] == [one["text"] for one in heard[1]]
        for who, letter in (("ann", "a"), ("bob", "b")):
            assert [one["text"] for one in heard[0] if one["from"] == who] == [f"{letter}{n}" for n in range(20)]
        assert len({one["update_id"] for one in heard[0] + heard[1]}) == 80


async def test_a_reloaded_page_gets_what_was_said_before(tmp_path: Path) -> None:
    async with working(tmp_path, UNITS[:1], hook=PASS_ON) as shop:
        worker = await shop.at_work("ann")
        heard = [await worker.hear_update()]
        for text in ("one", "two"):
            await worker.send_update({"text": text})
            heard.append(await worker.hear_update())
        again = await worker.join()
        assert again["init_task_data"]["past_live_updates"] == heard
        assert [update.get("text") for update in heard] == [None, "one", "two"]


async def test_a_partner_who_leaves_ends_it_for_both(tmp_path: Path) -> None:
    async with working(
        tmp_path, UNITS[:1], *QUICK_SILENCE, hook=PASS_ON, assignments_per_unit=2, together=True
    ) as shop:
        gone, left = await shop.at_work("ann"), await shop.at_work("bob")
        await left.hear_status("in task")
        await gone.close_socket()
        async with asyncio.TaskGroup() as group:
            beating = group.create_task(_beat(left))
            await shop.listener.until(lambda: shop.foreman.counts.agents_open == 0)
            beating.cancel()
        await left.hear(lambda packet: packet["data"].get("status") == "partner disconnect")
        assert (await left.hear_update()) | {"update_id": ""} == {"type": "left", "who": "ann", "update_id": ""}
        assert await left.submit({"alone": True}) == SUBMITTED
        (submission,) = await shop.until_stored(1)
        assert not submission.counted


async def _beat(worker: Worker) -> None:
    while True:
        await worker.say("heartbeat", {})
        await asyncio.sleep(0.1)


async def test_what_was_handed_in_counts_no_more_when_the_partner_leaves(tmp_path: Path) -> None:
    async with working(
        tmp_path, UNITS[:1], *QUICK_SILENCE, hook=PASS_ON, assignments_per_unit=2, together=True
    ) as shop:
        gone, done = await shop.at_work("ann"), await shop.at_work("bob")
        await done.hear_status("in task")
        assert await done.submit({"n": 1}) == SUBMITTED
        assert (await shop.until_stored(1))[0].counted
        await gone.close_socket()
        await shop.listener.until(lambda: shop.foreman.counts.agents_open == 0)
        await shop.foreman.settle()
        assert [one.counted for one in shop.stored()] == [False]
        assert not shop.foreman.done.is_set()


async def test_an_error_in_a_hook_is_told_and_the_work_goes_on(tmp_path: Path) -> None:
    async with working(tmp_path, UNITS[:1], hook=PASS_ON) as shop:
        worker = await shop.at_work("ann")
        await worker.hear_update()
        await worker.send_update({"no": "text"})
        await worker.send_update({"text": "fine"})
        assert (await worker.hear_update())["text"] == "fine"
        assert shop.listener.said("on_update failed: KeyError('text')")
        assert await worker.submit({}) == SUBMITTED
        await asyncio.wait_for(shop.foreman.done.wait(), 5)


async def test_an_update_too_large_for_a_page_is_the_hooks_error(tmp_path: Path) -> None:
    hook = "async def on_update(session, agent, update): await agent.send({'text': 'x' * update['length']})"
    async with working(tmp_path, UNITS[:1], hook=hook) as shop:
        worker = await shop.at_work("ann")
        await worker.send_update({"length": 2_000_000})
        await worker.send_update({"length": 2})
        assert (await worker.hear_update())["text"] == "xx"
        assert shop.listener.said("over the router's limit")
        assert not shop.lost.is_set()


async def test_a_hook_that_hangs_when_somebody_leaves_holds_nobody_up(tmp_path: Path) -> None:
    hook = (
        "import asyncio\nasync def on_update(session, agent, update): ...\n"
        "async def on_leave(session, agent): await asyncio.Event().wait()"
    )
    async with working(tmp_path, UNITS, hook=hook, submission_timeout=0.2) as shop:
        first, second = await shop.at_work("ann"), await shop.at_work("bob")
        await first.hear_status("timeout")
        await second.hear_status("timeout")
        shop.foreman.expire_all()


async def test_updates_that_are_none_are_passed_over(tmp_path: Path) -> None:
    async with working(tmp_path, UNITS[:1], hook=PASS_ON) as shop:
        worker = await shop.at_work("ann")
        await worker.hear_update()
        for data in ("text", 5, None, ["text"]):
            await worker.say("mephisto_bound_live_update", data)
        await worker.send_update({"text": "fine"})
        assert (await worker.hear_update())["text"] == "fine"


# When things break


async def test_nothing_is_acknowledged_while_the_disk_is_full_and_all_is_stored_once(tmp_path: Path) -> None:
    async with working(tmp_path, UNITS, assignments_per_unit=3) as shop:
        with full_disk("submissions"):
            workers = [shop.worker(name) for name in ("ann", "bob", "cem")]
            for worker in workers:
                await worker.join()
                assert await worker.submit({"from": worker.name}) == SUBMITTED
            await shop.listener.until(lambda: shop.listener.said("cannot be written"))
            assert shop.foreman.acked == {}
            assert not await shop.channel.say_bye(0.2)
        submissions = await shop.until_stored(3)
        assert sorted(one.worker_id for one in submissions) == ["ann", "bob", "cem"]
        assert all(one.counted for one in submissions)
        await _everything_is_acknowledged(shop)
        assert len(shop.stored()) == 3


async def test_who_comes_while_the_disk_is_full_is_told_to_come_back(tmp_path: Path) -> None:
    async with working(tmp_path, UNITS) as shop:
        worker = shop.worker("ann")
        with full_disk("agents"):
            assert _refusal_of(await worker.join()) == "cannot_save"
        assert (await worker.join())["agent_id"] is not None


@pytest.mark.slow
@pytest.mark.decisive
async def test_after_the_router_was_killed_work_goes_on(tmp_path: Path) -> None:
    async with working_for_a_process(tmp_path, UNITS, assignments_per_unit=2, hook=PASS_ON) as shop:
        worker = await shop.at_work("ann")
        await worker.hear_update()
        other = shop.worker("bob")
        await other.join()
        await other.submit({"n": 1})
        await shop.until_stored(1)
        await shop.router.restart()
        agent_id = worker.agent_id
        assert (await worker.join())["agent_id"] == agent_id
        await worker.open_socket()
        await worker.send_update({"text": "still here"})
        assert (await worker.hear_update())["text"] == "still here"
        assert await worker.submit({"n": 2}) == SUBMITTED
        submissions = await shop.until_stored(2)
        assert [_answer(one)["n"] for one in submissions] == [1, 2]


@pytest.mark.slow
async def test_an_onboarding_survives_the_router(tmp_path: Path) -> None:
    async with working_for_a_process(tmp_path, UNITS, onboarding=True) as shop:
        worker = shop.worker("ann")
        await worker.join()
        await shop.router.restart()
        handed_in = {"provider_data": {"USED_AGENT_ID": worker.agent_id, "onboarding_data": {}}}
        while (answer := await worker.ask("/submit_onboarding", json=handed_in))[0] == 404:
            pass  # the launcher has not told the router of it yet
        assert answer[1]["data"]["init_task_data"]["picture"] == "a"


async def test_a_pages_error_is_told(tmp_path: Path) -> None:
    async with working(tmp_path, UNITS) as shop:
        worker = shop.worker("ann")
        await worker.join()
        await worker.log_error({"message": "ä" * 600})
        await shop.listener.until(lambda: shop.listener.said("reports an error"))


async def test_packets_of_an_unknown_kind_are_passed_over(tmp_path: Path) -> None:
    async with working(tmp_path, UNITS) as shop:
        shop.foreman.take("harbour", Packet("from the future"))
        shop.foreman.take("a channel that is no more", Packet(wire.LOG_ERROR))
        await shop.foreman.settle()
