"""A warning's life over HTTP: who may do what, what two people see who do it at once."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import psycopg
import pytest

from alerts import regions
from alerts.bureau import policies
from alerts.bureau.policy import shipped
from alerts.life import diary, ledger
from alerts.life.course import advance
from alerts.life.warning import Terms
from alerts.rights import Role
from server.accounts.audit import verify
from tests.accounts import bearer, token
from tests.samples import REGION, Fixed, case, desk, later, prepare
from tests.scene import Scene
from tests.website import Website, website

NOW = later(1)
DRAFT = {"hazard": "rainstorm", "region": REGION.id, "level": "orange", "exercise": True}


class Desk:
    """A centre on a database of its own, and people who are signed in."""

    def __init__(self, site: Website, url: str, clock: Fixed) -> None:
        self.site, self.url, self.clock = site, url, clock
        self.heads: dict[str, dict[str, str]] = {}

    async def join(self, name: str, *roles: Role) -> None:
        self.heads[name] = await bearer(self.url, *roles, name=name)

    async def call(
        self, name: str, path: str, body: dict[str, Any] | None = None, status: int = 200
    ) -> Any:
        method = "GET" if body is None else "POST"
        answer = await self.site.client.request(
            method, f"/api/v1{path}", json=body, headers=self.heads.get(name)
        )
        assert answer.status_code == status, answer.text
        return answer.json()

    async def draft(self, name: str = "chen", status: int = 201, **changed: Any) -> Any:
        return await self.call(name, "/warnings", {**DRAFT, **changed}, status)

    async def do(self, name: str, there: Any, act: str, status: int = 200, **given: Any) -> Any:
        body = {"version": there["version"], **given}
        return await self.call(name, f"/warnings/{there['id']}/{act}", body, status)

    async def rows(self, query: str) -> list[Any]:
        async with await psycopg.AsyncConnection.connect(self.url) as conn:
            return await (await conn.execute(query)).fetchall()


@pytest.fixture
async def centre(plain_database: str) -> AsyncIterator[Desk]:
    await (await prepare(plain_database)).close()
    clock = Fixed(NOW)
    async with website(plain_database, clock=clock) as site:
        desk = Desk(site, plain_database, clock)
        await desk.join("chen", "forecaster")
        await desk.join("wang", "approver")
        await desk.join("duty", "officer")
        yield desk


async def two(url: str) -> None:
    """Ask for two people for orange and red."""
    text = shipped().replace("two = []", 'two = ["orange", "red"]')
    async with await psycopg.AsyncConnection.connect(url) as conn:
        await policies.put(conn, text, author="admin", note="", at=NOW, after=None)


async def test_from_draft_to_end(centre: Desk) -> None:
    await two(centre.url)
    words = {"zh": {"sms": "【演练】请注意安全"}}
    there = await centre.draft(text=words, expires="2016-07-20T08:00:00Z", note="radar echo")
    assert (there["state"], there["version"], there["author"], there["led"]) == (
        "draft", 1, "chen", "hand",
    )  # fmt: skip
    assert there["may"] == ["edit", "submit", "dismiss", "notice"]
    assert there["text"]["zh"]["sms"] == "【演练】请注意安全"
    (waiting,) = (await centre.call("wang", "/proposals"))["proposals"]
    assert {**waiting, "messages": []} == await centre.call("wang", f"/warnings/{there['id']}")
    there = await centre.do("chen", there, "edit", text=None)
    there = await centre.do("chen", there, "submit")
    refused = await centre.do("chen", there, "approve", 403)
    assert refused["reason"] == "role"
    assert "approver" in refused["detail"]
    there = await centre.do("wang", there, "approve", note="agreed")
    assert (there["state"], there["version"], there["approver"]) == ("issued", 5, "wang")
    assert there["remaining"] == 7 * 3_600
    assert (await centre.call("wang", "/proposals"))["proposals"] == []
    centre.clock.time = later(2)
    there = await centre.do("wang", there, "downgrade", level="blue")
    assert there["since"] == "2016-07-20T02:00:00Z"
    there = await centre.do("wang", there, "cancel", note="over")
    assert (there["state"], there["may"], there["remaining"]) == ("cancelled", [], None)
    await centre.do("wang", there, "cancel", 409)
    acts = (await centre.call("duty", f"/warnings/{there['id']}/acts"))["acts"]
    assert [(each["act"], each["name"], each["to_state"], each["note"]) for each in acts] == [
        ("draft", "chen", "draft", "radar echo"),
        ("edit", "chen", "draft", ""),
        ("submit", "chen", "submitted", ""),
        ("approve", "wang", "approved", "agreed"),
        ("issue", "wang", "issued", "agreed"),
        ("downgrade", "wang", "issued", ""),
        ("cancel", "wang", "cancelled", "over"),
    ]
    assert (acts[0]["from_state"], acts[0]["watch"]) == (None, False)
    said = await centre.rows(
        "SELECT act, channel, array_agg(DISTINCT subscriber ORDER BY subscriber) FROM delivery"
        " JOIN message ON message.id = message GROUP BY act, channel, number ORDER BY number"
    )
    assert [row[:2] for row in said] == [
        ("issue", "exercise"), ("downgrade", "exercise"), ("cancel", "exercise"),
    ]  # fmt: skip
    assert said[0][2] == said[-1][2] != []
    audited = await centre.rows("SELECT act, name FROM audit WHERE subject LIKE 'warning/%'")
    assert [row[0] for row in audited] == [
        "warning.draft", "warning.edit", "warning.submit", "warning.approve",
        "warning.downgrade", "warning.cancel",
    ]  # fmt: skip
    async with await psycopg.AsyncConnection.connect(centre.url) as conn:
        assert (await verify(conn)).broken is None


async def test_of_two_who_decide_at_once_one_is_told(centre: Desk) -> None:
    there = await centre.do("chen", await centre.draft(), "submit")
    body = {"version": there["version"]}
    answers = await asyncio.gather(
        *(
            centre.site.client.post(
                f"/api/v1/warnings/{there['id']}/{act}", json=body, headers=centre.heads[name]
            )
            for name, act in [("wang", "approve"), ("chen", "return"), ("wang", "dismiss")] * 2
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409, 409]
    (done,) = (answer.json() for answer in answers if answer.status_code == 200)
    for answer in answers:
        if answer.status_code == 409:
            assert answer.json()["warning"]["version"] == done["version"]
            assert answer.json()["warning"]["state"] == done["state"]


async def test_a_second_draft_of_the_same_event_is_shown_the_first(centre: Desk) -> None:
    both = await asyncio.gather(
        *(
            centre.site.client.post("/api/v1/warnings", json=DRAFT, headers=centre.heads["chen"])
            for _ in range(3)
        )
    )
    assert sorted(answer.status_code for answer in both) == [201, 409, 409]
    there = await centre.draft(status=409)
    assert there["warning"]["state"] == "draft"
    # What is real stands beside its exercise.
    real = await centre.draft(exercise=False)
    assert real["exercise"] is False


WRONG = [
        ({"hazard": "dragon"}, 400, "is not one of"),
        ({"region": "nowhere"}, 400, "no region 'nowhere'"),
        ({"region": "a\x00b"}, 400, "region"),
        ({"level": "purple"}, 422, "is not one of"),
        ({"hazard": "hail", "level": "blue"}, 422, "has no level 'blue' here"),
        ({"expires": "2016-07-20T00:00:00Z"}, 422, "has passed"),
        ({"expires": "2016-07-20T08:00:00"}, 422, "no zone"),
        ({"text": {"fr": {"sms": "alerte"}}}, 422, "not in 'fr'"),
        ({"text": {"zh": {"sms": "a" * 501}}}, 400, "500"),
        ({"text": {"zh": {"sms": "a\x07"}}}, 400, "text"),
        ({"area": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}}, 422,
         "does not touch"),
        ({"area": {"type": "Circle"}}, 422, "Polygon"),
        ({"colour": "red"}, 400, "colour"),
    ]  # fmt: skip


async def test_what_is_wrong_is_said(centre: Desk) -> None:
    for changed, status, sentence in WRONG:
        answer = await centre.draft(status=status, **changed)
        assert sentence in answer["detail"]
    assert await centre.rows("SELECT 1 FROM warning") == []


async def test_who_may(centre: Desk) -> None:
    assert (await centre.draft("nobody", 401))["status"] == 401
    refused = await centre.draft("duty", 403)
    assert (refused["reason"], "forecaster" in refused["detail"]) == ("role", True)
    async with await psycopg.AsyncConnection.connect(centre.url) as conn:
        await regions.save(conn, [msgspec.structs.replace(REGION, id="54511")])
    far = await token(centre.url, "forecaster", name="far", regions=("54511",))
    centre.heads["far"] = {"authorization": f"Bearer {far}"}
    assert (await centre.draft("far", 403))["reason"] == "region"
    there = await centre.draft()
    for path in ("/proposals", f"/warnings/{there['id']}/acts", "/phone"):
        await centre.call("nobody", path, status=401)
    await centre.call("nobody", f"/warnings/{there['id']}", status=404)
    assert (await centre.call("duty", f"/warnings/{there['id']}"))["may"] == []
    await centre.call("chen", f"/warnings/{uuid.uuid4()}/acts", status=404)
    await centre.call("chen", f"/warnings/{uuid.uuid4()}/edit", {"version": 1}, 404)
    await centre.call("chen", f"/warnings/{there['id']}/keep", {"version": 1}, 404)


async def test_an_exercise_of_a_real_centre_is_shown_to_nobody_outside(centre: Desk) -> None:
    practised = await centre.draft()
    practised = await centre.do(
        "wang", await centre.do("chen", practised, "submit"), "approve", note="drill"
    )
    real = await centre.draft(exercise=False, level="blue")
    real = await centre.do("wang", await centre.do("chen", real, "submit"), "approve")
    for path in ("/warnings", "/warnings?state=running"):
        outside = (await centre.call("nobody", path))["warnings"]
        assert [each["id"] for each in outside] == [real["id"]]
        assert not {"suggestion", "author", "text", "may"} & outside[0].keys()
        inside = (await centre.call("chen", path))["warnings"]
        assert {each["id"] for each in inside} == {real["id"], practised["id"]}
        assert all("upgrade" in each["may"] for each in inside)
    await centre.call("nobody", f"/warnings/{practised['id']}", status=404)
    async with centre.site.stream() as events:
        shown = await events.until("snapshot")
        assert [each["id"] for each in shown["warnings"]] == [real["id"]]
        assert shown["phone"] == []
    feed = await centre.site.client.get("/cap/feed.atom")
    assert practised["id"] not in feed.text


async def test_a_notice_is_not_public(centre: Desk) -> None:
    there = await centre.draft(exercise=False, onset="2016-07-20T04:00:00Z")
    there = await centre.do("chen", there, "notice")
    assert [(each["number"], each["withdrawn"]) for each in there["notices"]] == [(1, False)]
    ((message,),) = await centre.rows("SELECT id FROM message WHERE act = 'notice'")
    answer = await centre.site.client.get(f"/cap/{message}.xml")
    assert answer.status_code == 404
    assert (await centre.call("nobody", "/warnings"))["warnings"] == []
    there = await centre.do("chen", there, "dismiss")
    assert (there["state"], there["may"]) == ("dismissed", [])
    assert [row[0] for row in await centre.rows("SELECT act FROM message ORDER BY number")] == [
        "notice", "withdraw",
    ]  # fmt: skip


async def proposal(url: str) -> None:
    """Let the watch propose a blue rainstorm."""
    async with await psycopg.AsyncConnection.connect(url) as conn:
        found = advance(
            None, case(at=NOW), at=NOW, complete=True, terms=Terms(), exercise=False, automatic=()
        )
        assert found is not None
        await ledger.record(conn, found, desk=desk())


async def test_a_dismissed_proposal_is_taken_up_again(centre: Desk) -> None:
    await proposal(centre.url)
    (there,) = (await centre.call("wang", "/proposals"))["proposals"]
    assert (there["author"], there["led"]) == (None, "watch")
    assert there["may"] == ["draft", "approve", "dismiss", "notice", "lead"]
    there = await centre.do("wang", there, "dismiss", note="hail on the gauge")
    assert (there["state"], there["ended"], there["barred"]) == ("dismissed", None, "blue")
    assert (await centre.call("wang", "/proposals"))["proposals"] == []
    again = await centre.draft(exercise=False, level="yellow", note="after all")
    assert (again["id"], again["state"], again["level"]) == (there["id"], "draft", "yellow")


async def test_everything_is_an_exercise_beside_a_replayed_event(database: str) -> None:
    scene = Scene(database)
    await scene.open()
    async with website(scene.url) as site:
        head = await bearer(scene.url, "forecaster", "approver")
        body = {**DRAFT, "region": scene.names[0], "exercise": False}
        answer = await site.client.post("/api/v1/warnings", json=body, headers=head)
        assert answer.status_code == 201, answer.text
        assert answer.json()["exercise"] is True
        # A replayed event is for everybody.
        assert (await site.get("/api/v1/proposals"))["proposals"][0]["may"] == []


async def test_a_page_of_another_site_changes_nothing(centre: Desk) -> None:
    answer = await centre.site.client.post(
        "/api/v1/warnings",
        content=b"{}",
        headers={**centre.heads["chen"], "content-type": "text/plain"},
    )
    assert answer.status_code == 415


async def test_the_diary_is_never_changed(centre: Desk) -> None:
    await centre.draft()
    async with await psycopg.AsyncConnection.connect(centre.url) as conn:
        assert len(await diary.acts(conn, uuid.UUID(int=1))) == 0
        for change in (
            "UPDATE warning_act SET name = 'nobody'",
            "DELETE FROM warning_act",
            "TRUNCATE warning_act",
            "UPDATE warning SET exercise = NOT exercise",
            "UPDATE warning SET region = 'x'",
            "UPDATE warning SET version = 0",
        ):
            with pytest.raises(psycopg.errors.IntegrityError):
                await conn.execute(change)
            await conn.rollback()
