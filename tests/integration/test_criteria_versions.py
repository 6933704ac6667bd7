"""Criteria as a forecaster changes them: written, checked, tried on what is stored, in force."""

import asyncio
import datetime as dt
import functools
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql

from alerts import regions
from forecast.criteria import Book, CriteriaError
from server import main
from server import watch as watching
from server.clock import EventClock, SystemClock
from server.commands.trial import Question, Trial, TrialError
from server.settings import Settings, Store, Watch
from server.store import criteria, stations, trials
from server.store.connection import Connection, connect
from server.store.criteria import UNITS, CriteriaRefusedError
from server.store.database import Database
from server.store.partitions import Partitions
from server.terminal import Terminal
from server.web import app
from tests.accounts import bearer
from tests.bundled import EVENT, RAIN, event
from tests.rows import Row, commit
from tests.support import eventually_async

NOW = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
START = dt.datetime(2016, 7, 18, 16, tzinfo=dt.UTC)
END = dt.datetime(2016, 7, 21, 16, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
MINUTE = dt.timedelta(minutes=1)
HUAIROU = "beijing-huairou"
TEXT = 'base = "national"\n[rainstorm]\nprobability = 0.9\n'
OTHER = TEXT.replace("0.9", "0.8")
HILLS = (
    TEXT
    + """
[[override]]
regions = ["hills"]
valid_from = 2016-01-01
source = "test"
[override.gale]
probability = 0.5
"""
)


@pytest.fixture
async def connection(database: str) -> AsyncIterator[Connection]:
    conn = await connect(database, name="test", autocommit=True)
    yield conn
    await conn.close()


async def written(conn: Connection, text: str = TEXT, author: str = "Li") -> int:
    version = await criteria.write(conn, text=text, author=author, note="", now=NOW)
    return version.number


async def put(conn: Connection, number: int, since: dt.datetime, **changes: Any) -> None:
    given: dict[str, Any] = {"note": "because", "force": True, "present": START, **changes}
    await criteria.enact(conn, number, author="Wang", now=NOW, since=since, **given)


async def in_force(conn: Connection, at: dt.datetime) -> tuple[int | None, dt.datetime | None]:
    standing = await criteria.in_force(conn, Settings(), at=at)
    return standing.version.number if standing.version else None, standing.until


async def test_what_is_in_force_when(connection: Connection) -> None:
    first, second = await written(connection), await written(connection, OTHER)
    assert await in_force(connection, START) == (None, None)
    await put(connection, first, START + 10 * HOUR)
    assert await in_force(connection, START + 9 * HOUR) == (None, START + 10 * HOUR)
    assert await in_force(connection, START + 10 * HOUR) == (first, None)
    await put(connection, second, START + 5 * HOUR)  # decided later, begins earlier
    assert await in_force(connection, START + 5 * HOUR) == (second, START + 10 * HOUR)
    assert await in_force(connection, START + 10 * HOUR) == (first, None)
    await put(connection, second, START + 10 * HOUR)  # the same start: the later decision
    standing = await criteria.in_force(connection, Settings(), at=END)
    assert standing.version is not None
    assert (standing.version.number, standing.version.enacted_by) == (second, "Wang")
    assert standing.version.author == "Li"
    assert standing.book.base.signal("rainstorm").probability == 0.8
    assert standing.digest == standing.version.digest == criteria.digest(OTHER)


async def test_without_a_version_the_settings_file_counts(
    connection: Connection, tmp_path: Path
) -> None:
    standing = await criteria.in_force(connection, Settings(), at=NOW)
    assert standing.book.base == Book.load(units=UNITS).base
    file = tmp_path / "own.toml"
    file.write_text(TEXT, "utf-8")
    own = await criteria.in_force(connection, Settings(watch=Watch(criteria=str(file))), at=NOW)
    assert own.book.source == TEXT
    file.write_text("a = ", "utf-8")
    with pytest.raises(CriteriaError, match=r"own\.toml"):
        await criteria.in_force(connection, Settings(watch=Watch(criteria=str(file))), at=NOW)


async def test_what_is_not_put_in_force(connection: Connection) -> None:
    number = await written(connection)
    hills = await written(connection, HILLS)
    for changes, key in [
        ({"force": False}, "untried"),
        ({"note": " "}, "unexplained"),
        ({"present": START + HOUR}, "past"),
    ]:
        with pytest.raises(CriteriaRefusedError) as caught:
            await put(connection, number, START, **changes)
        assert caught.value.key == key
    for wrong, key in ((99, "missing"), (hills, "regions")):
        with pytest.raises(CriteriaRefusedError) as caught:
            await put(connection, wrong, START)
        assert caught.value.key == key
    assert [act.act for act in await criteria.acts(connection)] == ["written", "written"]
    with pytest.raises(CriteriaRefusedError):
        await criteria.write(connection, text=TEXT, author=" ", note="", now=NOW)
    with pytest.raises(CriteriaError):
        await criteria.write(connection, text="a = 1", author="Li", note="", now=NOW)


@pytest.mark.parametrize("table", ["criteria_version", "criteria_act"])
async def test_nothing_of_it_is_ever_changed(connection: Connection, table: str) -> None:
    await put(connection, await written(connection), START)
    for statement in ("UPDATE {} SET note = 'x'", "DELETE FROM {}", "TRUNCATE {} CASCADE"):
        with pytest.raises(psycopg.errors.IntegrityConstraintViolation):
            await connection.execute(sql.SQL(statement).format(sql.Identifier(table)))


async def test_everybody_is_told_after_the_commit(database: str, connection: Connection) -> None:
    number = await written(connection)
    async with await connect(database, name="test listener", autocommit=True) as listener:
        await listener.execute(f"LISTEN {criteria.CHANNEL}")
        async with connection.transaction(force_rollback=True):
            await put(connection, number, END)
        async with connection.transaction():
            await put(connection, number, START)
        async with asyncio.timeout(10):
            async for notice in listener.notifies():
                assert notice.payload == str(number)
                break


@asynccontextmanager
async def stored(url: str) -> AsyncIterator[Connection]:
    """Give a database with the readings of the event, and a region round each station."""
    readings, _ = event()
    async with await Database.open(url, name="test", size=1) as database:
        kind = database.kind
    conn = await connect(url, name="test", autocommit=True)
    await stations.put(conn, stations.read(EVENT / "stations.csv"), now=NOW)
    places = await stations.every(conn)
    found = regions.sample(places)
    await regions.save(conn, found)
    await regions.assign(conn, found, places)
    times = [dt.datetime.fromtimestamp(t, dt.UTC) for t in readings.time.tolist()]
    await Partitions(kind, chunk_days=7).ensure(conn, times)
    rows = zip(readings.station.tolist(), times, readings.values[RAIN].tolist(), strict=True)
    async with conn.cursor() as cursor, conn.transaction():
        await cursor.executemany(
            'INSERT INTO observation (station, time, "interval", precipitation_amount)'
            " VALUES (%s, %s, 3600, nullif(%s::real, 'NaN'))",
            [(places[station].id, time, value) for station, time, value in rows],
        )
    try:
        yield conn
    finally:
        await conn.close()


def question(**changes: Any) -> Question:
    given: dict[str, Any] = {"version": None, "author": "Li", "start": START, "end": END, "step": 0}
    return Question(**{"text": Book.shipped("beijing", units=UNITS).source, **given, **changes})


async def begun(conn: Connection, asked: Question, **changes: Any) -> Trial:
    standing = await criteria.in_force(conn, Settings(), at=END)
    trial = Trial(conn, asked, standing, now=lambda: NOW, **changes)
    await trial.begin()
    return trial


async def test_what_the_set_of_beijing_would_have_done(database: str) -> None:
    async with stored(database) as conn:
        number = await written(conn, question().text)
        trial = await begun(conn, question(version=number))
        result = await trial.run()
        kept = await trials.one(conn, trial.number)
        assert kept is not None
        assert (kept.state, kept.progress, kept.result) == ("done", 1, result)
        assert result["readings"] == 864
        assert result["in_force"]["version"] is None
        totals = {row["level"]: row for row in result["totals"]}
        assert totals.keys() == {"blue", "yellow", "orange"}
        blue = totals["blue"]
        assert blue["both"] == blue["draft"]
        assert blue["draft_met"] >= 12
        assert blue["met_later"] < 0  # Beijing's own amounts were met before the Order's
        assert sum(row["draft"] for row in result["days"]) == len(result["openings"]["draft"])
        assert {row["day"] for row in result["days"]} <= {"2016-07-19", "2016-07-20", "2016-07-21"}
        mine, theirs = (
            [o for o in result["openings"][side] if o["evidence"][0]["en"] == "Huairou"]
            for side in ("draft", "in_force")
        )
        assert {o["region"] for o in (*mine, *theirs)} == {HUAIROU}
        assert mine != theirs
        # It was tried: it may be put in force now, and the audit says with which trial.
        await put(conn, number, END, force=False, note="")
        acts = await criteria.acts(conn, version=number)
        assert [(a.act, a.trial) for a in acts] == [
            ("in_force", trial.number), ("tried", trial.number), ("written", None),
        ]  # fmt: skip
        (listed,) = await criteria.versions(conn)
        assert (listed.tried, listed.since) == (True, END)


async def test_a_long_trial_decides_less_often(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.commands.trial.CAUTION", 0.0)  # it would always take too long
    async with stored(database) as conn:
        exact = await (await begun(conn, question())).run()
        wide = await (await begun(conn, question(step=None))).run()
    assert (exact["step"], wide["step"]) == (0, 600)
    assert wide["totals"] == exact["totals"]  # of hourly readings nothing is lost


async def test_one_trial_at_a_time_and_each_is_bounded(database: str) -> None:
    async with stored(database) as conn:
        trial = await begun(conn, question())
        other = await connect(database, name="test", autocommit=True)
        with pytest.raises(CriteriaRefusedError) as caught:
            await begun(other, question())
        assert caught.value.values == {"trial": trial.number}
        await conn.close()  # the process is gone

        async def again() -> Trial | None:
            try:
                return await begun(other, question(), seconds=0.0)
            except CriteriaRefusedError:
                return None

        second = await eventually_async(again)
        assert second is not None
        lost = await trials.one(other, trial.number)
        assert lost is not None
        assert (lost.state, lost.problem) == ("failed", "lost")
        with pytest.raises(TrialError, match="time"):
            await second.run()
        failed = await trials.one(other, second.number)
        assert failed is not None
        assert (failed.state, failed.problem, failed.result) == ("failed", "time", None)
        await other.close()
    for end in (START, START + dt.timedelta(days=93)):
        with pytest.raises(CriteriaRefusedError):
            question(end=end)


@asynccontextmanager
async def site(url: str) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(store=Store(url=url))
    async with await Database.open(url, name="test web", size=2) as database:
        application = app.create(database, settings, EventClock(END))
        transport = httpx.ASGITransport(app=application)
        headers = await bearer(url, "forecaster", name="li")
        async with httpx.AsyncClient(
            transport=transport, base_url="http://test/api/v1", headers=headers
        ) as client:
            yield client


async def test_over_http(database: str) -> None:
    async with stored(database), site(database) as client:
        now = (await client.get("/criteria")).json()
        assert (now["version"], now["overrides"], now["until"]) == (None, [], None)
        assert {"rainstorm", "gale"} <= {signal["hazard"] for signal in now["signals"]}

        wrong = await client.post("/criteria/check", json={"text": TEXT.replace("0.9", "9")})
        assert wrong.json()["errors"] == [
            {"line": 3, "detail": "[rainstorm] probability: write a number between 0 and 1"}
        ]
        far = (await client.post("/criteria/check", json={"text": HILLS})).json()
        assert far == {
            "right": False,
            "errors": [{"line": 6, "detail": "no region 'hills' in the database"}],
        }
        assert (await client.post("/criteria/check", json={"text": TEXT})).json()["right"]
        draft = {"text": "a = 1"}
        assert (await client.post("/criteria/versions", json=draft)).status_code == 422

        text = Book.shipped("beijing", units=UNITS).source
        draft = {"text": text, "note": "local"}
        answer = await client.post("/criteria/versions", json=draft)
        assert (answer.status_code, answer.json()["number"]) == (201, 1)
        assert (await client.get("/criteria/versions/1")).json()["text"] == text
        headers = await bearer(database, "approver", name="wang")
        enact = functools.partial(client.post, "/criteria/versions/1/in-force", json={})
        assert (await enact()).status_code == 403  # a forecaster's it is not
        refused = await enact(headers=headers)
        assert (refused.status_code, refused.json()["reason"]) == (409, "untried")

        times = {"start": START.isoformat(), "end": END.isoformat(), "step": 0}
        answer = await client.post("/criteria/versions/1/trial", json=times)
        assert answer.status_code == 202, answer.text
        where = answer.headers["location"].removeprefix("/api/v1")

        async def done() -> Any:
            trial = (await client.get(where)).json()
            assert trial["state"] != "failed", trial
            return trial if trial["state"] == "done" else None

        trial = await eventually_async(done, timeout=60)
        assert trial["author"] == "li"
        assert trial["result"]["totals"]
        answer = await enact(headers=headers)
        assert answer.status_code == 200, answer.text
        now = (await client.get("/criteria", params={"region": HUAIROU})).json()
        assert (now["version"], now["author"], now["enacted_by"]) == (1, "li", "wang")
        stranger = {"authorization": ""}
        now = (await client.get("/criteria", headers=stranger)).json()
        assert (now["version"], now["author"], now["enacted_by"]) == (1, None, None)
        for path in ("/criteria/versions", "/criteria/versions/1", "/criteria/acts", where):
            shown = (await client.get(path, headers=stranger)).text
            assert '"author":""' in shown
            assert '"li"' not in shown
        headers = await bearer(database, "admin", name="zhao")
        audit = (await client.get("/audit", headers=headers)).json()["audit"]
        assert [(row["name"], row["act"]) for row in audit] == [
            ("wang", "criteria.in_force"),
            ("li", "criteria.tried"),
            ("li", "criteria.written"),
        ]
        now = (await client.get("/criteria", params={"region": HUAIROU})).json()
        assert "low_temperature" in {signal["hazard"] for signal in now["signals"]}
        acts = (await client.get("/criteria/acts")).json()["acts"]
        assert [act["act"] for act in acts] == ["in_force", "tried", "written"]
        (listed,) = (await client.get("/criteria/versions")).json()["versions"]
        assert (listed["tried"], listed["size"]) == (True, len(text))


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (
            "/versions/9/trial",
            {"start": START.isoformat(), "end": END.isoformat()},
            404,
        ),
        ("/versions/9/in-force", {}, 404),
        ("/versions/9/in-force", {"author": "Li"}, 400),
        ("/versions", {"text": TEXT, "note": "a\x00b"}, 400),
        ("/versions", {"text": TEXT, "more": 1}, 400),
        ("/versions", {"text": TEXT, "note": "x" * 1_100_000}, 413),
    ],
)
async def test_requests_that_are_wrong(
    database: str, path: str, body: dict[str, Any], status: int
) -> None:
    async with site(database) as client:
        client.headers.update(await bearer(database, "approver"))
        answer = await client.post(f"/criteria{path}", json=body)
        assert answer.status_code == status, answer.text
        assert (await client.get("/criteria/versions/9")).status_code == 404
        assert (await client.get("/criteria/trials/9")).status_code == 404


