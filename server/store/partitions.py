"""Partitions of the readings by time: the one place where the kinds of database differ.

Plain PostgreSQL: range partitions, made when readings need them. TimescaleDB: hypertables.
"""

import datetime as dt
import re
from collections.abc import Iterable

from psycopg import sql
from psycopg.pq import TransactionStatus

from alerts.queries import Queries
from server.store.connection import Connection, Kind

TABLES = ("observation", "observation_rare")
"""The partitioned tables; both have the time in the column ``time``."""

_NAME = re.compile(r"observation(?:_rare)?_(\d{8})_(\d{8})")
_LOCK = 0x66656E67_70617274
"""Advisory lock held while partitions are made."""
_DAY = 86_400
_EPOCH = dt.date(1970, 1, 1).toordinal()
_queries = Queries("server.store", "partitions.sql")


def fill(text: str, kind: Kind, *, chunk_days: int) -> str:
    """Fill in what a migration leaves to the kind of database."""
    clause, hypertables = "", ""
    if kind is Kind.PLAIN:
        clause = "PARTITION BY RANGE (time)"
    else:
        # The default index on time alone would cost a third of the writing speed.
        hypertables = "\n".join(
            f"SELECT create_hypertable('{table}', 'time', create_default_indexes => false,"
            f" chunk_time_interval => interval '{chunk_days} days');"
            for table in TABLES
        )
    return text.replace(" {partition}", f" {clause}" if clause else "").replace(
        "{hypertables}", hypertables
    )


class Partitions:
    """The partitions of one database, with a memory of those that are there."""

    def __init__(self, kind: Kind, *, chunk_days: int) -> None:
        """Take the kind of database and the days in a partition made from now on."""
        self._kind = kind
        self._chunk = chunk_days
        self._known: set[int] = set()

    async def ensure(self, connection: Connection, times: Iterable[dt.datetime]) -> None:
        """See that there is a partition for each of the times.

        Call it before anything is written in the same transaction; where none is open it has a
        short one of its own. A partition is made as a table and then attached: that lets readers
        and writers of the others go on. After a `CheckViolation` of an insert (retention in
        another process took the partition away) call `forget`, and ensure again.
        """
        if self._kind is not Kind.PLAIN:
            return
        days = {int(time.timestamp() // _DAY) for time in times} - self._known
        if not days:
            return
        async with connection.transaction():
            there = await _ranges(connection)
            seen = {day for day in days if _within(day, there)}
            if days - seen:
                await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
                there = await _ranges(connection)
                for day in sorted(days - seen):
                    if not _within(day, there):
                        there.append(await self._create(connection, day, there))
        # Made in a transaction of the caller that may yet fail: not certain to be there.
        settled = connection.info.transaction_status == TransactionStatus.IDLE
        self._known |= days if settled else seen

    def forget(self) -> None:
        """Look anew which partitions there are."""
        self._known.clear()

    async def drop_before(self, connection: Connection, moment: dt.datetime) -> list[str]:
        """Drop every partition that ends at or before ``moment``; give their names.

        Partitions are dropped one by one; each waits for at most 5 s for readers to finish.
        """
        async with connection.transaction():
            await connection.execute("SET LOCAL lock_timeout = '5s'")
            if self._kind is not Kind.PLAIN:
                dropped = []
                for table in TABLES:
                    cursor = await connection.execute(_queries.drop_chunks, (table, moment))
                    dropped += [str(name) for (name,) in await cursor.fetchall()]
                return dropped
            limit = int(moment.timestamp() // _DAY)
            cursor = await connection.execute(_queries.partitions, (list(TABLES),))
            names = [str(name) for (name,) in await cursor.fetchall()]
            dropped = [name for name in names if (span := _span(name)) and span[1] <= limit]
        for name in dropped:
            async with connection.transaction():
                await connection.execute("SET LOCAL lock_timeout = '5s'")
                statement = sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(name))
                await connection.execute(statement)
        self.forget()
        return dropped

    async def _create(
        self, connection: Connection, day: int, there: list[tuple[int, int]]
    ) -> tuple[int, int]:
        """Make the partitions that hold a day, fitted between those that are there."""
        start = day - day % self._chunk
        start = max([start, *(end for _, end in there if end <= day)])
        end = day - day % self._chunk + self._chunk
        end = min([end, *(begin for begin, _ in there if begin > day)])
        for table in TABLES:
            name = sql.Identifier(f"{table}_{_date(start):%Y%m%d}_{_date(end):%Y%m%d}")
            parent = sql.Identifier(table)
            await connection.execute(
                sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL)").format(name, parent)
            )
            await connection.execute(
                sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
                    parent, name, f"{_date(start)}T00:00Z", f"{_date(end)}T00:00Z"
                )
            )
        return start, end


async def _ranges(connection: Connection) -> list[tuple[int, int]]:
    """Give first day and day after the last of each partition, in days since 1970."""
    cursor = await connection.execute(_queries.partitions, (list(TABLES[:1]),))
    return [span for (name,) in await cursor.fetchall() if (span := _span(name))]


def _span(name: str) -> tuple[int, int] | None:
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    start, end = (dt.date.fromisoformat(part).toordinal() - _EPOCH for part in found.groups())
    return start, end


def _date(day: int) -> dt.date:
    return dt.date.fromordinal(day + _EPOCH)


def _within(day: int, ranges: Iterable[tuple[int, int]]) -> bool:
    return any(start <= day < end for start, end in ranges)
