"""What people and screens see, in a real Chromium: it is right, stays so, and says when not."""

import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import psycopg
import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from alerts import regions
from alerts.faces import screens
from alerts.faces.screens import Wanted
from alerts.life import ledger
from alerts.life.course import advance
from alerts.life.warning import Step, Terms
from alerts.people import acknowledge
from tests.samples import REGION, SEAL, START, Fixed, desk, later, prepare, step
from tests.support import eventually_async
from tests.website import Website, website

OTHER = regions.Region(id="54398", zh="顺义", en="Shunyi", boundary=REGION.boundary, sample=True)
AXE = Path(__file__).parents[2] / "server/console/node_modules/axe-core/axe.min.js"


@dataclass
class Town:
    """A centre with a rainstorm in it, and a browser before it."""

    conn: psycopg.AsyncConnection
    site: Website
    context: BrowserContext
    browser: Browser
    clock: Fixed
    running: Step
    url: str
    complaints: list[str] = field(default_factory=list)

    async def page(self, path: str, context: BrowserContext | None = None) -> Page:
        page = await (context or self.context).new_page()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on(
            "console",
            lambda said: self.complaints.append(said.text) if said.type == "error" else None,
        )
        await page.goto(self.site.address + path)
        return page

    async def warn(self, level: str, hazard: str) -> Step:
        found = step(level, hazard=hazard, exercise=False, at=START)
        await ledger.record(self.conn, found, desk=desk("sms"))
        await self.conn.commit()
        return found

    async def end(self) -> None:
        self.clock.time = later(3.1)
        over = advance(
            self.running.warning, None, at=later(3), complete=True, terms=Terms(), exercise=False
        )
        assert over is not None
        await ledger.record(self.conn, over, desk=desk("sms"))
        await self.conn.commit()


@pytest.fixture
async def town(plain_database: str) -> AsyncIterator[Town]:
    clock = Fixed(later(0.1))
    async with await prepare(plain_database) as conn:
        await regions.save(conn, [OTHER])
        running = step("orange", exercise=False)
        await ledger.record(conn, running, desk=desk("sms"))
        await conn.execute("UPDATE delivery SET state = 'accepted'")
        await conn.commit()
        async with (
            website(plain_database, clock=clock) as site,
            async_playwright() as playwright,
            await playwright.chromium.launch(
                executable_path="/usr/bin/chromium", args=["--no-sandbox"]
            ) as browser,
            await browser.new_context(
                locale="en-GB", viewport={"width": 390, "height": 844}
            ) as context,
        ):
            yield Town(conn, site, context, browser, clock, running, plain_database)


async def test_the_page_follows_what_happens_and_says_when_it_cannot(town: Town) -> None:
    page = await town.page("/")
    cards = page.locator("ul.warnings > li")
    await expect(cards).to_have_count(1)
    await expect(cards.first).to_contain_text("Orange rainstorm warning")
    await town.warn("red", "gale")
    await expect(cards).to_have_count(2)  # without a reload, and the gravest first
    await expect(cards.first).to_contain_text("Red gale warning")

    await page.get_by_label("Place").select_option(OTHER.id)
    await expect(page).to_have_url(re.compile(f"place={OTHER.id}"))
    await expect(page.locator(".none")).to_contain_text("for Shunyi")
    await page.get_by_label("Place").select_option(REGION.id)
    await expect(cards).to_have_count(2)

    own = await town.page(f"/w/{town.running.warning.id}")
    await expect(own.get_by_test_id("state")).to_have_text("In force")
    for seen in (page, own):
        # What axe finds, somebody cannot use.
        await seen.evaluate(AXE.read_text("utf-8"))
        found = await seen.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        assert [(item["id"], item["help"]) for item in found["violations"]] == []
    await town.end()
    await expect(cards).to_have_count(1)  # what is over leaves at once
    await expect(own.get_by_test_id("state")).to_contain_text("Cancelled")
    await expect(own.locator(".chain > li")).to_have_count(2)
    for seen in (page, own):
        wide = await seen.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0
    assert not town.complaints

    # Cut off, it says so; and what is over leaves by the page's own clock.
    await page.clock.install()
    await page.reload()
    await expect(cards).to_have_count(1)
    await town.context.set_offline(True)
    await page.clock.run_for(61_000)
    await expect(page.locator("#line")).to_contain_text("Connection lost")
    await page.clock.fast_forward(6 * 3_600_000)
    await expect(page.locator("ul.warnings")).to_have_count(0)
    await expect(page.locator(".none")).to_be_visible()


