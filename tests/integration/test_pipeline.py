"""The pipeline with the source in memory and a real database."""

import asyncio
import datetime as dt
import json
from typing import Any

import pytest

from server.ingest.source import Delivery
from tests.ingesting import NOW, Ingesting, add_stations, ingesting, payload, report
from tests.support import eventually_async

MINUTE = dt.timedelta(minutes=1)


@pytest.fixture
async def url(any_database: str) -> str:
    await add_stations(any_database, ("A", "B"))
    return any_database


async def send(ingest: Ingesting, *payloads: bytes, station: str = "A") -> list[Delivery]:
    """Hand payloads in together and wait until they are acknowledged."""
    before = len(ingest.memory.acknowledged)
    for each in payloads:
        topic = f"fenghuo/v1/{station}/obs"
        ingest.memory.put(Delivery(station, topic, each, ingest.clock.now()))
    await eventually_async(lambda: len(ingest.memory.acknowledged) == before + len(payloads))
    return ingest.memory.acknowledged[before:]


async def quarantine(ingest: Ingesting) -> list[tuple[Any, ...]]:
    return await ingest.rows("SELECT reason, detail, payload, topic FROM quarantine ORDER BY id")


BAD = [
    (b"not json at all", "json", "not UTF-8 JSON"),
    (b"\xff\xfe\x00", "json", "not UTF-8 JSON"),
    (payload(report(values={"air_temperature": 295.0})), "range", "outside -80 to 60 °C"),
    (payload(report(values={"air_temprature": 20.0})), "element", "unknown element"),
    (payload(report(NOW + dt.timedelta(hours=1))), "time", "s in the future"),
    (payload(report(dt.datetime(1970, 1, 1, tzinfo=dt.UTC))), "time", "a clock that was never set"),
    (b'{"time":"2026-01-01T00:00:00","values":{"air_temperature":1}}', "time", "has no zone"),
    (
        b'{"time":"0001-01-01T00:00:00+14:00","values":{"air_temperature":1}}',
        "time",
        "a clock that was never set",
    ),
    (b'{"time":"9999-12-31T23:59:59-14:00","values":{"air_temperature":1}}', "time", "future"),
    (b'{"values":' + b"[" * 40_000 + b"]" * 20_000, "form", "Expected `object`"),
    (b'{"deep":' + b"[" * 30_000 + b"]" * 30_000 + b"}", "form", "unknown field"),
    (b'{"reports":[' + b" " * 66_000 + b"]}", "size", "the limit is 65536"),
    (payload(report(values={})), "empty", "values is empty"),
    (payload(report(revision=40_000)), "form", "outside 0 to 32767"),
    (payload(report(position=[40, 116, 99_999])), "position", "longitude, latitude, altitude"),
]


async def test_bad_input_is_kept_with_its_reason_and_disturbs_nothing(url: str) -> None:
    async with ingesting(url, source="memory") as ingest:
        mixed = [raw for raw, _, _ in BAD]
        good = [payload(report(NOW - n * MINUTE)) for n in range(len(BAD))]
        await send(ingest, *(p for pair in zip(mixed, good, strict=True) for p in pair))
        rows = await quarantine(ingest)
        assert [(r[0], r[3]) for r in rows] == [(b[1], "fenghuo/v1/A/obs") for b in BAD]
        for (reason, detail, raw, _), (sent, _, expected) in zip(rows, BAD, strict=True):
            assert expected in detail
            assert raw == (sent[:1_024] if reason == "size" else sent)
        stored = await ingest.rows("SELECT count(*) FROM observation")
        assert stored == [(len(BAD),)]
        assert ingest.vitals.get("quarantined", reason="time") == 5


async def test_a_bad_report_leaves_its_neighbours_alone(url: str) -> None:
    async with ingesting(url, source="memory") as ingest:
        bad = report(NOW - MINUTE, values={"wind_speed": 900}, seq=2)
        sent = payload(report(seq=1), bad, report(NOW - 2 * MINUTE, seq=3))
        (done,) = await send(ingest, sent)
        assert [type(item).__name__ for item in done.items] == ["Report", "Refusal", "Report"]
        rows = await quarantine(ingest)
        assert rows[0][0] == "range"
        assert json.loads(rows[0][2]) == bad
        assert await ingest.rows("SELECT count(*) FROM observation") == [(2,)]


async def test_unknown_station_is_kept_until_it_is_in_the_catalogue(url: str) -> None:
    async with ingesting(url, source="memory") as ingest:
        await send(ingest, payload(report()), station="C")
        assert [row[0] for row in await quarantine(ingest)] == ["station"]
        await add_stations(url, ["C"])
        await send(ingest, payload(report()), station="C")  # at once, without a restart
        assert await ingest.rows("SELECT count(*) FROM observation") == [(1,)]


async def test_unknown_station_is_registered_where_the_setting_says_so(url: str) -> None:
    async with ingesting(url, source="memory", unknown="register") as ingest:
        await send(ingest, payload(report()), station="C")
        query = "SELECT s.name FROM observation o JOIN station s ON s.id = o.station"
        assert await ingest.rows(query) == [("C",)]


