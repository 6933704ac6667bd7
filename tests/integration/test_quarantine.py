"""The quarantine as people use it: counted, looked at, mended, sent in again."""

import asyncio
import datetime as dt
import io
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psycopg
import pytest

from server import main
from server.clock import SystemClock
from server.ingest import quarantine
from server.ingest.mapping import load
from server.ingest.quarantine import Choice, readable
from server.ingest.replay import PAGE, Replay, Result
from server.ingest.source import Delivery
from server.settings import Ingest, Settings, Store
from server.store.connection import connect
from server.store.database import Database
from server.store.partitions import Partitions
from server.terminal import Terminal
from server.web import app
from tests.accounts import bearer
from tests.ingesting import NOW, Ingesting, add_stations, ingesting, payload, report, rows
from tests.support import eventually_async

MINUTE = dt.timedelta(minutes=1)
ROOT = Path(__file__).parents[2]
STORED = "SELECT count(*) FROM observation"
KEPT = "SELECT id, reason, times, replayed IS NOT NULL FROM quarantine ORDER BY id"


@pytest.fixture
async def url(plain_database: str) -> str:
    await add_stations(plain_database, ("A", "B"))
    return plain_database


async def send(ingest: Ingesting, *payloads: bytes, topic: str = "fenghuo/v1/A/obs") -> None:
    """Hand payloads in together and wait until they are acknowledged."""
    before = len(ingest.memory.acknowledged)
    for each in payloads:
        ingest.memory.put(Delivery(topic.split("/")[2], topic, each, ingest.clock.now()))
    await eventually_async(lambda: len(ingest.memory.acknowledged) == before + len(payloads))


async def replay(url: str, *, mend: Path | None = None, **choice: Any) -> Result:
    async with await Database.open(url, name="test", size=1) as database:
        connection = await database.listener(name="test")
        try:
            return await Replay(
                connection,
                partitions=Partitions(database.kind, chunk_days=7),
                settings=Ingest(),
                clock=SystemClock(),
                mend=mend and load(mend, mending=True),
            ).run(Choice(**choice))
        finally:
            await connection.close()


@asynccontextmanager
async def command(url: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "server.main", "quarantine", *arguments),
        cwd=ROOT,
        env={**os.environ, "FENGHUO_STORE_URL": url, "FENGHUO_LANGUAGE": "en"},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def run(
    url: str, capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0
) -> tuple[str, str]:
    """Run the command in this process, for what it writes."""
    parsed = main.parser().parse_args(["quarantine", *arguments])
    settings = Settings(store=Store(url=url))
    said = io.StringIO()
    assert await parsed.work(parsed, settings, Terminal(language="en", out=said)) == code
    return capsys.readouterr().out, said.getvalue()


async def test_the_same_message_again_is_counted_and_keeps_its_row(url: str) -> None:
    cold = payload(report(values={"air_temperature": -99}))
    async with ingesting(url, source="memory", linger=0.1) as ingest:
        await send(ingest, cold, cold, b"{", cold)
        await send(ingest, cold)
        await send(ingest, cold, topic="fenghuo/v1/B/obs")
        found = await rows(url, KEPT)
        assert [row[1:] for row in found] == [
            ("range", 4, False), ("json", 1, False), ("range", 1, False),
        ]  # fmt: skip
        newest, received = (
            await rows(url, "SELECT newest, received FROM quarantine ORDER BY id LIMIT 1")
        )[0]
        assert newest > received
        # Without a time of its own it may be another reading each time.
        await send(ingest, *[b'{"values":{"air_temperature":1}}'] * 2)
        assert len(await rows(url, KEPT)) == 5


async def test_the_same_message_refused_for_two_reasons_in_one_batch(url: str) -> None:
    early = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=601)
    raw = payload(report(early, values={"air_temperature": 1}))
    other = payload(report(early, values={"air_temperature": 2}))
    async with ingesting(url, source="memory", linger=0.2) as ingest:
        await send(ingest, raw)
        for received in (dt.timedelta(0), dt.timedelta(minutes=5), dt.timedelta(minutes=5)):
            for each in (other, raw):
                at = ingest.clock.now() + received
                ingest.memory.put(Delivery("A", "fenghuo/v1/A/obs", each, at))
        await eventually_async(lambda: len(ingest.memory.acknowledged) == 7)
    assert sorted(row[1:3] for row in await rows(url, KEPT)) == [("conflict", 4), ("time", 1)]


