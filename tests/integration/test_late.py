"""Readings that come late, twice, corrected or by two ways: the whole way to a warning."""

import asyncio
import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import msgspec
import pytest

from alerts import regions
from alerts.bureau.policy import Automatic
from alerts.life import ledger
from alerts.life.evidence import LEVELS
from alerts.people import subscribers
from server import watch as watching
from server.ingest import clocks
from server.ingest.source import Delivery
from server.store import observations, rollups
from server.store import stations as catalogue
from server.watch import Watch
from tests.ingesting import Ingesting, add_stations, ingesting, payload, rows
from tests.integration.test_watch import CRITERIA
from tests.integration.test_watch import DESK as MANNED
from tests.rows import readable
from tests.samples import SEAL, Fixed
from tests.servers.broker import Broker
from tests.support import eventually_async, free_port

ROOT = Path(__file__).parents[2]
HOUR = dt.timedelta(hours=1)
MINUTE = dt.timedelta(minutes=1)
NOW = dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0)
RAIN = "precipitation_amount"
DESK = msgspec.structs.replace(
    MANNED,
    policy=msgspec.structs.replace(MANNED.policy, automatic=Automatic(levels=tuple(LEVELS))),
)
"""In real life, too, what is decided goes out without a person, so that it can be seen."""


class Centre:
    """A pipeline on a database, two stations, and a watch in real life with a clock to be set."""

    def __init__(self, ingest: Ingesting) -> None:
        self.ingest = ingest
        self.database = ingest.database
        self.clock = Fixed(NOW)

    async def send(self, *reports: Mapping[str, Any], station: str = "A") -> list[Any]:
        """Hand readings in as one message; give what became of each."""
        known = len(self.ingest.memory.acknowledged)
        topic = f"fenghuo/v1/{station}/obs"
        message = Delivery(station, topic, payload(*reports), NOW + 3 * HOUR)
        self.ingest.memory.put(message)
        await eventually_async(lambda: len(self.ingest.memory.acknowledged) > known)
        return [type(item).__name__ for item in message.items]

    async def watch(self) -> Watch:
        async with self.database.connection() as conn:
            return await Watch.open(conn, CRITERIA, DESK, 7_200, self.clock)

    async def turn(self, watch: Watch, at: dt.datetime = NOW) -> None:
        """Let the watch decide this moment, with all that is committed."""
        self.clock.time = at
        async with self.database.connection() as conn:
            await readable(conn)

        async def done() -> bool:
            async with self.database.connection() as conn:
                return await watch.turn(conn)

        await eventually_async(done)

    async def said(self) -> list[tuple[str, str]]:
        async with self.database.connection() as conn:
            found = await conn.execute("SELECT act, level FROM message ORDER BY serial")
            return list(await found.fetchall())

    async def running(self) -> Sequence[Any]:
        async with self.database.connection() as conn:
            return await ledger.running(conn)

    async def hours(self, element: str = RAIN) -> list[tuple[Any, ...]]:
        """Bring the hours up to date and give (end, sum) of them."""
        async with self.database.connection() as conn:
            await readable(conn)
            while await rollups.roll_hours(conn):
                pass
            found = await rollups.window(
                conn, element=element, hours=1, start=NOW - 100 * HOUR, end=NOW + 2 * HOUR
            )
        times = [dt.datetime.fromtimestamp(t, dt.UTC) for t in found.time.tolist()]
        return list(zip(times, found.value.round(3).tolist(), strict=True))


def rain(at: dt.datetime, amount: float, *, minutes: int = 60, revision: int = 0) -> dict[str, Any]:
    return {
        "time": at.isoformat(),
        "interval": minutes * 60,
        "revision": revision,
        "values": {RAIN: amount, "air_temperature": 20.0},
    }


def downpour(amount: float = 60) -> list[dict[str, Any]]:
    """An hour's rain in two readings: of one alone nothing would go out without a person."""
    half = 30 * MINUTE
    return [rain(NOW - half, 30, minutes=30), rain(NOW, amount - 30, minutes=30)]


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Centre]:
    async with ingesting(url, source="memory") as ingest:
        centre = Centre(ingest)
        async with ingest.database.connection() as conn:
            names = {"A": 118.0, "B": 116.0}
            await catalogue.put(
                conn,
                [
                    catalogue.Entry(name=name, zh=name, en=name, longitude=east, latitude=39.0)
                    for name, east in names.items()
                ],
                now=NOW,
            )
            places = await catalogue.every(conn)
            found = regions.sample(places)
            await regions.save(conn, found)
            await regions.assign(conn, found, places)
            await subscribers.save(conn, subscribers.sample(found), seal=SEAL, at=NOW)
        yield centre


