"""Signing up by browser, without JavaScript, as a person goes through it."""

import asyncio
import contextlib
import datetime as dt
import logging
import re
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeAlias

import httpx
import psycopg
import pytest

from alerts.catalogue import Catalogue
from alerts.channels.port import Delivery, Memory, Receipt
from alerts.people import contacts, leaving, signup, subscribers
from alerts.people.signup import LimitError, Limits
from alerts.people.subscribers import Subscriber
from server import postbox
from server.settings import Alerts
from server.store.connection import connect
from server.store.database import Database
from server.web.people import wishes
from tests.samples import REGION, SEAL, announce, phone, prepare
from tests.scene import Scene
from tests.support import eventually_async
from tests.website import Website, website

NUMBER = "+8619900009001"
NOW = dt.datetime(2026, 11, 22, 4, tzinfo=dt.UTC)
BOTH = Alerts(channels=("sms", "email"))


class Visitor:
    """A browser that runs no scripts."""

    def __init__(self, site: Website) -> None:
        self.client = httpx.AsyncClient(
            base_url=site.address, timeout=10, headers={"accept-language": "en"}
        )

    async def get(self, path: str, status: int = 200) -> str:
        answer = await self.client.get(path, follow_redirects=True)
        assert answer.status_code == status, answer.text
        return answer.text

    async def post(self, path: str, status: int = 200, **fields: Any) -> str:
        answer = await self.client.post(path, data=fields, follow_redirects=True)
        assert answer.status_code == status, answer.text
        self.at = str(answer.url)
        return answer.text

    async def ask(self, address: str = NUMBER, status: int = 200) -> str:
        return await self.post("/signup", address=address, status=status)

    async def enter(self, code: str, status: int = 200) -> str:
        number = httpx.URL(self.at).params.get("id") or self.number
        self.number = number
        return await self.post("/signup/code", id=number, code=code, status=status)


Visit: TypeAlias = Callable[[Website], Visitor]


@pytest.fixture
async def visit() -> AsyncIterator[Visit]:
    """Browsers that are closed at the end."""
    async with contextlib.AsyncExitStack() as stack:

        def open_one(site: Website) -> Visitor:
            visitor = Visitor(site)
            stack.push_async_callback(visitor.client.aclose)
            return visitor

        yield open_one


@pytest.fixture
async def real(plain_database: str) -> str:
    await (await prepare(plain_database)).close()
    return plain_database


@contextlib.asynccontextmanager
async def sending(url: str, channel: Memory) -> AsyncIterator[None]:
    """The alert role's part that sends codes."""
    async with await Database.open(url, name="test", size=2) as database:
        task = asyncio.create_task(postbox.run(database, [channel], seal=SEAL))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def code_of(text: str) -> str:
    found = re.search(r"\b(\d{6})\b", text)
    assert found, text
    return found[1]


