"""Static pages made with Mephisto's client, launched for real: nothing in them knows of falsework."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
from falsework.engine.work.submissions import Submission
from playwright.async_api import Page, expect

from ..engine.launching import launched
from ..engine.serving import soon
from .bundled_pages import rebuild_as_mephisto_does
from .conftest import Visit, WriteTask
from .visits import agent_of, hand_in

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

ANSWER = "Ein Leuchtturm – «hell»\nund weit. 🌊"
UNITS = [{"text": "What do you see?"}, {"text": "And what now?"}]
ONE = UNITS[:1]
MEPHISTO_POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval'; img-src 'self' data: blob:; connect-src 'self' ws: wss:"
)
"""What pages need that were built by Mephisto's own scripts."""


def data_of(submission: Submission) -> Any:
    return msgspec.json.decode(submission.data)


async def answer(page: Page, text: str) -> None:
    await page.get_by_label("Answer").fill(text)
    await hand_in(page, "Submit")


async def test_an_answer_arrives_as_it_was_typed(home: Path, write_page_task: WriteTask, visiting: Visit) -> None:
    task = write_page_task("static", ONE, task={"config": {"hint": "Look at the whole."}})
    async with launched(home, task) as launch:
        async with visiting(await launch.url()) as page:
            await expect(page.get_by_role("heading")).to_have_text("What do you see?")
            await expect(page.get_by_text("Look at the whole.")).to_be_visible()
            agent = await agent_of(page)
            await answer(page, ANSWER)
        await launch.end()
        launch.assert_down()
    (submission,) = launch.stored()
    assert data_of(submission) == {"text": ANSWER}
    assert (submission.worker_id, submission.agent_id, submission.counted) == ("ann", agent, True)
    assert submission.files == []


async def test_an_upload_arrives_byte_for_byte_under_its_field(
    home: Path, write_page_task: WriteTask, visiting: Visit, tmp_path: Path
) -> None:
    photos = [tmp_path / "ein Foto.png", tmp_path / "zwei.png"]
    for number, photo in enumerate(photos, 1):
        photo.write_bytes(bytes(range(256)) * 1000 * number)
    sound = tmp_path / "sound.ogg"
    sound.write_bytes(b"")
    async with launched(home, write_page_task("static", ONE)) as launch:
        async with visiting(await launch.url()) as page:
            await page.get_by_label("Title").fill("Zwei Fotos")
            await page.get_by_label("Photos").set_input_files(photos)
            await page.get_by_label("Sound").set_input_files(sound)
            await page.get_by_role("button", name="Submit with files").click()
            await expect(page.get_by_label("Upload")).to_have_text("Submitted!")
        await launch.end()
    (submission,) = launch.stored()
    assert data_of(submission) == {"title": "Zwei Fotos"}
    assert [(file.field, file.name, file.size) for file in submission.files] == [
        ("photos", "ein Foto.png", 256_000),
        ("photos", "zwei.png", 512_000),
        ("sound", "sound.ogg", 0),
    ]
    stored = [launch.watcher.directory / file.path for file in submission.files]
    assert [path.read_bytes() for path in stored] == [path.read_bytes() for path in (*photos, sound)]
    assert [file.sha256 for file in submission.files] == [sha256(path.read_bytes()).hexdigest() for path in stored]


async def test_an_answer_larger_than_a_packet_arrives(home: Path, write_page_task: WriteTask, visiting: Visit) -> None:
    async with launched(home, write_page_task("static", ONE)) as launch:
        async with visiting(await launch.url()) as page:
            await page.get_by_label("Times").fill("1000000")
            await answer(page, "fünf ")
        await launch.end()
    (submission,) = launch.stored()
    assert data_of(submission) == {"text": "fünf " * 1_000_000}


async def test_a_reload_keeps_the_agent_and_the_next_unit_comes_after_the_hand_in(
    home: Path, write_page_task: WriteTask, visiting: Visit
) -> None:
    async with launched(home, write_page_task("static", UNITS)) as launch:
        async with visiting(await launch.url()) as page:
            first = await agent_of(page)
            await page.reload()
            assert await agent_of(page) == first
            await answer(page, "one")
            await page.reload()
            await expect(page.get_by_role("heading")).to_have_text("And what now?")
            second = await agent_of(page)
            await answer(page, "two")
        await launch.end()
    assert second != first
    told = [(one.agent_id, one.worker_id, one.unit, data_of(one)["text"]) for one in launch.stored()]
    assert told == [(first, "ann", 0, "one"), (second, "ann", 1, "two")]


