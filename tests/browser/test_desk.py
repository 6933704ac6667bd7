"""Hands at the desk, in a real Chromium: every act of a warning's life, by the right person."""

import asyncio
import contextlib
import datetime as dt
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from alerts.bureau import policies, policy
from alerts.channels.exercise import ExercisePhone
from alerts.rights import Role
from alerts.sending import dispatch
from server.accounts import links, people
from server.clock import SystemClock
from server.store.connection import connect
from server.store.database import Database
from tests.browser.seat import Seat, all_words, chromium, seated
from tests.samples import SEAL
from tests.scene import HOUR, START, Scene
from tests.website import Website, website

PASSWORD = "a-long-way-to-the-sea"
NOW = START + 30 * HOUR
SIZE = 1250, 720
"""Pixels of a screen that still shows list, map and desk beside each other."""

TIANTAN, GUCHENG = "beijing-tiantan", "beijing-gucheng"


@dataclass
class Room:
    """The console's room: a scene where something waits, and seats for whoever comes."""

    site: Website
    scene: Scene
    browser: Browser

    async def link(self, name: str = "", *roles: Role) -> str:
        """Give a link that works once: of the first administrator, or of a new account."""
        now = SystemClock().now()
        async with await connect(self.scene.url, name="room") as conn:
            if not name:
                token = await links.first(conn, now=now)
            else:
                account = await people.add(
                    conn, name=name, title=name.title(), roles=roles, now=now
                )
                token = await links.invite(conn, account.id, now=now)
        return f"/console#welcome={token}"

    @contextlib.asynccontextmanager
    async def seat(
        self, name: str = "", *roles: Role, locale: str = "en-GB"
    ) -> AsyncIterator[Seat]:
        """Seat somebody, who chooses a password first; without a name nobody signs in."""
        async with seated(self.browser, self.site, self.scene, locale=locale, size=SIZE) as seat:
            if name:
                await seat.sit(await self.link(name, *roles))
                dialog = seat.page.get_by_test_id("signin")
                for field in ("password", "again"):
                    await dialog.locator(f"[name={field}]").fill(PASSWORD)
                await dialog.locator("[type=submit]").click()
                await expect(seat.page.get_by_test_id("person")).to_be_visible()
            else:
                await seat.sit()
            yield seat


@pytest.fixture
async def room(database: str) -> AsyncIterator[Room]:
    scene = Scene(database)
    await scene.open()
    await scene.report({name: {"precipitation_amount": 9.5} for name in scene.names}, time=NOW)
    await scene.warn(TIANTAN, "orange", at=NOW, value=61.5, automatic=())
    await scene.warn(GUCHENG, "yellow", at=NOW, automatic=(), value=53.1)
    async with (
        website(scene.url) as site,
        await Database.open(scene.url, name="test alert", size=4) as alerting,
        chromium() as browser,
    ):
        phone = ExercisePhone(workers=2)
        sending = asyncio.create_task(
            dispatch.run(alerting.connection, [phone], clock=SystemClock(), seal=SEAL, poll=0.2)
        )
        try:
            yield Room(site, scene, browser)
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sending


def _proposal(page: Page, name: str) -> Locator:
    return page.get_by_test_id("proposals").locator("li").filter(has_text=name)


def _acts(page: Page) -> Locator:
    return page.get_by_test_id("acts")


async def _act(page: Page, name: str, *, confirm: bool = False) -> None:
    await _acts(page).get_by_role("button", name=name, exact=True).click()
    if confirm:
        await _acts(page).get_by_role("button", name=f"Confirm: {name}").click()


