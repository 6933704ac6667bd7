"""The console in a real Chromium, over the real application and a real database."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import expect

from tests.browser.seat import Seat, all_words, chromium, seated
from tests.scene import HOUR, START, Scene
from tests.website import website

STATION = "beijing-aotizhongxin"
SILENT = "beijing-dingling"


@pytest.fixture(params=["zh-CN", "en-GB"])
def locale(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def scene(database: str) -> Scene:
    scene = Scene(database)
    await scene.open()
    await scene.storm(30, without=[SILENT])
    await scene.warn(STATION, "blue", at=START + 20 * HOUR)
    await scene.warn(STATION, "orange", at=START + 28 * HOUR, value=74.9)
    return scene


@pytest.fixture
async def seat(scene: Scene, locale: str) -> AsyncIterator[Seat]:
    async with (
        website(scene.url) as site,
        chromium() as browser,
        seated(browser, site, scene, locale=locale) as seat,
    ):
        yield seat


english = pytest.mark.parametrize("locale", ["en-GB"], indirect=True)


@english
async def test_the_map_draws_stations_regions_and_levels(seat: Seat) -> None:
    await seat.sit()
    stations = await seat.features("stations")
    assert {item["properties"]["name"] for item in stations} == set(seat.scene.names)
    wet = next(item for item in stations if item["properties"]["name"] == STATION)
    assert wet["state"]["rain_1h"] > 0
    assert wet["state"]["stale"] is False
    silent = next(item for item in stations if item["properties"]["name"] == SILENT)
    assert silent["state"]["stale"] is True
    assert await seat.features("labels")
    warned = [item for item in await seat.features("regions") if "level" in item["properties"]]
    assert {item["properties"]["level"] for item in warned} == {"orange"}
    assert await seat.features("badges")
    # What a person sees is not one dark plane: the canvas has many colours.
    colours = await seat.page.evaluate(
        """() => new Promise((tell) => {
          const map = document.querySelector("[data-testid=map]").weatherMap;
          map.once("render", () => {
            const gl = map.getCanvas().getContext("webgl2");
            const data = new Uint8Array(gl.drawingBufferWidth * gl.drawingBufferHeight * 4);
            gl.readPixels(0, 0, gl.drawingBufferWidth, gl.drawingBufferHeight,
                          gl.RGBA, gl.UNSIGNED_BYTE, data);
            tell(new Set(new Uint32Array(data.buffer)).size);
          });
          map.triggerRepaint();
        })"""
    )
    assert colours > 20
    assert not seat.complaints
    assert all(url.startswith((seat.site.address, "blob:", "data:")) for url in seat.asked)


@english
async def test_warnings_readings_and_messages_come_by_themselves(seat: Seat) -> None:
    await seat.sit()
    running = seat.page.get_by_test_id("running").locator("> li")
    await expect(running).to_have_count(1)
    phone = seat.page.get_by_test_id("phone")
    before = await phone.locator("article").count()

    await seat.scene.warn("beijing-huairou", "yellow", at=START + 30 * HOUR, value=66.6)
    await expect(running).to_have_count(2)
    await expect(running.nth(1)).to_contain_text("Yellow rainstorm")
    await expect(running.nth(1)).to_contain_text("Huairou: Precipitation 66.6 mm in 6\u00a0h")
    await expect(seat.page.locator("[aria-live=polite]")).to_contain_text("Huairou")
    await expect(phone.locator("article")).to_have_count(before + 3)
    await expect(phone).to_contain_text("EXERCISE: nothing leaves this machine")

    await seat.scene.report({STATION: {"precipitation_amount": 42.5}}, time=START + 31 * HOUR)
    await expect(seat.page.get_by_test_id("clock")).to_contain_text("2016-07-20 15:00")
    await seat.page.wait_for_function(
        """() => {
          const map = document.querySelector("[data-testid=map]").weatherMap;
          return map.getFeatureState({ source: "stations", id: 1 }).rain_1h === 42.5;
        }"""
    )

    await seat.scene.warn(STATION, None, at=START + 34 * HOUR)
    await expect(running).to_have_count(1)
    await expect(seat.page.get_by_test_id("ended").locator("> li")).to_have_count(1)
    assert not seat.complaints


@english
async def test_the_phone_of_one_place(seat: Seat) -> None:
    await seat.scene.warn("beijing-huairou", "yellow", at=START + 30 * HOUR)
    await seat.sit()
    await seat.page.get_by_label("Recipient").select_option("region beijing-huairou")
    texts = seat.page.get_by_test_id("phone").locator("article")
    await expect(texts).to_have_count(3)
    ((body,),) = await seat.scene.execute(
        "SELECT script.body FROM delivery JOIN message ON message.id = delivery.message"
        " JOIN script ON script.message = message.id AND script.channel = delivery.way"
        " AND script.language = delivery.language"
        " WHERE message.level = 'yellow' AND delivery.tier = 'public'"
    )
    await expect(texts.last).to_contain_text(body)


async def test_every_word_is_there_in_the_language_of_the_browser(seat: Seat, locale: str) -> None:
    await seat.sit()
    await seat.page.locator(".picker select").select_option(SILENT)
    await expect(seat.page.get_by_test_id("series")).to_be_visible()
    language = locale[:2]
    await all_words(seat.page, language)
    await seat.page.locator(".language").click()
    language = "en" if language == "zh" else "zh"
    await all_words(seat.page, language)
    await seat.page.reload()
    await all_words(seat.page, language)
    assert not seat.complaints


@english
async def test_a_station_shows_its_series_its_gap_and_its_silence(seat: Seat) -> None:
    await seat.scene.report({SILENT: {"precipitation_amount": 3.0}}, time=START + 27 * HOUR)
    await seat.sit()
    await seat.page.locator(".picker select").select_option(SILENT)
    series = seat.page.get_by_test_id("series")
    await expect(series).to_contain_text("no new reading for")
    await expect(series).to_contain_text("07-20 11:00")
    await expect(series.locator("canvas")).to_have_count(2)
    await seat.page.get_by_label("72").check()
    await expect(series).to_contain_text("3.0")
    await seat.page.locator(".picker select").select_option(STATION)
    await expect(series).not_to_contain_text("no new reading")
    await series.get_by_role("button", name="Close").click()
    await expect(series).to_have_count(0)


@english
async def test_it_says_when_the_line_is_broken_and_catches_up(scene: Scene, locale: str) -> None:
    async with chromium() as browser, await browser.new_context(locale=locale) as context:
        page = await context.new_page()
        async with website(scene.url) as site:
            port = int(site.address.rpartition(":")[2])
            await Seat(page, site, scene).sit()
        link = page.get_by_test_id("link")
        await expect(link).to_contain_text("Connection lost, reconnecting since")
        await scene.warn("beijing-huairou", "red", at=START + 30 * HOUR)
        async with website(scene.url, port=port):
            await expect(link).to_contain_text("Live", timeout=15_000)
            running = page.get_by_test_id("running").locator("> li")
            await expect(running.first).to_contain_text("Red rainstorm")


@english
async def test_hands_on_the_keyboard_reach_everything(seat: Seat) -> None:
    await seat.sit()
    order = []
    for _ in range(30):
        await seat.page.keyboard.press("Tab")
        order.append(
            await seat.page.evaluate(
                """() => {
                  const e = document.activeElement;
                  const seen = getComputedStyle(e).outlineStyle !== "none"
                    || getComputedStyle(e.parentElement).outlineStyle !== "none";
                  return [`${e.tagName} ${e.name} ${e.className}`, seen];
                }"""
            )
        )
    names = [name for name, _ in order]
    assert "skip" in names[0]
    for wanted in ("language", "head", "scale", "SELECT"):
        assert any(wanted in name for name in names), (wanted, names)
    unseen = [name for name, seen in order if not seen and not name.startswith("BODY")]
    assert not unseen
    await seat.page.locator("input[name=scale]").first.focus()
    await seat.page.keyboard.press("ArrowRight")
    await expect(seat.page.get_by_label("Rain 3")).to_be_checked()


@english
@pytest.mark.parametrize("path", ["/console", "/?lang=zh"])
async def test_nobody_is_shut_out(seat: Seat, path: str) -> None:
    """Contrast, labels, roles: what axe finds."""
    page = seat.page
    if path == "/console":
        await seat.sit()
        await page.locator(".picker select").select_option(SILENT)
        await expect(page.get_by_test_id("series").locator("canvas")).to_have_count(2)
    else:
        await page.goto(seat.site.address + path)
    assert not await seat.violations()


@english
@pytest.mark.parametrize(("width", "height"), [(1024, 768), (820, 1180), (420, 900)])
async def test_nothing_is_cut_off_on_smaller_screens(seat: Seat, width: int, height: int) -> None:
    await seat.page.set_viewport_size({"width": width, "height": height})
    await seat.sit()
    assert await seat.features("stations")
    wider = await seat.page.evaluate(
        "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert wider <= 0