@pytest.fixture
async def centre(plain_database: str) -> AsyncIterator[Centre]:
    async with opened(plain_database) as found:
        yield found


# Backfill.


async def test_a_storm_of_two_days_ago_opens_nothing_but_is_in_the_hours(centre: Centre) -> None:
    watch = await centre.watch()
    await centre.turn(watch)
    storm = [rain(NOW - 50 * HOUR + n * HOUR, 40) for n in range(4)]
    await centre.send(*storm)  # the backlog first, as from a station that keeps the order
    await centre.turn(watch)
    await centre.send(rain(NOW, 0))
    await centre.turn(watch, NOW + MINUTE)
    assert await centre.said() == []
    assert await centre.hours() == [
        *((NOW - 50 * HOUR + n * HOUR, 40) for n in range(4)),
        (NOW, 0),
    ]


async def test_a_late_reading_within_the_present_window_counts_now(centre: Centre) -> None:
    watch = await centre.watch()
    await centre.send(rain(NOW - 2 * HOUR, 5), rain(NOW, 5))
    await centre.turn(watch)
    assert await centre.said() == []
    await centre.send(rain(NOW - HOUR, 45))
    await centre.turn(watch)
    await centre.turn(watch, NOW + dt.timedelta(seconds=1))
    assert await centre.said() == [("issue", "orange")]