async def test_the_first_administrator_comes_by_the_link_and_makes_an_account(room: Room) -> None:
    link = await room.link()
    async with seated(room.browser, room.site, room.scene, size=SIZE) as seat:
        page = seat.page
        await seat.sit(link)
        assert "welcome" not in page.url  # the token stays in no history
        dialog = page.get_by_test_id("signin")
        await dialog.get_by_label("User name").fill("wang")
        await dialog.get_by_label("Name or post").fill("Wang")
        await dialog.get_by_label("Password", exact=False).first.fill(PASSWORD)
        await dialog.get_by_label("Password again").fill("something-else")
        await expect(dialog).to_contain_text("not the same")
        await dialog.get_by_label("Password again").fill(PASSWORD)
        await dialog.get_by_role("button", name="Create and sign in").click()
        await expect(page.get_by_test_id("person")).to_have_text("Wang")

        await page.get_by_role("link", name="Admin", exact=True).click()
        await page.get_by_role("link", name="Users").click()
        form = page.get_by_test_id("user-form")
        await form.get_by_label("User name").fill("li")
        await form.get_by_role("button", name="Add, with a link").click()
        await expect(page.get_by_test_id("link-made")).to_contain_text("/console#welcome=")
        await expect(page.get_by_test_id("users").locator("tbody tr")).to_have_count(2)
        await page.get_by_role("link", name="Audit").click()
        await expect(page.get_by_test_id("audit")).to_contain_text("account.add")

        await page.get_by_test_id("person").click()
        await page.get_by_role("button", name="Sign out").click()
        # Whoever only looks sees everything and does nothing.
        await _proposal(page, "Tiantan").get_by_role("button").click()
        await expect(page.get_by_test_id("desk")).to_contain_text("61.5")
        await expect(page.get_by_test_id("missing")).to_contain_text("Sign in to act")
        await expect(_acts(page).locator("li")).to_have_count(0)
        await expect(page.get_by_test_id("new")).to_have_count(0)
        assert not seat.complaints

        await page.get_by_test_id("enter").click()
        await dialog.get_by_label("User name").fill("wang")
        await dialog.get_by_label("Password", exact=False).first.fill("not-the-password")
        await dialog.get_by_role("button", name="Sign in").click()
        await expect(dialog.get_by_role("alert")).to_contain_text("password is wrong")
        await dialog.get_by_label("Password", exact=False).first.fill(PASSWORD)
        await dialog.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_test_id("person")).to_be_visible()


