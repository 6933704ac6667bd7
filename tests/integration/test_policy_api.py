"""Policy, silences, preview and fatigue over HTTP, on a real database."""

from collections.abc import AsyncIterator
from typing import Any, Literal

import httpx
import pytest

from alerts import regions
from alerts.bureau import policies
from alerts.bureau.policy import shipped
from alerts.life import ledger
from alerts.rights import Role
from server.clock import EventClock
from server.settings import Settings, Store
from server.store.connection import connect
from server.store.database import Database
from server.web import app
from tests.accounts import bearer
from tests.folk import people
from tests.samples import REGION, SEAL, desk, later, step


class Centre:
    """The web role and headers of one account per role."""

    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self._client = client
        self.url = url
        self._known: dict[str, dict[str, str]] = {}

    async def ask(
        self, role: Role | Literal[""], method: str, path: str, status: int = 200, **body: Any
    ) -> Any:
        if role and role not in self._known:
            self._known[role] = await bearer(self.url, role, name=role)
        reads = method in {"GET", "DELETE"}
        answer = await self._client.request(
            method,
            f"/api/v1/{path}",
            headers=self._known.get(role, {}),
            params=body if reads else None,
            json=None if reads else body,
        )
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None


@pytest.fixture
async def centre(plain_database: str) -> AsyncIterator[Centre]:
    settings = Settings(store=Store(url=plain_database))
    clock = EventClock(later(1))
    async with await connect(plain_database, name="test") as conn:
        await regions.save(conn, [REGION])
    async with await Database.open(plain_database, name="test web") as database:
        application = app.create(database, settings, clock, wall=clock, seal=SEAL)
        transport = httpx.ASGITransport(app=application)
        async with httpx.AsyncClient(transport=transport, base_url="http://centre") as client:
            yield Centre(client, plain_database)


async def test_a_policy_is_read_checked_and_put(centre: Centre) -> None:
    await centre.ask("", "GET", "policy", 401)
    assert await centre.ask("officer", "GET", "policy") == {"version": None, "text": shipped()}
    text = shipped().replace("levels = []", 'levels = ["blue"]', 1)
    await centre.ask("forecaster", "PUT", "policy", 403, text=text, after=None)
    wrong = await centre.ask("admin", "PUT", "policy", 422, text="[tiers.all]", after=None)
    assert "tiers" in wrong["detail"]
    assert not (await centre.ask("forecaster", "POST", "policy/check", text="x"))["right"]
    assert (await centre.ask("forecaster", "POST", "policy/check", text=text))["right"]
    put = await centre.ask("approver", "PUT", "policy", text=text, after=None, note="flood season")
    number = put["version"]
    assert (await centre.ask("officer", "GET", "policy"))["version"] == number
    stale = await centre.ask("admin", "PUT", "policy", 409, text=shipped(), after=None)
    assert stale["version"] == number
    (version,) = (await centre.ask("admin", "GET", "policy/versions"))["versions"]
    assert (version["author"], version["note"]) == ("approver", "flood season")
    assert (await centre.ask("admin", "GET", f"policy/versions/{number}"))["text"] == text
    await centre.ask("admin", "GET", "policy/versions/999", 404)
    acts = (await centre.ask("admin", "GET", "audit"))["audit"]
    assert [act["act"] for act in acts if act["act"].startswith("policy")] == ["policy.put"]
    async with await connect(centre.url, name="test") as conn:
        assert (await policies.in_force(conn)).automatic.levels == ("blue",)


async def test_a_silence_over_http(centre: Centre) -> None:
    wanted = {"reason": "radar test", "until": "2016-07-20T06:00:00Z", "hazards": ["gale"]}
    await centre.ask("officer", "POST", "silences", 403, **wanted)
    red = await centre.ask("forecaster", "POST", "silences", 422, **wanted, levels=["red"])
    assert "red can never be silenced" in red["detail"]
    number = (await centre.ask("forecaster", "POST", "silences", 201, **wanted))["id"]
    (found,) = (await centre.ask("officer", "GET", "silences"))["silences"]
    assert (found["owner"], found["reason"], found["active"]) == (
        "forecaster", "radar test", True,
    )  # fmt: skip
    await centre.ask("approver", "DELETE", f"silences/{number}", 204)
    await centre.ask("approver", "DELETE", f"silences/{number}", 404)
    (found,) = (await centre.ask("officer", "GET", "silences"))["silences"]
    assert (found["active"], found["lifter"]) == (False, "approver")


