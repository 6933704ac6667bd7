"""Which partitions a writer works on: advisory locks of PostgreSQL, gone when the writer is.

They keep one station's messages in one writer's hands, for their order and so that two writers
do not wait for each other's rows. Nothing is lost or stored twice where a lock fails: storing is
idempotent.
"""

import math
from collections.abc import Awaitable, Callable

import psycopg

from alerts.queries import Queries
from server.store.connection import Connection

CLASS = 0x0F16
"""First half of the locks' names; ours, and no others'."""

_sql = Queries("server.ingest", "leases.sql")


class Leases:
    """The partitions of one writer, a fair share of all."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], *, partitions: int) -> None:
        """Take ``connect``, which opens a session of our own in autocommit mode."""
        self._connect = connect
        self._partitions = partitions
        self._fair = partitions
        self._held: set[int] = set()
        self._connection: Connection | None = None

    async def look(self) -> frozenset[int]:
        """Take what is free, up to a fair share, and give all that are held.

        Raises psycopg.Error or StoreError while the database is away.
        """
        connection = await self._connected()
        try:
            cursor = await connection.execute(_sql.writers, (CLASS, self._partitions))
            (writers,) = await cursor.fetchone() or (1,)
            self._fair = math.ceil(self._partitions / max(1, writers))
            for number in range(self._partitions):
                if len(self._held) >= self._fair:
                    break
                if number not in self._held:
                    cursor = await connection.execute(_sql.take, (CLASS, number))
                    if await cursor.fetchone() == (True,):
                        self._held.add(number)
        except psycopg.Error:
            await self.close()
            raise
        return frozenset(self._held)

    def surplus(self) -> list[int]:
        """Give what is more than a fair share."""
        return sorted(self._held)[self._fair :]

    async def give(self, number: int) -> None:
        """Leave a partition to others; raises psycopg.Error."""
        self._held.discard(number)
        if self._connection is not None:
            await self._connection.execute(_sql.give, (CLASS, number))

    async def close(self) -> None:
        """Leave everything."""
        connection, self._connection = self._connection, None
        self._held.clear()
        if connection is not None:
            await connection.close()

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._held.clear()
            self._connection = await self._connect()
            await self._connection.execute(_sql.present, (CLASS, self._partitions))
        return self._connection