async def test_a_warning_lives_by_the_hands_of_two(room: Room) -> None:
    """Proposal, draft, submission, approval, delivery, update, end: each by who may."""
    await _put_policy(room, 'two = ["yellow", "orange", "red"]')
    async with (
        room.seat("li", "forecaster") as forecaster,
        room.seat("zhao", "approver") as approver,
    ):
        page = forecaster.page
        await _proposal(page, "Tiantan").get_by_role("button").click()
        desk = page.get_by_test_id("desk")
        await expect(desk).to_contain_text("Tiantan: Precipitation 61.5 mm in 3")
        await expect(desk).to_contain_text("EXERCISE")
        await expect(page.get_by_test_id("preview")).to_contain_text("SMS")
        await expect(_acts(page).get_by_role("button", name="Approve")).to_have_count(0)

        await _act(page, "Draft")
        await page.get_by_test_id("form").get_by_role("button", name="3 h").click()
        await _acts(page).get_by_label("Note").fill("radar shows more to come")
        await _act(page, "Save as a draft")
        await expect(page.get_by_test_id("state")).to_have_text("Draft")
        await _act(page, "Submit")
        await expect(page.get_by_test_id("state")).to_have_text("Submitted")
        await expect(page.get_by_test_id("missing")).to_contain_text("waits for an approver")
        refused = await page.evaluate(
            """async () => {
              const id = location.hash.split("/")[1];
              const answer = await fetch(`/api/v1/warnings/${id}/approve`, {
                method: "POST", headers: {"content-type": "application/json"},
                body: JSON.stringify({ version: 3 }),
              });
              return answer.status;
            }"""
        )
        assert refused == 403
        forecaster.complaints.clear()  # the refusal that was asked for

        other = approver.page
        await _proposal(other, "Tiantan").get_by_role("button").click()
        await expect(other.get_by_test_id("deeds")).to_contain_text("radar shows more to come")
        await _act(other, "Approve")
        await expect(_acts(other)).to_contain_text("cannot be taken back")
        await _act(other, "Confirm: Approve")
        await expect(other.get_by_test_id("state")).to_have_text("In force")
        progress = other.get_by_test_id("progress")
        await expect(progress).to_contain_text("3 of 3 delivered", timeout=15_000)

        # The forecaster's screen follows by itself; the phone has it when the desk is away.
        await expect(page.get_by_test_id("state")).to_have_text("In force")
        await page.get_by_test_id("desk").get_by_role("button", name="Close").click()
        await expect(page.get_by_test_id("phone").locator("article")).to_have_count(3)
        await expect(page.get_by_test_id("phone")).to_contain_text("天坛")

        await _act(other, "Update")
        form = other.get_by_test_id("form")
        await form.get_by_text("Own wording").click()
        await form.locator("[name=sms-zh]").fill("天坛一带积水很深，请绕行。")
        await expect(other.get_by_test_id("preview").locator("blockquote")).to_contain_text("绕行")
        await _act(other, "Update", confirm=True)
        await expect(progress.locator("> li")).to_have_count(2)
        await expect(page.get_by_test_id("phone")).to_contain_text("天坛一带积水很深")
        await _act(other, "Cancel", confirm=True)
        await expect(other.get_by_test_id("state")).to_have_text("Cancelled")
        await expect(other.get_by_test_id("deeds")).to_contain_text("cancelled")
        await expect(_acts(other)).to_have_count(0)
        assert not forecaster.complaints
        assert not approver.complaints


async def test_a_veto_in_time_and_an_act_too_late(room: Room) -> None:
    for at in (NOW - HOUR, NOW):
        await room.scene.warn("beijing-shunyi", "yellow", at=at, veto=dt.timedelta(minutes=10))
    async with room.seat("zhao", "approver") as seat:
        page = seat.page
        await _proposal(page, "Shunyi").get_by_role("button").click()
        await expect(page.get_by_test_id("veto")).to_contain_text(re.compile(r"10:00|09:\d\d"))
        await _act(page, "Veto")
        await expect(page.get_by_test_id("state")).to_have_text("Proposed")
        await expect(page.get_by_test_id("veto")).to_have_count(0)
        await expect(page.get_by_test_id("deeds")).to_contain_text("vetoed")

        await _proposal(page, "Gucheng").get_by_role("button").click()
        await expect(_acts(page).get_by_role("button", name="Draft")).to_be_visible()
        # Between the last look and the click: the page has no time to look again.
        await page.evaluate(
            """async () => {
              const id = location.hash.split("/")[1];
              const buttons = [...document.querySelectorAll('[data-testid="acts"] button')];
              const dismiss = buttons.find((each) => each.textContent.trim() === "Dismiss");
              await fetch(`/api/v1/warnings/${id}/dismiss`, {
                method: "POST", headers: {"content-type": "application/json"},
                body: JSON.stringify({ version: 1, note: "a broken gauge" }),
              });
              dismiss.click();
            }"""
        )
        refusal = page.locator(".refused").get_by_test_id("refusal")
        await expect(refusal).to_contain_text("Somebody else was first")
        await expect(page.get_by_test_id("overtaken")).to_contain_text("a broken gauge")
        await expect(page.get_by_test_id("state")).to_have_text("Dismissed")