async def test_redelivery_changes_nothing_and_a_revision_replaces_the_row(url: str) -> None:
    values = "SELECT revision, air_temperature, wind_speed FROM observation"
    rare = "SELECT element, value FROM observation_rare"
    async with ingesting(url, source="memory") as ingest:
        first = payload(report(values={"air_temperature": 1.5, "leaf_wetness": 50}))
        await send(ingest, first)
        await send(ingest, first, first)
        assert await ingest.rows(values) == [(0, 1.5, None)]
        assert await ingest.rows(rare) == [(66, 50.0)]
        await send(ingest, payload(report(revision=2, values={"wind_speed": 3})))
        await send(ingest, payload(report(revision=1, values={"wind_speed": 9})), first)
        assert await ingest.rows(values) == [(2, None, 3.0)]
        assert await ingest.rows(rare) == []
        assert await quarantine(ingest) == []
        assert ingest.vitals.get("duplicates") == 4
        assert ingest.vitals.get("corrected") == 1
        logged = await ingest.rows("SELECT stations, times FROM arrival ORDER BY id")
        assert logged == [([1], [NOW]), ([1], [NOW])]


async def test_other_values_at_the_same_revision_are_a_conflict(url: str) -> None:
    async with ingesting(url, source="memory") as ingest:
        await send(ingest, payload(report(values={"air_temperature": 1})))
        await send(ingest, payload(report(values={"air_temperature": 2}, seq=9)))
        more = {"air_temperature": 1, "leaf_wetness": 4}
        await send(ingest, payload(report(values=more)))
        await send(ingest, payload(report(values={"air_temperature": 1}, interval=600)))
        rows = await quarantine(ingest)
        assert [row[0] for row in rows] == ["conflict"] * 3
        assert "two stations" in rows[0][1]
        assert json.loads(rows[0][2])["seq"] == 9
        assert await ingest.rows("SELECT air_temperature FROM observation") == [(1.0,)]
        assert await ingest.rows("SELECT * FROM observation_rare") == []


async def test_within_one_batch_the_highest_revision_wins_and_else_the_first(url: str) -> None:
    async with ingesting(url, source="memory", linger=0.2) as ingest:
        await send(
            ingest,
            payload(report(values={"air_temperature": 1})),
            payload(report(values={"air_temperature": 1})),
            payload(report(values={"air_temperature": 2})),
            payload(report(values={"air_temperature": 3}, revision=1), report(NOW - MINUTE)),
        )
        query = "SELECT air_temperature, revision FROM observation ORDER BY time DESC LIMIT 1"
        assert await ingest.rows(query) == [(3.0, 1)]
        assert [row[0] for row in await quarantine(ingest)] == ["conflict"]
        assert ingest.vitals.get("duplicates") == 2


async def test_latest_never_goes_back_and_a_backlog_makes_its_partitions(url: str) -> None:
    async with ingesting(url, source="memory") as ingest:
        days = [NOW - dt.timedelta(days=n) for n in range(0, 100, 9)]
        for day in days:
            await send(ingest, payload(report(day)))
        assert await ingest.rows("SELECT time FROM latest") == [(NOW,)]
        assert await ingest.rows("SELECT count(*) FROM observation") == [(len(days),)]


async def test_a_poisoned_row_is_found_and_its_neighbours_survive(url: str) -> None:
    async with ingesting(url, source="memory", linger=0.2) as ingest:
        await ingest.rows(
            "ALTER TABLE observation ADD CONSTRAINT no_frost CHECK (air_temperature > -60)"
        )
        sent = [payload(report(NOW - n * MINUTE, seq=n)) for n in range(20)]
        cold = {"air_temperature": -70}
        sent[7] = payload(report(NOW - 7 * MINUTE, values=cold, seq=7))
        sent[8] = b"{"
        await send(ingest, *sent)
        rows = await quarantine(ingest)
        assert sorted(row[0] for row in rows) == ["json", "store"]
        kept = next(row for row in rows if row[0] == "store")
        assert json.loads(kept[2])["seq"] == 7
        assert "no_frost" in kept[1]
        assert await ingest.rows("SELECT count(*) FROM observation") == [(18,)]


async def test_database_away_holds_the_source_and_loses_nothing(url: str) -> None:
    async with ingesting(url, source="memory", queue=10, batch=5) as ingest:
        await send(ingest, payload(report()))
        real = ingest.database.url
        ingest.url = "postgresql://nobody@127.0.0.1:1/none"
        await ingest.rows_at(
            real,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'fenghuo ingest'",
        )
        for number in range(40):
            raw = payload(report(NOW - number * MINUTE))
            ingest.memory.put(Delivery("A", "fenghuo/v1/A/obs", raw, ingest.clock.now()))
        await eventually_async(lambda: ingest.memory.held)
        await eventually_async(lambda: ingest.vitals.get("retries") > 1)
        assert len(ingest.memory.acknowledged) == 1
        ingest.url = real
        await eventually_async(lambda: len(ingest.memory.acknowledged) == 41)
        assert await ingest.rows("SELECT count(*) FROM observation") == [(40,)]


async def test_commits_wake_listeners(url: str) -> None:
    async with ingesting(url, source="memory") as ingest:
        listener = await ingest.database.listener(name="test")
        await listener.execute("LISTEN fenghuo_arrival")
        await send(ingest, payload(report()))
        async with asyncio.timeout(5):
            notice = await anext(listener.notifies())
        assert notice.channel == "fenghuo_arrival"
        await listener.close()