async def test_replay_stores_what_passes_now_and_nothing_twice(url: str) -> None:
    async with ingesting(url, source="memory") as ingest:
        await send(ingest, payload(report(seq=1)), b"{", topic="fenghuo/v1/C/obs")
        await send(ingest, payload(report(values={"air_temperature": 300})))
    assert (await replay(url)).refused == {"json": 1, "range": 1, "station": 1}
    assert await rows(url, STORED) == [(0,)]
    await add_stations(url, ["C"])
    result = await replay(url, reason="station")
    assert result == Result(replayed=1, refused={}, left=0)
    assert [row[1:] for row in await rows(url, KEPT)] == [
        ("station", 1, True), ("json", 1, False), ("range", 1, False),
    ]  # fmt: skip
    query = "SELECT s.name, o.air_temperature FROM observation o JOIN station s ON s.id = o.station"
    assert await rows(url, query) == [("C", 21.5)]
    assert await rows(url, "SELECT stations, times FROM arrival") == [([3], [NOW])]
    assert (await replay(url, reason="station")).replayed == 0
    # Stored already by another way: marked, and no second arrival.
    await rows(url, "UPDATE quarantine SET replayed = NULL WHERE reason = 'station'")
    assert (await replay(url, ids=(1,))).replayed == 1
    assert await rows(url, "SELECT count(*) FROM arrival") == [(1,)]


async def test_what_still_fails_stays_with_its_newest_reason(url: str) -> None:
    async with ingesting(url, source="memory") as ingest:
        values = {"air_temperature": 5}
        await send(ingest, payload(report(values=values)), topic="fenghuo/v1/C/obs")
        await send(ingest, payload(report(values=values, seq=4)), topic="fenghuo/v1/C/obs")
        await send(ingest, payload(report(values={"air_temperature": 6})), topic="fenghuo/v1/C/obs")
    await add_stations(url, ["C"])
    result = await replay(url, station="C")
    assert (result.replayed, result.refused) == (2, {"conflict": 1})
    assert [row[1:] for row in await rows(url, KEPT)] == [
        ("station", 1, True), ("station", 1, True), ("conflict", 1, False),
    ]  # fmt: skip
    assert await rows(url, "SELECT air_temperature FROM observation") == [(5.0,)]


async def test_a_row_that_the_database_refuses_stays_alone(url: str) -> None:
    async with ingesting(url, source="memory") as ingest:
        sent = [payload(report(NOW - n * MINUTE, values={"air_temperature": -n})) for n in range(6)]
        await send(ingest, *sent, topic="fenghuo/v1/C/obs")
    await add_stations(url, ["C"])
    await rows(url, "ALTER TABLE observation ADD CONSTRAINT warm CHECK (air_temperature <> -3)")
    result = await replay(url)
    assert (result.replayed, result.refused) == (5, {"store": 1})
    detail = await rows(url, "SELECT detail FROM quarantine WHERE replayed IS NULL")
    assert "warm" in detail[0][0]
    await rows(url, "ALTER TABLE observation DROP CONSTRAINT warm")
    assert (await replay(url)).replayed == 1
    assert await rows(url, STORED) == [(6,)]


async def test_too_large_is_never_replayed(url: str) -> None:
    async with ingesting(url, source="memory") as ingest:
        await send(ingest, b'{"reports":[' + b" " * 66_000 + b"]}")
    assert await replay(url) == Result(replayed=0, refused={}, left=0)


MEND = """
topic = "fenghuo/v1/{station}/obs"
wire = true
stations = { A = "B" }
[time]
zone = "Asia/Shanghai"
[[field]]
element = "air_temperature"
path = "values.temp"
unit = "°F"
"""