async def test_a_station_back_after_three_days_sends_all_of_it_beside_live_readings(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory then is as if all had come in time, whatever the size of the parts."""
    monkeypatch.setattr(watching, "PART", 50)
    watch = await centre.watch()
    begin = NOW - 72 * HOUR
    old = [rain(begin + n * 10 * MINUTE, n % 7 / 8, minutes=10) for n in range(1, 426)]
    live = [rain(NOW - (5 - n) * 10 * MINUTE, 0.5, minutes=10) for n in range(6)]
    for n, reading in enumerate(live):
        await centre.send(reading)
        await centre.send(*old[n * 71 : (n + 1) * 71])
        await centre.turn(watch, NOW - (5 - n) * 10 * MINUTE)
    assert watch.waiting == 0
    fresh = await centre.watch()
    at = int(NOW.timestamp())
    found = [each._nowcast.evaluate(at) for each in (watch, fresh)]
    windows = [each._nowcast._windows for each in (watch, fresh)]
    assert found[0] == found[1]
    assert len(windows[0]) == len(windows[1]) == 431
    total = sum(value for _, value in await centre.hours())
    assert total == pytest.approx(sum(r["values"][RAIN] for r in [*old, *live]), abs=0.1)


async def test_a_flood_of_old_readings_stands_before_no_live_one(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One turn decides on the live reading, though only a part of the backlog is taken."""
    monkeypatch.setattr(watching, "PART", 100)
    watch = await centre.watch()
    await centre.turn(watch, NOW - HOUR)
    for first in range(0, 3_000, 500):
        await centre.send(
            *(rain(NOW - 10 * HOUR - n * MINUTE, 0, minutes=1) for n in range(first, first + 500))
        )
    await centre.send(*downpour())
    async with centre.database.connection() as conn:
        await readable(conn)
    centre.clock.time = NOW
    async with centre.database.connection() as conn:
        assert not await watch.turn(conn)
    assert await centre.said() == [("issue", "orange")]
    assert watch.waiting == 2_902
    await centre.turn(watch)
    assert watch.waiting == 0


async def test_the_second_that_is_decided_is_decided_again_for_news(centre: Centre) -> None:
    watch = await centre.watch()
    await centre.turn(watch)
    await centre.send(*downpour())
    await centre.turn(watch)
    await centre.send(rain(NOW - HOUR, 60))  # not of the present: within the next second
    await centre.turn(watch)
    assert await centre.said() == [("issue", "orange")]
    await centre.turn(watch, NOW + dt.timedelta(seconds=1))
    assert await centre.said() == [("issue", "orange"), ("upgrade", "red")]


async def test_what_is_older_than_every_window_is_not_read(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = await centre.watch()
    asked: list[int] = []
    readings = observations.readings

    async def spy(conn: Any, pairs: Any, elements: Any, *, passed: bool) -> Any:
        asked.append(len(pairs))
        return await readings(conn, pairs, elements, passed=passed)

    monkeypatch.setattr(observations, "readings", spy)
    await centre.send(*(rain(NOW - 2_000 * HOUR + n * HOUR, 30) for n in range(100)))
    await centre.send(rain(NOW, 1))
    await centre.turn(watch)
    assert sum(asked) == 1


# Corrections.


async def test_a_correction_goes_all_the_way(centre: Centre) -> None:
    watch = await centre.watch()
    assert await centre.send(*downpour()) == ["Report", "Report"]
    await centre.turn(watch)
    assert await centre.said() == [("issue", "orange")]
    assert await centre.hours() == [(NOW, 60)]
    (warning,) = await centre.running()
    assert [item.value for item in warning.ground.evidence] == [60]

    assert await centre.send(rain(NOW, 25, minutes=30, revision=1)) == ["Report"]
    at = NOW + MINUTE
    await centre.turn(watch, at)
    assert await centre.hours() == [(NOW, 55)]
    (warning,) = await centre.running()
    assert [item.value for item in warning.ground.evidence] == [55]
    assert await centre.said() == [("issue", "orange")]


async def test_a_correction_that_takes_the_rain_away_ends_by_the_normal_rules(
    centre: Centre,
) -> None:
    watch = await centre.watch()
    await centre.send(*downpour())
    await centre.turn(watch)
    await centre.send(*({**each, "values": {RAIN: 0}, "revision": 1} for each in downpour()))
    await centre.turn(watch, NOW + MINUTE)
    assert await centre.said() == [("issue", "orange")]  # it stands as long as any would
    for hour in (1, 2):
        await centre.send(rain(NOW + hour * HOUR - 59 * MINUTE, 0))
        await centre.turn(watch, NOW + hour * HOUR - MINUTE)
        assert await centre.said() == [("issue", "orange")]
    await centre.turn(watch, NOW + 2 * HOUR)
    assert await centre.said() == [("issue", "orange"), ("cancel", "orange")]
    assert await centre.hours() == [(NOW, 0), (NOW + HOUR, 0), (NOW + 2 * HOUR, 0)]


async def test_a_correction_that_brings_rain_opens(centre: Centre) -> None:
    watch = await centre.watch()
    dry = {**downpour()[1], "values": {RAIN: 0}}
    await centre.send(downpour()[0], dry)
    await centre.turn(watch)
    assert await centre.said() == []
    await centre.send({**downpour()[1], "revision": 3})
    await centre.turn(watch)
    assert await centre.said() == [("issue", "orange")]


@pytest.mark.parametrize(
    ("again", "became", "vital"),
    [
        ({"amount": 2, "revision": 2}, "Report", "duplicates"),
        ({"amount": 60, "revision": 1}, "Report", "duplicates"),
        ({"amount": 60, "revision": 0}, "Report", "duplicates"),
        ({"amount": 60, "revision": 2}, "Refusal", "quarantined"),
    ],
    ids=["the same", "a lower revision", "the first", "other values at the same revision"],
)
async def test_what_is_no_correction_changes_nothing(
    centre: Centre, again: Mapping[str, Any], became: str, vital: str
) -> None:
    watch = await centre.watch()
    await centre.send(rain(NOW, 1))
    await centre.send(rain(NOW, 2, revision=2))
    logged = await centre.ingest.rows("SELECT count(*) FROM arrival")
    assert await centre.send(rain(NOW, **again)) == [became]
    assert centre.ingest.vitals.get(vital) == 1
    assert await centre.ingest.rows("SELECT count(*) FROM arrival") == logged
    stored = await centre.ingest.rows("SELECT revision, precipitation_amount FROM observation")
    assert stored == [(2, 2.0)]
    assert await centre.hours() == [(NOW, 2)]
    await centre.turn(watch)
    assert await centre.said() == []
    refused = await centre.ingest.rows("SELECT reason FROM quarantine")
    assert refused == ([("conflict",)] if became == "Refusal" else [])


# Clocks.


async def test_a_wrong_clock_is_seen_by_the_pipeline_and_written(plain_database: str) -> None:
    await add_stations(plain_database, ["A", "B"])
    async with ingesting(plain_database, source="memory") as ingest:
        found = clocks.Clocks(limit=120, size=9, vitals=ingest.vitals)
        pipeline = ingest.pipeline(ingest.memory)
        pipeline._clocks = found
        offsets = {"A": dt.timedelta(hours=1), "B": -dt.timedelta(hours=2)}
        for minute in range(20):
            for name, offset in offsets.items():
                now = NOW + minute * MINUTE
                message = payload(rain(now - offset, 0, minutes=1))
                pipeline.deliver(Delivery(name, f"fenghuo/v1/{name}/obs", message, now))
        await pipeline.drain()
        # What lies too far ahead is refused, and its clock is known all the same.
        assert await ingest.rows("SELECT count(*) FROM observation") == [(20,)]
        assert await ingest.rows("SELECT reason, count(*) FROM quarantine GROUP BY 1") == [
            ("time", 20)
        ]
        assert ingest.vitals.get("clocks_suspect") == 2
        async with ingest.database.connection() as conn:
            await clocks.write(conn, found.changed(), now=NOW)
            known = await clocks.read(conn)
        assert [(k.offset, k.suspect) for k in known.values()] == [(3_600, True), (-7_200, True)]


# Two ways.


def start(url: str, **ingest: str) -> subprocess.Popen[bytes]:
    """Start an ingest process on the database."""
    variables = {f"FENGHUO_INGEST_{name}".upper(): value for name, value in ingest.items()}
    process = subprocess.Popen(
        [sys.executable, "-m", "server.ingest"],
        cwd=ROOT,
        env=os.environ | {"FENGHUO_STORE_URL": url} | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["ready"] == "ingest"
    return process


async def publish(port: int, messages: Sequence[bytes]) -> None:
    async with aiomqtt.Client("127.0.0.1", port) as client:
        await asyncio.gather(
            *(client.publish("fenghuo/v1/A/obs", message, qos=1) for message in messages)
        )


async def test_a_station_that_comes_by_two_ways_is_stored_once(
    any_database: str, mosquitto: Any
) -> None:
    """Two processes on one database: the own listener, and the subscriber of a broker."""
    broker: Broker = mosquitto()
    await add_stations(any_database, ["A"])
    port = free_port()
    processes = [
        start(any_database, port=str(port), anonymous="true"),
        start(any_database, source="broker", broker=f"mqtt://127.0.0.1:{broker.port}"),
    ]
    try:
        count = 200
        plain = [payload(rain(NOW - n * MINUTE, n % 8, minutes=1)) for n in range(count)]
        better = [payload(rain(NOW - n * MINUTE, 9, minutes=1, revision=1)) for n in range(20)]
        other = payload(rain(NOW - 100 * MINUTE, 77, minutes=1))
        await asyncio.gather(
            publish(port, [*plain, *better]), publish(broker.port, [*reversed(plain), *better])
        )

        async def all_heard() -> bool:
            stored = await rows(any_database, "SELECT count(*) FROM observation")
            return stored == [(count,)]

        await eventually_async(all_heard, timeout=30)
        await publish(broker.port, [other])
        refused = "SELECT reason, detail FROM quarantine"
        found = await eventually_async(lambda: rows(any_database, refused), timeout=30)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.communicate(timeout=20)
    assert [reason for reason, _ in found] == ["conflict"]
    assert found[0][1].startswith("A has another reading of this time")
    query = "SELECT time, precipitation_amount FROM observation ORDER BY time DESC"
    stored = await rows(any_database, query)
    assert stored == [(NOW - n * MINUTE, 9 if n < 20 else n % 8) for n in range(count)]
    logged = "SELECT unnest(stations), unnest(times) FROM arrival"
    named = await rows(any_database, logged)
    # Once when it is new, and once more where a correction came in a later batch.
    assert len(set(named)) == count
    assert count <= len(named) <= count + 20
