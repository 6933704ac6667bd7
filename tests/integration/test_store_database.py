"""Opening a database, and saying clearly why it cannot be opened."""

import asyncio
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from server.store import connection as connections
from server.store.database import Database
from server.store.errors import StoreError
from tests.support import free_port


async def refusal(url: str) -> StoreError:
    with pytest.raises(StoreError) as caught:
        await Database.open(url, name="test")
    return caught.value


async def test_nobody_there() -> None:
    port = free_port()
    error = await refusal(f"postgresql://someone:hidden@127.0.0.1:{port}/x")
    assert (error.code, error.values["port"]) == ("unreachable", str(port))
    assert "hidden" not in str(error)


async def test_wrong_password(any_database: str) -> None:
    parts = urlsplit(any_database)
    user, host = parts.netloc.split(":")[0], parts.netloc.rpartition("@")[2]
    error = await refusal(urlunsplit(parts._replace(netloc=f"{user}:wrong@{host}")))
    assert error.code == "password"
    assert user in str(error)


async def test_no_such_database(any_database: str) -> None:
    error = await refusal(urlunsplit(urlsplit(any_database)._replace(path="/nowhere")))
    assert (error.code, error.values["database"]) == ("missing", "nowhere")


async def test_not_a_url() -> None:
    assert (await refusal("mysql://x")).code == "url"


async def test_too_old(any_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "OLDEST", 99)
    error = await refusal(any_database)
    assert (error.code, error.values["needed"]) == ("old", 99)


async def test_connections_are_set_up(any_database: str) -> None:
    async with (
        await Database.open(any_database, name="test") as database,
        database.connection() as connection,
    ):
        cursor = await connection.execute(
            "SELECT current_setting('TimeZone'), current_setting('statement_timeout'),"
            " current_setting('application_name')"
        )
        assert await cursor.fetchone() == ("UTC", "1min", "fenghuo test")


async def test_a_block_commits_or_rolls_back(any_database: str) -> None:
    async with await Database.open(any_database, name="test") as database:
        async with database.connection() as connection:
            await connection.execute("INSERT INTO meta VALUES ('kept', '1')")
        with pytest.raises(RuntimeError):  # noqa: PT012 - the block is what is tested
            async with database.connection() as connection:
                await connection.execute("INSERT INTO meta VALUES ('lost', '1')")
                raise RuntimeError
        async with database.connection() as connection:
            cursor = await connection.execute("SELECT name FROM meta")
            assert await cursor.fetchall() == [("kept",)]


async def test_cut_connections_are_replaced(any_database: str) -> None:
    async with await Database.open(any_database, name="test") as database:
        async with database.connection() as connection:
            pid = connection.info.backend_pid
        with psycopg.connect(any_database, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
        async with database.connection() as connection:
            assert connection.info.backend_pid != pid


async def test_no_more_connections_than_agreed(
    any_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.store.database.POOL_SECONDS", 0.2)
    async with (
        await Database.open(any_database, name="test", size=1) as database,
        database.connection(),
    ):
        with pytest.raises(StoreError) as caught:
            async with asyncio.timeout(10), database.connection():
                pass
        assert caught.value.code == "busy"