async def test_mending_renames_converts_and_sets_zone_and_station(url: str, tmp_path: Path) -> None:
    file = tmp_path / "mend.toml"
    file.write_text(MEND, "utf-8")
    local = NOW.astimezone(dt.timezone(dt.timedelta(hours=8))).replace(tzinfo=None)
    sent = {"time": local.isoformat(), "values": {"temp": 68, "wind_speed": 3}}
    async with ingesting(url, source="memory") as ingest:
        await send(ingest, json.dumps(sent).encode())
        await send(ingest, b"{")
    assert (await replay(url)).refused == {"json": 1, "time": 1}
    result = await replay(url, mend=file)
    assert (result.replayed, result.refused) == (1, {"json": 1})
    query = "SELECT station, time, air_temperature, wind_speed FROM observation"
    assert await rows(url, query) == [(2, NOW, 20.0, 3.0)]
    await rows(url, "UPDATE quarantine SET topic = 'other/A/obs'")
    assert (await replay(url, mend=file)).left == 1
    assert (await replay(url)).left == 1


async def fill(url: str, count: int) -> None:
    """Keep so many readings of a station that is added only now."""
    async with ingesting(url, source="memory") as ingest:
        sent = [payload(report(NOW - n * MINUTE)) for n in range(count)]
        await send(ingest, *sent, topic="fenghuo/v1/C/obs")
    await add_stations(url, ["C"])


async def test_killed_in_the_middle_nothing_is_lost_or_doubled(url: str) -> None:
    count = 2 * PAGE + 50
    await fill(url, count)
    async with await psycopg.AsyncConnection.connect(url) as blocker:
        # The second page cannot be marked, so it is in the middle of its transaction.
        await blocker.execute("SELECT FROM quarantine WHERE id = %s FOR UPDATE", (PAGE + 10,))
        async with command(url, "replay", "--all") as process:
            waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            await eventually_async(lambda: _one(url, waits, 1), timeout=20)
            process.send_signal(signal.SIGKILL)
            await process.communicate()
        await blocker.rollback()
    await eventually_async(lambda: _one(url, STORED, PAGE))
    marked = "SELECT count(*) FROM quarantine WHERE replayed IS NOT NULL"
    assert await rows(url, marked) == [(PAGE,)]
    async with command(url, "replay", "--all") as process:
        _, said = await process.communicate()
    assert f"{count - PAGE} passed" in said.decode()
    assert await rows(url, STORED) == [(count,)]
    assert await rows(url, "SELECT sum(cardinality(times)) FROM arrival") == [(count,)]


async def _one(url: str, query: str, expected: int) -> bool:
    return bool(await rows(url, query) == [(expected,)])


async def test_two_replays_at_once_share_the_work(url: str) -> None:
    await fill(url, 2 * PAGE)
    results = await asyncio.gather(replay(url), replay(url))
    assert sum(result.replayed for result in results) == 2 * PAGE
    assert await rows(url, STORED) == [(2 * PAGE,)]


