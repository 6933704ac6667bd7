"""Hours and days equal what the raw rows say, whatever came in which order."""

import datetime as dt
import math
import zoneinfo
from collections import defaultdict
from collections.abc import Iterable

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.elements import ELEMENTS
from server.store import rollups
from server.store.connection import Connection
from server.store.database import Database
from server.store.partitions import Partitions
from tests.rows import Row, commit, readable
from tests.servers.databases import in_thread

ZONE = "Europe/Berlin"
ENDS = ("20:00", "08:00")
FAILED = 0b1_0000_0001
# Across the night in which the clocks go forward.
T0 = dt.datetime(2016, 3, 26, 12, tzinfo=dt.UTC)
USED = (
    "precipitation_amount",
    "air_temperature",
    "wind_speed",
    "wind_from_direction",
    "wind_speed_of_gust",
    "visibility_in_air",
    "surface_snow_thickness",
    "soil_temperature_at_5cm",
    "sea_water_speed",
    "sea_water_velocity_to_direction",
)

values = st.dictionaries(
    st.sampled_from(USED),
    st.integers(1, 3_000).map(lambda number: number / 8),  # exact in 4 bytes
    min_size=1,
)
readings = st.builds(
    lambda station, step, interval, found, failed: Row(
        station=station,
        time=T0 + dt.timedelta(minutes=10 * step),
        interval=interval,
        values=found,
        quality=dict.fromkeys(set(found) & set(failed), FAILED),
    ),
    st.integers(1, 2),
    st.sampled_from([0, 1, 6, 7, 40, 41, 60, 100, 120, 216]),  # few, so that corrections happen
    st.sampled_from([60, 600, 3_600, 10_800]),
    values,
    st.lists(st.sampled_from(USED), max_size=2),
)
commits = st.lists(st.lists(readings, min_size=1, max_size=6), min_size=1, max_size=5)

Key = tuple[str, int, dt.datetime, int]
Sum = tuple[int, int, float, float, float]


def day_end(time: dt.datetime, ends: str) -> tuple[dt.datetime, dt.datetime]:
    """Give start and end of the day, one step after the other."""
    zone = zoneinfo.ZoneInfo(ZONE)
    at = dt.time.fromisoformat(ends)
    date = time.astimezone(zone).date() - dt.timedelta(days=2)
    while True:
        end = dt.datetime.combine(date, at, zone).astimezone(dt.UTC)
        if end >= time:
            before = dt.datetime.combine(date - dt.timedelta(days=1), at, zone)
            return before.astimezone(dt.UTC), end
        date += dt.timedelta(days=1)


def brute(rows: Iterable[Row]) -> dict[Key, Sum]:
    """Sum everything up anew, value by value."""
    groups: dict[Key, list[tuple[Row, float]]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.time):
        hour = dt.datetime.fromtimestamp(math.ceil(row.time.timestamp() / 3600) * 3600, dt.UTC)
        spans = {(24, day_end(row.time, ends)[1]) for ends in ENDS}
        if row.interval <= 3600:
            spans.add((1, hour))
        for name, value in row.values.items():
            if name not in row.quality:
                for hours, end in spans:
                    groups[name, hours, end, row.station].append((row, value))
    found = {key: total(key[0], group) for key, group in groups.items()}
    return {key: sums for key, sums in found.items() if sums}


def total(name: str, group: list[tuple[Row, float]]) -> Sum | None:
    element = ELEMENTS[name]
    if element.speed:
        speed = element.speed
        group = [
            (row, value) for row, value in group if speed in row.values and speed not in row.quality
        ]
    if not group:
        return None
    seconds = sum(row.interval for row, _ in group)
    single = [value for _, value in group]
    low, high = min(single), max(single)
    match element.aggregate:
        case "sum":
            value = sum(single)
        case "mean":
            value = sum(row.interval * value for row, value in group) / seconds
        case "last":
            value = single[-1]
        case "max":
            value = high
        case "min":
            value = low
        case "vector":
            weights = [row.interval * row.values[element.speed or ""] for row, _ in group]
            east = sum(w * math.sin(math.radians(v)) for w, v in zip(weights, single, strict=True))
            north = sum(w * math.cos(math.radians(v)) for w, v in zip(weights, single, strict=True))
            if math.hypot(east, north) / seconds < 1e-9:
                return None
            value = low = high = math.degrees(math.atan2(east, north)) % 360
    return len(group), seconds, value, low, high


async def stored(connection: Connection) -> dict[Key, Sum]:
    names = {element.id: name for name, element in ELEMENTS.items()}
    cursor = await connection.execute(
        "SELECT element, hours, time, station, readings, seconds, value, minimum, maximum"
        " FROM rollup"
    )
    return {(names[row[0]], *row[1:4]): row[4:] for row in await cursor.fetchall()}


async def roll(connection: Connection) -> None:
    await readable(connection)
    while await rollups.roll_hours(connection, limit=2):
        pass
    while await rollups.roll_days(connection, zone=ZONE, day_ends=ENDS, limit=2):
        pass


def same(found: dict[Key, Sum], expected: dict[Key, Sum]) -> None:
    assert found.keys() == expected.keys()
    for key, sums in expected.items():
        assert found[key][:2] == sums[:2], key
        for one, other in zip(found[key][2:], sums[2:], strict=True):
            if ELEMENTS[key[0]].aggregate == "vector":
                assert abs((one - other + 180) % 360 - 180) < 1e-3, key
            else:
                assert one == pytest.approx(other, rel=1e-5), key


