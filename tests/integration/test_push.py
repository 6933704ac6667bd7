"""Web Push: a push service of our own decrypts what it gets; the API keeps who has subscribed."""

import asyncio
import base64
import contextlib
import json
import stat
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import http_ece
import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02

from alerts.channels.port import (
    GONE,
    CallbackError,
    Delivery,
    ExerciseError,
    Memory,
    Receipt,
)
from alerts.channels.push import LARGEST, Keys, Push, PushKeyError, render
from alerts.people import contacts, subscribers
from alerts.sending import dispatch
from server.clock import SystemClock
from server.settings import load
from server.store.connection import connect
from server.store.database import Database
from server.web.app import create
from tests.letters import delivery, receiver, said
from tests.samples import SEAL, START, Fixed, announce, connector, prepare
from tests.scene import Scene
from tests.support import eventually_async

REGION = "beijing-huairou"


class Browser:
    """The keys of a subscription, which only the browser has."""

    def __init__(self) -> None:
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.secret = b"0123456789abcdef"

    def subscription(self, endpoint: str) -> dict[str, Any]:
        point = self.private.public_key().public_bytes(
            Encoding.X962, PublicFormat.UncompressedPoint
        )
        return {
            "endpoint": endpoint,
            "keys": {"p256dh": _text(point), "auth": _text(self.secret)},
        }

    def open(self, body: bytes) -> Any:
        plain = http_ece.decrypt(
            body, private_key=self.private, auth_secret=self.secret, version="aes128gcm"
        )
        return json.loads(plain)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def notice(endpoint: str, browser: Browser, **changes: object) -> Delivery:
    address = json.dumps(browser.subscription(endpoint))
    body = render(said()).body
    return delivery(**{"channel": "push", "address": address, "body": body, **changes})


@asynccontextmanager
async def channel(folder: Path, *, private: bool = True) -> AsyncIterator[Push]:
    push = Push(
        Keys.load(folder / "push.pem"),
        subject="mailto:desk@bureau.example",
        private=private,
        timeout=0.5,
    )
    try:
        yield push
    finally:
        await push.close()


async def test_only_the_browser_can_read_it(tmp_path: Path) -> None:
    browser = Browser()
    async with receiver(201, Location="/m/1") as stand, channel(tmp_path) as push:
        given = notice(f"{stand.url}/p/1", browser)
        receipt = await push.send(given, now=START)
        again = await push.send(given, now=START)
    assert (receipt.state, receipt.provider) == ("accepted", "/m/1")
    assert again.state == "accepted"
    first, second = stand.got
    assert said().headline.encode() not in first.body
    found = browser.open(first.body)
    assert found["title"] == said().headline
    assert found["warning"] == str(said().warning)
    assert first.headers["Content-Encoding"] == "aes128gcm"
    assert first.headers["TTL"] == "21600"
    assert first.headers["Urgency"] == "high"
    # The newest of a warning takes the place of the one before.
    assert first.headers["Topic"] == second.headers["Topic"]
    assert len(first.headers["Topic"]) <= 32
    assert first.headers["Authorization"].startswith("vapid ")
    assert Vapid02.verify(first.headers["Authorization"])
    token, _, key = first.headers["Authorization"].removeprefix("vapid t=").partition(",k=")
    assert key == Keys.load(tmp_path / "push.pem").public
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert claims["aud"] == stand.url
    assert claims["sub"] == "mailto:desk@bureau.example"


@pytest.mark.parametrize(
    ("answer", "state"),
    [(404, "failed"), (410, "failed"), (413, "failed"), (302, "failed"), (429, "queued"),
     (500, "queued"), ("lost", "queued"), ("slow", "queued")],
)  # fmt: skip
async def test_answers(tmp_path: Path, answer: int | str, state: str) -> None:
    async with receiver(answer) as stand, channel(tmp_path) as push:
        receipt = await push.send(notice(f"{stand.url}/p", Browser()), now=START)
    assert receipt.state == state
    assert str(receipt.problem).startswith(GONE) == (answer in {404, 410})


async def test_what_goes_nowhere(tmp_path: Path) -> None:
    browser = Browser()
    async with receiver() as stand, channel(tmp_path) as push:
        with pytest.raises(ExerciseError):
            await push.send(notice(stand.url, browser, exercise=True), now=START)
        for wrong in (
            notice(stand.url, browser, expires=START),
            notice(stand.url, browser, address="{}"),
            notice(stand.url, browser, address='{"endpoint": "x", "keys": {}}'),
            notice(stand.url, browser, body="no notice"),
        ):
            assert (await push.send(wrong, now=START)).state == "failed"
        assert await push.find(notice(stand.url, browser)) is None
        with pytest.raises(CallbackError):
            push.parse_callback(url=f"https://x/{uuid.uuid4()}", form={}, headers={}, body=b"")
        assert (await push.probe()).ok
        assert not stand.got
    async with channel(tmp_path, private=False) as push:
        for inside in ("http://push.example/1", "https://127.0.0.1/1", "https://localhost/1"):
            assert (await push.send(notice(inside, browser), now=START)).state == "failed"


def test_a_long_text_is_cut_and_a_closed_notice_leads_nowhere() -> None:
    long = render(said(headline="雨" * 3_000, guide="水" * 3_000))
    assert len(long.body.encode()) <= LARGEST
    assert json.loads(long.body)["title"].endswith("…")
    assert json.loads(render(said()).body)["link"].endswith(str(said().warning))
    assert not json.loads(render(said(act="notice")).body)["link"]


