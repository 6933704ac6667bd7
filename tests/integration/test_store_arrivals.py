"""The log of commits: everything once, nothing overtaken."""

import asyncio
import datetime as dt

import pytest

from server.store import arrivals
from server.store.arrivals import Cursor
from server.store.connection import Connection, connect
from server.store.database import Database
from server.store.migrations import migrate
from tests.rows import STORED
from tests.support import eventually_async

T0 = dt.datetime(2016, 7, 20, tzinfo=dt.UTC)


async def log(connection: Connection, station: int) -> None:
    await connection.execute(
        "INSERT INTO arrival (stored, stations, times) VALUES (%s, %s, %s)",
        (STORED, [station], [T0]),
    )


async def take(database: Database, *, limit: int = 500) -> list[int]:
    async with database.connection() as connection:
        batch = await arrivals.pending(connection, "test", limit=limit)
        if batch.size:
            await arrivals.advance(connection, "test", batch.cursor)
        return sorted(batch.pairs.stations.tolist())


@pytest.fixture
async def opened(any_database: str):  # noqa: ANN201
    async with await Database.open(any_database, name="test") as database:
        yield database


async def test_every_commit_is_read_once_in_portions(opened: Database) -> None:
    for station in (1, 2, 3):
        async with opened.connection() as connection:
            await log(connection, station)
    await settled(opened, 3)
    assert await take(opened, limit=2) == [1, 2]
    assert await take(opened, limit=2) == [3]
    assert await take(opened) == []


async def settled(database: Database, commits: int) -> None:
    """Wait until no transaction of another database holds the log back."""

    async def ready() -> bool:
        async with database.connection() as connection:
            return (await arrivals.after(connection, Cursor())).size >= commits

    await eventually_async(ready)


async def test_a_commit_cannot_be_overtaken(opened: Database, any_database: str) -> None:
    early = await connect(any_database, name="early")
    try:
        await log(early, 1)  # its number is the lower one, its commit comes later
        async with opened.connection() as connection:
            await log(connection, 2)
        assert await take(opened) == []
        await early.commit()
        await settled(opened, 2)
        assert await take(opened) == [1, 2]
    finally:
        await early.close()


async def test_what_was_rolled_back_is_read_again(opened: Database) -> None:
    async with opened.connection() as connection:
        await log(connection, 1)
    await settled(opened, 1)
    with pytest.raises(RuntimeError):  # noqa: PT012 - the block is what is tested
        async with opened.connection() as connection:
            batch = await arrivals.pending(connection, "test")
            await arrivals.advance(connection, "test", batch.cursor, T0)
            raise RuntimeError
    assert await take(opened) == [1]


async def test_a_second_worker_waits_for_the_first(opened: Database) -> None:
    async with opened.connection() as connection:
        await log(connection, 1)
        await arrivals.register(connection, "test")
    await settled(opened, 1)
    async with opened.connection() as connection:
        batch = await arrivals.pending(connection, "test")
        second = asyncio.create_task(take(opened))

        async def waits() -> bool:
            query = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            query += " AND datname = current_database()"
            async with opened.connection() as other:
                return await (await other.execute(query)).fetchone() is not None

        await eventually_async(waits)
        await arrivals.advance(connection, "test", batch.cursor)
    assert await second == []


async def test_the_decided_time_stays_unless_it_is_given(opened: Database) -> None:
    async with opened.connection() as connection:
        assert await arrivals.decided(connection, "test") is None
        await arrivals.advance(connection, "test", Cursor(5, 5), T0)
        await arrivals.advance(connection, "test", Cursor(6, 6))
        assert await arrivals.decided(connection, "test") == T0


async def test_prune_keeps_what_somebody_has_not_read_and_the_newest(opened: Database) -> None:
    long_ago, later = STORED - dt.timedelta(days=1), STORED + dt.timedelta(seconds=1)
    async with opened.connection() as connection:
        await log(connection, 1)
    async with opened.connection() as connection:
        await log(connection, 2)
    await settled(opened, 2)
    async with opened.connection() as connection:
        assert await arrivals.prune(connection, read=later, any_=long_ago) == 0  # nobody is known
        await arrivals.register(connection, "slow")
    assert await take(opened) == [1, 2]
    async with opened.connection() as connection:
        assert await arrivals.prune(connection, read=later, any_=long_ago) == 0  # slow has not
        batch = await arrivals.pending(connection, "slow")
        await arrivals.advance(connection, "slow", batch.cursor)
        assert await arrivals.prune(connection, read=long_ago, any_=long_ago) == 0  # too new
        assert await arrivals.prune(connection, read=later, any_=long_ago) == 1


async def test_prune_ends_the_wait_for_a_dead_consumer(opened: Database) -> None:
    later = STORED + dt.timedelta(seconds=1)
    async with opened.connection() as connection:
        await arrivals.register(connection, "dead")
        await log(connection, 1)
        assert await arrivals.prune(connection, read=later, any_=later) == 1


async def test_a_log_of_another_server_is_begun_anew(any_database: str) -> None:
    """As after a restore: the numbers of the old server are far ahead of the new one's."""
    async with await Database.open(any_database, name="test") as opened:
        async with opened.connection() as connection:
            await log(connection, 1)
            await arrivals.advance(connection, "test", Cursor(10**15, 7), T0)
            await connection.execute("UPDATE arrival SET xid = '1000000000000001'")
        assert await take(opened) == []
        assert await migrate(any_database) == []
        assert await take(opened) == [1]
        async with opened.connection() as connection:
            await log(connection, 2)
        async with opened.connection() as connection:
            assert await arrivals.decided(connection, "test") == T0
            assert not await arrivals.rebase(connection)
        await settled(opened, 2)
        assert await take(opened) == [2]


def test_places_are_ordered() -> None:
    assert Cursor() < Cursor(1, 5) < Cursor(2, 1)
