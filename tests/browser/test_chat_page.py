"""The chat example: two browsers talk through chat.py, and the page stays true when connections break."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest
from playwright.async_api import Page, expect

from .conftest import EXAMPLES, NewPage, Serve, load_hook
from .scripted_router import ScriptedRouter

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

UNIT = json.loads((EXAMPLES / "chat" / "units.jsonl").read_text().splitlines()[0])


@dataclass
class Member:
    agent_id: str
    router: ScriptedRouter

    async def send(self, update: dict[str, Any]) -> None:
        await self.router.update(self.agent_id, update)


@dataclass
class Session:
    """What the launcher gives to a hook."""

    unit: dict[str, Any]
    agents: list[Member] = field(default_factory=list)


@dataclass
class Talk:
    """Two pages in one session."""

    router: ScriptedRouter
    session: Session
    hook: ModuleType
    pages: list[Page] = field(default_factory=list)

    async def start(self) -> None:
        for member in self.session.agents:
            await self.router.say(member.agent_id, "update_status", {"status": "in task"})
        await self.hook.on_start(self.session)


async def open_talk(serve: Serve, new_page: NewPage, *pages: dict[str, Any]) -> Talk:
    router = await serve("chat", [UNIT, UNIT], live=True)
    members = [Member("agent-1", router), Member("agent-2", router)]
    talk = Talk(router, Session(UNIT, members), load_hook())

    async def pass_on(agent_id: str, update: dict[str, Any]) -> None:
        sender = next(member for member in members if member.agent_id == agent_id)
        await talk.hook.on_update(talk.session, sender, update)

    router.on_update = pass_on
    for settings in pages or ({}, {}):
        talk.pages.append(await new_page(router.url, **settings))
        await router.until(lambda: len(router.greetings) == len(talk.pages))
    return talk


async def say(page: Page, text: str) -> None:
    await page.get_by_role("textbox", name="Your message").fill(text)
    await page.keyboard.press("Enter")


def messages(page: Page) -> Any:
    return page.get_by_role("log").get_by_role("listitem")


@pytest.mark.decisive
async def test_two_workers_talk_rate_and_hand_in_what_was_said(serve: Serve, new_page: NewPage) -> None:
    talk = await open_talk(serve, new_page)
    one, two = talk.pages
    await expect(one.get_by_role("heading", level=1)).to_have_text(UNIT["topic"])
    await expect(one.get_by_role("status").first).to_contain_text("Waiting for a partner")
    await expect(one.get_by_role("button", name="Send")).to_be_disabled()
    await talk.start()
    await expect(one.get_by_role("status").first).to_have_text("Your partner is here.")
    await say(one, "Hello, shall we hike?")
    await expect(messages(two)).to_have_text(["Partner: Hello, shall we hike?"])
    await say(two, "Gern <b>!</b>")
    await say(two, "And a picnic")
    said = ["You: Hello, shall we hike?", "Partner: Gern <b>!</b>", "Partner: And a picnic"]
    await expect(messages(one)).to_have_text(said)
    await expect(one.locator(".sending")).to_have_count(0)
    await one.get_by_role("button", name="Finish").click()
    await expect(two.locator("#partner")).to_have_text("Your partner is about to finish.")
    await one.get_by_label("Very well").check()
    await one.get_by_role("textbox", name="What did you agree on?").fill("A hike")
    await one.get_by_role("button", name="Hand in").click()
    await expect(one.get_by_role("status").first).to_have_text("There is nothing left to do. Thank you.")
    transcript = [
        {"from": "me", "text": "Hello, shall we hike?"},
        {"from": "partner", "text": "Gern <b>!</b>"},
        {"from": "partner", "text": "And a picnic"},
    ]
    [handed] = talk.router.submissions
    assert handed.answer == {"rating": 5, "comment": "A hike", "transcript": transcript}


async def test_a_reload_shows_the_talk_so_far(serve: Serve, new_page: NewPage) -> None:
    talk = await open_talk(serve, new_page)
    one, two = talk.pages
    await talk.start()
    await say(one, "First")
    await expect(messages(two)).to_have_text(["Partner: First"])
    await one.reload()
    await expect(messages(one)).to_have_text(["You: First"])
    await say(two, "Second")
    await expect(messages(one)).to_have_text(["You: First", "Partner: Second"])
    assert talk.router.registrations[0] == talk.router.registrations[-1]


async def test_what_is_said_without_a_connection_arrives_in_order_and_once(serve: Serve, new_page: NewPage) -> None:
    talk = await open_talk(serve, new_page)
    one, two = talk.pages
    await talk.start()
    await say(one, "Before")
    await expect(messages(one)).to_have_text(["You: Before"])
    talk.router.refuses_sockets = True
    await talk.router.cut_sockets()
    await expect(one.get_by_role("status").first).to_contain_text("The connection is lost. Trying again")
    for text in ("one", "two", "three"):
        await say(one, text)
    await expect(one.locator(".sending")).to_have_count(3)
    talk.router.refuses_sockets = False
    heard = ["Partner: Before", "Partner: one", "Partner: two", "Partner: three"]
    await expect(messages(two)).to_have_text(heard)
    await expect(one.locator(".sending")).to_have_count(0)
    await expect(one.get_by_role("status").first).not_to_contain_text("The connection is lost")


async def test_a_partner_who_leaves_is_told_and_the_talk_can_be_handed_in(serve: Serve, new_page: NewPage) -> None:
    talk = await open_talk(serve, new_page)
    one, _ = talk.pages
    await talk.start()
    await talk.router.say("agent-1", "update_status", {"status": "partner disconnect"})
    await talk.hook.on_leave(talk.session, talk.session.agents[1])
    await expect(one.get_by_role("status").first).to_have_text("Your partner has left.")
    await expect(one.get_by_role("heading", name="Before you go")).to_be_focused()
    await one.get_by_label("A little").check()
    await one.get_by_role("button", name="Hand in").click()
    await talk.router.until(lambda: talk.router.submissions)
    assert talk.router.submissions[0].answer["rating"] == 2


async def test_the_talk_works_by_keyboard_alone(serve: Serve, new_page: NewPage) -> None:
    talk = await open_talk(serve, new_page)
    one, two = talk.pages
    await talk.start()
    await expect(one.get_by_role("button", name="Finish")).to_be_visible()
    await one.keyboard.press("Tab")
    await expect(one.get_by_role("button", name="Finish")).to_be_focused()
    for _ in range(2):
        await one.keyboard.press("Tab")
    await expect(one.get_by_role("textbox", name="Your message")).to_be_focused()
    await one.keyboard.type("By keyboard")
    await one.keyboard.press("Shift+Enter")
    await one.keyboard.type("alone")
    await one.keyboard.press("Enter")
    await expect(messages(two)).to_have_text(["Partner: By keyboard\nalone"])
    for _ in range(2):
        await one.keyboard.press("Shift+Tab")
    await one.keyboard.press("Enter")
    await one.keyboard.press("Tab")
    await one.keyboard.press("Space")
    await one.keyboard.press("ArrowRight")
    await one.keyboard.press("Tab")
    await one.keyboard.type("Nothing yet")
    await one.keyboard.press("Tab")
    await one.keyboard.press("Enter")
    await talk.router.until(lambda: talk.router.submissions)
    assert talk.router.submissions[0].answer["rating"] == 2
    assert talk.router.submissions[0].answer["comment"] == "Nothing yet"
