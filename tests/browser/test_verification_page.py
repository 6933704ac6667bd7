"""The console's page of how good the warnings were, in a real Chromium."""

import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import expect

from tests.browser.seat import Seat, all_words, chromium, seated
from tests.scene import HOUR, START, Scene
from tests.website import website

WET = "beijing-aotizhongxin"


@pytest.fixture
async def seat(database: str) -> AsyncIterator[Seat]:
    scene = Scene(database)
    await scene.open()
    await scene.storm(40)
    await scene.warn(WET, "blue", at=START + 20 * HOUR)
    await scene.warn(WET, "yellow", at=START + 26 * HOUR)
    await scene.warn("beijing-huairou", "red", at=START + 20 * HOUR)
    await scene.warn("beijing-huairou", None, at=START + 22 * HOUR)
    async with (
        website(scene.url) as site,
        chromium() as browser,
        seated(browser, site, scene) as seat,
    ):
        yield seat


async def test_the_page_says_what_was_warned_of_and_what_was_not(seat: Seat) -> None:
    page = seat.page
    await seat.sit()
    await page.get_by_role("link", name="Verification").click()
    table = page.get_by_test_id("scores")
    await expect(table.locator("tbody tr")).to_have_count(4)  # red was said, and never came
    blue = table.locator("tbody tr").first
    await expect(blue).to_contain_text("Rainstorm")
    answer = await seat.site.get("/api/v1/verification")
    row = answer["levels"][0]
    cells = await blue.locator("td.number").all_text_contents()
    keys = ("events", "before", "during", "missed", "warnings", "false_alarms")
    assert [int(text) for text in cells[:6]] == [row[key] for key in keys]
    assert row["before"] >= 1
    assert row["missed"] >= 1
    await expect(page.get_by_test_id("events").locator("tbody tr.missed").first).to_be_visible()
    await expect(page.get_by_test_id("false").locator("tbody tr").first).to_be_visible()
    await all_words(page, "en")
    await page.locator(".language").click()
    await all_words(page, "zh")
    await expect(blue).to_contain_text("暴雨")
    # The address remembers the page, the other one is a click away.
    assert page.url.endswith("#verification")
    await page.reload()
    await expect(table.locator("tbody tr")).to_have_count(4)
    await page.get_by_role("link", name="实况").click()
    await expect(page.get_by_test_id("running")).to_be_visible()
    assert not seat.complaints


async def test_periods_screens_and_everybody(seat: Seat) -> None:
    page = seat.page
    await seat.sit("/console#verification")
    table = page.get_by_test_id("scores")
    await expect(table).to_be_visible()
    assert not await seat.violations()
    async with page.expect_response(re.compile("/api/v1/verification")) as asked:
        await page.get_by_label("Period").select_option("31")
    assert (await asked.value).ok
    await expect(table).to_be_visible()
    for width in (820, 420):
        await page.set_viewport_size({"width": width, "height": 900})
        wider = await page.evaluate(
            "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wider <= 0
    assert not seat.complaints
