"""The catalogue of stations in the database."""

import datetime as dt

import pytest

from server.store import stations
from server.store.connection import connect
from server.store.stations import Entry, StationError

NOW = dt.datetime(2016, 7, 20, tzinfo=dt.UTC)


async def test_a_station_is_added_once_with_a_key(any_database: str) -> None:
    async with await connect(any_database, name="test") as connection:
        key = await stations.add(connection, Entry(name="X1", zh="测站"), now=NOW)
        found = await stations.by_name(connection, "X1")
        assert found is not None
        assert (found.name, found.zh, found.longitude) == ("X1", "测站", None)
        with pytest.raises(StationError, match="X1 already"):
            await stations.add(connection, Entry(name="X1"), now=NOW)
        cursor = await connection.execute("SELECT key_hash FROM station")
        assert await cursor.fetchone() == (stations.hash_key(key),)
        fresh = await stations.renew_key(connection, "X1")
        cursor = await connection.execute("SELECT key_hash FROM station")
        assert await cursor.fetchone() == (stations.hash_key(fresh),)
        with pytest.raises(StationError, match="no station"):
            await stations.renew_key(connection, "X2")
        assert await stations.by_name(connection, "X2") is None


async def test_a_list_adds_and_corrects(any_database: str) -> None:
    async with await connect(any_database, name="test") as connection:
        first = [Entry(name="A", longitude=116.5, latitude=39.8), Entry(name="B")]
        assert await stations.put(connection, first, now=NOW) == 2
        before = await stations.every(connection)
        second = [Entry(name="B", en="Bee", elevation=31.5), Entry(name="C")]
        assert await stations.put(connection, second, now=NOW) == 1
        after = await stations.every(connection)
        assert [place.name for place in after] == ["A", "B", "C"]
        assert after[0] == before[0]
        assert (after[1].id, after[1].en, after[1].elevation) == (before[1].id, "Bee", 31.5)
        assert await stations.put(connection, [], now=NOW) == 0
        with pytest.raises(StationError, match="twice"):
            await stations.put(connection, [Entry(name="D"), Entry(name="D")], now=NOW)
