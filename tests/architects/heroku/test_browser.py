"""A worker with a real browser, whose page and whose files go through Heroku."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright, expect

from ...browser.conftest import FLAGS
from ...engine.launching import EXAMPLES, launched
from ...platforms.heroku import HerokuPlatform
from ...tools import chromium
from .trials import installed, platform  # noqa: F401

# ruff: noqa: F811  (pytest's fixtures)

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.usefixtures("installed")]


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    executable = chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield await browser.new_page()
        await browser.close()


async def test_a_caption_and_its_photo_arrive_as_they_were_handed_in(
    home: Path, tmp_path: Path, platform: HerokuPlatform, page: Page
) -> None:
    task = tmp_path / "caption"
    shutil.copytree(EXAMPLES / "caption", task)
    (task / "units.jsonl").write_text((task / "units.jsonl").read_text().splitlines()[0] + "\n")
    photo = tmp_path / "ein Foto.png"
    photo.write_bytes(bytes(range(256)) * 1000)
    async with launched(home, task, "task.assignments_per_unit=1", "architect.type=heroku") as launch:
        await page.goto(await launch.url())
        await page.get_by_role("textbox").fill("Ein Leuchtturm")
        await page.get_by_label("A photo of something similar").set_input_files(photo)
        await page.get_by_role("button", name="Submit").click()
        await expect(page.get_by_role("status")).to_contain_text("Thank you")
        await launch.end()
        (stored,) = launch.stored()
        assert b"Ein Leuchtturm" in bytes(stored.data)
        assert photo.read_bytes() in [
            path.read_bytes() for path in launch.watcher.directory.rglob("*") if path.is_file()
        ]
    assert not platform.apps