async def test_a_number_signs_up_changes_and_leaves(
    visit: Visit, real: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    channel = Memory()
    async with website(real, alerts=BOTH) as site, sending(real, channel):
        visitor = visit(site)
        assert "Mobile number or e-mail" in await visitor.get("/signup")
        page = await visitor.ask("199 0000 9001")
        assert "…9001" in page
        assert NUMBER not in page
        await eventually_async(lambda: channel.sent)
        (sent,) = channel.sent
        assert (sent.address, sent.channel, sent.exercise) == (NUMBER, "sms", False)
        code = code_of(sent.body)
        assert code not in page
        wrong = f"{(int(code) + 1) % 1_000_000:06d}"
        assert "4 more tries" in await visitor.enter(wrong, 400)
        page = await visitor.enter(code[:3] + " " + code[3:])
        assert "What you want to hear" in page
        # A code works once.
        await visitor.enter(code, 410)
        assert "at least one place" in await visitor.post("/signup/settings", 400, lowest="red")
        page = await visitor.post(
            "/signup/settings",
            region=[REGION.id, "nowhere"],
            lowest="orange",
            which="some",
            hazard=["gale", "dragon"],
            language="en",
            quiet="on",
            quiet_from="22:30",
            quiet_until="06:00",
        )
        assert "Saved." in page
        assert re.search(rf'value="{REGION.id}" checked', page)
        async with await psycopg.AsyncConnection.connect(real) as conn:
            found = await subscribers.find(conn, phone(NUMBER)[0], seal=SEAL)
            assert found is not None
            known = await subscribers.get(conn, found.subscriber, seal=SEAL)
        assert known is not None
        assert (known.source, known.tier, known.regions) == ("self", "public", (REGION.id,))
        assert (known.lowest, known.hazards, known.language) == ("orange", ("gale",), "en")
        assert (known.quiet_from, known.quiet_until) == (dt.time(22, 30), dt.time(6))
        assert known.contacts[0].confirmed
        data = await visitor.get("/signup/data")
        assert NUMBER in data
        assert "Stopped" in await visitor.post("/signup/settings", act="leave")
        assert "Prove your number again" in await visitor.get("/signup/settings", 410)
        # Back again: as new, and after that erased.
        await visitor.ask()
        await eventually_async(lambda: len(channel.sent) == 2)
        await visitor.enter(code_of(channel.sent[1].body))
        saved = {"region": REGION.id, "lowest": "red", "which": "every"}
        assert "Saved." in await visitor.post("/signup/settings", **saved)
        assert "Tick" in await visitor.post("/signup/settings", 400, act="erase")
        assert "Erased" in await visitor.post("/signup/settings", act="erase", sure="on")
        async with await psycopg.AsyncConnection.connect(real) as conn:
            assert await subscribers.find(conn, phone(NUMBER)[0], seal=SEAL) is None
            rows = await (await conn.execute("SELECT count(*) FROM passcode")).fetchall()
            assert rows == [(0,)]
    for text in (NUMBER, "9000 9001", "19900009001", code):
        assert text not in caplog.text


async def test_known_and_unknown_get_the_same_answer(visit: Visit, real: str) -> None:
    async with await psycopg.AsyncConnection.connect(real) as conn:
        known = Subscriber(
            name="王芳", tier="public", addresses=phone(NUMBER), regions=(REGION.id,)
        )
        await subscribers.save(conn, [known], seal=SEAL, at=NOW)
    async with website(real, alerts=BOTH) as site:
        pages = []
        for number in (NUMBER, "+8619900009002"):
            page = await visit(site).ask(number)
            pages.append(re.sub(r"…\d{4}|[0-9a-f-]{36}", "", page))
        assert pages[0] == pages[1]


WRONG = [
    ("", "There is no number"),
    ("1990000900", "has 11 digits"),
    ("010-68400000", "a fixed line gets no SMS"),
    ("nobody@", "no e-mail address"),
    ("+85251234567", "begin with +86"),
    ('<script>alert("x")</script>', "more than digits"),
]


async def test_what_is_typed_wrong_is_said_and_kept(
    visit: Visit, real: str, subtests: pytest.Subtests
) -> None:
    async with website(real, alerts=BOTH) as site:
        for text, said in WRONG:
            with subtests.test(text):
                page = await visit(site).ask(text, 400)
                assert said.lower() in page.lower()
                assert "<script>alert" not in page
    async with website(real, alerts=Alerts(channels=("email",))) as site:
        assert "e-mail only" in await visit(site).ask(NUMBER, 400)
    async with website(real) as site:
        assert "neither text messages" in await visit(site).get("/signup")


async def test_another_site_can_send_nothing(real: str) -> None:
    async with website(real, alerts=BOTH) as site:
        for path in ("/signup", "/signup/code", "/signup/settings", "/signup/out"):
            answer = await site.client.post(path, headers={"origin": "https://evil.example"})
            assert answer.status_code == 403
        answer = await site.client.get("/signup")
        assert "form-action 'self'" in answer.headers["content-security-policy"]
        assert "<script>" not in answer.text
        assert 'style="' not in answer.text
        for path in ("/signup/settings", "/signup/data"):
            assert (await site.client.get(path)).status_code == 410
        big = await site.client.post("/signup", content=b"address=" + b"1" * 70_000)
        assert big.status_code == 413


async def test_an_exercise_shows_the_code_and_sends_nothing(
    visit: Visit, plain_database: str
) -> None:
    scene = Scene(plain_database)
    await scene.open()
    channel = Memory()
    async with website(scene.url, alerts=BOTH) as site, sending(scene.url, channel):
        visitor = visit(site)
        page = await visitor.ask()
        assert "nothing is sent to anybody" in page
        settings = await visitor.enter(code_of(page))
        assert "What you want to hear" in settings
        assert settings.count('name="region"') == len(
            (await site.get("/api/v1/regions"))["features"]
        )
        assert "<path" in settings
        async with await connect(scene.url, name="test", autocommit=True) as conn:
            cursor = await conn.execute("SELECT channel, exercise, state FROM passcode")
            assert await cursor.fetchall() == [("exercise", True, "shown")]
            # Second barrier: the database takes no code that could leave an exercise …
            with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="no code"):
                await _asked(conn, practice=False)
            with pytest.raises(psycopg.errors.CheckViolation):
                await conn.execute("UPDATE passcode SET channel = 'sms'")
            # … and nobody who sends takes one of an exercise.
            channels = ["sms", "email", "exercise"]
            later = dt.datetime.now(dt.UTC)
            taken = await signup.claim(conn, seal=SEAL, channels=channels, at=later, limit=9)
            assert taken == []
    assert channel.sent == []


