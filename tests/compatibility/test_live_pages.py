"""Live pages made with Mephisto's client, launched for real, with a hook that answers them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from falsework.engine.work.submissions import Submission
from playwright.async_api import Page, expect

from ..engine.launching import Launch, launched
from .conftest import Visit, WriteTask
from .visits import agent_of, hand_in

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

SILENCE = "7"
"""Seconds after which a page that is not heard is given up; the client says something every 6."""
HEARTBEAT = 6_000
"""Milliseconds from one heartbeat of the client to the next. It gives up when none was answered for 20 s."""
TOPICS = [{"topic": "lighthouses"}, {"topic": "the last unit"}]
"""The last is left to others: a run ends with its last unit, and the open page of a run that ended complains."""

PASSES_ON = """
async def on_start(session):
    for agent in session.agents:
        await agent.send({"text": "Talk about " + session.unit["topic"]})

async def on_update(session, agent, update):
    for other in session.agents:
        await other.send({"text": agent.worker_id + ": " + update["text"]})
"""
ADDS = """
import json

async def on_update(session, agent, update):
    total = sum(json.loads(update["args"])["numbers"])
    await agent.send({"handles": update["request_id"], "response": json.dumps(total)})
"""


async def say(page: Page, text: str) -> None:
    """Send a message, and wait until the client has sent it."""
    await page.get_by_label("Message").fill(text)
    await page.get_by_role("button", name="Send").click()
    await expect(page.get_by_label("Sent")).to_have_text(text)


async def assert_hears(page: Page, *texts: str) -> None:
    """Exactly these came, in this order, none of them twice."""
    await expect(page.get_by_role("listitem")).to_have_text(texts)


async def assert_status(page: Page, status: str) -> None:
    await expect(page.get_by_label("Status")).to_have_text(status)


async def finish(launch: Launch, *workers: str) -> list[Submission]:
    """Let others do the last unit, now that no page is open. Returns what the pages handed in."""
    for worker in [await launch.worker(name) for name in workers]:
        await worker.submit({})
    await launch.end()
    return [submission for submission in launch.stored() if submission.worker_id not in workers]


async def test_updates_go_both_ways_survive_a_reload_and_are_handed_in(
    home: Path, write_page_task: WriteTask, visiting: Visit
) -> None:
    async with launched(home, write_page_task("live", TOPICS, hook=PASSES_ON)) as launch:
        async with visiting(await launch.url()) as page:
            agent = await agent_of(page)
            await assert_status(page, "in task")
            await expect(page.get_by_label("Connection")).to_have_text("connected")
            await say(page, "They are tall.")
            await assert_hears(page, "Talk about lighthouses", "ann: They are tall.")
            await page.reload()
            assert await agent_of(page) == agent
            await assert_status(page, "in task")
            await assert_hears(page, "Talk about lighthouses", "ann: They are tall.")
            await say(page, "Und hell. 🌊")
            await assert_hears(page, "Talk about lighthouses", "ann: They are tall.", "ann: Und hell. 🌊")
            await hand_in(page, "Hand in")
            await assert_status(page, "completed")
        (submission,) = await finish(launch, "zoe")
        launch.assert_down()
    heard = ["Talk about lighthouses", "ann: They are tall.", "ann: Und hell. 🌊"]
    assert msgspec.json.decode(submission.data) == {"heard": heard}
    assert (submission.agent_id, submission.counted) == (agent, True)


async def test_two_workers_start_together_hear_each_other_and_hand_in(
    home: Path, write_page_task: WriteTask, visiting: Visit
) -> None:
    together = {"assignments_per_unit": 2, "together": True}
    async with launched(home, write_page_task("live", TOPICS, hook=PASSES_ON, task=together)) as launch:
        url = await launch.url()
        async with visiting(url, "ann") as ann:
            await assert_status(ann, "waiting")
            async with visiting(url, "bob") as bob:
                for page in (ann, bob):
                    await assert_status(page, "in task")
                await say(ann, "Hello")
                await assert_hears(bob, "Talk about lighthouses", "ann: Hello")
                await say(bob, "Hello yourself")
                for page in (ann, bob):
                    await assert_hears(page, "Talk about lighthouses", "ann: Hello", "bob: Hello yourself")
                    await hand_in(page, "Hand in")
        submissions = await finish(launch, "yan", "zoe")
    assert sorted(one.worker_id for one in submissions if one.counted) == ["ann", "bob"]


async def test_who_closes_the_page_is_missed_the_partner_is_told_and_the_unit_goes_to_others(
    home: Path, write_page_task: WriteTask, visiting: Visit
) -> None:
    together = {"assignments_per_unit": 2, "together": True}
    limits = {"limits": {"silence": SILENCE}}
    task = write_page_task("live", TOPICS, hook=PASSES_ON, task=together, architect=limits)
    async with launched(home, task) as launch:
        url = await launch.url()
        async with visiting(url, "ann") as ann:
            async with visiting(url, "bob") as bob:
                for page in (ann, bob):
                    await assert_status(page, "in task")
            await assert_status(ann, "partner disconnect")
            await hand_in(ann, "Hand in")
        async with visiting(url, "cy") as cy:
            await agent_of(cy)


async def test_a_page_stays_at_work_for_minutes_though_its_clock_is_years_ahead(
    home: Path, write_page_task: WriteTask, visiting: Visit
) -> None:
    async with launched(home, write_page_task("live", TOPICS, hook=PASSES_ON)) as launch:
        async with visiting(await launch.url(), clock="2048-12-31T23:59:00") as page:
            await assert_status(page, "in task")
            async with page.expect_websocket() as opened:
                await page.reload()
            await assert_status(page, "in task")
            socket = await opened.value
            for _ in range(20):
                async with socket.expect_event("framereceived", lambda frame: '"heartbeat"' in frame):
                    await page.clock.fast_forward(HEARTBEAT)
            await say(page, "Still here")
            await assert_hears(page, "Talk about lighthouses", "ann: Still here")
            await expect(page.get_by_label("Connection")).to_have_text("connected")
            await hand_in(page, "Hand in")
        assert len(await finish(launch, "zoe")) == 1


async def test_a_remote_procedure_is_answered(home: Path, write_page_task: WriteTask, visiting: Visit) -> None:
    async with launched(home, write_page_task("remote", [{"numbers": [19, 23]}, {"numbers": []}], hook=ADDS)) as launch:
        async with visiting(await launch.url()) as page:
            await agent_of(page)
            await page.get_by_role("button", name="Add").click()
            await expect(page.get_by_label("Sum")).to_have_text("42")
            await hand_in(page, "Submit")
        (submission,) = await finish(launch, "zoe")
    assert msgspec.json.decode(submission.data) == {"sum": 42}