@pytest.mark.parametrize(
    "path", ["/check", "/versions", "/versions/1/trial", "/versions/1/in-force"]
)
async def test_only_who_is_signed_in_and_may_changes_something(database: str, path: str) -> None:
    async with site(database) as client:
        for headers in ({"authorization": ""}, {"authorization": "Bearer no"}):
            assert (
                await client.post(f"/criteria{path}", json={}, headers=headers)
            ).status_code == 401
        client.headers.update(await bearer(database, "officer", name="sun"))
        assert (await client.post(f"/criteria{path}", json={})).status_code == 403
        client.headers.update(await bearer(database, "approver", name="wang"))
        assert (await client.post(f"/criteria{path}", content=b"{}")).status_code == 415


CALM = """base = "national"
[gale]
live = false
reason_zh = "试验"
reason_en = "Tried."
"""


async def test_the_watch_decides_by_what_is_in_force(database: str) -> None:
    """It goes over to another version while it runs."""
    clock = SystemClock()
    now = clock.now()
    conn = await connect(database, name="test", autocommit=True)
    await stations.put(
        conn,
        [stations.Entry(name="mast", zh="塔", en="Mast", longitude=118.0, latitude=39.0)],
        now=now,
    )
    places = await stations.every(conn)
    found = regions.sample(places)
    await regions.save(conn, found)
    await regions.assign(conn, found, places)
    calm, order = await written(conn, CALM), await written(conn, 'base = "national"\n')
    await put(conn, calm, now, present=now)
    gusts = [
        Row(
            station=places[0].id, time=now - n * MINUTE, values={"wind_speed_of_gust": 20.0 + n % 3}
        )
        for n in range(20)
    ]
    async with await Database.open(database, name="test", size=1) as pool:
        partitions = Partitions(pool.kind, chunk_days=7)
    await commit(conn, partitions, gusts, stored=now)
    settings = Settings(store=Store(url=database), watch=Watch(poll=0.2))
    watch = asyncio.create_task(watching.serve(settings, clock=clock))

    async def hazards() -> list[Any]:
        rows = await conn.execute("SELECT hazard FROM warning")
        return await rows.fetchall()

    async def decided() -> Any:
        rows = await conn.execute("SELECT time FROM consumer WHERE name = 'watch'")
        row = await rows.fetchone()
        return row and row[0] and row[0] > now + dt.timedelta(seconds=1)

    try:
        await eventually_async(decided)
        assert await hazards() == []
        await put(conn, order, clock.now(), present=now)
        assert await eventually_async(hazards) == [("gale",)]
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        await conn.close()


