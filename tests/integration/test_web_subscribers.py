"""The interface to those who are told, and what people send back by SMS."""

import logging
from typing import Any

import psycopg
import pytest
from twilio.request_validator import RequestValidator

from alerts.people import subscribers
from alerts.people.subscribers import Known
from server.settings import Alerts, Twilio, Web
from tests.accounts import bearer
from tests.samples import REGION, SEAL, Fixed, announce, later, phone, prepare
from tests.scene import Scene
from tests.website import Website, website

NUMBER = "+8619900009001"
PUBLIC = "https://fenghuo.example"
TOKEN = "0123456789abcdef"
LIST = "姓名,手机,区县\n王芳,19900009001,海淀\n李强,1,海淀\n".encode()


@pytest.fixture
async def real(plain_database: str) -> str:
    await (await prepare(plain_database)).close()
    return plain_database


async def test_an_administrator_takes_a_list_and_looks_changes_and_erases(
    real: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with website(real) as site:
        api, route = site.client, "/api/v1/subscribers"
        assert (await api.get(route)).status_code == 401
        other = await bearer(real, "approver", name="li")
        assert (await api.get(route, headers=other)).status_code == 403
        api.headers.update(await bearer(real, "admin"))
        for dry in ("true", "false"):
            answer = await api.post(
                f"{route}/import", content=LIST, params={"tier": "officer", "dry": dry}
            )
            found = answer.json()
            assert (found["added"], found["changed"], found["refused"]) == (1, 0, 1)
            assert found["faults"][0]["line"] == 3
            assert found["faults"][0]["code"] == "address_mobile"
        people = (await site.get(route, tier="officer"))["subscribers"]
        assert [one["name"] for one in people][1:] == ["王芳"]
        assert people[1]["contacts"] == [{"channel": "sms", "hint": "…9001", "confirmed": True}]
        number = people[1]["id"]
        assert (await api.post(f"{route}/find", json={"address": NUMBER})).json() == {"id": number}
        changed = {"lowest": "red", "quiet": ["22:00", "06:00"]}
        assert (await api.patch(f"{route}/{number}", json=changed)).status_code == 200
        given = await site.get(f"{route}/{number}")
        assert given["contacts"][0]["address"] == NUMBER
        assert (given["person"]["lowest"], given["person"]["quiet_from"]) == ("red", "22:00:00")
        await api.patch(f"{route}/{number}", json={"quiet": None})
        assert (await site.get(f"{route}/{number}"))["person"]["quiet_from"] is None
        made = {
            "name": "值班室", "tier": "official", "regions": [REGION.id],
            "addresses": {"fax": "0315-2820000", "email": "a@example.cn"},
        }  # fmt: skip
        assert (await api.post(route, json=made)).status_code == 201
        assert (await api.post(route, json=made)).status_code == 200
        table = (await api.get(f"{route}/table")).text
        assert "'+8619900009001" in table
        assert (await api.delete(f"{route}/{number}")).status_code == 204
        assert (await api.delete(f"{route}/{number}")).status_code == 404
        assert (await site.get(f"{route}/{number}"))["person"]["name"] is None
        audit = (await site.get("/api/v1/audit"))["audit"]
    acts = [row["act"] for row in audit if row["act"].startswith("people.")]
    assert acts == [
        "people.export", "people.erase", "people.list", "people.save", "people.save",
        "people.export", "people.change", "people.export", "people.change", "people.import",
    ]  # fmt: skip
    for told in (NUMBER, "19900009001", "王芳", "a@example.cn"):
        assert told not in str(audit)
        assert told not in caplog.text


WRONG: list[tuple[str, str, dict[str, Any], int, str]] = [
    ("POST", "/find", {"json": {"address": "1"}}, 400, "address"),
    ("POST", "/find", {"json": {"address": "+8619900009999"}}, 404, "nobody"),
    ("POST", "/import", {"content": LIST}, 422, "--tier"),
    ("POST", "/import", {"content": LIST, "params": {"tier": "king"}}, 400, "tier"),
    ("POST", "/import", {"content": LIST, "params": {"map": "手机"}}, 400, "HEADER=FIELD"),
    ("POST", "", {"json": {"name": "x"}}, 400, "missing"),
    (
        "POST", "",
        {"json": {"name": "x", "tier": "public", "addresses": {"sms": "1"}, "regions": []}},
        400, "addresses.sms",
    ),
    (
        "POST", "",
        {"json": {"name": "x", "tier": "public", "addresses": {"sms": NUMBER}, "regions": ["?"]}},
        400, "regions: unknown",
    ),
    ("PATCH", "/1", {"json": {"hazards": ["dragon"]}}, 400, "hazards: unknown"),
    ("PATCH", "/1", {"json": {"quiet": ["22", "6"]}}, 400, "quiet"),
    ("PATCH", "/9999", {"json": {}}, 404, "no subscriber"),
    ("GET", "/9999", {}, 404, "no subscriber"),
    ("GET", "/99999999999999999999", {}, 400, "number"),
    ("DELETE", "/9999", {}, 404, "no subscriber"),
]  # fmt: skip


async def test_bad_requests_are_answered_with_a_reason(
    real: str, subtests: pytest.Subtests
) -> None:
    async with website(real) as site:
        site.client.headers.update(await bearer(real, "admin"))
        for method, path, values, status, said in WRONG:
            with subtests.test(f"{method} {path} {said}"):
                answer = await site.client.request(method, f"/api/v1/subscribers{path}", **values)
                assert answer.status_code == status, answer.text
                assert said in answer.json()["detail"]


class Phone:
    """A telephone whose messages Twilio hands on."""

    def __init__(self, site: Website, number: str = NUMBER) -> None:
        self.site = site
        self.number = number

    async def write(self, text: str, status: int = 200, *, token: str = TOKEN, **more: str) -> str:
        form = {"From": self.number, "Body": text, "MessageSid": "SM1", **more}
        address = f"{PUBLIC}/api/v1/replies/sms"
        signature = RequestValidator(token).compute_signature(address, form)
        answer = await self.site.client.post(
            "/api/v1/replies/sms", data=form, headers={"x-twilio-signature": signature}
        )
        assert answer.status_code == status, answer.text
        return answer.text


SMS: dict[str, Any] = {
    "alerts": Alerts(channels=("sms",)),
    "twilio": Twilio(account="AC1", token=TOKEN, sender="+15005550006"),
    "web": Web(public_url=PUBLIC),
}


async def _known(url: str) -> Known | None:
    async with await psycopg.AsyncConnection.connect(url) as conn:
        found = await subscribers.find(conn, phone(NUMBER)[0], seal=SEAL)
        return await subscribers.get(conn, found.subscriber, seal=SEAL) if found else None


async def test_a_telephone_subscribes_confirms_and_leaves(real: str) -> None:
    async with website(real, clock=Fixed(later(1)), **SMS) as site:
        mine = Phone(site)
        assert "没有订阅" in await mine.write("收到")
        assert "没有找到这个地点" in await mine.write("订阅 上海")
        assert "已订阅海淀" in await mine.write("订阅海淀")
        known = await _known(real)
        assert known is not None
        assert (known.regions, known.lowest, known.tier) == ((REGION.id,), "yellow", "public")
        assert "近一天没有" in await mine.write("1")
        async with await psycopg.AsyncConnection.connect(real) as conn:
            await conn.execute("UPDATE subscriber SET lowest = 'blue', tier = 'officer'")
            await announce(conn, exercise=False, channels=("sms",))
            await conn.execute("UPDATE delivery SET state = 'accepted'")
        assert "谢谢" in await mine.write("收到，已转移12人")
        async with await psycopg.AsyncConnection.connect(real) as conn:
            query = "SELECT acknowledgement FROM delivery WHERE acknowledged IS NOT NULL"
            assert await (await conn.execute(query)).fetchall() == [("已转移12人",)]
        assert "退订" in await mine.write("TD")
        known = await _known(real)
        assert known is not None
        assert known.left_at is not None
        # Twilio has answered by itself.
        assert "<Message>" not in await mine.write("STOP", OptOutType="STOP")
        assert "已订阅" in await mine.write("START")
        known = await _known(real)
        assert known is not None
        assert known.left_at is None


async def test_only_the_provider_is_believed_and_a_machine_is_not_answered_for_ever(
    real: str,
) -> None:
    async with website(real, **SMS) as site:
        mine = Phone(site)
        await mine.write("订阅海淀", 403, token="another")
        assert await _known(real) is None
        given = [await mine.write("?") for _ in range(12)]
        assert sum("<Message>" in text for text in given) == 10
        assert "<Message>" not in await Phone(site, "anonymous").write("订阅海淀")
    async with website(real) as site:
        await Phone(site).write("订阅海淀", 404)
        # What any other gateway receives is handed on by whoever holds a token.
        given = {"sender": NUMBER, "text": "JOIN Haidian"}
        assert (await site.client.post("/api/v1/replies", json=given)).status_code == 401
        headers = await bearer(real, "admin")
        answer = await site.client.post("/api/v1/replies", json=given, headers=headers)
        assert "you get warnings" in answer.json()["answer"]
        known = await _known(real)
        assert known is not None
        assert known.language == "en"


async def test_an_exercise_hears_and_answers_nobody(plain_database: str) -> None:
    scene = Scene(plain_database)
    await scene.open()
    async with website(scene.url, **SMS) as site:
        assert "exercise" in await Phone(site).write("订阅海淀", 404)
    assert await _known(scene.url) is None
