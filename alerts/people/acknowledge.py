"""Who has read what: a person says so by a link, a reply, or a key of the telephone.

The first answer stands; another one changes nothing. When an officer answers, the others of the
same group who have not been told yet need not be.
"""

import base64
import binascii
import datetime as dt
import hmac
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import psycopg
from psycopg.rows import dict_row

from alerts.faces import posters
from alerts.people.sealing import Seal
from alerts.queries import Queries
from alerts.texts.wording import ACK

_sql = Queries("alerts.people", "acknowledge.sql")

PATH = "/a/"
"""Where links lead, below the public address."""

REPLY = dt.timedelta(hours=24)
"""A reply speaks of what was sent within this time."""

NAME = 60
"""Characters of a name at most."""

NOTE = 300
"""Characters of a note at most."""

_PLAIN = frozenset({"sms", "voice", "social"})
_PURPOSE = "acknowledge"

# A link stands in an SMS, where every letter counts: half of it finds the delivery by the first
# bytes of its random id, half proves that we made it. Both must be guessed, by asking us.
_HALF = 6


class Acknowledgement(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery and who has read it; ``at`` None: nobody has said so.

    hint: the end of the address, by which an officer is told from another.
    """

    delivery: uuid.UUID
    message: uuid.UUID
    warning: uuid.UUID
    exercise: bool
    language: str
    tier: str
    channel: str
    hint: str
    sent: dt.datetime
    expires: dt.datetime
    at: dt.datetime | None = None
    by: str | None = None
    note: str | None = None

    def late(self, now: dt.datetime) -> bool:
        """Say whether the message does not count any more."""
        return now >= self.expires


def link(delivery: uuid.UUID, seal: Seal) -> str:
    """Give the path of a recipient's own link, ``/a/…``; the public address goes before it."""
    return PATH + token(delivery, seal)


def token(delivery: uuid.UUID, seal: Seal) -> str:
    """Give the 16 characters by which a delivery is found, and which nobody else can make."""
    return base64.urlsafe_b64encode(delivery.bytes[:_HALF] + _proof(delivery, seal)).decode()


def _proof(delivery: uuid.UUID, seal: Seal) -> bytes:
    return seal.token(_PURPOSE, str(delivery))[:_HALF]


async def read(
    conn: psycopg.AsyncConnection[Any], text: str, *, seal: Seal
) -> Acknowledgement | None:
    """Give the delivery of a token and what was said of it; None for one that is not ours."""
    try:
        data = base64.b64decode(text, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(data) != 2 * _HALF:
        return None
    values = {
        "first": uuid.UUID(bytes=data[:_HALF].ljust(16, b"\x00")),
        "last": uuid.UUID(bytes=data[:_HALF].ljust(16, b"\xff")),
    }
    for (delivery,) in await (await conn.execute(_sql.between, values)).fetchall():
        if hmac.compare_digest(_proof(delivery, seal), data[_HALF:]):
            return await find(conn, delivery)
    return None


async def find(conn: psycopg.AsyncConnection[Any], delivery: uuid.UUID) -> Acknowledgement | None:
    """Give a delivery and what was said of it; None where there is none."""
    return await _one(conn, _sql.find, {"delivery": delivery})


async def said(conn: psycopg.AsyncConnection[Any], delivery: uuid.UUID) -> str:
    """Give what the recipient was told, as a person reads it, without the link that led here."""
    row = await (await conn.execute(_sql.said, {"delivery": delivery})).fetchone()
    if row is None:
        return ""
    way, language, body, cap = row
    if way in _PLAIN:
        return str(body).replace(ACK, "").strip()
    # The rest of the channels send what a program reads: here it is in the document's words.
    text = posters.words(cap, language[:2])
    return "\n".join(filter(None, (text.headline, text.description, text.instruction)))


async def by_link(
    conn: psycopg.AsyncConnection[Any],
    text: str,
    *,
    seal: Seal,
    at: dt.datetime,
    name: str,
    note: str = "",
) -> Acknowledgement | None:
    """Acknowledge by the token of a link; None for a token that is not ours."""
    found = await read(conn, text, seal=seal)
    if found is None:
        return None
    return await by_delivery(conn, delivery=found.delivery, at=at, name=name, note=note)


async def by_delivery(
    conn: psycopg.AsyncConnection[Any],
    *,
    delivery: uuid.UUID,
    at: dt.datetime,
    name: str = "",
    note: str = "",
) -> Acknowledgement | None:
    """Acknowledge a delivery that has left us; None where there is none.

    One whose message does not count any more stays as it is: see `Acknowledgement.late`.
    """
    await _mark(conn, [delivery], at=at, name=name, note=note)
    return await find(conn, delivery)


async def by_contact(
    conn: psycopg.AsyncConnection[Any], *, contact: int, at: dt.datetime, note: str = ""
) -> list[uuid.UUID]:
    """Acknowledge whatever was lately sent to a contact, as a reply does; give the deliveries."""
    values = {"contact": contact, "at": at, "since": at - REPLY}
    rows = await (await conn.execute(_sql.sent, values)).fetchall()
    return await _mark(conn, [row[0] for row in rows], at=at, name="", note=note)


async def by_messages(
    conn: psycopg.AsyncConnection[Any],
    *,
    contact: int,
    messages: Sequence[uuid.UUID],
    at: dt.datetime,
    name: str,
) -> list[uuid.UUID]:
    """Acknowledge messages to a contact, as a screen does that shows them; give the deliveries."""
    values = {"contact": contact, "messages": list(messages)}
    rows = await (await conn.execute(_sql.of_messages, values)).fetchall()
    return await _mark(conn, [row[0] for row in rows], at=at, name=name, note="")


async def _mark(
    conn: psycopg.AsyncConnection[Any],
    deliveries: list[uuid.UUID],
    *,
    at: dt.datetime,
    name: str,
    note: str,
) -> list[uuid.UUID]:
    if not deliveries:
        return []
    values = {
        "deliveries": deliveries,
        "at": at,
        "name": _line(name, NAME),
        "note": _line(note, NOTE),
    }
    rows = await (await conn.execute(_sql.mark, values)).fetchall()
    marked = [row[0] for row in rows]
    if marked:
        await conn.execute(_sql.relieve, {"deliveries": marked, "at": at})
    return marked


def _line(text: str, longest: int) -> str | None:
    """Give the text on one line and not too long; None where there is none."""
    plain = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(plain.split())[:longest] or None


async def _one(
    conn: psycopg.AsyncConnection[Any], query: Any, values: Mapping[str, Any]
) -> Acknowledgement | None:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        row = await cursor.fetchone()
    return None if row is None else msgspec.convert(row, Acknowledgement)
