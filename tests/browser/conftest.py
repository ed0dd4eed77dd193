"""A real Chromium for the tests of pages. Where there is none they are skipped."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright

from ..tools import chromium
from .scripted_router import ScriptedRouter

EXAMPLES = Path(__file__).parents[2] / "examples"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

NewPage = Callable[..., Awaitable[Page]]
Serve = Callable[..., Awaitable[ScriptedRouter]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One for all tests; each test has contexts of its own."""
    executable = chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def new_page(browser: Browser) -> AsyncIterator[NewPage]:
    """Opens a page in a browser profile of its own. At the end it fails the test for what the console complained of.

    Only what the browser itself says of a broken network is forgiven.
    """
    complaints: list[str] = []
    forgiven = ("net::ERR", "WebSocket connection", "the server responded with a status of")

    async def open_page(url: str, **settings: Any) -> Page:
        context = await contexts.enter_async_context(await browser.new_context(**settings))
        page = await context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: dialog.accept())
        await page.goto(url)
        return page

    async with AsyncExitStack() as contexts:
        yield open_page
    assert [said for said in complaints if not any(part in said for part in forgiven)] == []


@pytest_asyncio.fixture(loop_scope="session")
async def serve() -> AsyncIterator[Serve]:
    """Serves an example, or another directory that has a static one, from a scripted router."""
    async with AsyncExitStack() as routers:

        async def start(example: str | Path, units: list[Any], **settings: Any) -> ScriptedRouter:
            router = ScriptedRouter(EXAMPLES / example / "static", units, **settings)
            return await routers.enter_async_context(router)

        yield start


def load_hook() -> ModuleType:
    """The chat example's hook file, as the launcher loads it: by its path."""
    specification = importlib.util.spec_from_file_location("chat_example", EXAMPLES / "chat" / "chat.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module