async def run(
    url: str, capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0
) -> tuple[str, str]:
    """Run the command in this process, for what it writes."""
    parsed = main.parser().parse_args(["criteria", *arguments])
    said = io.StringIO()
    settings = Settings(store=Store(url=url))
    assert await parsed.work(parsed, settings, Terminal(language="en", out=said)) == code
    return capsys.readouterr().out, said.getvalue()


async def test_the_command(
    database: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "server.commands.trial.bound", lambda: None
    )  # this process is the tests' own
    file = tmp_path / "mine.toml"
    file.write_text(HILLS.replace("0.5", "5"), "utf-8")
    out, said = await run(database, capsys, "check", str(file), code=1)
    assert f"{file}:10: [override 1: gale] probability" in out
    assert "Mistakes: 1" in said
    file.write_text(HILLS, "utf-8")
    assert "1 overrides" in (await run(database, capsys, "check", str(file)))[1]
    assert (await run(database, capsys, "put", str(file), "--author", "Li"))[0] == "1\n"
    _, said = await run(database, capsys, "in-force", "1", "--author", "Li", code=1)
    assert "hills are not in the database" in said
    times = ("--from", START.isoformat(), "--to", END.isoformat(), "--step", "0")
    async with stored(database):
        out, said = await run(database, capsys, "dry-run", "beijing", *times)
        assert "Rainstorm\tYellow\t" in out
        assert "864 readings" in said
        await run(database, capsys, "put", "beijing", "--author", "Li", "--note", "ours")
        out, _ = await run(database, capsys, "dry-run", "2", "--json", *times)
        assert json.loads(out)["draft"]["version"] == 2
    _, said = await run(database, capsys, "in-force", "2", "--author", "Wang")
    assert "Version 2 is in force from" in said
    assert "●✓" in (await run(database, capsys, "list"))[0].splitlines()[0]
    assert (await run(database, capsys, "show"))[0].startswith("# Beijing's own set")
    assert (await run(database, capsys, "show", "1"))[0] == HILLS
    lines = (await run(database, capsys, "audit"))[0].splitlines()
    assert [line.split("\t")[2] for line in lines] == [
        "put in force",
        "tried",
        "written",
        "written",
    ]
    assert (await run(database, capsys, "show", "7", code=1))[1].strip() == "there is no version 7"
