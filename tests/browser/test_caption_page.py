"""The caption example in a real browser: what was typed is what arrives, once, whatever the network does."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from .conftest import EXAMPLES, NewPage, Serve
from .scripted_router import ScriptedRouter, Trouble

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

UNITS = [json.loads(line) for line in (EXAMPLES / "caption" / "units.jsonl").read_text().splitlines()]
CAPTION = "A lighthouse at dusk, «shining» over the sea."
SAVED = "Saved. Here is the next one."


OBSERVE = """new MutationObserver(changes => {
    const line = document.querySelector('#falsework-status')
    if (changes.some(change => line?.contains(change.target))) heard(line.textContent)
}).observe(document, { childList: true, subtree: true })"""


async def fill_in(page: Page, caption: str) -> None:
    await page.get_by_role("textbox").fill(caption)
    await page.get_by_role("button", name="Submit").click()


@pytest.mark.decisive
async def test_every_picture_is_captioned_and_then_nothing_is_left(serve: Serve, new_page: NewPage) -> None:
    router = await serve("caption", UNITS)
    page = await new_page(router.url)
    for unit in UNITS:
        await expect(page.locator("#prompt")).to_have_text(unit["prompt"])
        await expect(page.locator("#picture")).to_have_js_property("naturalWidth", 640)
        await expect(page.get_by_role("textbox")).to_have_value("")
        await fill_in(page, f"About {unit['image']}")
    await expect(page.get_by_role("status")).to_have_text("There is nothing left to do. Thank you.")
    assert [handed.answer for handed in router.submissions] == [{"text": f"About {unit['image']}"} for unit in UNITS]
    assert len({worker["worker_name"] for worker in router.registrations}) == 1
    assert len({handed.submission_id for handed in router.submissions}) == len(UNITS)


async def test_a_reload_keeps_the_agent_and_the_draft_and_asks_for_the_file_again(
    serve: Serve, new_page: NewPage, tmp_path: Path
) -> None:
    photo = tmp_path / "ein Foto.png"
    photo.write_bytes(b"\x89PNG not really")
    router = await serve("caption", UNITS)
    page = await new_page(router.url)
    await page.get_by_role("textbox").press_sequentially(CAPTION)
    await page.get_by_label("A photo of something similar").set_input_files(photo)
    await page.reload()
    await expect(page.get_by_role("textbox")).to_have_value(CAPTION)
    await expect(page.locator("#count")).to_have_text(f"{len(CAPTION)} of 400 characters")
    await expect(page.get_by_role("status")).to_contain_text("Please choose your file again.")
    await page.get_by_label("A photo of something similar").set_input_files(photo)
    await page.get_by_role("button", name="Submit").click()
    await expect(page.get_by_role("status")).to_have_text(SAVED)
    [handed] = router.submissions
    assert handed.agent_id == "agent-1"
    assert handed.answer == {"text": CAPTION}
    assert handed.files == {"attachment": ("ein Foto.png", b"\x89PNG not really")}
    assert handed.fields[:2] == ["USED_AGENT_ID", "submission_id"]
    assert router.registrations[0] == router.registrations[1]


@pytest.mark.parametrize(
    "troubles, told",
    [
        ([Trouble.UNAVAILABLE, Trouble.UNAVAILABLE], "Not saved yet: The task is not reachable at the moment."),
        ([Trouble.FULL], "Not saved yet: The server's disk is full."),
        ([Trouble.CUT_OFF, Trouble.CUT_OFF], "Not saved yet: There is no connection to the server."),
        ([Trouble.ANSWER_LOST], "Not saved yet: There is no connection to the server."),
        ([Trouble.PORTAL], "Not saved yet: The server answered 200 where it should not have."),
    ],
)
async def test_a_submission_is_repeated_under_its_id_until_it_is_saved(
    serve: Serve, new_page: NewPage, troubles: list[Trouble], told: str
) -> None:
    router = await serve("caption", UNITS)
    page = await new_page(router.url)
    lines = await listen(page)
    router.misbehave("/submit_task", *troubles)
    await fill_in(page, CAPTION)
    await expect(page.get_by_role("status")).to_have_text(SAVED)
    assert {handed.answer["text"] for handed in router.submissions} == {CAPTION}
    assert len({handed.submission_id for handed in router.submissions}) == 1
    assert [line for line in lines if line.startswith(told)] != [], lines
    assert lines.index(SAVED) > max(n for n, line in enumerate(lines) if line.startswith("Not saved yet"))


async def test_an_upload_is_repeated_under_its_id(serve: Serve, new_page: NewPage, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(b"x" * 300_000)
    router = await serve("caption", UNITS)
    page = await new_page(router.url)
    router.misbehave("/submit_task", Trouble.ANSWER_LOST, Trouble.UNAVAILABLE)
    await page.get_by_label("A photo of something similar").set_input_files(photo)
    await fill_in(page, CAPTION)
    await expect(page.get_by_role("status")).to_have_text(SAVED)
    assert len(router.submissions) == 3
    assert len({handed.submission_id for handed in router.submissions}) == 1
    assert [len(handed.files["attachment"][1]) for handed in router.submissions] == [300_000] * 3


async def test_an_answer_under_way_survives_a_reload(serve: Serve, new_page: NewPage) -> None:
    router = await serve("caption", UNITS)
    page = await new_page(router.url)
    router.misbehave("/submit_task", *[Trouble.UNAVAILABLE] * 2)
    await fill_in(page, CAPTION)
    await expect(page.get_by_role("status")).to_contain_text("Not saved yet")
    await page.reload()
    await expect(page.get_by_role("status")).to_have_text(SAVED)
    await expect(page.locator("#prompt")).to_have_text(UNITS[1]["prompt"])
    await expect(page.get_by_role("textbox")).to_have_value("")
    assert len({handed.submission_id for handed in router.submissions}) == 1


async def test_what_was_handed_in_before_is_told_and_the_page_goes_on(serve: Serve, new_page: NewPage) -> None:
    router = await serve("caption", UNITS)
    page = await new_page(router.url)
    lines = await listen(page)
    router.misbehave("/submit_task", Trouble.TAKEN)
    await fill_in(page, CAPTION)
    await expect(page.locator("#prompt")).to_have_text(UNITS[1]["prompt"])
    assert "Your work on this was already handed in, and is safe." in lines
    assert SAVED not in lines


async def test_what_is_too_large_is_told_and_can_be_changed(serve: Serve, new_page: NewPage) -> None:
    router = await serve("caption", UNITS)
    page = await new_page(router.url)
    router.misbehave("/submit_task", Trouble.TOO_LARGE)
    await fill_in(page, CAPTION)
    await expect(page.get_by_role("status")).to_have_text("The limit for one file is 1000 bytes.")
    await expect(page.get_by_role("textbox")).to_have_value(CAPTION)
    await page.get_by_role("button", name="Submit").click()
    await expect(page.get_by_role("status")).to_have_text(SAVED)


async def test_a_router_that_forgot_the_agent_is_reminded(serve: Serve, new_page: NewPage) -> None:
    router = await serve("caption", UNITS)
    page = await new_page(router.url)
    router.misbehave("/submit_task", Trouble.UNKNOWN)
    await fill_in(page, CAPTION)
    await expect(page.get_by_role("status")).to_have_text(SAVED)
    first, again, second = router.registrations
    assert first == again != second


async def test_two_presses_hand_in_once(serve: Serve, new_page: NewPage) -> None:
    router = await serve("caption", UNITS[:1])
    page = await new_page(router.url)
    await page.get_by_role("textbox").fill(CAPTION)
    await page.evaluate("() => { for (const _ of [1, 2, 3]) document.querySelector('form').requestSubmit() }")
    await expect(page.get_by_role("status")).to_have_text("There is nothing left to do. Thank you.")
    assert len(router.submissions) == 1


async def test_a_launcher_that_is_away_is_waited_for(serve: Serve, new_page: NewPage) -> None:
    router = await serve("caption", UNITS)
    router.misbehave("/is_alive", Trouble.CUT_OFF)
    router.misbehave("/request_agent", Trouble.UNAVAILABLE, Trouble.CUT_OFF)
    page = await new_page("about:blank")
    lines = await listen(page)
    await page.goto(router.url)
    await expect(page.locator("#prompt")).to_have_text(UNITS[0]["prompt"], timeout=10_000)
    away = "There is no connection to the server. Trying again…"
    assert lines == ["Connecting…", away, "The task is not reachable at the moment. Trying again…", away, ""]


async def test_a_finished_run_says_so(serve: Serve, new_page: NewPage) -> None:
    router = await serve("caption", UNITS)
    router.misbehave("/request_agent", Trouble.FINISHED)
    page = await new_page(router.url)
    await expect(page.get_by_role("status")).to_have_text("This task is finished. Thank you for your interest.")


async def test_a_server_that_is_gone_after_the_last_answer_is_no_alarm(serve: Serve, new_page: NewPage) -> None:
    router = await serve("caption", UNITS)
    page = await new_page(router.url)
    await expect(page.get_by_role("textbox")).to_be_visible()
    await page.clock.install()
    router.misbehave("/request_agent", *[Trouble.CUT_OFF] * 6)
    await fill_in(page, CAPTION)
    for left in range(5, 0, -1):
        await router.until(partial(is_left, router, left))
        await expect(page.get_by_role("status")).to_have_text("Saved. Thank you. Looking for the next one…")
        await page.clock.fast_forward(30_000)
    await expect(page.get_by_role("status")).to_contain_text("Saved. Thank you. This task is over or away for now")


async def test_time_that_is_up_is_told(serve: Serve, new_page: NewPage) -> None:
    router = await serve("caption", UNITS, extras={"expires_in": 0.2})
    page = await new_page(router.url)
    await expect(page.get_by_role("status")).to_contain_text("Time is up")


async def test_a_preview_registers_nobody(serve: Serve, new_page: NewPage) -> None:
    router = await serve("caption", UNITS)
    page = await new_page(f"{router.url}?assignmentId=ASSIGNMENT_ID_NOT_AVAILABLE&hitId=H1")
    await expect(page.get_by_role("status")).to_have_text("This is a preview. Accept the task to begin.")
    await expect(page.get_by_role("heading", name="Describe the picture")).to_be_visible()
    assert router.registrations == []


async def test_a_crowd_site_gives_one_unit_to_an_assignment(serve: Serve, new_page: NewPage) -> None:
    router = await serve("caption", UNITS)
    page = await new_page(f"{router.url}?workerId=W1&assignmentId=A1&hitId=H1")
    await fill_in(page, CAPTION)
    await expect(page.get_by_role("status")).to_have_text("Saved. Thank you.")
    await expect(page.get_by_role("textbox")).to_be_hidden()
    expected = {"worker_name": "W1", "assignment_id": "A1", "agent_registration_id": "W1-A1", "provider_type": "mturk"}
    assert router.registrations == [expected]


async def test_the_crowd_provider_of_a_page_is_asked_and_told(serve: Serve, new_page: NewPage) -> None:
    router = await serve("caption", UNITS)
    page = await new_page("about:blank")
    await page.add_init_script(
        "globalThis.getWorkerName = () => 'alice'; globalThis.getAssignmentId = () => 'a-1';"
        "globalThis.getAgentRegistration = () => 'alice/a-1';"
        "globalThis.handleSubmitToProvider = answer => (globalThis.told = answer);"
    )
    await page.goto(router.url)
    await fill_in(page, CAPTION)
    await expect(page.get_by_role("status")).to_have_text("Saved. Thank you.")
    assert await page.evaluate("globalThis.told") == {"text": CAPTION}
    assert router.registrations[0]["agent_registration_id"] == "alice/a-1"


async def test_errors_of_the_page_are_logged_but_not_without_end(serve: Serve, new_page: NewPage) -> None:
    router = await serve("caption", UNITS)
    page = await new_page(router.url)
    await expect(page.get_by_role("textbox")).to_be_visible()
    await page.evaluate(
        "() => { for (let n = 0; n < 30; n++) dispatchEvent(new ErrorEvent('error', { message: `broken ${n}`})) }"
    )
    await router.until(lambda: len(router.errors) == 20)
    assert router.errors[0]["USED_AGENT_ID"] == "agent-1"
    assert router.errors[0]["error_data"]["message"].startswith("broken")


async def listen(page: Page) -> list[str]:
    """Everything that the status line says from now on, also after the next load of a page."""
    lines: list[str] = []
    await page.expose_function("heard", lambda line: lines.append(line))
    await page.add_init_script(OBSERVE)
    await page.evaluate(OBSERVE)
    return lines


def is_left(router: ScriptedRouter, troubles: int) -> bool:
    return router.left("/request_agent") == troubles
