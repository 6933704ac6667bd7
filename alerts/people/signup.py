"""Codes by which people prove that a number or mailbox is theirs, before they change anything.

A code has six digits, holds ten minutes and stands five tries; the database keeps a keyed digest
of it, and the text to be sent only until it was handed over. Whether somebody is known makes no
difference to any of this, so nobody learns from it who is.
"""

import datetime as dt
import hashlib
import hmac
import secrets
import uuid
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec
import psycopg
from psycopg.rows import dict_row

from alerts.catalogue import Catalogue
from alerts.channels.port import Delivery, Receipt
from alerts.people import contacts
from alerts.people.contacts import Address
from alerts.people.sealing import Seal
from alerts.queries import Queries

_sql = Queries("alerts.people", "signup.sql")

WAYS = ("sms", "email")
"""Channels by which a code can be sent."""

HOLDS = dt.timedelta(minutes=10)
"""How long a code counts."""

SESSION = dt.timedelta(minutes=30)
"""How long somebody may change their wishes after the code."""

TRIES = 5
"""Wrong codes before it counts no more."""

ATTEMPTS = 4
"""Times that a code is handed over before it is given up."""

KEPT = dt.timedelta(days=1)
"""How long the row of a code is kept, so that the day's can be counted."""

_PURPOSE = "passcode"


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Codes at most: for an address in 15 minutes and a day, from a network and all in an hour."""

    soon: int = 3
    day: int = 8
    origin: int = 30
    every: int = 2_000


class LimitError(Exception):
    """Too many codes were asked for; ``minutes`` later another may be."""

    def __init__(self, minutes: int) -> None:
        super().__init__(f"too many codes; again in {minutes} minutes")
        self.minutes = minutes


class Waiting(NamedTuple):
    """A code that somebody is to type; text: what an exercise shows in place of sending it."""

    address: Address
    text: str


Refusal: TypeAlias = Literal["wrong", "late"]


class Answer(NamedTuple):
    """What a code was worth: a secret for the browser, or why not, and how many tries are left."""

    secret: str
    refusal: Refusal | None = None
    left: int = 0


async def ask(
    conn: psycopg.AsyncConnection[Any],
    address: Address,
    *,
    seal: Seal,
    origin: str,
    at: dt.datetime,
    exercise: bool,
    language: str,
    agency: str,
    catalogue: Catalogue,
    limits: Limits | None = None,
) -> uuid.UUID:
    """Make a code, put it into the outbox, and give its id; in an exercise it goes nowhere.

    origin: the network that asks. Raises LimitError.
    """
    digest = address.digest(seal)
    network = seal.token("origin", origin)
    await conn.execute(_sql.alone)
    await _count(conn, digest, network, at=at, limits=limits or Limits())
    code = f"{secrets.randbelow(1_000_000):06d}"
    number = uuid.uuid4()
    minutes = round(HOLDS.total_seconds() / 60)
    words = {"code": code, "agency": agency, "minutes": minutes}
    text = catalogue.text(f"people.code.{address.channel}", language, **words)
    await conn.execute(
        _sql.make,
        {
            "id": number,
            # First barrier: what is asked for in an exercise has no way out.
            "channel": "exercise" if exercise else address.channel,
            "way": address.channel,
            "exercise": exercise,
            "address": seal.seal(address.text),
            "digest": digest,
            "origin": network,
            "code": _digest(seal, number, code),
            "subject": catalogue.text("people.code.subject", language, agency=agency),
            "body": seal.seal(text),
            "language": language,
            "state": "shown" if exercise else "queued",
            "at": at,
            "expires": at + HOLDS,
        },
    )
    await conn.execute(_sql.wake)
    return number


async def _count(
    conn: psycopg.AsyncConnection[Any],
    digest: bytes,
    origin: bytes,
    *,
    at: dt.datetime,
    limits: Limits,
) -> None:
    values = {"digest": digest, "origin": origin, "at": at}
    row = await (await conn.execute(_sql.counted, values)).fetchone()
    soon, day, network, every = row or (0, 0, 0, 0)
    if day >= limits.day:
        raise LimitError(24 * 60)
    if network >= limits.origin or every >= limits.every:
        raise LimitError(60)
    if soon >= limits.soon:
        raise LimitError(15)


def _digest(seal: Seal, number: uuid.UUID, code: str) -> bytes:
    return seal.token(_PURPOSE, f"{number} {code}")


async def answer(
    conn: psycopg.AsyncConnection[Any],
    number: uuid.UUID,
    code: str,
    *,
    seal: Seal,
    at: dt.datetime,
) -> Answer:
    """Look at a code; commit whatever comes of it, or wrong ones would not be counted."""
    values = {"id": number, "at": at, "most": TRIES}
    row = await (await conn.execute(_sql.attempt, values)).fetchone()
    if row is None:
        return Answer("", "late")
    digest, tries = row
    if not hmac.compare_digest(bytes(digest), _digest(seal, number, code)):
        left = TRIES - tries
        return Answer("", "wrong" if left else "late", left)
    secret = secrets.token_urlsafe(32)
    await conn.execute(_sql.open, {"id": number, "at": at, "session": _hash(secret)})
    return Answer(secret)


async def owner(
    conn: psycopg.AsyncConnection[Any], secret: str, *, seal: Seal, at: dt.datetime
) -> Address | None:
    """Give the address that a browser has proved; None for a secret that is none or is old."""
    values = {"session": _hash(secret), "since": at - SESSION}
    row = await (await conn.execute(_sql.session, values)).fetchone()
    return contacts.read(row[0], seal.open(row[1])) if row else None


async def end(conn: psycopg.AsyncConnection[Any], secret: str) -> None:
    """Let a browser's secret count no more."""
    await conn.execute(_sql.close, {"session": _hash(secret)})


