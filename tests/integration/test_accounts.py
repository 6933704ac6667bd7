"""Accounts as people use them: let in, kept in, put out; and the audit of it."""

import asyncio
import datetime as dt
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from argon2 import PasswordHasher

from alerts.rights import Person
from server import main
from server import run as run_
from server.accounts import audit, links, people, sessions, throttle
from server.accounts.errors import AccountError
from server.accounts.passwords import Passwords
from server.chain import Chain
from server.clock import EventClock, SystemClock
from server.processes import Group
from server.settings import Settings, Store, Web
from server.store.connection import Connection, connect
from server.store.database import Database
from server.terminal import Terminal
from server.web import app, permit
from tests.accounts import bearer, token
from tests.samples import SEAL

NOW = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
HOUR = dt.timedelta(hours=1)
PASSWORD = "a-long-way-to-the-sea"
ELSEWHERE = ("192.0.2.99", 1)


@pytest.fixture
async def conn(plain_database: str) -> AsyncIterator[Connection]:
    connection = await connect(plain_database, name="test", autocommit=True)
    yield connection
    await connection.close()


class Centre:
    """The web role, a client of it, and the wall clock."""

    def __init__(self, application: Any, clock: EventClock, database: Database) -> None:
        self._application = application
        self.clock = clock
        self.database = database

    def client(
        self, base: str = "http://127.0.0.1:8000", address: tuple[str, int] = ("192.0.2.1", 1)
    ) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=self._application, client=address)
        return httpx.AsyncClient(transport=transport, base_url=f"{base}/api/v1")

    async def first(self) -> httpx.AsyncClient:
        """Let the first administrator in."""
        async with self.database.connection() as conn:
            made = await links.first(conn, now=self.clock.now())
        client = self.client()
        answer = await client.post(
            "/welcome",
            json={"token": made, "name": "Wang", "title": "王工", "password": PASSWORD},
        )
        assert answer.status_code == 200, answer.text
        return client


@asynccontextmanager
async def centre(url: str, *, public: str = "") -> AsyncIterator[Centre]:
    clock = EventClock(NOW)
    async with await Database.open(url, name="test web", size=4) as database:
        settings = Settings(store=Store(url=url), web=Web(public_url=public))
        application = app.create(database, settings, clock, wall=clock, seal=SEAL)
        yield Centre(application, clock, database)


async def signin(client: httpx.AsyncClient, name: str = "wang", password: str = PASSWORD) -> int:
    answer = await client.post("/session", json={"name": name, "password": password})
    return answer.status_code


async def who(client: httpx.AsyncClient, **headers: str) -> str | None:
    answer = await client.get("/session", headers=headers)
    found: dict[str, str] | None = answer.json()["person"]
    return None if found is None else found["name"]


async def test_the_first_administrator_comes_in_by_a_link_that_works_once(
    plain_database: str,
) -> None:
    async with centre(plain_database) as site:
        async with site.database.connection() as conn:
            old = await links.first(conn, now=NOW)
            made = await links.first(conn, now=NOW)
        client = site.client()
        assert (await client.get("/session")).json() == {
            "person": None,
            "first": True,
            "until": None,
        }
        looked = await client.post("/welcome/look", json={"token": made})
        assert (looked.json()["kind"], looked.json()["name"]) == ("first", None)
        assert (await client.post("/welcome/look", json={"token": old})).status_code == 410
        wanted = {"token": made, "name": "Wang", "title": "王工", "password": "short"}
        refused = await client.post("/welcome", json=wanted)
        assert (refused.status_code, refused.json()["reason"]) == (422, "short")
        wanted["password"] = PASSWORD
        answer = await client.post("/welcome", json=wanted)
        assert answer.json()["person"] == {
            "id": 1,
            "name": "wang",
            "title": "王工",
            "roles": ["forecaster", "approver", "admin"],
            "regions": [],
        }
        assert await who(client) == "wang"
        assert (await client.get("/session")).json()["first"] is False
        assert (await client.post("/welcome", json=wanted)).status_code == 410
        async with site.database.connection() as conn:
            with pytest.raises(AccountError):
                await links.first(conn, now=NOW)