async def _asked(conn: Any, *, practice: bool = False, at: dt.datetime = NOW, **values: Any) -> Any:
    given = {"origin": "127.0.0.1", "limits": Limits(), "address": phone(NUMBER)[0], **values}
    return await signup.ask(
        conn,
        given.pop("address"),
        seal=SEAL,
        at=at,
        exercise=practice,
        language="zh",
        agency="示范气象台",
        catalogue=Catalogue.load(),
        **given,
    )


async def test_codes_have_limits(real: str) -> None:
    async with await psycopg.AsyncConnection.connect(real) as conn:
        for _ in range(3):
            await _asked(conn)
        with pytest.raises(LimitError) as often:
            await _asked(conn)
        assert often.value.minutes == 15
        for quarter in range(1, 6):
            await _asked(conn, at=NOW + dt.timedelta(minutes=16 * quarter))
        with pytest.raises(LimitError) as often:
            await _asked(conn, at=NOW + dt.timedelta(hours=3))
        assert often.value.minutes == 24 * 60
        other = {"address": contacts.read("email", "a@example.cn")}
        with pytest.raises(LimitError):
            await _asked(conn, limits=Limits(origin=3), **other)
        await _asked(conn, limits=Limits(origin=3), origin="10.0.0.9", **other)
        with pytest.raises(LimitError):
            await _asked(conn, limits=Limits(every=4), origin="10.0.0.8", **other)
        assert await signup.tidy(conn, at=NOW + dt.timedelta(days=2)) == 9


async def test_five_wrong_codes_or_ten_minutes_are_too_many(real: str) -> None:
    async with await psycopg.AsyncConnection.connect(real) as conn:
        number = await _asked(conn)
        (sent,) = await signup.claim(conn, seal=SEAL, channels=["sms"], at=NOW, limit=9)
        code = code_of(sent.body)
        wrong = f"{(int(code) + 1) % 1_000_000:06d}"
        given = [await signup.answer(conn, number, wrong, seal=SEAL, at=NOW) for _ in range(6)]
        assert [one.left for one in given] == [4, 3, 2, 1, 0, 0]
        late = await signup.answer(conn, number, code, seal=SEAL, at=NOW)
        assert late.refusal == "late"
        second = await _asked(conn)
        (sent,) = await signup.claim(conn, seal=SEAL, channels=["sms"], at=NOW, limit=9)
        after = NOW + signup.HOLDS
        late = await signup.answer(conn, second, code_of(sent.body), seal=SEAL, at=after)
        assert late.refusal == "late"
        unknown = await signup.answer(conn, uuid.uuid4(), code, seal=SEAL, at=NOW)
        assert unknown.refusal == "late"
        third = await _asked(conn)
        (sent,) = await signup.claim(conn, seal=SEAL, channels=["sms"], at=NOW, limit=9)
        opened = await signup.answer(conn, third, code_of(sent.body), seal=SEAL, at=NOW)
        assert await signup.owner(conn, opened.secret, seal=SEAL, at=NOW) == phone(NUMBER)[0]
        late_at = NOW + signup.SESSION
        assert await signup.owner(conn, opened.secret, seal=SEAL, at=late_at) is None
        stored = str(await (await conn.execute("SELECT passcode::text FROM passcode")).fetchall())
        assert opened.secret not in stored
        assert NUMBER.encode().hex() not in stored


async def test_a_code_is_sent_again_only_where_it_was_certainly_not(real: str) -> None:
    def answer(state: Any) -> Receipt:
        return Receipt(delivery=uuid.uuid4(), state=state)

    states = []
    async with await psycopg.AsyncConnection.connect(real) as conn:
        number = await _asked(conn)
        at = NOW
        for state in ("queued", "queued", "uncertain"):
            (sent,) = await signup.claim(conn, seal=SEAL, channels=["sms"], at=at, limit=9)
            assert sent.id == number
            await signup.report(conn, sent, answer(state), at=at)
            row = await (await conn.execute("SELECT state, body IS NULL FROM passcode")).fetchone()
            states.append(row)
            at += dt.timedelta(minutes=1)
        assert await signup.claim(conn, seal=SEAL, channels=["sms"], at=at, limit=9) == []
    assert states == [("queued", False), ("queued", False), ("uncertain", True)]


