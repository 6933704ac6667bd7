"""The warning line, walked through as a caller does: only the provider is believed."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from xml.etree import ElementTree as ET

import httpx
import pytest
from twilio.request_validator import RequestValidator

from alerts.catalogue import Catalogue
from alerts.faces.hotline import PLACES, Hotline
from alerts.faces.posters import Place
from server.clock import EventClock
from server.settings import load
from server.store.database import Database
from server.web.app import create
from tests.samples import SEAL
from tests.scene import HOUR, START, Scene

TOKEN, PUBLIC = "secret-of-the-test", "https://warn.example"
WET, DRY = "beijing-huairou", "beijing-aotizhongxin"
NOW = START + 3 * HOUR


@dataclass
class Call:
    """A caller: what was said last, and what a key does."""

    client: httpx.AsyncClient
    scene: Scene
    heard: list[str]
    next: str = "/ivr"
    silence: str = ""

    async def ask(self, url: str, **form: str) -> ET.Element:
        """Request what is said at an address, as the provider does."""
        form = {"CallSid": "CA1", **form}
        signature = RequestValidator(TOKEN).compute_signature(f"{PUBLIC}{url}", form)
        answer = await self.client.post(url, data=form, headers={"x-twilio-signature": signature})
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("application/xml")
        return ET.fromstring(answer.text)  # noqa: S314 - our own

    async def go(self, url: str, **form: str) -> None:
        """Follow redirects to the next thing that is said."""
        for _ in range(5):
            said = await self.ask(url, **form)
            if said[0].tag != "Redirect":
                break
            url, form = str(said[0].text).removeprefix(PUBLIC), {}
        self.heard = [str(line.text) for line in said.iter("Say")]
        gather = said.find("Gather")
        self.next = "" if gather is None else str(gather.get("action")).removeprefix(PUBLIC)
        after = said.find("Redirect")
        self.silence = "" if after is None else str(after.text).removeprefix(PUBLIC)

    async def press(self, key: str) -> str:
        """Press a key; give what is heard then."""
        await self.go(self.next, Digits=key)
        return " ".join(self.heard)

    async def wait(self) -> str:
        """Press nothing."""
        await self.go(self.silence)
        return " ".join(self.heard)


@pytest.fixture
def event() -> bool:
    return True


@pytest.fixture
async def call(plain_database: str, event: bool) -> AsyncIterator[Call]:
    scene = Scene(plain_database)
    await scene.open(event=event)
    await scene.warn(WET, "orange", at=START + HOUR, value=74.9)
    if event:
        await scene.report({WET: {"precipitation_amount": 1.0}}, time=NOW)
    settings = load(
        environment={
            "FENGHUO_STORE_URL": plain_database,
            "FENGHUO_WEB_PUBLIC_URL": PUBLIC,
            "FENGHUO_TWILIO_TOKEN": TOKEN,
            "FENGHUO_VOICE_ZH": "Polly.Zhiyu",
        }
    )
    async with await Database.open(plain_database, name="test", size=3) as opened:
        app = create(opened, settings, EventClock(NOW), seal=SEAL)
        await app.state.context.live._load()
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://inside") as client:
            yield Call(client, scene, [])


async def test_a_caller_hears_what_is_in_force_everywhere(call: Call) -> None:
    await call.go("/ivr")
    assert any("演练" in line for line in call.heard)
    assert any("exercise" in line for line in call.heard)
    assert "请按1" in await call.press("1")
    said = await call.press("1")
    assert "1条" in said
    assert "暴雨橙色预警" in said
    assert "演练" in said
    assert "有效至" in said
    assert "暴雨橙色预警" in await call.press("*")
    assert "听全部生效的预警" in await call.press("0")
    assert "English" in await call.press("9")
    await call.scene.warn(WET, None, at=NOW)
    await call.go("/ivr/all?lang=en")
    assert "No weather warning is in force." in call.heard


async def test_a_caller_chooses_a_district_by_keypad(call: Call) -> None:
    await call.go("/ivr")
    await call.press("2")
    said = await call.press("2")
    assert "Page 1 of" in said
    names = sorted(call.scene.names)
    place = names.index(WET)
    for _ in range(place // PLACES):
        said = await call.press("9")
    assert f"press {place % PLACES + 1}." in said
    said = await call.press(str(place % PLACES + 1))
    assert "rainstorm" in said
    assert "Page" in await call.press("0")
    dry = names.index(DRY)
    for _ in range(place // PLACES - dry // PLACES):
        await call.press("8")
    for _ in range(dry // PLACES - place // PLACES):
        await call.press("9")
    assert "No weather warning is in force" in await call.press(str(dry % PLACES + 1))


async def test_whoever_says_nothing_is_asked_again_but_not_for_ever(call: Call) -> None:
    await call.go("/ivr/menu?lang=en")
    for _ in range(2):
        assert "no choice" in await call.wait()
    assert "Goodbye" in await call.wait()
    assert not call.next
    await call.go("/ivr/menu?lang=en")
    for _ in range(2):
        assert "no such choice" in await call.press("7")
    assert "Goodbye" in await call.press("#")


@pytest.mark.parametrize("event", [False])
async def test_a_drill_by_hand_is_not_told_of_in_earnest(call: Call) -> None:
    """The scene's warnings are exercises; the database here is a real one."""
    await call.go("/ivr/all?lang=zh")
    assert "没有生效" in " ".join(call.heard)
    assert "演练" not in " ".join(call.heard)