async def test_a_link_is_used_by_one_of_two_and_not_after_a_day(plain_database: str) -> None:
    async with centre(plain_database) as site:
        async with site.database.connection() as conn:
            made = await links.first(conn, now=NOW)
        names = ("wang", "chen")
        answers = await asyncio.gather(
            *(
                site.client().post(
                    "/welcome", json={"token": made, "name": name, "password": PASSWORD}
                )
                for name in names
            )
        )
        assert sorted(answer.status_code for answer in answers) == [200, 410]
        async with site.database.connection() as conn:
            late = await links.invite(conn, (await people.every(conn))[0].id, now=NOW)
        site.clock.move(NOW + links.LASTS)
        wanted = {"token": late, "password": PASSWORD}
        assert (await site.client().post("/welcome", json=wanted)).status_code == 410


async def test_sign_in_tells_nothing_and_is_slowed_down(plain_database: str) -> None:
    async with centre(plain_database) as site:
        await (await site.first()).aclose()
        client = site.client()
        unknown = await client.post("/session", json={"name": "li", "password": PASSWORD})
        wrong = await client.post("/session", json={"name": "wang", "password": PASSWORD + "."})
        assert unknown.status_code == wrong.status_code == 401
        assert unknown.content == wrong.content
        assert unknown.headers.keys() == wrong.headers.keys()
        guesses = await asyncio.gather(*(signin(client, password="x") for _ in range(9)))
        assert guesses.count(401) <= throttle.HERE - 1
        assert guesses.count(401) + guesses.count(429) == 9
        for _ in range(throttle.HERE):  # attempts that count one after the other
            await signin(client, password="x")
        answer = await client.post("/session", json={"name": "Wang", "password": PASSWORD})
        assert (answer.status_code, answer.json()["minutes"]) == (429, 15)
        # Whoever sits elsewhere is not locked out by it, and neither is another name here.
        assert await signin(site.client(address=ELSEWHERE)) == 200
        assert await signin(client, name="li") == 401
        site.clock.move(NOW + throttle.WINDOW + MINUTE)
        assert await signin(client, name="ＷＡＮＧ") == 200
        async with site.database.connection() as conn:
            rows = await (await conn.execute("SELECT count(*) FROM signin_attempt")).fetchall()
        assert rows == [(0,)]


async def test_one_address_does_not_guess_many_names(plain_database: str) -> None:
    async with centre(plain_database) as site, site.database.connection() as conn:
        for n in range(throttle.ADDRESS):
            await throttle.attempt(conn, name=f"name{n}", address="192.0.2.1", now=NOW)
        await conn.commit()
        assert await signin(site.client()) == 429
        assert await signin(site.client(address=ELSEWHERE)) == 401
        for n in range(throttle.NAME):
            await throttle.attempt(conn, name="wang", address=f"198.51.100.{n}", now=NOW)
        await conn.commit()
        assert await signin(site.client(address=ELSEWHERE)) == 429