def test_the_key_is_made_once_and_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "new" / "push.pem"
    first = Keys.load(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Keys.load(path).public == first.public
    assert len(base64.urlsafe_b64decode(first.public + "=")) == 65
    path.write_text("no key")
    with pytest.raises(PushKeyError, match=r"push\.pem"):
        Keys.load(path)


@pytest.fixture
async def site(plain_database: str, tmp_path: Path) -> AsyncIterator[tuple[httpx.AsyncClient, str]]:
    await Scene(plain_database).open()
    settings = load(
        environment={
            "FENGHUO_STORE_URL": plain_database,
            "FENGHUO_DATA": str(tmp_path),
            "FENGHUO_ALERTS_CHANNELS": "push",
        }
    )
    async with await Database.open(plain_database, name="test", size=2) as opened:
        app = create(opened, settings, SystemClock(), seal=SEAL)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://inside") as client:
            yield client, plain_database


ROUTE = "/api/v1/push/subscriptions"


async def _known(url: str, endpoint: str) -> subscribers.Known | None:
    address = contacts.read("push", json.dumps(Browser().subscription(endpoint)))
    async with await connect(url, name="test") as conn:
        found = await subscribers.find(conn, address, seal=SEAL)
        return await subscribers.get(conn, found.subscriber, seal=SEAL) if found else None


async def test_a_browser_subscribes_changes_moves_and_leaves(
    site: tuple[httpx.AsyncClient, str],
) -> None:
    client, url = site
    first, second = "https://push.example/1", "https://push.example/2"
    key = (await client.get("/api/v1/push/key", params={"lang": "en"})).json()
    assert len(key["key"]) == 87
    assert key["levels"]["red"] == "Red"
    assert key["words"]["enable"]
    asked = {"subscription": Browser().subscription(first), "regions": [REGION], "lowest": "orange"}
    assert (await client.post(ROUTE, json=asked)).status_code == 201
    wishes = {**asked, "lowest": "red", "hazards": ["rainstorm"], "language": "en"}
    assert (await client.post(ROUTE, json=wishes)).status_code == 201
    known = await _known(url, first)
    assert known is not None
    assert (known.tier, known.lowest, known.regions) == ("public", "red", (REGION,))
    assert [(one.channel, one.hint, one.confirmed) for one in known.contacts] == [
        ("push", "push.example", True)
    ]
    moved = {"subscription": Browser().subscription(second), "replaces": first}
    assert (await client.put(ROUTE, json=moved)).status_code == 204
    assert await _known(url, first) is None
    known = await _known(url, second)
    assert known is not None
    assert (known.lowest, known.hazards, known.language) == ("red", ("rainstorm",), "en")
    gone = await client.request("DELETE", ROUTE, json={"endpoint": second})
    assert gone.status_code == 204
    assert await _known(url, second) is None
    assert (await client.put(ROUTE, json=moved)).status_code == 404
    assert (await client.request("DELETE", ROUTE, json={"endpoint": first})).status_code == 204


async def test_what_is_no_subscription_is_refused(site: tuple[httpx.AsyncClient, str]) -> None:
    client, _ = site
    good = {"subscription": Browser().subscription("https://push.example/1"), "regions": [REGION]}
    for wrong in (
        {**good, "regions": []},
        {**good, "regions": ["nowhere"]},
        {**good, "hazards": ["dragons"]},
        {**good, "lowest": "purple"},
        {**good, "subscription": Browser().subscription("http://push.example/1")},
        {**good, "subscription": {"endpoint": "https://push.example/1", "keys": {}}},
        {**good, "tier": "official"},
    ):
        answer = await client.post(ROUTE, json=wrong)
        assert answer.status_code == 400, wrong
    elsewhere = {"sec-fetch-site": "cross-site"}
    assert (await client.post(ROUTE, json=good, headers=elsewhere)).status_code == 403
    assert (await client.post(ROUTE, content=b"{}")).status_code == 415
    for _ in range(20):
        last = await client.post(ROUTE, json=good)
    assert last.status_code == 429


async def test_the_service_worker_may_show_every_page(
    site: tuple[httpx.AsyncClient, str],
) -> None:
    client, _ = site
    answer = await client.get("/push.js")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "showNotification" in answer.text


async def test_where_push_is_not_in_use_nobody_is_offered_it(plain_database: str) -> None:
    settings = load(environment={"FENGHUO_STORE_URL": plain_database})
    async with await Database.open(plain_database, name="test", size=1) as opened:
        transport = httpx.ASGITransport(create(opened, settings, SystemClock(), seal=SEAL))
        async with httpx.AsyncClient(transport=transport, base_url="http://inside") as client:
            assert (await client.get("/api/v1/push/key")).status_code == 404
            assert (await client.post(ROUTE, json={})).status_code == 404


async def test_a_browser_that_has_left_is_not_written_to_again(plain_database: str) -> None:
    def gone(given: Delivery) -> Receipt:
        return Receipt(delivery=given.id, state="failed", problem=f"{GONE}the service answers 410")

    async with await prepare(plain_database) as conn:
        await announce(conn, exercise=False, channels=("sms",))
        await conn.commit()
        work = dispatch.run(
            connector(plain_database), [Memory(answer=gone)], clock=Fixed(), seal=SEAL, poll=0.05
        )
        task = asyncio.create_task(work)

        async def unconfirmed() -> bool:
            cursor = await conn.execute("SELECT count(*) FROM contact WHERE confirmed IS NULL")
            ((number,),) = await cursor.fetchall()
            await conn.rollback()
            return bool(number == 3)

        try:
            await eventually_async(unconfirmed)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
