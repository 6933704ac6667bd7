"""The console in a real Chromium, over the real application and a real database."""

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright, expect

from alerts.catalogue import Catalogue
from server.web import pages
from tests.scene import HOUR, START, Scene
from tests.website import Website, website

STATION = "beijing-aotizhongxin"
SILENT = "beijing-dingling"
ROOT = Path(__file__).parents[2]
AXE = ROOT / "server" / "console" / "node_modules" / "axe-core" / "axe.min.js"
FLAGS = [
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
CHINESE = re.compile(r"[㐀-鿿]")


@dataclass
class Seat:
    """A forecaster's place: the page, what it asked for, and what it complained about."""

    page: Page
    site: Website
    scene: Scene
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    async def sit(self, path: str = "/console") -> None:
        await self.page.goto(self.site.address + path)
        await expect(self.page.get_by_test_id("link")).to_have_class(re.compile("live"))

    async def features(self, layer: str) -> list[dict[str, Any]]:
        """Give what the map has really drawn of a layer."""
        found: list[dict[str, Any]] = await self.page.evaluate(
            """async (layer) => {
              const map = document.querySelector("[data-testid=map]").weatherMap;
              if (!map.loaded() || map.isMoving()) await map.once("idle");
              return map.queryRenderedFeatures({ layers: [layer] })
                .map((f) => ({ properties: f.properties, state: f.state }));
            }""",
            layer,
        )
        return found


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
    if not pages.BUNDLE.exists():
        pytest.fail("the console is not built: make install builds it")
    async with (
        website(scene.url) as site,
        async_playwright() as playwright,
        await playwright.chromium.launch(executable_path=_chromium(), args=FLAGS) as browser,
        await browser.new_context(
            viewport={"width": 1440, "height": 900}, locale=locale
        ) as context,
    ):
        page = await context.new_page()
        seat = Seat(page, site, scene)
        page.on("request", lambda request: seat.asked.append(request.url))
        page.on("pageerror", lambda error: seat.complaints.append(str(error)))
        page.on(
            "console",
            lambda said: seat.complaints.append(said.text) if said.type == "error" else None,
        )
        yield seat


def _chromium() -> str:
    for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"):
        if Path(path).exists():
            return path
    pytest.fail("no Chromium: apt-get install chromium")


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
        "SELECT body FROM delivery JOIN message ON message.id = delivery.message"
        " JOIN subscriber ON subscriber.id = delivery.subscriber"
        " WHERE message.level = 'yellow' AND tier = 'public'"
    )
    await expect(texts.last).to_contain_text(body)


async def test_every_word_is_there_in_the_language_of_the_browser(seat: Seat, locale: str) -> None:
    await seat.sit()
    await seat.page.locator(".picker select").select_option(SILENT)
    await expect(seat.page.get_by_test_id("series")).to_be_visible()
    language = locale[:2]
    await _all_words(seat.page, language)
    await seat.page.locator(".language").click()
    language = "en" if language == "zh" else "zh"
    await _all_words(seat.page, language)
    await seat.page.reload()
    await _all_words(seat.page, language)
    assert not seat.complaints


async def _all_words(page: Page, language: str) -> None:
    words = Catalogue.load()
    await expect(page.locator("html")).to_have_attribute(
        "lang", "zh-CN" if language == "zh" else "en"
    )
    await expect(page.get_by_test_id("link")).to_contain_text(
        words.text("console.link.live", language)
    )
    await expect(page).to_have_title(words.text("console.name", language))
    text = await page.evaluate(
        """() => {
          // Messages and the names of people are as they were sent.
          const skipped = ".messages, .language, optgroup, script, style";
          const found = [];
          for (const e of document.querySelectorAll("body *")) {
            if (e.closest(skipped)) continue;
            for (const name of ["aria-label", "title"]) found.push(e.getAttribute(name) ?? "");
            for (const n of e.childNodes) if (n.nodeType === 3) found.push(n.data);
          }
          return found.join("\\n");
        }"""
    )
    # A key that has no text would show itself.
    keys = {key.removeprefix("console.") for key in words.fields(language)}
    assert not [line for line in text.splitlines() if line.strip() in keys and "." in line]
    if language == "en":
        assert not CHINESE.findall(text)
    else:
        assert CHINESE.search(text)


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
    async with (
        async_playwright() as playwright,
        await playwright.chromium.launch(executable_path=_chromium(), args=FLAGS) as browser,
        await browser.new_context(locale=locale) as context,
    ):
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
    if not AXE.exists():
        pytest.skip("axe-core is not installed: npm ci in server/console")
    page = seat.page
    if path == "/console":
        await seat.sit()
        await page.locator(".picker select").select_option(SILENT)
        await expect(page.get_by_test_id("series").locator("canvas")).to_have_count(2)
    else:
        await page.goto(seat.site.address + path)
    # The page's policy lets no foreign script in; the debugger may.
    await page.evaluate(AXE.read_text("utf-8"))
    found = await page.evaluate("async () => (await axe.run()).violations")
    short = [(item["id"], [node["html"][:160] for node in item["nodes"]]) for item in found]
    assert not short, json.dumps(short, indent=1, ensure_ascii=False)


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
