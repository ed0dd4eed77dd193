"""A worker's visit to a page in a real browser, which nothing may complain about: not the page, not the browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, ConsoleMessage, Page, expect

PATIENCE = 15_000
"""Milliseconds that anything expected may take to come."""
SUBMITTED = "Submitted"
"""What the client says on the console once the router has answered that the work is handed in."""
OF_THE_PACKAGE = "Version mismatch detected!"
"""What the client says of itself whoever serves it: its package is 2.0.4, and the bundle inside says 2.0.3."""


@asynccontextmanager
async def visit(browser: Browser, url: str, *expected: str, clock: str | None = None) -> AsyncIterator[Page]:
    """A page in a browser profile of its own, with a `clock` of its own if that is set to a time.

    When it is left, every error and warning on its console must be one of the `expected`, and each of these must have
    come. A refusal by the page's Content-Security-Policy is an error, and what the page throws.
    """
    complaints: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    async with await browser.new_context() as context:
        page = await context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("console", listen)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        if clock is not None:
            await page.clock.install(time=clock)
        try:
            await page.goto(url)
            yield page
        except BaseException as error:
            error.add_note(f"the console of {url} said: {complaints}")
            raise
    unexpected = _not_among(complaints, (*expected, OF_THE_PACKAGE))
    missing = [words for words in expected if not any(words in complaint for complaint in complaints)]
    if unexpected or missing:
        raise AssertionError(f"the console of {url} said {unexpected}, and did not say {missing}")


async def agent_of(page: Page) -> str:
    """The agent that the page was given."""
    shown = page.get_by_label("Agent")
    await expect(shown).not_to_be_empty()
    return await shown.inner_text()


async def hand_in(page: Page, button: str) -> None:
    """Press the button, and wait until the client says that its work is handed in."""
    async with page.expect_console_message(lambda message: message.text == SUBMITTED):
        await page.get_by_role("button", name=button, exact=True).click()


def _not_among(complaints: list[str], expected: tuple[str, ...]) -> list[str]:
    return [complaint for complaint in complaints if not any(words in complaint for words in expected)]
