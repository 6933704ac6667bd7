"""The audit: who did what to what, when. Rows are chained, so that a change of one shows.

The digest of a row is SHA-256 over the digest of the row before and the row itself. Whoever can
write to the database could forge the whole chain anew: note the newest digest somewhere else.
"""

import datetime as dt
import hashlib
from typing import Any

import msgspec
from psycopg.rows import class_row

from alerts.queries import Queries
from alerts.rights import Person
from server.clock import aware
from server.store.connection import Connection

_queries = Queries("server.accounts", "audit.sql")

COMMAND = "command line"
"""Who it was where nobody was signed in."""

PAGE = 5_000
"""Rows that are read at once."""

_NOTHING = bytes(32)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """An act. detail: JSON, to the letter as it was written."""

    id: int
    at: dt.datetime
    account: int | None
    name: str
    act: str
    subject: str
    detail: str
    digest: bytes


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What the verification found.

    rows: so many hold; head: digest of the last of these, hexadecimal.
    broken: number of the first that does not, None where all do.
    """

    rows: int
    head: str
    broken: int | None


async def audit(
    conn: Connection,
    *,
    person: Person | None,
    act: str,
    subject: str,
    detail: dict[str, Any],
    at: dt.datetime,
    name: str = COMMAND,
) -> None:
    """Write a row, in the transaction of what it tells of.

    person: who was signed in; None: ``name``, as a rule the command line.
    subject: what it was done to, as ``warning/…``; detail: of what msgspec knows, no secrets.
    at: by the real clock.

    Write it last: rows are numbered one after the other, so the next waits for this commit.
    """
    await conn.execute(_queries.lock)
    before = await (await conn.execute(_queries.last)).fetchone()
    row = Row(
        id=before[0] + 1 if before else 1,
        at=aware(at),
        account=None if person is None else person.id,
        name=name if person is None else person.name,
        act=act,
        subject=subject,
        # PostgreSQL's text has no place for this one character, JSON's for its escape has none.
        detail=msgspec.json.encode(detail).decode().replace("\\u0000", "\\ufffd"),
        digest=_NOTHING,
    )
    row = msgspec.structs.replace(row, digest=_digest(row, before[1] if before else _NOTHING))
    await conn.execute(_queries.add, msgspec.structs.asdict(row))


async def page(
    conn: Connection, *, limit: int = 100, before: int = 2**63 - 1, subject: str | None = None
) -> list[Row]:
    """Give rows with lower numbers, the newest first."""
    async with conn.cursor(row_factory=class_row(Row)) as cursor:
        await cursor.execute(_queries.page, {"limit": limit, "before": before, "subject": subject})
        return await cursor.fetchall()


async def verify(conn: Connection, *, head: str = "") -> Proof:
    """Follow the chain from its beginning; a row that was changed, taken out or put in breaks it.

    head: a digest noted earlier; where no row has it, the chain is broken at its end.
    """
    last, digest, met = 0, _NOTHING, not head
    while True:
        async with conn.cursor(row_factory=class_row(Row)) as cursor:
            await cursor.execute(_queries.chain, {"after": last, "limit": PAGE})
            rows = await cursor.fetchall()
        for row in rows:
            if row.id != last + 1 or row.digest != _digest(row, digest):
                return Proof(rows=last, head=digest.hex(), broken=last + 1)
            last, digest = row.id, row.digest
            met = met or digest.hex() == head
        if len(rows) < PAGE:
            return Proof(rows=last, head=digest.hex(), broken=None if met else last + 1)


def _digest(row: Row, before: bytes) -> bytes:
    at = row.at.astimezone(dt.UTC).isoformat(timespec="microseconds")
    parts = [row.id, at, row.account, row.name, row.act, row.subject, row.detail]
    return hashlib.sha256(before + msgspec.json.encode(parts)).digest()
