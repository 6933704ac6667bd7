"""Migrations: once, in order, whoever starts at the same time."""

import asyncio
import subprocess
import sys

import pytest

from server.store.connection import Kind, connect, probe
from server.store.errors import StoreError
from server.store.migrations import Migration, history, migrate
from tests.servers.databases import Server


async def test_the_second_time_nothing_is_left_to_do(any_server: Server) -> None:
    with any_server.fresh(migrated=False) as url:
        assert await migrate(url) == [migration.name for migration in history()]
        assert await migrate(url) == []


def test_two_processes_at_once(any_server: Server) -> None:
    with any_server.fresh(migrated=False) as url:
        program = (
            "import asyncio, sys; from server.store.migrations import migrate;"
            "print(len(asyncio.run(migrate(sys.argv[1]))))"
        )
        both = [
            subprocess.Popen(
                [sys.executable, "-c", program, url], stdout=subprocess.PIPE, text=True
            )
            for _ in range(2)
        ]
        applied = [process.communicate(timeout=60)[0] for process in both]
        assert [process.returncode for process in both] == [0, 0]
        assert sorted(map(int, applied)) == [0, len(history())]


async def test_many_tasks_at_once(plain_server: Server) -> None:
    with plain_server.fresh(migrated=False) as url:
        applied = await asyncio.gather(*(migrate(url) for _ in range(4)))
        assert sorted(map(len, applied)) == [0, 0, 0, len(history())]


async def test_a_failed_migration_leaves_nothing_behind(any_server: Server) -> None:
    bad = Migration(99, "0099_bad.sql", "CREATE TABLE half (a integer); SELECT 1/0;", "x")
    with any_server.fresh(migrated=False) as url:
        with pytest.raises(Exception, match="division by zero"):
            await migrate(url, known=(*history(), bad))
        async with await connect(url, name="test") as connection:
            cursor = await connection.execute(
                "SELECT to_regclass('half'), max(number) FROM migration"
            )
            assert await cursor.fetchone() == (None, len(history()))


async def test_a_changed_file_is_refused(plain_database: str) -> None:
    first, *rest = history()
    changed = Migration(first.number, first.name, first.text + "\n", "other")
    with pytest.raises(StoreError, match=first.name) as caught:
        await migrate(plain_database, known=(changed, *rest))
    assert caught.value.code == "changed"


async def test_a_database_of_a_later_version_is_refused(plain_database: str) -> None:
    with pytest.raises(StoreError, match="newer Fenghuo") as caught:
        await migrate(plain_database, known=history()[:-1])
    assert caught.value.code == "newer"


async def test_a_database_made_plain_stays_plain(timescale_server: Server) -> None:
    with timescale_server.fresh() as url:
        async with await connect(url, name="test", autocommit=True) as connection:
            assert await probe(connection) is not Kind.PLAIN
            await connection.execute("DROP TABLE observation")
            await connection.execute(
                "CREATE TABLE observation (time timestamptz) PARTITION BY RANGE (time)"
            )
            assert await probe(connection) is Kind.PLAIN