async def test_a_bare_link_makes_up_a_worker_who_stays_the_same(
    home: Path, write_page_task: WriteTask, opening: Visit
) -> None:
    async with launched(home, write_page_task("static", ONE)) as launch:
        async with opening(await launch.url()) as page:
            first = await agent_of(page)
            await page.reload()
            assert await agent_of(page) == first
            await answer(page, "from nobody in particular")
        await launch.end()
    (submission,) = launch.stored()
    assert submission.worker_id


async def test_a_preview_shows_itself_and_registers_nobody(
    home: Path, write_page_task: WriteTask, opening: Visit
) -> None:
    async with launched(home, write_page_task("static", ONE)) as launch:
        url = await launch.url()
        async with opening(f"{url}/?workerId=ann&assignmentId=ASSIGNMENT_ID_NOT_AVAILABLE&hitId=h") as page:
            await expect(page.get_by_role("heading")).to_have_text("This is a preview.")
        async with opening(f"{url}/?workerId=ann&assignmentId=a-1&hitId=h") as page:
            await answer(page, "accepted")
        await launch.end()
    assert [(one.worker_id, data_of(one)) for one in launch.stored()] == [("ann", {"text": "accepted"})]


async def test_the_onboarding_comes_first_and_who_passes_goes_on_to_the_unit(
    home: Path, write_page_task: WriteTask, visiting: Visit
) -> None:
    hook = "def on_onboarding(worker_id, data):\n    return data['ready']\n"
    async with launched(home, write_page_task("static", ONE, task={"onboarding": True}, hook=hook)) as launch:
        url = await launch.url()
        async with visiting(url, "bob") as page:
            await page.get_by_role("button", name="I am not").click()
            await expect(page.get_by_role("alert")).to_contain_text("This task does not suit everybody")
        async with visiting(url) as page:
            await expect(page.get_by_role("heading")).to_have_text("Are you ready?")
            await page.reload()
            await page.get_by_role("button", name="I am ready").click()
            await expect(page.get_by_role("heading")).to_have_text("What do you see?")
            await answer(page, ANSWER)
        await launch.end()
    *onboardings, unit = launch.stored()
    judged = [(one.kind, one.worker_id, one.counted, data_of(one)) for one in onboardings]
    assert judged == [("onboarding", "bob", False, {"ready": False}), ("onboarding", "ann", True, {"ready": True})]
    assert (unit.kind, unit.worker_id, unit.counted, data_of(unit)) == ("unit", "ann", True, {"text": ANSWER})


async def test_a_worker_for_whom_there_is_nothing_reads_why(
    home: Path, write_page_task: WriteTask, visiting: Visit
) -> None:
    async with launched(home, write_page_task("static", ONE)) as launch:
        url = await launch.url()
        async with visiting(url) as page:
            await agent_of(page)
            async with visiting(url, "bob") as other:
                await expect(other.get_by_role("alert")).to_contain_text("Others are working on all that is left")
            await answer(page, ANSWER)
        await launch.end()


async def test_an_opinion_is_kept_and_what_breaks_in_a_page_is_told(
    home: Path, write_page_task: WriteTask, visiting: Visit
) -> None:
    async with launched(home, write_page_task("static", ONE)) as launch:
        async with visiting(await launch.url(), "ann", "the page broke, as it was told to") as page:
            agent = await agent_of(page)
            await page.get_by_role("button", name="Send an opinion").click()
            await expect(page.get_by_label("Opinion")).to_have_text("Submitted metadata")
            await page.get_by_role("button", name="Break").click()
            await expect(page.get_by_role("heading")).to_have_text("Oops! Something went wrong.")
            await soon(lambda: launch.watcher.said(f"a page of agent {agent} reports an error"))
            await page.reload()
            await answer(page, ANSWER)
        await launch.end()
    assert launch.watcher.said("the page broke, as it was told to")
    assert [(one.kind, data_of(one)) for one in launch.stored()] == [
        ("metadata", {"opinion": {"type": "opinion", "stars": 4}}),
        ("unit", {"text": ANSWER}),
    ]


async def test_a_page_as_mephistos_own_scripts_build_it_works_under_a_policy_that_allows_it(
    home: Path, write_page_task: WriteTask, visiting: Visit
) -> None:
    task = write_page_task("static", ONE, architect={"content_security_policy": MEPHISTO_POLICY})
    rebuild_as_mephisto_does(task.parent / "static")
    async with launched(home, task) as launch:
        async with visiting(await launch.url()) as page:
            await expect(page.locator("#app")).to_have_css("overflow", "hidden")
            await answer(page, ANSWER)
        await launch.end()
    assert [data_of(one) for one in launch.stored()] == [{"text": ANSWER}]
