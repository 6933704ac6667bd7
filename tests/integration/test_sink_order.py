"""Whatever comes twice, late or in another order: the rows are those of the sorted set."""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.report import Report
from server.ingest.columns import Row, arrange
from server.store import sink
from server.store.connection import Connection, connect, probe
from server.store.partitions import Partitions
from tests.servers.databases import in_thread

T0 = dt.datetime(2026, 7, 20, tzinfo=dt.UTC)
WIDE = ("air_temperature", "precipitation_amount", "wind_speed")
RARE = ("leaf_wetness", "soil_temperature_at_5cm")

Key = tuple[int, int, int]
"""Station, minute, revision: what of these is sent always says the same."""


@st.composite
def sets(draw: st.DrawFn) -> dict[Key, dict[str, float]]:
    """Draw readings of two stations at a few times, some of them revised."""
    keys = st.tuples(st.integers(1, 2), st.integers(0, 3), st.integers(0, 3))
    value = st.integers(1, 200).map(lambda number: number / 4)  # exact in 4 bytes
    values = st.dictionaries(st.sampled_from(WIDE + RARE), value, min_size=1)
    return draw(st.dictionaries(keys, values, min_size=1, max_size=12))


@st.composite
def ways(draw: st.DrawFn) -> tuple[dict[Key, dict[str, float]], list[list[Key]]]:
    """Draw a set, and batches in which each of it comes at least once, in any order."""
    readings = draw(sets())
    again = draw(st.lists(st.sampled_from(sorted(readings)), max_size=12))
    order = draw(st.permutations([*readings, *again]))
    batches: list[list[Key]] = [[]]
    for key in order:
        # A batch names a station and time once, as the pipeline sees to.
        if any(key[:2] == other[:2] for other in batches[-1]) or draw(st.booleans()):
            batches.append([])
        batches[-1].append(key)
    return readings, [batch for batch in batches if batch]


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(way=ways())
def test_any_order_and_any_repetition_gives_the_same_rows(
    plain_database: str, way: tuple[dict[Key, dict[str, float]], list[list[Key]]]
) -> None:
    readings, batches = way
    straight = [[key] for key in sorted(readings)]
    found = in_thread(_both(plain_database, readings, batches, straight))
    assert found[0] == found[1]
    highest = {key[:2]: key for key in sorted(readings)}
    assert [row[0] for row in found[0]["wide"]] == [key[2] for key in highest.values()]


async def _both(
    url: str, readings: dict[Key, dict[str, float]], *ways: Sequence[Sequence[Key]]
) -> list[dict[str, list[Any]]]:
    connection = await connect(url, name="test", autocommit=True)
    try:
        await sink.prepare(connection)
        await Partitions(await probe(connection), chunk_days=7).ensure(connection, [T0])
        return [await _store(connection, readings, way) for way in ways]
    finally:
        await connection.close()


async def _store(
    connection: Connection, readings: dict[Key, dict[str, float]], batches: Iterable[Sequence[Key]]
) -> dict[str, list[Any]]:
    """Store the batches into empty tables and give what lies in them."""
    await connection.execute("TRUNCATE observation, observation_rare, latest, arrival")
    for batch in batches:
        rows = [
            Row(
                station,
                sink.moment(T0) + minute * 60_000_000,
                Report(
                    time=T0 + dt.timedelta(minutes=minute),
                    values=dict(readings[station, minute, revision]),
                    revision=revision,
                ),
            )
            for station, minute, revision in batch
        ]
        async with connection.transaction():
            outcome = await sink.store(connection, arrange(rows), stored=T0)
        assert outcome.conflicts == ()
        assert outcome.inserted + outcome.corrected + outcome.duplicates == len(rows)
    columns = ", ".join(name for wide in WIDE for name in (wide, f"{wide}_q"))
    queries = {
        "wide": f"SELECT revision, station, time, {columns} FROM observation ORDER BY 2, 3",  # noqa: S608
        "rare": "SELECT station, time, element, value FROM observation_rare ORDER BY 1, 2, 3",
        "latest": "SELECT * FROM latest ORDER BY 1",
        # The log names whatever is there; a consumer reads it from the rows, the last is enough.
        "named": "SELECT DISTINCT unnest(stations), unnest(times) FROM arrival ORDER BY 1, 2",
    }
    return {
        name: await (await connection.execute(query)).fetchall() for name, query in queries.items()
    }