TURN = 30_000
"""Milliseconds within which every page of a screen has had its turn, on a busy machine too."""


async def test_a_screen_fills_itself_answers_and_blanks_itself(town: Town) -> None:
    wanted = Wanted(name="hall", title="Hall", regions=(REGION.id,), language="en")
    key = await screens.add(town.conn, wanted, seal=SEAL, at=START)
    await town.warn("blue", "gale")
    async with await town.browser.new_context() as context:
        page = await town.page(f"/display/hall?key={key}", context)
        await expect(page.locator("#page")).to_have_text("Page 1 of 2", timeout=TURN)
        title = page.locator("h1")
        for width, height in ((1920, 1080), (640, 320)):
            await page.set_viewport_size({"width": width, "height": height})
            # The pages take turns: it may be the other one's.
            await expect(title).to_have_text("Orange rainstorm warning", timeout=TURN)
            tall = await page.evaluate(
                "document.querySelector('h1').getBoundingClientRect().height"
            )
            assert tall > height / 14  # readable from afar
            over = await page.evaluate(
                "(() => { const m = document.querySelector('main'), s = m.firstElementChild;"
                " return [s.scrollHeight - m.clientHeight, s.scrollWidth - m.clientWidth]; })()"
            )
            assert max(over) <= 1

        async def heard() -> bool:
            (screen,) = await screens.every(town.conn)
            await town.conn.commit()
            return len(screen.shown) == 2 and screen.alive(screen.seen or START)

        await eventually_async(heard)
        await town.end()
        await expect(title).to_have_text("Blue gale warning")
        await page.clock.install()
        await page.reload()
        await expect(title).to_have_text("Blue gale warning")
        await context.set_offline(True)
        await page.clock.run_for(20_000)
        await expect(page.locator("#line")).to_contain_text("lost since")
        await page.clock.fast_forward(6 * 3_600_000)
        await expect(page.locator(".calm")).to_have_text("No warning in force")


class Elsewhere(BaseHTTPRequestHandler):
    """Somebody else's site, which has our script on its page."""

    script = ""

    def do_GET(self) -> None:
        body = f"<!doctype html><title>Town</title><h1>Town</h1>{self.script}".encode()
        self.send_response(200)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def elsewhere(script: str):  # noqa: ANN201 - a test's own
    handler = type("Page", (Elsewhere,), {"script": script})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://localhost:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


async def test_the_widget_elsewhere_and_an_answer_without_javascript(town: Town) -> None:
    address = town.site.address
    script = (
        f'<script src="{address}/widget.js" data-region="{REGION.id}" data-lang="en"></script>'
        f'<iframe src="{address}/widget?lang=en" title="w"></iframe>'
        f'<iframe src="{address}/" title="p"></iframe>'
    )
    with elsewhere(script) as other:
        page = await town.context.new_page()
        refused: list[str] = []
        page.on("console", lambda said: refused.append(said.text))
        await page.goto(other)
        widget = page.locator("div section")  # playwright looks into open shadow roots
        await expect(widget).to_contain_text("Orange rainstorm warning")
        await expect(widget.get_by_role("link", name="Orange rainstorm")).to_have_attribute(
            "href", f"{address}/w/{town.running.warning.id}?lang=en"
        )
        framed = page.frame_locator("iframe[title=w]")
        await expect(framed.locator("li")).to_contain_text("Orange rainstorm warning")
        # Only the widget may be framed, so that nobody is made to press what they do not see.
        await eventually_async(lambda: any("frame-ancestors" in said for said in refused))

    row = await (await town.conn.execute("SELECT id FROM delivery LIMIT 1")).fetchone()
    assert row is not None
    await town.conn.commit()
    path = acknowledge.link(row[0], SEAL)
    async with await town.browser.new_context(java_script_enabled=False) as plain:
        page = await town.page(f"{path}?lang=en", plain)
        await page.get_by_label("Name").fill("Li Ming")
        await page.get_by_label("Note").fill("group three told")
        await page.get_by_role("button", name="I have read it").click()
        await expect(page.get_by_role("status")).to_contain_text("Confirmed by Li Ming")
        listed = await town.page("/?lang=en", plain)
        await expect(listed.locator("ul.warnings > li")).to_have_count(1)
        await listed.get_by_role("button", name="Show").click()