async def test_a_preview_shows_texts_and_recipients(centre: Centre) -> None:
    async with await connect(centre.url, name="test") as conn:
        await people(conn, [REGION.id], number=3, channels=["sms", "email"])
        await people(conn, [REGION.id], number=2, tier="official")
        await conn.execute("UPDATE region SET population = 12345")
    draft: dict[str, Any] = {
        "hazard": "rainstorm", "region": REGION.id, "level": "orange",
        "onset": "2016-07-20T03:00:00Z", "text": {"zh": {"sms": "请转移。"}},
    }  # fmt: skip
    await centre.ask("", "POST", "warnings/preview", 401, **draft)
    shown = await centre.ask("forecaster", "POST", "warnings/preview", **draft)
    assert shown["people"] == 12345
    assert shown["recipients"] == {"official": {"sms": 2}, "public": {"sms": 3}}
    sms = shown["texts"]["sms"]
    assert sms["zh"] == {"subject": "", "body": "【示范气象台】请转移。", "segments": 1}
    assert "Orange rainstorm warning for Haidian" in sms["en"]["body"]
    notice = await centre.ask("forecaster", "POST", "warnings/preview", **draft, act="notice")
    assert notice["recipients"] == {"official": {"sms": 2}}
    assert "早通气" in notice["texts"]["sms"]["zh"]["body"]
    practice = await centre.ask("forecaster", "POST", "warnings/preview", **draft, exercise=True)
    assert practice["recipients"]["public"] == {"sms": 3, "email": 3}
    assert practice["texts"]["sms"]["zh"]["body"].startswith("【演练】")
    half = [[116.2, 39.9], [116.3, 39.9], [116.3, 40.1], [116.2, 40.1], [116.2, 39.9]]
    drawn = {"type": "Polygon", "coordinates": [half]}
    part = await centre.ask("forecaster", "POST", "warnings/preview", **draft, area=drawn)
    assert part["people"] == pytest.approx(12345 / 2, rel=0.02)
    for wrong, status in (
        ({"level": "green"}, 422),
        ({"region": "nowhere"}, 400),
        ({"hazard": "snow"}, 400),
        ({"act": "shout"}, 400),
        ({"expires": "2016-07-20T01:00:00Z"}, 422),
        ({"area": {"type": "Point", "coordinates": [1, 2]}}, 422),
    ):
        await centre.ask("forecaster", "POST", "warnings/preview", status, **{**draft, **wrong})
    async with await connect(centre.url, name="test") as conn:
        cursor = await conn.execute("SELECT count(*) FROM warning")
        assert await cursor.fetchone() == (0,)


async def test_a_preview_of_what_is_in_force(centre: Centre) -> None:
    given = step("orange", exercise=False)
    async with await connect(centre.url, name="test") as conn:
        await people(conn, [REGION.id])
        await ledger.record(conn, given, desk=desk("sms"))
        await people(conn, [REGION.id])
    path = f"warnings/{given.warning.id}/preview"
    shown = await centre.ask("forecaster", "POST", path)
    assert (shown["act"], shown["level"]) == ("update", "orange")
    assert shown["recipients"] == {"public": {"sms": 2}}
    end = await centre.ask("forecaster", "POST", path, act="cancel")
    assert end["recipients"] == {"public": {"sms": 1}}
    assert "解除海淀暴雨橙色预警" in end["texts"]["sms"]["zh"]["body"]
    nobody = "00000000-0000-0000-0000-000000000000"
    await centre.ask("forecaster", "POST", f"warnings/{nobody}/preview", 404)


async def test_how_much_each_person_was_sent(centre: Centre) -> None:
    async with await connect(centre.url, name="test") as conn:
        (often, once) = (
            (await people(conn, [REGION.id]))[0],
            (await people(conn, [REGION.id], lowest="red", hazards=["gale"]))[0],
        )
        await people(conn, [], tier="official")
        for hour, hazard in enumerate(("rainstorm", "hail", "gale")):
            given = step("red", hazard=hazard, exercise=False, at=later(hour / 4))
            await ledger.record(conn, given, desk=desk("sms"))
        await conn.execute("UPDATE delivery SET state = 'delivered'")
        quiet = step("blue", hazard="frost", exercise=False, at=later(0.9))
        await ledger.record(conn, quiet, desk=desk("sms"))
        await conn.execute(
            "UPDATE delivery SET state = 'muted', reason = 'quiet' WHERE state = 'queued'"
        )
    found = await centre.ask("forecaster", "GET", "fatigue", days=1)
    public = found["tiers"]["public"]
    assert (public["people"], public["messages"], public["most"], public["half"]) == (2, 4, 3, 1)
    classes = {each["from"]: each["people"] for each in public["classes"]}
    assert classes == {0: 0, 1: 1, 2: 0, 3: 1, 6: 0, 11: 0, 21: 0, 51: 0}
    assert public["kept"] == [{"state": "muted", "reason": "quiet", "number": 1}]
    assert found["tiers"]["official"]["classes"][0] == {"from": 0, "to": 0, "people": 1}
    assert [(each["id"], each["messages"]) for each in found["most"]] == [(often, 3), (once, 1)]
    assert "address" not in found["most"][0]
    one = await centre.ask("forecaster", "GET", f"fatigue/{once}", days=1)
    assert [(each["hazard"], each["messages"]) for each in one["messages"]] == [("gale", 1)]
    await centre.ask("forecaster", "GET", "fatigue/999999", 404)
    await centre.ask("", "GET", "fatigue", 401)