async def waiting(
    conn: psycopg.AsyncConnection[Any], number: uuid.UUID, *, seal: Seal, at: dt.datetime
) -> Waiting | None:
    """Give what a code was made for; None for one that there is not, or that counts no more."""
    values = {"id": number, "at": at, "most": TRIES}
    row = await (await conn.execute(_sql.waiting, values)).fetchone()
    if row is None:
        return None
    way, address, text = row
    return Waiting(contacts.read(way, seal.open(address)), seal.open(text) if text else "")


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


# The outbox, which the alert role empties.


async def claim(
    conn: psycopg.AsyncConnection[Any],
    *,
    seal: Seal,
    channels: list[str],
    at: dt.datetime,
    limit: int,
) -> list[Delivery]:
    """Take codes that are to be sent; commit before anything is. Never one of an exercise."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        values = {"channels": channels, "at": at, "limit": limit}
        await cursor.execute(_sql.claim, values)
        rows = await cursor.fetchall()
    return [
        Delivery(
            id=row["id"],
            message=row["id"],
            channel=row["channel"],
            way=row["way"],
            exercise=row["exercise"],
            address=seal.open(row["sealed"]),
            subject=row["subject"],
            body=seal.open(row["text"]),
            language=row["language"],
            expires=row["expires"],
            attempts=row["attempts"],
        )
        for row in rows
    ]


async def report(
    conn: psycopg.AsyncConnection[Any], delivery: Delivery, receipt: Receipt, *, at: dt.datetime
) -> None:
    """Note what became of a code. A refusal that was no sending is tried again a little later."""
    again = receipt.state == "queued" and delivery.attempts < ATTEMPTS
    state = {"delivered": "accepted", "queued": "queued" if again else "failed"}
    due = at + dt.timedelta(seconds=2**delivery.attempts)
    values = {"id": delivery.id, "state": state.get(receipt.state, receipt.state), "due": due}
    await conn.execute(_sql.report, values)


async def tidy(conn: psycopg.AsyncConnection[Any], *, at: dt.datetime, limit: int = 1_000) -> int:
    """Forget old codes; give how many."""
    cursor = await conn.execute(_sql.tidy, {"before": at - KEPT, "limit": limit})
    return cursor.rowcount
