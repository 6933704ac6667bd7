"""The periodic work: sums, retention, and what it must not take away."""

import asyncio
import contextlib
import datetime as dt

import msgspec
import psycopg
import pytest

from server.clock import EventClock
from server.settings import Settings, Store
from server.store import housekeeping
from server.store.database import Database
from server.store.housekeeping import Housekeeping
from server.store.partitions import Partitions
from tests.rows import Row, commit
from tests.support import eventually_async

NOW = dt.datetime(2016, 7, 20, 12, tzinfo=dt.UTC)
OLD = NOW - dt.timedelta(days=60)


async def fill(database: Database) -> None:
    partitions = Partitions(database.kind, chunk_days=7)
    async with database.connection() as connection:
        for time in (OLD, NOW):
            row = Row(station=1, time=time, values={"precipitation_amount": 2.0})
            await commit(connection, partitions, [row], stored=time)
        for received in (NOW, NOW - dt.timedelta(days=200)):
            await connection.execute(
                "INSERT INTO quarantine (received, topic, payload, reason, detail)"
                " VALUES (%s, '', '', '', '')",
                (received,),
            )


async def counted(database: Database, query: str) -> int:
    async with database.connection() as connection:
        row = await (await connection.execute(psycopg.sql.SQL(query))).fetchone()
        assert row is not None
        return int(row[0])


@pytest.mark.parametrize("keep_days", [0, 30])
async def test_sweep_keeps_what_it_is_told_to(any_database: str, keep_days: int) -> None:
    settings = Settings(store=Store(url=any_database, keep_days=keep_days))
    async with await Database.open(any_database, name="test") as database:
        await fill(database)
        keeper = Housekeeping(database, settings, clock=EventClock(NOW))

        async def swept() -> bool:  # a transaction elsewhere on the server may hold the log back
            await keeper.sweep()
            return await counted(database, "SELECT count(*) FROM arrival") == 1

        await eventually_async(swept)
        assert await counted(database, "SELECT count(*) FROM observation") == (
            1 if keep_days else 2
        )
        assert await counted(database, "SELECT count(*) FROM quarantine") == 1
        assert await counted(database, "SELECT count(*) FROM rollup WHERE hours = 1") >= 1
        assert await counted(database, "SELECT count(*) FROM rollup WHERE hours = 24") >= 2


async def test_serve_works_until_cancelled(
    any_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "HOURS_EVERY", 0.02)
    monkeypatch.setattr(housekeeping, "DAYS_EVERY", 0.02)
    settings = msgspec.structs.replace(Settings(), store=Store(url=any_database))
    task = asyncio.create_task(housekeeping.serve(settings, clock=EventClock(NOW)))
    async with await Database.open(any_database, name="test") as database:
        await fill(database)

        async def rolled() -> bool:
            query = "SELECT count(DISTINCT hours) FROM rollup"
            return await counted(database, query) == 2

        await eventually_async(rolled, timeout=20)
        # It goes on after the database was away for a moment.
        async with database.connection() as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'fenghuo housekeeping'"
            )
            await connection.execute("TRUNCATE rollup")
        await fill_again(database)
        await eventually_async(rolled, timeout=20)
    assert not task.done()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def fill_again(database: Database) -> None:
    partitions = Partitions(database.kind, chunk_days=7)
    async with database.connection() as connection:
        row = Row(station=2, time=NOW, values={"air_temperature": 1.0})
        await commit(connection, partitions, [row], stored=NOW)