async def test_only_the_provider_may_ask(call: Call) -> None:
    for headers in ({}, {"x-twilio-signature": "wrong"}):
        answer = await call.client.post("/ivr", data={"CallSid": "CA1"}, headers=headers)
        assert answer.status_code == 403
    signature = RequestValidator(TOKEN).compute_signature(f"{PUBLIC}/ivr/menu?lang=zh", {})
    other = await call.client.post("/ivr/menu?lang=en", headers={"x-twilio-signature": signature})
    assert other.status_code == 403
    assert (await call.client.post("/ivr", content=b"a" * 20_000)).status_code == 413


async def test_addresses_that_make_no_sense_lead_somewhere(call: Call) -> None:
    for path in (
        "/ivr/regions?page=99999",
        "/ivr/region?number=99999",
        "/ivr/region?number=-1",
        "/ivr/all?page=x&lang=xx",
    ):
        await call.go(path)
        assert call.heard
        assert call.next


async def test_a_key_confirms_a_call(call: Call) -> None:
    rows = await call.scene.execute("SELECT id FROM delivery ORDER BY id LIMIT 1")
    delivery = rows[0][0]
    await call.scene.execute("UPDATE delivery SET state = 'delivered' WHERE id = %s", delivery)
    await call.go(f"/ivr/confirm/{delivery}?lang=en")
    assert "press 1" in await call.press("5")
    assert "It is confirmed" in await call.press("1")
    ((at, note),) = await call.scene.execute(
        "SELECT acknowledged, acknowledgement FROM delivery WHERE id = %s", delivery
    )
    assert at == NOW
    assert note == "电话按键确认"
    await call.go(f"/ivr/confirm/{delivery}?lang=en", Digits="1")
    assert "confirmed before" in " ".join(call.heard)
    await call.go(f"/ivr/confirm/{uuid.uuid4()}?lang=en", Digits="1")
    assert "could not be noted" in " ".join(call.heard)


@pytest.mark.parametrize("count", [0, 1, 7, 8, 50, 3_000])
def test_any_number_of_districts_can_be_reached(count: int) -> None:
    line = Hotline(
        words=Catalogue.load(), agencies={"zh": "台"}, zone="Asia/Shanghai", exercise=False
    )
    places = [Place(id=str(n), zh=f"区{n}", en=f"D{n}") for n in range(count)]
    reached: set[str] = set()
    step, page = line.regions("zh", places, 1), 1
    for _ in range(count + 1):
        assert len(step.lines) <= PLACES + 4
        reached |= {where for key, where in step.keys.items() if key in "1234567"}
        if "9" not in step.keys:
            break
        page += 1
        assert step.keys["9"].endswith(f"page={page}")
        step = line.regions("zh", places, page)
    assert len(reached) == count
