"""The question example, and what must be right about every example's page."""

from __future__ import annotations

import json
import re

import pytest
from playwright.async_api import expect

from .conftest import EXAMPLES, NewPage, Serve

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

NAMES = ["question", "caption", "chat"]
PHONE = {"viewport": {"width": 360, "height": 640}, "has_touch": True, "is_mobile": True}

UNLABELLED = """() => [...document.querySelectorAll('input, textarea, select')]
    .filter(field => ![...field.labels].some(label => label.textContent.trim())).map(field => field.outerHTML)"""
OVERFLOWING = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
UNFOCUSED = """() => { const style = getComputedStyle(document.activeElement)
    return document.activeElement === document.body || (style.outlineStyle === 'none' && style.boxShadow === 'none') }"""
TEXT_CONTRASTS = """() => {
    const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true })
    const rgba = colour => {
        canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1)
        return [...canvas.getImageData(0, 0, 1, 1).data] }
    const light = ([r, g, b]) => [r, g, b].map(part => part / 255)
        .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
        .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0)
    const ground = element => {
        const colour = rgba(getComputedStyle(element).backgroundColor)
        return colour[3] || !element.parentElement ? colour : ground(element.parentElement) }
    return [...document.body.querySelectorAll('*')]
        .filter(element => [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim()))
        .filter(element => element.checkVisibility() && !element.matches(':disabled, .unseen'))
        .map(element => {
            const [front, back] = [light(rgba(getComputedStyle(element).color)), light(ground(element))]
            return [element.textContent.trim(), (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05)] })
        .filter(([, contrast]) => contrast < 4.5) }"""


def units_of(example: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (EXAMPLES / example / "units.jsonl").read_text().splitlines()]


@pytest.mark.decisive
async def test_a_question_is_answered_by_keyboard_alone(serve: Serve, new_page: NewPage) -> None:
    units = units_of("question")[:2]
    router = await serve("question", units)
    page = await new_page(router.url)
    for unit in units:
        await expect(page.get_by_role("textbox", name=unit["question"])).to_be_focused()
        await page.keyboard.type(f"About: {unit['question']}")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_have_text("There is nothing left to do. Thank you.")
    assert [handed.answer["answer"] for handed in router.submissions] == [f"About: {u['question']}" for u in units]


@pytest.mark.parametrize("example", NAMES)
async def test_the_page_has_its_language_title_labels_and_status_line(
    example: str, serve: Serve, new_page: NewPage
) -> None:
    router = await serve(example, units_of(example), live=example == "chat")
    page = await new_page(router.url)
    await expect(page.locator("html")).to_have_attribute("data-falsework", "working")
    await expect(page).to_have_title(re.compile(r"\w+ \w+"))
    assert await page.locator("html").get_attribute("lang") == "en"
    assert await page.evaluate(UNLABELLED) == []
    await expect(page.locator("h1")).to_have_count(1)
    await expect(page.locator("main")).to_have_count(1)
    await expect(page.locator("#falsework-status")).to_have_attribute("aria-live", "polite")
    assert await page.locator("img:not([alt])").count() == 0


@pytest.mark.parametrize("example", NAMES)
async def test_every_stop_of_the_tab_key_shows_its_focus(example: str, serve: Serve, new_page: NewPage) -> None:
    router = await serve(example, units_of(example), live=example == "chat")
    page = await new_page(router.url)
    await expect(page.locator("html")).to_have_attribute("data-falsework", "working")
    stops = await page.locator(
        "button:visible:enabled, input:visible, textarea:visible, [tabindex='0']:visible"
    ).count()
    assert stops >= 2
    await page.mouse.click(1, 1)
    for _ in range(stops):
        await page.keyboard.press("Tab")
        assert not await page.evaluate(UNFOCUSED)


@pytest.mark.parametrize("example", NAMES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_text_has_contrast_enough_in_both_colour_schemes(
    example: str, scheme: str, serve: Serve, new_page: NewPage
) -> None:
    router = await serve(example, units_of(example), live=example == "chat")
    page = await new_page(router.url, color_scheme=scheme)
    await expect(page.locator("html")).to_have_attribute("data-falsework", "working")
    assert await page.evaluate(TEXT_CONTRASTS) == []
    for tone in ("busy", "good", "bad", "plain"):
        await page.evaluate(
            "tone => Object.assign(document.querySelector('#falsework-status'), { textContent: 'Hear' }).dataset.tone = tone",
            tone,
        )
        assert await page.evaluate(TEXT_CONTRASTS) == []


@pytest.mark.parametrize("example", NAMES)
async def test_a_phone_never_scrolls_sideways(example: str, serve: Serve, new_page: NewPage) -> None:
    router = await serve(example, units_of(example), live=example == "chat")
    page = await new_page(router.url, **PHONE)
    await expect(page.locator("html")).to_have_attribute("data-falsework", "working")
    assert await page.evaluate(OVERFLOWING) <= 0
    await page.evaluate("document.querySelectorAll('[hidden]').forEach(element => element.hidden = false)")
    await page.evaluate("document.querySelector('#falsework-status').textContent = 'Not saved yet: '.repeat(20)")
    assert await page.evaluate(OVERFLOWING) <= 0