async def test_a_draft_from_nothing_with_an_area_drawn_by_hand(room: Room) -> None:
    async with room.seat("li", "forecaster") as seat:
        page = seat.page
        await page.get_by_test_id("new").click()
        form = page.get_by_test_id("form")
        await expect(form).to_contain_text("everything is an exercise")
        await expect(form.locator("[name=exercise]")).to_be_disabled()
        await form.get_by_label("Danger").select_option("gale")
        await form.get_by_label("Region").select_option("beijing-huairou")
        await form.get_by_text("Orange").click()
        await form.get_by_role("button", name="Draw on the map").click()
        for x, y in await _corners(page, "beijing-huairou"):
            await page.mouse.click(x, y)
        area = page.get_by_test_id("area")
        await expect(area).to_contain_text("4 points")
        await area.get_by_role("button", name="Undo").click()
        await area.get_by_role("button", name="Join up").click()
        await expect(area).to_contain_text("Drawn by hand, 3 points")
        await expect(page.get_by_test_id("reach")).to_contain_text("Huairou")
        assert await seat.features("sketch")
        await _act(page, "Save as a draft")
        await expect(page.get_by_test_id("state")).to_have_text("Draft")
        await expect(page.get_by_test_id("desk")).to_contain_text("Orange gale")
        ((area_kept, exercise),) = await room.scene.execute(
            "SELECT area, exercise FROM warning WHERE hazard = 'gale'"
        )
        assert len(area_kept["coordinates"][0]) == 4
        assert exercise
        assert not seat.complaints


async def _corners(page: Page, region: str) -> list[tuple[float, float]]:
    """Give four points of the screen inside a region."""
    found: list[tuple[float, float]] = await page.evaluate(
        """async (region) => {
          const map = document.querySelector("[data-testid=map]").weatherMap;
          if (map.isMoving()) await map.once("idle");
          const regions = await (await fetch("/api/v1/regions")).json();
          const ring = regions.features.find((f) => f.id === region).geometry.coordinates.flat(2);
          const xs = ring.filter((_, i) => i % 2 === 0), ys = ring.filter((_, i) => i % 2 === 1);
          const [x, y] = [Math.min(...xs) + Math.max(...xs), Math.min(...ys) + Math.max(...ys)];
          const [w, h] = [Math.max(...xs) - Math.min(...xs), Math.max(...ys) - Math.min(...ys)];
          const box = map.getCanvas().getBoundingClientRect();
          return [[-1, -1], [1, -1], [1, 1], [-1, 1]].map(([i, j]) => {
            const p = map.project([x / 2 + (i * w) / 6, y / 2 + (j * h) / 6]);
            return [p.x + box.x, p.y + box.y];
          });
        }""",
        region,
    )
    return found


async def test_every_word_of_the_desk_is_there_in_both_languages(room: Room) -> None:
    async with room.seat("zhao", "forecaster", "approver", "admin", locale="zh-CN") as seat:
        page = seat.page
        for language in ("zh", "en"):
            await (
                _proposal(page, "天坛" if language == "zh" else "Tiantan")
                .get_by_role("button")
                .click()
            )
            await expect(page.get_by_test_id("preview")).to_contain_text("【演练】")
            await all_words(page, language)
            if language == "en":  # the same page in other words
                assert not await seat.violations()
            await page.get_by_test_id("new").click()
            await expect(page.get_by_test_id("form")).to_be_visible()
            await all_words(page, language)
            if language == "en":
                assert not await seat.violations()
            tabs = page.get_by_test_id("administration").locator("nav a")
            await page.goto(f"{seat.site.address}/console#administration")
            await expect(tabs).to_have_count(8)
            for tab in range(await tabs.count()):
                await tabs.nth(tab).click()
                await all_words(page, language)
                if language == "en":
                    assert not await seat.violations()
            await page.goto(f"{seat.site.address}/console#now")
            await page.locator(".language").click()
        assert not seat.complaints


async def _put_policy(room: Room, line: str) -> None:
    """Put a policy in force, with another line in the place of the one for two people."""
    async with await connect(room.scene.url, name="room") as conn:
        text = policy.shipped().replace("two = []", line)
        await policies.put(conn, text, author="test", note="", at=SystemClock().now(), after=None)
