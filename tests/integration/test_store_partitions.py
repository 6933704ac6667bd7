"""Partitions: made when needed, by many at once, and dropped when old."""

import asyncio
import datetime as dt

import psycopg
import pytest

from server.store.connection import Connection, connect
from server.store.database import Database, Kind
from server.store.partitions import Partitions
from tests.rows import Row, commit


def day(number: int) -> dt.datetime:
    return dt.datetime(2016, 7, 1, tzinfo=dt.UTC) + dt.timedelta(days=number)


async def names(connection: Connection) -> list[str]:
    cursor = await connection.execute(
        "SELECT relname FROM pg_class WHERE relname ~ '^observation_\\d+_\\d+$' ORDER BY 1"
    )
    return [name for (name,) in await cursor.fetchall()]


async def insert(connection: Connection, time: dt.datetime) -> None:
    await connection.execute(
        'INSERT INTO observation (station, time, "interval") VALUES (1, %s, 60)', (time,)
    )


async def test_a_partition_holds_whole_days(plain_database: str) -> None:
    partitions = Partitions(Kind.PLAIN, chunk_days=7)
    async with await connect(plain_database, name="test", autocommit=True) as connection:
        await partitions.ensure(connection, [day(0), day(0), day(1)])
        (name,) = await names(connection)
        start, end = (dt.date.fromisoformat(part) for part in name.split("_")[1:])
        assert (end - start).days == 7
        assert start <= day(0).date() < end
        await insert(connection, day(0))


async def test_another_length_fits_between_what_is_there(plain_database: str) -> None:
    async with await connect(plain_database, name="test", autocommit=True) as connection:
        await Partitions(Kind.PLAIN, chunk_days=7).ensure(connection, [day(0), day(20)])
        later = Partitions(Kind.PLAIN, chunk_days=30)
        for number in range(-40, 60, 3):
            await later.ensure(connection, [day(number)])
            await insert(connection, day(number))


async def test_many_at_once(plain_database: str) -> None:
    async def one(number: int) -> None:
        partitions = Partitions(Kind.PLAIN, chunk_days=1)
        async with await connect(plain_database, name="test") as connection:
            await partitions.ensure(connection, [day(n) for n in range(number % 3, 12)])
            await insert(connection, day(3) + dt.timedelta(seconds=number))

    await asyncio.gather(*(one(number) for number in range(8)))


async def test_readers_and_writers_go_on_while_one_is_made(plain_database: str) -> None:
    partitions = Partitions(Kind.PLAIN, chunk_days=7)
    async with (
        await connect(plain_database, name="maker") as maker,
        await connect(plain_database, name="other") as other,
    ):
        await partitions.ensure(other, [day(0)])
        await other.commit()
        await other.execute("SET lock_timeout = '1s'")
        await insert(other, day(0))  # holds its locks
        await maker.execute("SELECT 1")
        await asyncio.wait_for(partitions.ensure(maker, [day(40)]), 5)
        # The maker holds its locks as well now, and the other goes on reading and writing.
        await insert(other, day(0) + dt.timedelta(minutes=1))
        await other.execute("SELECT count(*) FROM observation")


async def test_what_was_rolled_back_is_made_again(plain_database: str) -> None:
    partitions = Partitions(Kind.PLAIN, chunk_days=7)
    async with await connect(plain_database, name="test") as connection:
        await connection.execute("SELECT 1")
        await partitions.ensure(connection, [day(0)])
        await connection.rollback()
        await partitions.ensure(connection, [day(0)])
        await insert(connection, day(0))


async def test_forget_after_another_process_dropped_it(plain_database: str) -> None:
    partitions = Partitions(Kind.PLAIN, chunk_days=7)
    async with await connect(plain_database, name="test", autocommit=True) as connection:
        await partitions.ensure(connection, [day(0)])
        await Partitions(Kind.PLAIN, chunk_days=7).drop_before(connection, day(99))
        await partitions.ensure(connection, [day(0)])
        with pytest.raises(psycopg.errors.CheckViolation):
            await insert(connection, day(0))
        partitions.forget()
        await partitions.ensure(connection, [day(0)])
        await insert(connection, day(0))


async def test_drop_before_takes_only_what_is_wholly_older(any_database: str) -> None:
    async with await Database.open(any_database, name="test") as database:
        partitions = Partitions(database.kind, chunk_days=7)
        async with database.connection() as connection:
            rows = [
                Row(station=1, time=day(n), values={"soil_temperature_at_5cm": 1.0})
                for n in (0, 10, 20, 30)
            ]
            await commit(connection, partitions, rows)
        async with database.connection() as connection:
            dropped = await partitions.drop_before(connection, day(20))
        assert dropped
        async with database.connection() as connection:
            for table in ("observation", "observation_rare"):
                cursor = await connection.execute(
                    psycopg.sql.SQL("SELECT time FROM {} ORDER BY time").format(
                        psycopg.sql.Identifier(table)
                    )
                )
                left = [time for (time,) in await cursor.fetchall()]
                assert day(0) not in left
                assert left[-2:] == [day(20), day(30)]
        async with database.connection() as connection:
            await commit(connection, partitions, [Row(station=1, time=day(0), values={})])
