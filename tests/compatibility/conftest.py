"""Real peers: unmodified pages of Mephisto's client in a Chromium, and a launcher that knows only Mephisto's packets.

Where npm or a Chromium is missing these tests are skipped.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from falsework.architects.shipping.node_binary import Node, NodeMissing, find_node
from falsework.architects.shipping.node_dependencies import PLACE
from playwright.async_api import Browser, Page, async_playwright, expect

from ..browser.conftest import FLAGS
from ..engine.launching import write_task
from ..router.router_process import install_what_node_needs
from ..tools import chromium, missing
from .bundled_pages import Unavailable, bundle, installed_packages
from .visits import PATIENCE, visit

ROUTERS = ("python", "node")
"""By the names that `architect.router` gives them. Everything here works on each."""

Visit = Callable[..., AbstractAsyncContextManager[Page]]
WriteTask = Callable[..., Path]


@pytest.fixture(scope="session")
def node() -> Node:
    """The Node that runs routers. What the one in the tree depends on is installed there."""
    try:
        found = find_node()
    except NodeMissing:
        missing("node")
    install_what_node_needs()
    return found


@pytest.fixture(params=ROUTERS)
def router(request: pytest.FixtureRequest) -> str:
    """The name of a router that runs here."""
    name: str = request.param
    if name == "node":
        request.getfixturevalue("node")
    return name


@pytest.fixture
def home(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A test's own; but what Node routers depend on is installed by the first launch for all of them."""
    shared = tmp_path_factory.getbasetemp() / PLACE
    shared.mkdir(mode=0o700, exist_ok=True)
    (home / PLACE).symlink_to(shared)
    return home


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a static directory for each page."""
    directory = tmp_path_factory.mktemp("pages") / "bundled"
    try:
        bundle(installed_packages(), directory)
    except Unavailable as error:
        missing("built pages", str(error))
    return directory


@pytest.fixture
def write_page_task(pages: Path, tmp_path: Path, router: str) -> WriteTask:
    """Write a task of one of the pages; the rest is said as to `write_task`."""

    def write(page: str, units: list[Any], *, architect: dict[str, Any] | None = None, **sections: Any) -> Path:
        chosen = {"type": "local", "router": router, **(architect or {})}
        task = write_task(tmp_path / "task", units, architect=chosen, **sections)
        shutil.copytree(pages / page, tmp_path / "task" / "static", dirs_exist_ok=True)
        return task

    return write


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One for all tests; each visit has a context of its own."""
    executable = chromium()
    expect.set_options(timeout=PATIENCE)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture
def opening(browser: Browser) -> Visit:
    """Opens an address."""
    return partial(visit, browser)


@pytest.fixture
def visiting(browser: Browser) -> Visit:
    """Opens a page as a worker who came by a link of their own."""

    def open_page(
        url: str, worker: str = "ann", *expected: str, clock: str | None = None
    ) -> AbstractAsyncContextManager[Page]:
        return visit(browser, f"{url}/?worker_id={worker}&assignment_id={worker}-1", *expected, clock=clock)

    return open_page