async def test_a_session_ends(plain_database: str) -> None:
    async with centre(plain_database) as site:
        await (await site.first()).aclose()
        idle, used, out, ended = (site.client() for _ in range(4))
        for client in (idle, used, out, ended):
            assert await signin(client) == 200
        held = used.cookies["fenghuo"]
        assert await signin(used) == 200  # anew, which ends what the browser held
        assert used.cookies["fenghuo"] != held
        assert await who(site.client(), cookie=f"fenghuo={held}") is None
        assert (await out.delete("/session")).json()["person"] is None
        assert await who(out) is None
        held = idle.cookies["fenghuo"]
        assert await who(site.client(), cookie=f"fenghuo={held}") == "wang"
        assert await who(site.client(), cookie=f"fenghuo={held}x") is None
        listed = (await used.get("/sessions")).json()
        assert len(listed["sessions"]) == 4  # and that of the link
        number = (await ended.get("/sessions")).json()["present"]
        assert number in {each["id"] for each in listed["sessions"]}
        assert (await used.delete(f"/sessions/{number}")).status_code == 200
        assert (await used.delete(f"/sessions/{number}")).status_code == 404
        assert await who(ended) is None
        site.clock.move(NOW + 7 * HOUR)
        assert await who(used) == "wang"
        site.clock.move(NOW + 9 * HOUR)
        assert await who(idle) is None
        moment = NOW + 9 * HOUR
        while moment + 4 * HOUR < NOW + sessions.LONGEST:
            moment += 4 * HOUR
            site.clock.move(moment)
            until = (await used.get("/session")).json()["until"]
        assert dt.datetime.fromisoformat(until) == NOW + sessions.LONGEST
        site.clock.move(NOW + sessions.LONGEST)
        assert await who(used) is None


async def test_what_is_kept_of_secrets_signs_nobody_in(plain_database: str) -> None:
    async with centre(plain_database) as site:
        client = await site.first()
        async with site.database.connection() as conn:
            rows = await (
                await conn.execute("SELECT account::text FROM account UNION ALL "
                "SELECT session::text FROM session UNION ALL "
                "SELECT one_time_link::text FROM one_time_link UNION ALL "
                "SELECT audit::text FROM audit")
            ).fetchall()  # fmt: skip
        kept = " ".join(row[0] for row in rows)
        assert "wang" in kept
        assert PASSWORD not in kept
        assert client.cookies["fenghuo"] not in kept
        assert client.cookies["fenghuo"].removeprefix(sessions.PREFIX) not in kept


@pytest.mark.parametrize(
    ("base", "public", "name"),
    [
        ("http://127.0.0.1:8000", "", permit.PLAIN),
        ("https://weather.example", "", permit.COOKIE),
        ("https://weather.example", "https://weather.example", permit.COOKIE),
        ("http://192.0.2.7:8000", "", None),
    ],
)
async def test_the_cookie(plain_database: str, base: str, public: str, name: str | None) -> None:
    async with centre(plain_database, public=public) as site:
        async with site.database.connection() as conn:
            made = await links.first(conn, now=NOW)
        client = site.client(base)
        answer = await client.post(
            "/welcome", json={"token": made, "name": "wang", "password": PASSWORD}
        )
        if name is None:
            assert answer.status_code == 403
            assert "https" in answer.json()["detail"]
            assert await signin(client) == 403
            return
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith(f"{name}={sessions.PREFIX}")
        parts = {part.strip().lower() for part in cookie.split(";")[1:]}
        assert {"httponly", "samesite=lax", "path=/"} <= parts
        assert ("secure" in parts) == (name == permit.COOKIE)
        assert not any(part.startswith("domain") for part in parts)
        assert await who(client) == "wang"
        assert answer.headers["cache-control"] == "no-store"


async def test_another_sites_page_changes_nothing(plain_database: str) -> None:
    async with centre(plain_database) as site:
        client = await site.first()
        foreign = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
        for method, path in (("POST", "/users"), ("DELETE", "/session"), ("POST", "/session")):
            answer = await client.request(method, path, headers=foreign, json={})
            assert answer.status_code == 403, (method, path)
        assert (await client.get("/session", headers=foreign)).status_code == 200
        assert await who(client) == "wang"
        own = {"sec-fetch-site": "same-origin", "origin": "http://127.0.0.1:8000"}
        user = {"name": "chen", "roles": ["forecaster"]}
        assert (await client.post("/users", json=user, headers=own)).status_code == 201
        # A machine's token is sent by nobody's browser of itself.
        header = await bearer(plain_database, "admin", name="robot")
        plain = site.client()
        site.clock.move(SystemClock().now())
        answer = await plain.post(
            "/users", json={"name": "li", "roles": []}, headers={**header, **foreign}
        )
        assert answer.status_code == 201


