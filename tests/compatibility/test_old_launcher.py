"""A launcher that knows only Mephisto's packets: an open router serves its workers for it, any other refuses it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import expect

from ..engine.serving import soon
from ..router.router_process import ROUTERS, RouterProcess
from .conftest import Visit
from .mephisto_launcher import attached, refusal_of
from .visits import agent_of, hand_in

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

BAD_TOKEN = 4401
TASK_CONFIG = '{"mephisto_task_version": "2.0.4", "block_mobile": false, "hint": "as Mephisto writes it"}'
UNIT = {"text": "What do you see?"}
TOPIC = {"topic": "lighthouses"}

Start = Callable[..., RouterProcess]


@pytest.fixture
def start_router(router: str, pages: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts a router that serves a page, open to any launcher."""
    (command,) = (command for command in ROUTERS if command.name == router)
    with ExitStack() as routers:

        def start(page: str, *, is_open: bool = True) -> RouterProcess:
            files = {path.name: path.read_text() for path in (pages / page).iterdir()}
            files["task_config.json"] = TASK_CONFIG
            process = RouterProcess(command, tmp_path, (), files, is_open=is_open)
            (process.static / "wrap_crowd_source.js").unlink()  # the router has one of its own
            routers.callback(process.end)
            process.start()
            return process

        yield start


def address(router: RouterProcess) -> str:
    return f"http://127.0.0.1:{router.port}"


async def test_an_old_launcher_gets_the_work_of_a_static_page_with_its_files(
    start_router: Start, visiting: Visit, tmp_path: Path
) -> None:
    photo = tmp_path / "ein Foto.png"
    photo.write_bytes(bytes(range(256)) * 1000)
    router = start_router("static")
    async with attached(router.port, UNIT) as launcher, visiting(address(router)) as page:
        await expect(page.get_by_role("heading")).to_have_text("What do you see?")
        agent = await agent_of(page)
        await page.reload()
        assert await agent_of(page) == agent
        await page.get_by_role("button", name="Send an opinion").click()
        metadata = await launcher.hear("submit_metadata")
        await page.get_by_label("Title").fill("Ein Foto")
        await page.get_by_label("Photos").set_input_files(photo)
        await page.get_by_role("button", name="Submit with files").click()
        await expect(page.get_by_label("Upload")).to_have_text("Submitted!")
        work = await launcher.hear("submit_unit")
        uploaded = next(file for file in work["data"]["files"] if file["fieldname"] == "photos")
        async with aiohttp.request("GET", f"{address(router)}/download_file/{uploaded['filename']}") as answer:
            assert await answer.read() == photo.read_bytes()
    assert (work["subject_id"], work["data"]["title"]) == (agent, "Ein Foto")
    assert (uploaded["originalname"], uploaded["size"]) == ("ein Foto.png", photo.stat().st_size)
    assert work["data"]["filesByFields"]["photos"][0]["filename"] == uploaded["filename"]
    assert metadata["data"]["opinion"] == {"type": "opinion", "stars": 4}


async def test_an_old_launcher_talks_with_a_live_page(start_router: Start, visiting: Visit) -> None:
    router = start_router("live")
    async with attached(router.port, TOPIC) as launcher, visiting(address(router)) as page:
        agent = await agent_of(page)
        await expect(page.get_by_label("Status")).to_have_text("in task")
        await launcher.send("client_bound_live_update", agent, {"text": "Talk!", "update_id": "1"})
        await expect(page.get_by_role("listitem")).to_have_text(["Talk!"])
        await page.get_by_label("Message").fill("They are tall.")
        await page.get_by_role("button", name="Send").click()
        assert (await launcher.hear("mephisto_bound_live_update"))["data"]["text"] == "They are tall."
        assert await launcher.statuses() == {agent: "in task"}
        await launcher.send("update_status", agent, {"status": "partner disconnect"})
        await expect(page.get_by_label("Status")).to_have_text("partner disconnect")
        await hand_in(page, "Hand in")
        work = await launcher.hear("submit_unit")
        assert (work["subject_id"], work["data"]["heard"]) == (agent, ["Talk!"])


async def test_an_old_launcher_onboards_a_worker(start_router: Start, visiting: Visit) -> None:
    router = start_router("static")
    async with attached(router.port, UNIT, onboards=True) as launcher, visiting(address(router)) as page:
        await page.get_by_role("button", name="I am ready").click()
        onboarding = await launcher.hear("submit_onboarding")
        assert await agent_of(page) == "agent-of-the-unit"
        assert (onboarding["subject_id"], onboarding["data"]["onboarding_data"]) == ("onboarding-1", {"ready": True})


async def test_an_old_launcher_that_comes_back_gets_what_was_handed_in_meanwhile_once(
    start_router: Start, visiting: Visit
) -> None:
    router = start_router("static")
    async with visiting(address(router)) as page:
        async with attached(router.port, UNIT):
            await page.get_by_label("Answer").fill("while you were away")
        await hand_in(page, "Submit")
        async with attached(router.port, UNIT, again=True) as launcher:
            work = await launcher.hear("submit_unit")
            await launcher.statuses()
            assert not launcher.has_heard("submit_unit")
    assert work["data"]["text"] == "while you were away"


async def test_a_worker_who_came_before_the_old_launcher_is_served_when_it_comes(
    start_router: Start, visiting: Visit
) -> None:
    router = start_router("static")
    async with visiting(address(router)) as page:
        await expect(page.get_by_text("Loading")).to_be_visible()
        async with attached(router.port, UNIT) as launcher:
            await expect(page.get_by_role("heading")).to_have_text("What do you see?")
            await launcher.hear("register_agent")
            await launcher.statuses()
            assert not launcher.has_heard("register_agent")


async def test_an_old_launcher_is_refused_by_a_router_that_has_a_token(start_router: Start) -> None:
    router = start_router("static", is_open=False)
    assert await refusal_of(router.port) == BAD_TOKEN
    async with aiohttp.request("GET", f"{address(router)}/download_file/anything") as answer:
        assert answer.status == 401
    await soon(lambda: "refused a launcher" in router.said())
