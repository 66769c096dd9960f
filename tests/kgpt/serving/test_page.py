"""The page at `/`, in a real browser."""

from __future__ import annotations

import pytest
from chromium import needs_chromium, opened_page
from served import served
from tiny import TEXT

from kgpt.inference.generation import load_generator
from kgpt.serving.http import create_app
from kgpt.serving.service import Limits

pytestmark = needs_chromium
WRITE_AND_STOP = """() => {
    const stop = (changes, observer) => { observer.disconnect(); document.querySelector("#stop").click(); };
    const what = { childList: true, subtree: true, characterData: true };
    new MutationObserver(stop).observe(document.querySelector("#text"), what);
    document.querySelector("#write").click();
}"""
"""Stops with the first text: a tiny model would be done before a hand could."""


@pytest.fixture(scope="module")
def url(tiny_run):
    generator = load_generator(tiny_run, decoder="litert")
    with served(create_app(generator, "tiny", Limits(max_tokens=10**6), "secret")) as address:
        yield address


@pytest.fixture
async def page(url):
    async with opened_page() as opened:
        await opened.goto(url)
        yield opened


async def test_a_prompt_is_continued(page):
    assert await page.text_content("#title") in ("kgpt: tiny", "kgpt")
    await page.fill("#prompt", TEXT[:10])
    await page.fill("#temperature", "0")
    await page.fill("#key", "secret")
    await page.click("#write")
    await page.wait_for_selector("#state:has-text('a second')")
    assert await page.text_content("#text") == TEXT
    assert (await page.text_content("#state")).startswith(f"{len(TEXT[10:].encode()) + 1} tokens")
    assert page.problems == []


async def test_a_refusal_is_shown(page):
    await page.fill("#prompt", "a")
    await page.click("#write")
    await page.wait_for_selector("#state.wrong")
    assert "key" in await page.text_content("#state")


async def test_writing_can_be_stopped(page):
    await page.fill("#prompt", "a")
    await page.fill("#temperature", "30")
    await page.fill("#max_tokens", "100000")
    await page.fill("#key", "secret")
    for _ in range(20):  # the end of the text may come by chance
        await page.evaluate(WRITE_AND_STOP)
        await page.wait_for_selector("#write:not([disabled])")
        if await page.text_content("#state") == "Stopped.":
            return
    pytest.fail("It was never stopped.")