async def test_the_command_lists_shows_and_replays(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with ingesting(url, source="memory") as ingest:
        evil = b'{"time":"\x1b[2J","values":{}}'
        await send(ingest, payload(report(values={"temp": 1})), b"\xff\x00", evil)
    out, err = await run(url, capsys, "list", "--limit", "2")
    assert [line.split("\t")[4] for line in out.splitlines()] == ["json", "json"]
    assert "more" in err
    out, _ = await run(url, capsys, "list", "--station", "A", "--reason", "element")
    assert len(out.splitlines()) == 1
    assert "unknown element 'temp'" in out
    out, _ = await run(url, capsys, "show", "1")
    assert "fenghuo/v1/A/obs" in out
    assert '"values":{"temp":1}' in out
    assert "ff 00" in (await run(url, capsys, "show", "2"))[0]
    shown = (await run(url, capsys, "show", "3"))[0]
    assert "\x1b" not in shown
    assert r"\x1b[2J" in shown
    assert "no message 9" in (await run(url, capsys, "show", "9", code=1))[1]
    assert "name what to replay" in (await run(url, capsys, "replay", code=2))[1]
    _, err = await run(url, capsys, "replay", "1", "2")
    assert err.splitlines()[0].startswith("0 passed and are stored, 2 stay")
    assert "not in the vocabulary" in err


def test_no_control_characters_reach_the_terminal() -> None:
    assert readable(b"a\nb\x00\x07\xc2\x9b") == "a\nb\\x00\\x07\\x9b"
    assert readable(bytes(range(128, 168))).splitlines()[1] == "a0 a1 a2 a3 a4 a5 a6 a7"


@pytest.fixture
async def site(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with await Database.open(url, name="test web", size=2) as database:
        settings = Settings(store=Store(url=url))
        application = app.create(database, settings, SystemClock())
        transport = httpx.ASGITransport(app=application)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            client.headers.update(await bearer(url, "admin"))
            yield client


async def test_the_interface_shows_and_replays(url: str, site: httpx.AsyncClient) -> None:
    async with ingesting(url, source="memory") as ingest:
        await send(ingest, payload(report()), b"\xff", topic="fenghuo/v1/C/obs")
    (newest, *_) = (await site.get("/api/v1/quarantine")).json()["newest"]
    found = (await site.get(f"/api/v1/quarantine/{newest['id']}")).json()
    assert (found["station"], found["reason"], found["times"]) == ("C", "json", 1)
    assert (found["payload"], found["base64"]) == ("ff", "/w==")
    assert (await site.get("/api/v1/quarantine/99")).status_code == 404
    await add_stations(url, ["C"])
    answer = await site.post("/api/v1/quarantine/replay", json={"station": "C"})
    assert answer.json() == {"replayed": 1, "refused": {"json": 1}, "left": 0, "more": False}


REQUESTS = [
    ({"authorization": "Bearer wrong"}, {}, 401),
    ({"authorization": "Basic Og=="}, {}, 401),
    ({"content-type": "text/plain"}, {"content": "{}"}, 415),
    ({}, {"json": {}}, 400),
    ({}, {"json": {"all": True}}, 400),
    ({}, {"json": {"ids": ["x"]}}, 400),
    ({"content-type": "application/json"}, {"content": b"x" * 70_000}, 413),
]


@pytest.mark.parametrize(("headers", "body", "status"), REQUESTS)
async def test_a_replay_that_is_not_allowed_or_not_understood(
    site: httpx.AsyncClient, headers: dict[str, str], body: dict[str, Any], status: int
) -> None:
    answer = await site.post("/api/v1/quarantine/replay", headers=headers, **body)
    assert answer.status_code == status, answer.text


async def test_only_an_administrator_replays(url: str, site: httpx.AsyncClient) -> None:
    headers = await bearer(url, "forecaster", "approver", "officer", name="li")
    answer = await site.post("/api/v1/quarantine/replay", json={}, headers=headers)
    assert answer.status_code == 403
    choice = {"station": "A"}
    assert (await site.post("/api/v1/quarantine/replay", json=choice)).status_code == 200
    (row,) = (await site.get("/api/v1/audit")).json()["audit"]
    assert (row["name"], row["act"]) == ("chen", "quarantine.replay")
    assert row["detail"]["asked"]["station"] == "A"


async def test_rows_are_chosen_by_what_is_given(url: str) -> None:
    async with ingesting(url, source="memory") as ingest:
        await send(ingest, b"{")
        await send(ingest, b"[", topic="fenghuo/v1/B/obs")
    connection = await connect(url, name="test", autocommit=True)
    choices = [
        (Choice(), [2, 1]), (Choice(station="B"), [2]), (Choice(ids=(1, 7)), [1]),
        (Choice(reason="form"), [2]), (Choice(ids=()), []),
        (Choice(since=NOW + dt.timedelta(days=1)), []),
    ]  # fmt: skip
    for choice, expected in choices:
        found = await quarantine.newest(connection, choice, limit=5)
        assert [row.id for row in found] == expected, msgspec.structs.asdict(choice)
    await connection.close()