async def test_an_administrator_lets_others_in_and_out(plain_database: str) -> None:
    async with centre(plain_database) as site:
        admin = await site.first()
        user = {"name": "Chen", "title": "陈", "roles": ["approver", "forecaster"]}
        wrong = [
            ({**user, "regions": ["nowhere"]}, "regions", 422),
            ({**user, "name": "c"}, "name", 422),
            ({**user, "name": "chen yu"}, "name", 422),
            ({**user, "title": "a\nb"}, "title", 422),
            ({**user, "name": "ｗａｎｇ"}, "taken", 409),
        ]
        for asked, reason, status in wrong:
            answer = await admin.post("/users", json=asked)
            assert (answer.status_code, answer.json()["reason"]) == (status, reason)
        assert (await admin.post("/users", json={**user, "roles": ["king"]})).status_code == 400
        added = (await admin.post("/users", json=user)).json()
        assert added["user"]["roles"] == ["forecaster", "approver"]
        assert added["link"].startswith("http://127.0.0.1:8000/console#welcome=")
        chen = site.client()
        made = added["link"].partition("=")[2]
        looked = (await chen.post("/welcome/look", json={"token": made})).json()
        assert (looked["kind"], looked["name"], looked["title"]) == ("invite", "chen", "陈")
        assert await signin(chen, name="chen") == 401  # there is no password yet
        assert (
            await chen.post("/welcome", json={"token": made, "password": PASSWORD})
        ).status_code == 200
        assert await who(chen) == "chen"
        assert (await chen.get("/users")).status_code == 403
        assert (await chen.post("/users", json=user)).status_code == 403
        assert (await chen.get("/sessions", params={"user": 1})).status_code == 403
        assert (await site.client().get("/audit")).status_code == 401

        number = added["user"]["id"]
        await admin.patch(f"/users/{number}", json={"roles": ["officer"], "title": "陈工"})
        person = (await chen.get("/session")).json()["person"]
        assert (person["roles"], person["title"]) == (["officer"], "陈工")
        assert (await chen.get("/audit")).status_code == 403
        await admin.patch(f"/users/{number}", json={"disabled": True})
        assert await who(chen) is None
        assert await signin(chen, name="chen") == 401
        assert (await admin.post(f"/users/{number}/link")).status_code == 409
        await admin.patch(f"/users/{number}", json={"disabled": False})
        assert await who(chen) is None  # what has ended does not begin again
        assert await signin(chen, name="chen") == 200

        for change in ({"disabled": True}, {"roles": ["forecaster"]}):
            answer = await admin.patch("/users/1", json=change)
            assert (answer.status_code, answer.json()["reason"]) == (409, "last")
        reset = (await admin.post(f"/users/{number}/link")).json()["link"].partition("=")[2]
        other = {"token": reset, "password": "another-long-password"}
        assert (await site.client().post("/welcome", json=other)).status_code == 200
        assert await who(chen) is None  # a new password signs old browsers out
        acts = [row["act"] for row in (await admin.get("/audit")).json()["audit"]]
        assert acts == [
            *("account.welcome", "account.link", "session.begin", "account.change"),
            *("account.change", "account.change", "account.welcome", "account.add"),
            "account.welcome",
        ]
        page = (await admin.get("/audit", params={"subject": "account/wang"})).json()["audit"]
        assert [row["detail"]["link"] for row in page] == ["first"]


async def test_a_person_changes_their_password(plain_database: str) -> None:
    async with centre(plain_database) as site:
        client, other = await site.first(), site.client()
        await signin(other)
        change = {"old": PASSWORD, "new": "another-long-password"}
        wrong = await client.post("/session/password", json={**change, "old": "no"})
        assert (wrong.status_code, wrong.json()["reason"]) == (401, "wrong")
        short = await client.post("/session/password", json={**change, "new": "short"})
        assert short.json()["reason"] == "short"
        assert (await client.post("/session/password", json=change)).status_code == 200
        assert (await who(client), await who(other)) == ("wang", None)
        assert await signin(other) == 401
        assert await signin(other, password="another-long-password") == 200