async def scenario(url: str, batches: list[list[Row]], *, each: bool) -> None:
    """Commit the batches; a later row of the same station and time replaces the earlier one."""
    async with await Database.open(url, name="test") as database:
        partitions = Partitions(database.kind, chunk_days=7)
        rows: dict[tuple[int, dt.datetime], Row] = {}
        async with database.connection() as connection:
            for table in ("observation", "observation_rare", "arrival", "consumer", "rollup"):
                await connection.execute(
                    psycopg.sql.SQL("DELETE FROM {}").format(psycopg.sql.Identifier(table))
                )
        for batch in batches:
            last = {(row.station, row.time): row for row in batch}
            rows |= last
            async with database.connection() as connection:
                await commit(connection, partitions, last.values())
            if each:
                async with database.connection() as connection:
                    await roll(connection)
        async with database.connection() as connection:
            await roll(connection)
            same(await stored(connection), brute(rows.values()))


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(batches=commits, each=st.booleans())
def test_any_order_of_arrivals_gives_what_the_raw_rows_say(
    any_database: str, batches: list[list[Row]], each: bool
) -> None:
    in_thread(scenario(any_database, batches, each=each))


async def test_a_correction_can_leave_nothing(any_database: str) -> None:
    time = T0 + dt.timedelta(minutes=10)
    first = Row(station=1, time=time, values={"air_temperature": 4.0, "precipitation_amount": 1.0})
    second = Row(station=1, time=time, values={"precipitation_amount": 1.0})
    await scenario(any_database, [[first], [second]], each=True)


async def test_window_gives_hours_as_columns(any_database: str) -> None:
    async with await Database.open(any_database, name="test") as database:
        partitions = Partitions(database.kind, chunk_days=7)
        rows = [
            Row(station=s, time=T0 + dt.timedelta(minutes=m), values={"precipitation_amount": 0.5})
            for s in (1, 2)
            for m in range(1, 121)
        ]
        async with database.connection() as connection:
            await commit(connection, partitions, rows)
        async with database.connection() as connection:
            await roll(connection)
            found = await rollups.window(
                connection,
                element="precipitation_amount",
                hours=1,
                start=T0,
                end=T0 + dt.timedelta(hours=2),
                stations=[2],
            )
    assert found.station.tolist() == [2, 2]
    assert np.diff(found.time).tolist() == [3600]
    assert found.value.tolist() == [30.0, 30.0]
    assert found.seconds.tolist() == [3600, 3600]
    assert found.readings.tolist() == [60, 60]


async def test_what_retention_took_away_does_not_change_the_sums(any_database: str) -> None:
    row = Row(station=1, time=T0 + dt.timedelta(minutes=10), values={"air_temperature": 4.0})
    async with await Database.open(any_database, name="test") as database:
        partitions = Partitions(database.kind, chunk_days=7)
        async with database.connection() as connection:
            await commit(connection, partitions, [row])
        async with database.connection() as connection:
            await roll(connection)
            before = await stored(connection)
            await connection.execute("DELETE FROM observation")
        late = Row(station=1, time=T0 + dt.timedelta(minutes=20), values={"air_temperature": 9.0})
        async with database.connection() as connection:
            await commit(connection, partitions, [late])
        async with database.connection() as connection:
            await readable(connection)
            floor = T0 + dt.timedelta(days=3)
            assert await rollups.roll_hours(connection, floor=floor) == 1
            assert await rollups.roll_days(connection, zone=ZONE, day_ends=ENDS, floor=floor) == 1
            assert await stored(connection) == before != {}


async def test_computing_does_not_hold_up_the_log(any_database: str) -> None:
    """Other readers of the log go on while sums are computed: no transaction id is taken."""
    async with await Database.open(any_database, name="test") as database:
        partitions = Partitions(database.kind, chunk_days=7)
        row = Row(station=1, time=T0, values={"air_temperature": 4.0})
        async with database.connection() as connection:
            await commit(connection, partitions, [row])
        async with database.connection() as connection:
            await readable(connection)
            taken = []
            compute = rollups._compute

            async def spied(used: Connection, *given: object, **named: object) -> object:
                cursor = await used.execute("SELECT pg_current_xact_id_if_assigned()")
                taken.append(await cursor.fetchone())
                return await compute(used, *given, **named)  # type: ignore[arg-type]

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(rollups, "_compute", spied)
                assert await rollups.roll_hours(connection) == 1
            assert taken == [(None,)]


async def test_one_process_at_a_time(any_database: str) -> None:
    async with await Database.open(any_database, name="test") as database:
        partitions = Partitions(database.kind, chunk_days=7)
        row = Row(station=1, time=T0, values={"air_temperature": 4.0})
        async with database.connection() as connection:
            await commit(connection, partitions, [row])
        async with database.connection() as first, database.connection() as second:
            await readable(first)
            await first.execute(rollups._queries.lock, (rollups.HOURS,))
            assert await rollups.roll_hours(second) == 0
            await first.execute(rollups._queries.unlock, (rollups.HOURS,))
            assert await rollups.roll_hours(second) == 1
            assert await rollups.roll_hours(first) == 0  # the lock was given back, nothing is left


async def test_a_failure_in_the_middle_is_made_good(any_database: str) -> None:
    async with await Database.open(any_database, name="test") as database:
        partitions = Partitions(database.kind, chunk_days=7)
        row = Row(station=1, time=T0, values={"air_temperature": 4.0})
        async with database.connection() as connection:
            await commit(connection, partitions, [row])
        async with database.connection() as connection:
            await readable(connection)

            async def broken(*_: object, **__: object) -> None:
                await connection.execute("SELECT 1/0")

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(rollups, "_write", broken)
                with pytest.raises(psycopg.errors.DivisionByZero):
                    await rollups.roll_hours(connection)
            assert await rollups.roll_hours(connection) == 1
            assert len(await stored(connection)) == 1
