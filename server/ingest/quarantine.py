"""What cannot be stored is kept, with the reason, the raw bytes and the topic."""

import datetime as dt
from typing import LiteralString

import msgspec
from psycopg.rows import class_row

from agent.report import MAX_PAYLOAD, Refusal
from alerts.queries import Queries
from server.ingest.source import Delivery
from server.store.connection import Connection
from server.store.sink import Refused

_queries = Queries("server.ingest", "quarantine.sql")

REASONS = frozenset(
    {
        *("json", "form", "size", "time", "element", "range", "position", "empty"),
        *("station", "conflict", "store"),
    }
)
"""Every reason: the wire's own first, then those that only the centre can find."""

EXCERPT = 1_024
"""Bytes that are kept of a payload that is too large."""

DETAIL = 1_000


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the quarantine.

    received, newest: when the message came first, and last if it came more than ``times`` once.
    station: who it came from, empty where that was not told.
    replayed: when it passed after all; None while it waits.
    """

    id: int
    received: dt.datetime
    station: str
    topic: str
    reason: str
    detail: str
    times: int
    newest: dt.datetime | None
    replayed: dt.datetime | None
    payload: bytes


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows: every condition that is given holds."""

    ids: tuple[int, ...] | None = None
    reason: str | None = None
    station: str | None = None
    since: dt.datetime | None = None


async def newest(connection: Connection, choice: Choice, *, limit: int) -> list[Kept]:
    """Give the newest rows, the newest first."""
    return await _read(connection, _queries.newest, choice, limit=limit)


async def waiting(connection: Connection, choice: Choice, *, after: int, limit: int) -> list[Kept]:
    """Give rows that can be replayed, with ids above ``after``, the oldest first."""
    return await _read(connection, _queries.waiting, choice, limit=limit, after=after)


async def one(connection: Connection, number: int) -> Kept | None:
    """Give a row."""
    found = await newest(connection, Choice(ids=(number,)), limit=1)
    return found[0] if found else None


async def _read(
    connection: Connection, query: LiteralString, choice: Choice, **values: int
) -> list[Kept]:
    chosen = msgspec.structs.asdict(choice)
    chosen["ids"] = None if choice.ids is None else list(choice.ids)
    async with connection.cursor(row_factory=class_row(Kept)) as cursor:
        await cursor.execute(query, chosen | values)
        return await cursor.fetchall()


def readable(payload: bytes) -> str:
    """Give a payload for the eye: its text, or its bytes in hexadecimal; no control characters."""
    try:
        return plain(payload.decode())
    except UnicodeDecodeError:
        return "\n".join(payload[at : at + 32].hex(" ") for at in range(0, len(payload), 32))


def plain(text: str) -> str:
    """Give text that does nothing to a terminal."""
    shown = (
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text
    )
    return "".join(shown)


def keep(delivery: Delivery, refusal: Refusal) -> Refused:
    """Give the row of the quarantine for a report that was refused."""
    whole = refusal.reason != "size" and len(refusal.raw) <= MAX_PAYLOAD
    return Refused(
        received=delivery.received,
        topic=delivery.topic,
        payload=refusal.raw if whole else refusal.raw[:EXCERPT],
        reason=refusal.reason,
        detail=_plain(refusal.detail)[:DETAIL],
        station=delivery.station,
    )


def _plain(text: str) -> str:
    """Give text that PostgreSQL takes: no NUL, no half characters."""
    return text.replace("\x00", "\\0").encode("utf-8", "replace").decode()
