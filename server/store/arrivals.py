"""The log of commits, read by each consumer at its own pace.

A row of the log is read only when every transaction that began to write before its own has ended.
So nothing can slip in behind a consumer, and every commit is seen once, whatever the timing. The
price: a transaction that writes for long, in whichever database of the server, holds all up.
"""

import datetime as dt
import logging
from dataclasses import dataclass

import numpy as np

from alerts.queries import Queries
from server.store.columns import fetch, number
from server.store.connection import Connection
from server.store.pairs import Pairs

logger = logging.getLogger(__name__)

_queries = Queries("server.store", "arrivals.sql")


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """A place in the log: everything up to this transaction and row has been read."""

    xid: int = 0
    arrival: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What was committed after a place in the log.

    cursor: the place after it, for `advance`.
    size: number of commits, of rows of the log.
    pairs: the readings; one that was corrected meanwhile is named again.
    """

    cursor: Cursor
    size: int
    pairs: Pairs


async def pending(connection: Connection, consumer: str, *, limit: int = 500) -> Batch:
    """Give what the consumer has not read yet, at most ``limit`` commits.

    Where there is something, the consumer stays locked to the end of the transaction, so that a
    second worker of the same name waits. `advance` belongs into that same transaction.
    """
    start = await position(connection, consumer)
    if await _last(connection, start, limit) is None:
        return _nothing(start)
    row = await (await connection.execute(_queries.lock, (consumer,))).fetchone()
    return await after(connection, Cursor(int(row[0]), row[1]) if row else start, limit)


async def position(connection: Connection, consumer: str) -> Cursor:
    """Give the consumer's place; one that is new is made known, so that the log waits for it."""
    row = await (await connection.execute(_queries.position, (consumer,))).fetchone()
    if row is None:
        await register(connection, consumer)
    return Cursor(int(row[0]), row[1]) if row else Cursor()


async def after(connection: Connection, start: Cursor, limit: int = 500) -> Batch:
    """Give what was committed after a place, for a reader that keeps its place itself."""
    last = await _last(connection, start, limit)
    if last is None:
        return _nothing(start)
    end, size = last
    fields = {"station": ("i4", number("u.station")), "time": ("time", number("u.time"))}
    bounds = (str(start.xid), start.arrival, str(end.xid), end.arrival)
    found = await fetch(connection, fields, number(_queries.readings), bounds)
    return Batch(cursor=end, size=size, pairs=Pairs(found["station"], found["time"]))


async def unread(connection: Connection, cursor: Cursor) -> bool:
    """Say whether anything is committed after a place, readable already or not."""
    found = await connection.execute(_queries.unread, (str(cursor.xid), cursor.arrival))
    row = await found.fetchone()
    return bool(row and row[0])


async def advance(
    connection: Connection, consumer: str, cursor: Cursor, time: dt.datetime | None = None
) -> None:
    """Record that the consumer has read up to ``cursor`` and decided up to ``time``.

    None leaves the time as it is.
    """
    await connection.execute(_queries.advance, (consumer, str(cursor.xid), cursor.arrival, time))


async def register(connection: Connection, consumer: str) -> None:
    """Make a consumer known: what it has not read is kept for it."""
    await connection.execute(_queries.register, (consumer,))


async def decided(connection: Connection, consumer: str) -> dt.datetime | None:
    """Give the time up to which the consumer has decided; None where it never did."""
    row = await (await connection.execute(_queries.decided, (consumer,))).fetchone()
    return row[0] if row else None


async def prune(connection: Connection, *, read: dt.datetime, any_: dt.datetime) -> int:
    """Delete what every consumer has read of before ``read``, and whatever is of before ``any_``.

    What is newer than ``read`` is kept for readers that nobody knows of, as the web's stream.
    Gives the number of rows. A consumer that was away for so long has lost its place and must
    begin anew from the observations.
    """
    cursor = await connection.execute(_queries.prune_read, (read,))
    done = cursor.rowcount
    cursor = await connection.execute(_queries.prune_old, (any_,))
    if cursor.rowcount:
        logger.warning("arrivals dropped unread: rows=%d before=%s", cursor.rowcount, any_)
    return done + cursor.rowcount


async def rebase(connection: Connection) -> bool:
    """Begin the log anew where its transactions are of another server; say whether it was so.

    A dump that is restored elsewhere carries numbers the new server has yet to reach. Every
    consumer then reads what is left of the log once more, which changes nothing that was right.
    """
    row = await (await connection.execute(_queries.foreign)).fetchone()
    if not row or not row[0]:
        return False
    await connection.execute(_queries.rebase)
    await connection.execute(_queries.rewind)
    return True


async def _last(connection: Connection, start: Cursor, limit: int) -> tuple[Cursor, int] | None:
    """Give the place of the last readable commit after ``start``, and how many there are."""
    cursor = await connection.execute(_queries.last, (str(start.xid), start.arrival, limit))
    row = await cursor.fetchone()
    return (Cursor(int(row[0]), row[1]), row[2]) if row else None


def _nothing(cursor: Cursor) -> Batch:
    none = np.empty(0, np.int64)
    return Batch(cursor=cursor, size=0, pairs=Pairs(none, none))
