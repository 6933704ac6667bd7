"""What is there to be seen: each warning's state beside its chain of messages, and the phone."""

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.rows import dict_row

from alerts.cap.feed import Published
from alerts.people import acknowledge
from alerts.people.sealing import Seal, SealError
from alerts.queries import Queries
from alerts.texts.bulletin import readable
from alerts.texts.wording import ACK

_sql = Queries("alerts.life", "board.sql")

MOST = 1_000
"""Warnings, or messages of the phone, in one answer."""


async def find(
    conn: psycopg.AsyncConnection[Any],
    *,
    ids: Sequence[uuid.UUID] | None = None,
    running: bool | None = None,
    hazard: str | None = None,
    region: str | None = None,
    level: str | None = None,
    ended_after: dt.datetime | None = None,
    exercises: bool,
    limit: int = MOST,
) -> list[dict[str, Any]]:
    """Give published warnings, those in force first, then the newest; exercises where asked for."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            _sql.warnings,
            {
                "ids": None if ids is None else list(ids),
                "running": running,
                "hazard": hazard,
                "region": region,
                "level": level,
                "ended_after": ended_after,
                "exercises": exercises,
                "limit": limit,
            },
        )
        return [_resource(row) for row in await cursor.fetchall()]


def _resource(row: dict[str, Any]) -> dict[str, Any]:
    row["region"] = {"id": row["region"], **{key: row.pop(key) for key in ("zh", "en", "sample")}}
    for message in row["messages"]:
        message["cap"] = f"/cap/{message['id']}.xml"
    return row


async def cap(conn: psycopg.AsyncConnection[Any], message: uuid.UUID) -> bytes | None:
    """Give the CAP document of a message, byte for byte as it was signed."""
    row = await (await conn.execute(_sql.cap, {"id": message})).fetchone()
    return None if row is None else str(row[0]).encode()


async def lately(
    conn: psycopg.AsyncConnection[Any], *, since: dt.datetime, exercise: bool, limit: int
) -> list[Published]:
    """Give the documents of events in force or ended since then, the newest first."""
    values = {"since": since, "exercise": exercise, "limit": limit}
    cursor = await conn.execute(_sql.lately, values)
    return [
        Published(id=number, sent=sent, expires=expires, cap=cap)
        for number, sent, expires, cap in await cursor.fetchall()
    ]


async def serial(conn: psycopg.AsyncConnection[Any], *, exercises: bool) -> int:
    """Give the running number of the newest message that everybody may see; 0 before any."""
    row = await (await conn.execute(_sql.serial, {"exercises": exercises})).fetchone()
    return 0 if row is None else int(row[0])


async def messages(
    conn: psycopg.AsyncConnection[Any],
    *,
    after: int,
    until: int,
    exercises: bool,
    limit: int = 200,
) -> list[tuple[int, uuid.UUID, uuid.UUID]]:
    """Give (running number, message, warning) with after < number <= until, in order."""
    values = {"after": after, "until": until, "exercises": exercises, "limit": limit}
    cursor = await conn.execute(_sql.messages, values)
    return [(number, message, warning) for number, message, warning in await cursor.fetchall()]


async def phone(
    conn: psycopg.AsyncConnection[Any],
    *,
    seal: Seal,
    subscriber: int | None = None,
    region: str | None = None,
    limit: int = 100,
) -> list[dict[str, Any]]:
    """Give what the exercise phone shows, the oldest first; never a message to a real recipient.

    Nobody's number is shown in full, not even an invented one.
    """
    async with conn.cursor(row_factory=dict_row) as cursor:
        values = {"subscriber": subscriber, "region": region, "limit": limit}
        await cursor.execute(_sql.phone, values)
        texts = await cursor.fetchall()
    for text in texts:
        text["name"] = _name(text["name"], seal) or text["address"]
        own = acknowledge.link(text["id"], seal)
        text["body"] = readable(text["body"]).replace(ACK, own)
    return texts[::-1]


def _name(sealed: bytes | None, seal: Seal) -> str:
    """Give the name; nothing where it was erased, or sealed by a key that is gone."""
    try:
        return seal.open(sealed) if sealed else ""
    except SealError:
        return ""
