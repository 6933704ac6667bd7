"""Notices in a real Chromium: the service worker shows what is pushed, the page offers them.

No push service can be reached from a test, so the browser's subscription is a made-up one; the
notice itself is handed to the service worker by the debugger.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import BrowserContext, CDPSession, expect

from alerts.channels.push import render
from server.settings import Alerts
from tests.browser.seat import AXE, chromium
from tests.letters import said
from tests.scene import HOUR, START, Scene
from tests.support import eventually_async
from tests.website import Website, website

SUBSCRIPTION = """
  const made = {
    endpoint: "https://push.example/1",
    unsubscribe: async () => { window.subscribed = null; return true; },
    toJSON: () => ({ endpoint: "https://push.example/1", keys: {
      p256dh: "B" + "A".repeat(86), auth: "A".repeat(22) } }),
  };
  window.subscribed = null;
  PushManager.prototype.subscribe = async (options) => {
    window.options = options;
    return (window.subscribed = made);
  };
  PushManager.prototype.getSubscription = async () => window.subscribed;
"""
SHOWN = """async () => {
  const worker = await navigator.serviceWorker.ready;
  const found = await worker.getNotifications();
  return found.map((n) => ({ title: n.title, body: n.body, tag: n.tag, data: n.data }));
}"""


@pytest.fixture
async def site(plain_database: str, tmp_path: Path) -> AsyncIterator[Website]:
    scene = Scene(plain_database)
    await scene.open()
    await scene.warn("beijing-huairou", "orange", at=START + HOUR)
    alerts = Alerts(channels=("push",))
    async with website(plain_database, alerts=alerts, data=str(tmp_path)) as site:
        yield site


@pytest.fixture
async def context(site: Website) -> AsyncIterator[BrowserContext]:
    async with (
        chromium() as browser,
        await browser.new_context(base_url=site.address, locale="en-GB") as context,
    ):
        await context.grant_permissions(["notifications"])
        yield context


async def _registration(debugger: CDPSession) -> str:
    """Give the number of the active service worker."""
    found: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def look(event: dict[str, Any]) -> None:
        for version in event["versions"]:
            if version["status"] == "activated" and not found.done():
                found.set_result(version["registrationId"])

    debugger.on("ServiceWorker.workerVersionUpdated", look)
    await debugger.send("ServiceWorker.enable")
    async with asyncio.timeout(10):
        return await found


async def test_a_pushed_notice_is_shown_and_the_newest_takes_its_place(
    site: Website, context: BrowserContext
) -> None:
    page = await context.new_page()
    await page.goto("/")
    await page.evaluate(
        """async () => {
          await navigator.serviceWorker.register("/push.js", { scope: "/" });
          await navigator.serviceWorker.ready;
        }"""
    )
    debugger = await context.new_cdp_session(page)
    registration = await _registration(debugger)
    for notice in (said(), said(headline="raised to red", level="red", number=3)):
        await debugger.send(
            "ServiceWorker.deliverPushMessage",
            {
                "origin": site.address,
                "registrationId": registration,
                "data": render(notice).body,
            },
        )

        async def newest(title: str = notice.headline) -> bool:
            return [each["title"] for each in await page.evaluate(SHOWN)] == [title]

        # The worker shows it, and the browser takes the older one away, in their own time.
        await eventually_async(newest)
    (shown,) = await page.evaluate(SHOWN)
    assert shown["title"] == "raised to red"
    assert shown["body"] == said().guide
    assert shown["tag"] == str(said().warning)
    assert shown["data"]["link"].endswith(str(said().warning))


async def test_the_page_offers_notices_and_takes_them_back(
    site: Website, context: BrowserContext
) -> None:
    page = await context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.add_init_script(SUBSCRIPTION)
    await page.goto("/?lang=en&place=beijing-huairou")
    form = page.locator("#push form")
    await expect(form).to_be_visible()
    await expect(form.get_by_label("Region")).to_have_value("beijing-huairou")
    if AXE.exists():
        await page.evaluate(AXE.read_text("utf-8"))
        found = await page.evaluate("async () => (await axe.run()).violations")
        assert not [(one["id"], one["nodes"][0]["html"][:160]) for one in found]
    await form.get_by_label("Lowest level").select_option("orange")
    async with page.expect_request("**/api/v1/push/subscriptions") as asked:
        await form.get_by_role("button", name="Get warnings in this browser").click()
    sent = json.loads(str((await asked.value).post_data))
    assert sent["regions"] == ["beijing-huairou"]
    assert sent["lowest"] == "orange"
    await expect(form.get_by_role("status")).to_contain_text("Done")
    options = await page.evaluate("() => window.options.applicationServerKey.length")
    assert options == 65
    key = (await site.get("/api/v1/push/key"))["key"]
    assert len(key) == 87
    await form.get_by_role("button", name="No more warnings in this browser").click()
    await expect(form.get_by_role("status")).to_contain_text("Switched off")
    await expect(form.get_by_label("Region")).to_be_visible()
    assert not complaints