async def test_regions_are_a_scope_that_never_grows_by_itself(
    conn: Connection, plain_database: str
) -> None:
    await conn.execute(
        "INSERT INTO region (id, zh, en, boundary, sample)"
        " VALUES ('hills', '山', 'Hills', '{}', false)"
    )
    made = await token(plain_database, "forecaster", regions=("hills",))
    await conn.execute("DELETE FROM region")
    found = await sessions.find(conn, made, now=SystemClock().now())
    assert found is not None
    assert found.person.regions == ("hills",)
    kept = await people.change(conn, found.person.id, title="Chen", now=NOW)
    assert kept.regions == ("hills",)


async def test_a_password_is_hashed_anew_with_other_parameters(plain_database: str) -> None:
    async with centre(plain_database) as site:
        await site.first()
        cheap = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        async with site.database.connection() as conn:
            await people.set_password(conn, 1, await cheap.hash(PASSWORD))
        assert await signin(site.client()) == 200
        async with site.database.connection() as conn:
            secret = await people.secret(conn, "wang")
        assert secret is not None
        assert secret.password is not None
        assert not Passwords().outdated(secret.password)
        assert await signin(site.client()) == 200


async def write(conn: Connection, count: int) -> None:
    person = None
    for n in range(count):
        async with conn.transaction():
            detail = {"n": n, "text": "烽火 \u0000", "at": NOW}
            await audit.audit(
                conn, person=person, act="test", subject=f"thing/{n}", detail=detail, at=NOW
            )


async def test_the_audit_is_only_added_to(conn: Connection) -> None:
    await write(conn, 2)
    for statement in (
        "UPDATE audit SET name = 'li'",
        "DELETE FROM audit",
        "TRUNCATE audit",
    ):
        with pytest.raises(psycopg.errors.IntegrityConstraintViolation):
            await conn.execute(statement)
    assert (await audit.verify(conn)).broken is None


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE audit SET name = 'li' WHERE id = 3", 3),
        ("UPDATE audit SET at = at + interval '1 microsecond' WHERE id = 1", 1),
        ("""UPDATE audit SET detail = '{"n":9}' WHERE id = 5""", 5),
        ("DELETE FROM audit WHERE id = 2", 2),
        ("UPDATE audit SET digest = sha256('x') WHERE id = 4", 4),
        ("DELETE FROM audit WHERE id > 3", 4),
        ("SELECT 1", None),
    ],
)
async def test_a_change_past_the_triggers_is_found(
    conn: Connection, monkeypatch: pytest.MonkeyPatch, statement: str, broken: int | None
) -> None:
    monkeypatch.setattr(audit, "PAGE", 2)
    await write(conn, 5)
    head = (await audit.verify(conn)).head
    await conn.execute("SET session_replication_role = replica")
    await conn.execute(statement)
    assert (await audit.verify(conn, head=head)).broken == broken


async def test_acts_at_once_make_one_chain(plain_database: str, conn: Connection) -> None:
    async def one() -> None:
        own = await connect(plain_database, name="test", autocommit=True)
        await write(own, 5)
        await own.close()

    await asyncio.gather(*(one() for _ in range(4)))
    assert await audit.verify(conn) == audit.Proof(
        rows=20, head=(await audit.page(conn, limit=1))[0].digest.hex(), broken=None
    )
    person = Person(id=7, name="chen", title="Chen", roles=frozenset())
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        await audit.audit(conn, person=person, act="x", subject="y", detail={}, at=NOW)


async def run(
    url: str, capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0
) -> tuple[str, str]:
    """Run the command in this process, for what it writes."""
    parsed = main.parser().parse_args([*arguments])
    said = io.StringIO()
    settings = Settings(store=Store(url=url))
    assert await parsed.work(parsed, settings, Terminal(language="en", out=said)) == code
    return capsys.readouterr().out, said.getvalue()


