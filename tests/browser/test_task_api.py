"""What falsework.js promises to a page's script, called from a page that has nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from .conftest import NewPage, Serve

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

JOIN = "async () => { globalThis.task = await (await import('/falsework.js')).join(); return task && task.agentId }"
UNITS = [{"n": 1}, {"n": 2}]


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A task whose page is empty."""
    (tmp_path / "static").mkdir()
    page = '<!doctype html><html lang="en"><title>Empty</title><link rel="icon" href="data:,"><body></body></html>'
    (tmp_path / "static" / "index.html").write_text(page)
    return tmp_path


async def listen(page: Page) -> None:
    await page.evaluate("() => { globalThis.heard = []; task.onupdate = update => heard.push(update) }")


async def test_a_page_without_a_status_line_gets_one(bare: Path, serve: Serve, new_page: NewPage) -> None:
    router = await serve(bare, UNITS)
    page = await new_page(router.url)
    assert await page.evaluate(JOIN) == "agent-1"
    await page.evaluate("task.say('Hear, hear.')")
    await expect(page.get_by_role("status")).to_have_text("Hear, hear.")
    assert await page.evaluate("[task.data, task.status, task.onboarding]") == [{"n": 1}, "in task", False]
    assert router.greetings == []


async def test_onboarding_leads_to_the_first_unit(bare: Path, serve: Serve, new_page: NewPage) -> None:
    router = await serve(bare, UNITS, onboarding=True)
    page = await new_page(router.url)
    assert await page.evaluate(JOIN) == "onboarding-1"
    assert await page.evaluate("[task.onboarding, task.status]") == [True, "onboarding"]
    agent_id = await page.evaluate("task.submitOnboarding({ passed: true }).then(next => next.agentId)")
    assert agent_id == "agent-1"
    assert router.metadata == [{"USED_AGENT_ID": "onboarding-1", "onboarding_data": {"passed": True}}]


async def test_metadata_arrives(bare: Path, serve: Serve, new_page: NewPage) -> None:
    router = await serve(bare, UNITS)
    page = await new_page(router.url)
    await page.evaluate(JOIN)
    assert await page.evaluate("task.metadata({ seen: 3 })") is True
    assert router.metadata[0]["metadata"] == {"seen": 3}


async def test_updates_come_once_and_in_order_also_those_from_before(
    bare: Path, serve: Serve, new_page: NewPage
) -> None:
    router = await serve(bare, UNITS, live=True)
    await router.update("agent-1", {"text": "past"})
    page = await new_page(router.url)
    await page.evaluate(JOIN)
    await listen(page)
    await router.until(lambda: router.greetings)
    await router.update("agent-1", {"text": "new"})
    await router.say("agent-1", "client_bound_live_update", {"text": "again", "update_id": "update-2"})
    await router.update("agent-1", {"text": "last"})
    await page.wait_for_function("() => heard.length && heard.at(-1).text === 'last'")
    assert await page.evaluate("heard.map(update => update.text)") == ["past", "new", "last"]


async def test_an_error_in_a_handler_keeps_no_update_away(bare: Path, serve: Serve, new_page: NewPage) -> None:
    router = await serve(bare, UNITS, live=True)
    page = await new_page(router.url)
    await page.evaluate(JOIN)
    await page.evaluate(
        "() => { globalThis.heard = []; addEventListener('error', event => event.preventDefault());"
        "task.onupdate = update => { heard.push(update.text); if (update.text === 'bad') throw Error('net::ERR') } }"
    )
    await router.until(lambda: router.greetings)
    for text in ("bad", "good"):
        await router.update("agent-1", {"text": text})
    await page.wait_for_function("() => heard.length === 2")
    await router.until(lambda: router.errors)


async def test_a_page_says_its_protocol_and_its_updates_have_ids(bare: Path, serve: Serve, new_page: NewPage) -> None:
    router = await serve(bare, UNITS, live=True)
    page = await new_page(router.url)
    await page.evaluate(JOIN)
    await page.evaluate("() => { task.send({ a: 1 }); task.send({ a: 2 }) }")
    await router.until(lambda: len(router.updates) == 2)
    assert router.greetings[0]["data"] == {"protocol": 1}
    assert [(agent_id, update["a"]) for agent_id, update in router.updates] == [("agent-1", 1), ("agent-1", 2)]
    assert len({update["update_id"] for _, update in router.updates}) == 2


async def test_an_update_that_no_frame_can_carry_is_an_error_at_once(
    bare: Path, serve: Serve, new_page: NewPage
) -> None:
    router = await serve(bare, UNITS, live=True)
    page = await new_page(router.url)
    await page.evaluate(JOIN)
    name = "() => { try { task.send({ text: 'x'.repeat(2 ** 20) }) } catch (error) { return error.name } }"
    assert await page.evaluate(name) == "RangeError"


async def test_a_connection_that_fell_silent_is_replaced(bare: Path, serve: Serve, new_page: NewPage) -> None:
    router = await serve(bare, UNITS, live=True)
    page = await new_page(router.url)
    await page.evaluate(JOIN)
    await router.until(lambda: router.greetings)
    await page.wait_for_function("() => task.status === 'waiting'")
    router.is_mute = True
    await page.evaluate("() => task.send({ a: 1 })")
    await router.until(lambda: router.updates)
    await page.clock.install()
    await page.clock.fast_forward(20_000)
    await router.until(lambda: len(router.greetings) == len(router.updates) == 2)
    assert router.updates[0] == router.updates[1]
    await expect(page.get_by_role("status")).to_contain_text("Waiting for a partner")


async def test_who_leaves_is_told_how_to_come_back_and_does(bare: Path, serve: Serve, new_page: NewPage) -> None:
    router = await serve(bare, UNITS, live=True)
    page = await new_page(router.url)
    await page.evaluate(JOIN)
    await page.evaluate("task.leave()")
    await expect(page.get_by_role("status")).to_have_text("You have left. To come back, open this page again.")
    await page.reload()
    assert await page.evaluate(JOIN) == "agent-1"


async def test_a_closed_task_is_no_lost_connection(bare: Path, serve: Serve, new_page: NewPage) -> None:
    router = await serve(bare, UNITS, live=True)
    page = await new_page(router.url)
    await page.evaluate(JOIN)
    await router.until(lambda: router.greetings)
    await router.say("agent-1", "update_status", {"status": "expired"})
    await page.wait_for_function("() => task.status === 'expired'")
    await router.cut_sockets()
    await expect(page.get_by_role("status")).to_have_text("This task is closed. Thank you.")
