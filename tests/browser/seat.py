"""A forecaster's place before a real Chromium."""

import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from alerts.catalogue import Catalogue
from server.web import pages
from tests.scene import Scene
from tests.website import Website

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
    """A place: the page, what it asked for, and what it complained about."""

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

    async def violations(self) -> list[tuple[str, list[str]]]:
        """Give what axe finds wrong: contrast, labels, roles."""
        if not AXE.exists():
            pytest.skip("axe-core is not installed: npm ci in server/console")
        # The page's policy lets no foreign script in; the debugger may.
        await self.page.evaluate(AXE.read_text("utf-8"))
        found = await self.page.evaluate("async () => (await axe.run()).violations")
        return [(item["id"], [node["html"][:160] for node in item["nodes"]]) for item in found]


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Start the browser that the distribution ships."""
    if not pages.BUNDLE.exists():
        pytest.fail("the console is not built: make install builds it")
    async with (
        async_playwright() as playwright,
        await playwright.chromium.launch(executable_path=_program(), args=FLAGS) as browser,
    ):
        yield browser


@contextlib.asynccontextmanager
async def seated(
    browser: Browser,
    site: Website,
    scene: Scene,
    *,
    locale: str = "en-GB",
    size: tuple[int, int] = (1440, 900),
) -> AsyncIterator[Seat]:
    """Give a place of its own: nobody else's session, words or memory."""
    async with await browser.new_context(
        viewport={"width": size[0], "height": size[1]}, locale=locale
    ) as context:
        page = await context.new_page()
        seat = Seat(page, site, scene)
        page.on("request", lambda request: seat.asked.append(request.url))
        page.on("pageerror", lambda error: seat.complaints.append(str(error)))
        page.on(
            "console",
            lambda said: seat.complaints.append(said.text) if said.type == "error" else None,
        )
        yield seat


def _program() -> str:
    for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"):
        if Path(path).exists():
            return path
    pytest.fail("no Chromium: apt-get install chromium")


async def all_words(page: Page, language: str) -> None:
    """Assert that everything on the page has a text, in the language of the page."""
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
          // Messages, and the names and words of people, are as they were written.
          const skipped = ".messages, .language, optgroup, script, style, [lang]:not(html)";
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
    keys = {key.partition(".")[2] for key in words.fields(language)}
    assert not [line for line in text.splitlines() if line.strip() in keys and "." in line]
    if language == "en":
        assert not CHINESE.findall(text)
    else:
        assert CHINESE.search(text)