async def test_the_commands(
    plain_database: str, conn: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    url = plain_database
    out, said = await run(url, capsys, "user", "link")
    assert out.startswith("http://127.0.0.1:8000/console#welcome=")
    assert "works once" in said
    out, said = await run(
        url, capsys, "user", "add", "Chen", "--roles", "admin", "--title", "Chen Y"
    )
    assert "#welcome=" in out
    assert "chen: Administrator; everywhere" in said
    assert "already" in (await run(url, capsys, "user", "add", "chen", code=1))[1]
    assert "name the one" in (await run(url, capsys, "user", "link", code=1))[1]
    assert "#welcome=" in (await run(url, capsys, "user", "link", "chen"))[0]
    assert "no account li" in (await run(url, capsys, "user", "link", "li", code=1))[1]
    assert "last" in (await run(url, capsys, "user", "roles", "chen", "officer", code=1))[1]
    await run(url, capsys, "user", "add", "li")
    await run(url, capsys, "user", "roles", "li", "forecaster", "approver")
    listed = (await run(url, capsys, "user", "list"))[0].splitlines()
    assert [line.split("\t")[:3] for line in listed] == [
        ["chen", "Chen Y", "admin"],
        ["li", "li", "forecaster,approver"],
    ]
    assert "no password yet" in listed[0]
    made, said = await run(url, capsys, "user", "token", "li", "--days", "3", "--label", "screen")
    assert "not shown again" in said
    now = SystemClock().now()
    assert await sessions.find(conn, made.strip(), now=now) is not None
    assert await sessions.find(conn, made.strip(), now=now + dt.timedelta(days=3)) is None
    line = (await run(url, capsys, "user", "sessions", "li"))[0]
    assert "\tmachine\t" in line
    assert made.strip() not in line
    await run(url, capsys, "user", "sessions", "li", "--end", line.split("\t")[0])
    assert await sessions.find(conn, made.strip(), now=now) is None
    await run(url, capsys, "user", "disable", "li")
    assert "disabled" in (await run(url, capsys, "user", "token", "li", code=1))[1]
    listed = (await run(url, capsys, "audit", "list"))[0].splitlines()
    assert [line.split("\t")[2:5] for line in listed[:2]] == [
        ["command line", "account.change", "account/li"],
        ["command line", "session.end", "account/li"],
    ]
    assert "The audit is whole: 7 rows" in (await run(url, capsys, "audit", "verify"))[1]
    await conn.execute("SET session_replication_role = replica")
    await conn.execute("UPDATE audit SET name = 'x' WHERE id = 2")
    assert "BROKEN at row 2" in (await run(url, capsys, "audit", "verify", code=1))[1]


async def test_a_centre_without_accounts_prints_the_way_in(
    plain_database: str, tmp_path: Path
) -> None:
    settings = Settings(store=Store(url=plain_database))
    async with await Database.open(plain_database, name="test", size=1) as database:
        chain = Chain(settings=settings, database=database, group=Group(tmp_path))
        said = io.StringIO()
        for language in ("zh", "en"):
            terminal = Terminal(language=language, out=said)
            await run_.first(chain, "http://127.0.0.1:8000", terminal)
        lines = said.getvalue().splitlines()
        assert lines[0].startswith("目前还没有人能登录")
        assert lines[2].startswith("Nobody can sign in yet")
        made = lines[3].removeprefix("http://127.0.0.1:8000/console#welcome=")
        async with database.connection() as conn:
            now = SystemClock().now()
            assert (await links.find(conn, made, now=now)).kind == "first"
            await people.add(conn, name="wang", title="", roles=["admin"], now=now)
        await run_.first(chain, "http://127.0.0.1:8000", Terminal(language="en", out=said))
    assert len(said.getvalue().splitlines()) == 4
