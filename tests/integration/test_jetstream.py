"""The stream between listener and database: three real servers, real processes."""

import asyncio

import pytest

from server.ingest.jetstream.stream import PARTITIONS, STREAM, fingerprint, partition
from server.ingest.leases import Leases
from server.ingest.source import Delivery
from server.store.connection import Connection, connect
from tests.ingesting import NOW, add_stations, rows
from tests.servers.nats import Cluster
from tests.streaming import Streaming
from tests.support import eventually_async


async def test_two_writers_store_everything_once(plain_database: str, cluster: Cluster) -> None:
    url = plain_database
    async with Streaming(url, cluster) as way:
        await add_stations(url, way.names)
        way.publish()
        await way.progress(200)
        await way.quiet()
        await way.settled()
        assert await way.check() >= 8 * 200

        async def shared() -> bool:
            held = await rows(
                url,
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 3862"
                " AND objid < 16 GROUP BY pid",
            )
            return held == [(PARTITIONS // 2,), (PARTITIONS // 2,)]

        await eventually_async(shared, every=0.1)
        # What cannot be read goes to the quarantine.
        reader, writer = await asyncio.open_connection("127.0.0.1", way.port)
        writer.write(b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02S0")
        await reader.readexactly(4)
        writer.write(b"\x32\x17\x00\x11fenghuo/v1/S0/obs\x00\x01no")
        assert await reader.readexactly(4) == b"\x40\x02\x00\x01"
        writer.close()

        async def refused() -> bool:
            found = await rows(url, "SELECT topic, payload FROM quarantine")
            return found == [("fenghuo/v1/S0/obs", b"no")]

        await eventually_async(refused)
        # What is stored has left the stream.
        await eventually_async(lambda: _empty(cluster), every=0.2)


async def _empty(cluster: Cluster) -> bool:
    return await asyncio.to_thread(cluster.count, STREAM) == 0


async def test_leases_are_shared_and_pass_on(plain_database: str) -> None:
    async def session() -> Connection:
        return await connect(plain_database, name="test", autocommit=True)

    one, other = (Leases(session, partitions=5) for _ in range(2))
    assert await one.look() == {0, 1, 2, 3, 4}
    assert await other.look() == frozenset()
    await one.look()
    assert one.surplus() == [3, 4]
    for number in one.surplus():
        await one.give(number)
    assert await other.look() == {3, 4}
    assert await one.look() == {0, 1, 2}
    await one.close()

    async def all_passed_on() -> bool:
        return await other.look() == {0, 1, 2, 3, 4}

    await eventually_async(all_passed_on)
    await other.close()


@pytest.mark.parametrize(("station", "number"), [("54511", 14), ("北京", 1), ("S1", 2)])
def test_a_station_keeps_its_partition(station: str, number: int) -> None:
    assert partition(station) == number


def test_stations_are_spread_over_the_partitions() -> None:
    counts = [0] * PARTITIONS
    for number in range(1_600):
        counts[partition(f"{54_000 + number}")] += 1
    assert min(counts) > 50
    assert max(counts) < 200


def test_a_repeated_message_is_known_again() -> None:
    first = Delivery("a", "fenghuo/v1/a/obs", b"1", NOW, token=1)
    again = Delivery("a", "fenghuo/v1/a/obs", b"1", NOW, token=2)
    other = Delivery("b", "fenghuo/v1/b/obs", b"1", NOW)
    assert fingerprint(first) == fingerprint(again) != fingerprint(other)
