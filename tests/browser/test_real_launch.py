"""The examples launched for real: launcher, router process, ledger, and a Chromium for each worker."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from falsework.engine.config import load_task_file
from falsework.engine.launch.launcher import Outcome, TaskLauncher
from falsework.engine.ledger.ledger import Ledger
from falsework.engine.lifecycle.states import State
from falsework.engine.report import Reporter
from falsework.engine.work.submissions import Submission, read
from playwright.async_api import expect

from .conftest import EXAMPLES, NewPage

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]


class Listener(Reporter):
    """Waits for the URL."""

    def __init__(self) -> None:
        self.url: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def published(self, url: str) -> None:
        self.url.set_result(url)


class Launch:
    """One launch under way."""

    def __init__(self, url: str, work: asyncio.Task[Outcome]) -> None:
        self.url, self._work = url, work

    async def end(self) -> list[Submission]:
        """Wait until the run has ended by itself; returns what it stored."""
        async with asyncio.timeout(30):
            outcome = await self._work
        assert outcome.state is State.SHUT_DOWN
        return list(read(outcome.directory))


@asynccontextmanager
async def launched(example: str, home: Path, *overrides: str, units: int = 1) -> AsyncIterator[Launch]:
    """The example with its first units only."""
    task = home / example
    shutil.copytree(EXAMPLES / example, task)
    lines = (task / "units.jsonl").read_text().splitlines(keepends=True)
    (task / "units.jsonl").write_text("".join(lines[:units]))
    listener = Listener()
    ledger = Ledger.at(home / "ledger.db")
    launcher = TaskLauncher(load_task_file(task, overrides), ledger, reporter=listener)
    work = asyncio.create_task(launcher.launch())
    try:
        work.add_done_callback(lambda _: listener.url.cancel())
        try:
            url = await listener.url
        except asyncio.CancelledError:
            await work  # says why it ended before it was open for work
            raise
        yield Launch(url, work)
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        await ledger.close()


@pytest.mark.decisive
async def test_captions_arrive_as_they_were_typed_with_their_file(
    home: Path, new_page: NewPage, tmp_path: Path
) -> None:
    photo = tmp_path / "ein Foto.png"
    photo.write_bytes(bytes(range(256)) * 1000)
    async with launched("caption", home, "task.assignments_per_unit=1", units=2) as launch:
        page = await new_page(launch.url)
        await page.get_by_role("textbox").fill("Ein Leuchtturm – «hell»\nund weit.")
        await page.reload()
        await expect(page.get_by_role("textbox")).to_have_value("Ein Leuchtturm – «hell»\nund weit.")
        await page.get_by_label("A photo of something similar").set_input_files(photo)
        await page.get_by_role("button", name="Submit").click()
        await expect(page.get_by_role("status")).to_have_text("Saved. Here is the next one.")
        await page.get_by_role("textbox").fill("A camp by the lake.")
        await page.get_by_role("button", name="Submit").click()
        await expect(page.get_by_role("status")).to_contain_text("Thank you")
        first, second = await launch.end()
    answer = msgspec.json.decode(first.data)
    assert answer["text"] == "Ein Leuchtturm – «hell»\nund weit."
    assert [(file.field, file.name, file.size) for file in first.files] == [("attachment", photo.name, 256_000)]
    assert msgspec.json.decode(second.data) == {"text": "A camp by the lake."}
    assert first.worker_id == second.worker_id
    assert (first.unit, second.unit) == (0, 1)


async def test_two_people_talk_through_the_launcher(home: Path, new_page: NewPage) -> None:
    async with launched("chat", home) as launch:
        pages = [await new_page(launch.url) for _ in range(2)]
        for page in pages:
            await expect(page.get_by_role("button", name="Send")).to_be_enabled()
        for page, text in zip(pages, ("Hello", "Hello yourself"), strict=True):
            await page.get_by_role("textbox", name="Your message").fill(text)
            await page.keyboard.press("Enter")
            await expect(pages[0].get_by_role("log")).to_contain_text(text)
        for page in pages:
            await expect(page.get_by_role("log").get_by_role("listitem")).to_have_count(2)
            await page.get_by_role("button", name="Finish").click()
            await page.get_by_label("Very well").check()
        for page in pages:
            await page.get_by_role("button", name="Hand in").click()
        submissions = await launch.end()
    answers = [msgspec.json.decode(submission.data) for submission in submissions]
    assert [answer["rating"] for answer in answers] == [5, 5]
    transcripts = {tuple((said["from"], said["text"]) for said in answer["transcript"]) for answer in answers}
    assert transcripts == {
        (("me", "Hello"), ("partner", "Hello yourself")),
        (("partner", "Hello"), ("me", "Hello yourself")),
    }
