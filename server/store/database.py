"""The database of one process: a bounded pool of connections."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from psycopg_pool import AsyncConnectionPool, PoolTimeout

from server.store.connection import Connection, Kind, connect, parameters, probe
from server.store.errors import StoreError
from server.store.migrations import migrate

__all__ = ["Connection", "Database", "Kind", "StoreError", "migrate"]

POOL_SECONDS = 30.0


class Database:
    """An open database; close it, or use it as an async context manager."""

    def __init__(self, pool: AsyncConnectionPool[Connection], *, url: str, kind: Kind) -> None:
        """Wrap a pool; `open` makes one."""
        self._pool = pool
        self.url = url
        self.kind = kind

    @classmethod
    async def open(cls, url: str, *, name: str, size: int = 8) -> Self:
        """Connect, find out the kind of database, and keep up to ``size`` connections.

        ``name`` shows in pg_stat_activity, after ``fenghuo``. Raises StoreError when the server
        cannot be used.
        """
        first = await connect(url, name=name)
        try:
            kind = await probe(first)
        finally:
            await first.close()
        pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            kwargs=parameters(url, name=name),
            name=name,
            min_size=1,
            max_size=size,
            timeout=POOL_SECONDS,
            check=AsyncConnectionPool.check_connection,
            open=False,
        )
        await pool.open()
        return cls(pool, url=url, kind=kind)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection, and end its transaction: commit, or roll back after an exception.

        For several transactions use ``connection.transaction()`` inside the block.
        Raises StoreError (``busy``) when none came free in time or the server is away.
        """
        try:
            connection = await self._pool.getconn()
        except PoolTimeout:
            raise StoreError(
                "busy",
                seconds=round(POOL_SECONDS),
            ) from None
        try:
            async with connection:  # commits or rolls back; a pooled connection stays open
                yield connection
        finally:
            await self._pool.putconn(connection)

    async def listener(self, *, name: str) -> Connection:
        """Open a connection of its own in autocommit mode, for LISTEN; the caller closes it."""
        return await connect(self.url, name=name, autocommit=True)

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
