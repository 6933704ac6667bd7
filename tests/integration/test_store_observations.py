"""Reading back, on each kind of database."""

import datetime as dt
from collections.abc import AsyncIterator

import numpy as np
import pytest

from server.store import observations
from server.store.database import Database
from server.store.pairs import Pairs
from server.store.partitions import Partitions
from tests.rows import Row, commit

T0 = dt.datetime(2016, 7, 20, tzinfo=dt.UTC)
SEEN = ("precipitation_amount", "air_temperature", "soil_temperature_at_5cm")
FAILED = 0b1_0000_0001


def at(minute: int) -> dt.datetime:
    return T0 + dt.timedelta(minutes=minute)


@pytest.fixture
async def opened(any_database: str) -> AsyncIterator[Database]:
    async with await Database.open(any_database, name="test") as database:
        partitions = Partitions(database.kind, chunk_days=7)
        async with database.connection() as connection:
            rows = [
                Row(station=1, time=at(0), values={"precipitation_amount": 1.5}),
                Row(
                    station=1,
                    time=at(5),
                    interval=300,
                    values={"precipitation_amount": 2.5, "air_temperature": -3.25},
                    quality={"air_temperature": FAILED, "precipitation_amount": 0b1_0000_0000},
                ),
                Row(station=2, time=at(5), values={"soil_temperature_at_5cm": 17.5}),
                Row(
                    station=2,
                    time=at(60 * 24 * 9),
                    values={"air_temperature": 20.0, "soil_temperature_at_5cm": 99.0},
                    quality={"soil_temperature_at_5cm": FAILED},
                ),
            ]
            await commit(connection, partitions, rows)
        yield database


async def test_window_is_open_at_its_start_and_closed_at_its_end(opened: Database) -> None:
    async with opened.connection() as connection:
        found = await observations.window(connection, start=at(0), end=at(5), elements=SEEN)
    assert found.station.tolist() == [1, 2]
    assert found.time.tolist() == [int(at(5).timestamp())] * 2
    assert found.interval.tolist() == [300, 60]
    assert list(found.values) == list(SEEN)
    np.testing.assert_equal(found.values["precipitation_amount"], [2.5, np.nan])
    np.testing.assert_equal(found.values["soil_temperature_at_5cm"], [np.nan, 17.5])


@pytest.mark.parametrize("passed", [True, False])
async def test_values_that_failed_are_left_out_on_request(opened: Database, passed: bool) -> None:
    async with opened.connection() as connection:
        found = await observations.window(
            connection, start=at(-1), end=None, elements=SEEN, passed=passed
        )
    nan = np.nan
    np.testing.assert_equal(
        found.values["air_temperature"], [nan, nan if passed else -3.25, nan, 20.0]
    )
    np.testing.assert_equal(
        found.values["soil_temperature_at_5cm"], [nan, nan, 17.5, nan if passed else 99.0]
    )


async def test_window_of_some_stations(opened: Database) -> None:
    async with opened.connection() as connection:
        found = await observations.window(
            connection, start=at(-1), end=None, elements=SEEN, stations=[2, 77]
        )
    assert set(found.station.tolist()) == {2}


async def test_an_empty_window_has_empty_columns(opened: Database) -> None:
    async with opened.connection() as connection:
        found = await observations.window(connection, start=at(99), end=at(100), elements=SEEN)
    assert len(found) == 0
    assert all(len(column) == 0 for column in found.values.values())


async def test_readings_by_pairs_in_both_forms(opened: Database) -> None:
    pairs = [(1, at(5)), (2, at(5)), (1, at(7)), (9, at(5))]
    async with opened.connection() as connection:
        first = await observations.readings(connection, pairs, SEEN)
        again = await observations.readings(connection, Pairs.of(pairs), SEEN)
        none = await observations.readings(connection, [], SEEN)
    assert first.station.tolist() == again.station.tolist() == [1, 2]
    np.testing.assert_equal(first.values["soil_temperature_at_5cm"], [np.nan, 17.5])
    assert len(none) == 0


async def test_newest_is_one_row_a_station(opened: Database) -> None:
    async with opened.connection() as connection:
        found = await observations.newest(connection, elements=SEEN)
    newest = dict(zip(found.station.tolist(), found.time.tolist(), strict=True))
    assert newest == {1: int(at(5).timestamp()), 2: int(at(60 * 24 * 9).timestamp())}


async def test_series_is_as_measured_with_its_quality(opened: Database) -> None:
    async with opened.connection() as connection:
        found = await observations.series(
            connection, station=1, elements=SEEN, start=at(-1), end=at(60)
        )
        rare = await observations.series(
            connection, station=2, elements=SEEN, start=at(-1), end=at(60 * 24 * 10)
        )
    np.testing.assert_equal(found.values["air_temperature"], [np.nan, -3.25])
    assert found.quality["air_temperature"].tolist() == [0, FAILED]
    assert found.quality["precipitation_amount"].tolist() == [0, 0b1_0000_0000]
    np.testing.assert_equal(found.values["soil_temperature_at_5cm"], [np.nan, np.nan])
    np.testing.assert_equal(rare.values["soil_temperature_at_5cm"], [17.5, 99.0])
    assert rare.quality["soil_temperature_at_5cm"].tolist() == [0, FAILED]


def test_pairs_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="2 stations, but 1 times"):
        Pairs(np.array([1, 2]), np.array([1]))