async def test_a_channel_that_breaks_holds_up_nobody_and_tells_no_address(
    real: str, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(delivery: Delivery) -> Receipt:
        raise RuntimeError(f"cannot write to {delivery.address}")

    channel = Memory(answer=answer)
    async with sending(real, channel):
        async with await psycopg.AsyncConnection.connect(real) as conn:
            at = dt.datetime.now(dt.UTC)
            await _asked(conn, at=at)
            await _asked(conn, at=at, address=phone("+8619900009002")[0])
        async with await connect(real, name="test", autocommit=True) as conn:

            async def done() -> bool:
                query = "SELECT array_agg(state) FROM passcode"
                row = await (await conn.execute(query)).fetchone()
                return row == (["uncertain", "uncertain"],)

            await eventually_async(done)
    assert "code not sent" in caplog.text
    assert "9900009" not in caplog.text


async def test_an_official_list_is_not_changed_from_outside(visit: Visit, real: str) -> None:
    async with await psycopg.AsyncConnection.connect(real) as conn:
        officer = Subscriber(
            name="王芳", tier="officer", addresses=phone(NUMBER), regions=(REGION.id,)
        )
        (number,) = (await subscribers.save(conn, [officer], seal=SEAL, at=NOW)).ids
    channel = Memory()
    async with website(real, alerts=BOTH) as site, sending(real, channel):
        visitor = visit(site)
        await visitor.ask()
        await eventually_async(lambda: channel.sent)
        assert "official list" in await visitor.enter(code_of(channel.sent[0].body))
        for act in ("save", "leave", "erase"):
            await visitor.post("/signup/settings", act=act, sure="on", lowest="red")
        async with await psycopg.AsyncConnection.connect(real) as conn:
            known = await subscribers.get(conn, number, seal=SEAL)
            assert known is not None
            assert (known.tier, known.lowest, known.left_at) == ("officer", "blue", None)


async def test_a_link_in_a_mail_leads_out(visit: Visit, real: str) -> None:
    async with await psycopg.AsyncConnection.connect(real) as conn:
        await announce(conn, exercise=False, channels=("sms",))
        rows = await (await conn.execute("SELECT id, subscriber FROM delivery LIMIT 1")).fetchall()
        ((delivery, number),) = rows
    async with website(real) as site:
        link = leaving.link(delivery, SEAL)
        visitor = visit(site)
        assert "No more warnings" in await visitor.get(link)
        assert await _left(real, number) is None
        one_click = {"List-Unsubscribe": "One-Click"}
        answer = await site.client.post(link, data=one_click)
        assert answer.status_code == 200
        assert await _left(real, number) is not None
        for bad in (
            link[:-2] + "AA",
            leaving.link(uuid.uuid4(), SEAL)[:20],
            "/leave/?",
            "/leave/é",
        ):
            assert (await site.client.post(bad)).status_code == 404


async def _left(url: str, number: int) -> object:
    async with await psycopg.AsyncConnection.connect(url) as conn:
        known = await subscribers.get(conn, number, seal=SEAL)
        assert known is not None
        return known.left_at


async def test_places_by_name_and_position(plain_database: str) -> None:
    scene = Scene(plain_database)
    await scene.open()
    async with website(scene.url) as site:
        found = await site.get("/api/v1/places", q="奥体")
        assert [one["zh"] for one in found["places"]] == ["奥体中心"]
        found = await site.get("/api/v1/places", longitude=116.397, latitude=39.982)
        assert found["places"][0]["zh"] == "奥体中心"
        assert (await site.get("/api/v1/places", longitude=0, latitude=0))["places"] == []
        for wrong in ({}, {"longitude": 200, "latitude": 0}, {"longitude": 1}):
            await site.get("/api/v1/places", 400, **wrong)


async def test_many_places_are_found_by_name_without_scripts(
    visit: Visit, plain_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wishes, "FEW", 3)
    scene = Scene(plain_database)
    await scene.open()
    async with website(scene.url) as site:
        visitor = visit(site)
        page = await visitor.enter(code_of(await visitor.ask()))
        assert 'name="region"' not in page
        first = await visitor.post("/signup/settings", act="find", search="奥体")
        chosen = re.findall(r'name="region" value="([^"]+)"', first)
        assert len(chosen) == 1
        both = await visitor.post("/signup/settings", act="find", search="定陵", region=chosen)
        assert len(re.findall(r'name="region"', both)) == 2
        assert f'value="{chosen[0]}" checked' in both
        none = await visitor.post("/signup/settings", act="find", search="上海")
        assert "no place &#39;上海&#39;" in none
