"""Screens and stations: outlets that come for what is in force, and say that they have it.

A screen is alive when it was heard lately; that a connection stands proves nothing.
"""

import datetime as dt
import hashlib
import hmac
import secrets
import uuid
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import msgspec
import psycopg
from psycopg.rows import dict_row

from alerts.bureau.policy import Level
from alerts.faces import posters
from alerts.faces.posters import Language, Poster
from alerts.people import acknowledge, contacts
from alerts.people.sealing import Seal
from alerts.queries import Queries

_sql = Queries("alerts.faces", "screens.sql")

Kind: TypeAlias = Literal["display", "broadcast"]

ALIVE = dt.timedelta(seconds=90)
"""After this long without a word from it, a screen is taken to be off."""

MOST = 2_000
"""Screens of one centre."""

SHOWN = 50
"""Messages on one screen."""


class ScreenError(Exception):
    """A screen cannot be added or found; the message says why."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A screen to add; no hazards: every one.

    title: where it stands; kind: ``display``, or ``broadcast`` for a radio or TV station.
    """

    name: str
    title: str
    regions: tuple[str, ...]
    kind: Kind = "display"
    language: Language = "zh"
    lowest: Level = "blue"
    hazards: tuple[str, ...] = ()


class Screen(msgspec.Struct, frozen=True, kw_only=True):
    """A screen as it is known.

    seen: its last sign of life; state: what it says of itself; shown: messages that it says it
    shows, since ``shown_at``; key: SHA-256 of its key.
    """

    name: str
    kind: Kind
    title: str
    contact: int
    language: Language
    lowest: str
    hazards: tuple[str, ...]
    regions: tuple[str, ...]
    added: dt.datetime
    seen: dt.datetime | None
    state: str
    shown: tuple[uuid.UUID, ...]
    shown_at: dt.datetime | None
    key: bytes

    def alive(self, now: dt.datetime) -> bool:
        """Say whether it was heard lately."""
        return self.state != "off" and self.seen is not None and now - self.seen < ALIVE

    def opens(self, key: str) -> bool:
        """Say whether this is its key."""
        return hmac.compare_digest(_hash(key), self.key)


async def add(
    conn: psycopg.AsyncConnection[Any], wanted: Wanted, *, seal: Seal, at: dt.datetime
) -> str:
    """Add a screen and give its key, which is stored nowhere; raises ScreenError."""
    try:
        address = contacts.read(wanted.kind, wanted.name)
    except contacts.ContactError as error:
        raise ScreenError(str(error)) from None
    if not wanted.regions or not wanted.title.strip():
        raise ScreenError("a screen has a title and at least one region")
    known = {place.id for place in await posters.places(conn)}
    if unknown := sorted(set(wanted.regions) - known):
        raise ScreenError(f"no region {', '.join(unknown)}")
    if await find(conn, wanted.name) is not None:
        raise ScreenError(f"there is a screen {wanted.name!r} already")
    if len(await every(conn)) >= MOST:
        raise ScreenError(f"there are {MOST} screens already")
    key = secrets.token_urlsafe(24)
    values = {
        **msgspec.structs.asdict(wanted),
        **contacts.fields(address, seal),
        "hazards": list(wanted.hazards),
        "regions": list(wanted.regions),
        "at": at,
    }
    values["subscriber"] = await _number(
        conn, _sql.subscribe, {**values, "title": seal.seal(wanted.title)}
    )
    values["contact"] = await _number(conn, _sql.reach, values)
    await conn.execute(_sql.add, {**values, "key": _hash(key)})
    return key


async def every(conn: psycopg.AsyncConnection[Any]) -> list[Screen]:
    """Give all screens, by name."""
    return await _read(conn, None)


async def find(conn: psycopg.AsyncConnection[Any], name: str) -> Screen | None:
    """Give a screen; None where there is none of this name."""
    found = await _read(conn, name)
    return found[0] if found else None


async def remove(conn: psycopg.AsyncConnection[Any], name: str, *, at: dt.datetime) -> bool:
    """Take a screen away; False where there is none. What it was sent stays in the ledger."""
    return (await conn.execute(_sql.remove, {"name": name, "at": at})).rowcount > 0


async def in_force(
    conn: psycopg.AsyncConnection[Any], screen: Screen, *, now: dt.datetime, exercise: bool
) -> list[Poster]:
    """Give what the screen is to show now, the highest level first."""
    return await posters.in_force(
        conn,
        now=now,
        exercise=exercise,
        regions=screen.regions,
        hazards=screen.hazards or None,
        lowest=screen.lowest,
        limit=SHOWN,
    )


async def heard(
    conn: psycopg.AsyncConnection[Any],
    screen: Screen,
    *,
    at: dt.datetime,
    decided: dt.datetime,
    state: str | None = None,
    shown: Sequence[uuid.UUID] | None = None,
) -> int:
    """Note a sign of life, and what it says it shows; give how many deliveries that acknowledged.

    at: the real time; decided: the time that is decided by, the event's in an exercise. shown
    None: it said nothing of that.
    """
    listed = None if shown is None else sorted(set(shown))[:SHOWN]
    values = {"name": screen.name, "at": at, "state": state, "shown": listed}
    await conn.execute(_sql.seen, values)
    if not listed:
        return 0
    done = await acknowledge.by_messages(
        conn, contact=screen.contact, messages=listed, at=decided, name=screen.title
    )
    return len(done)


async def lost(conn: psycopg.AsyncConnection[Any], name: str, *, state: str) -> None:
    """Note what was said of a screen that may be long gone; no sign of life."""
    await conn.execute(_sql.lost, {"name": name, "state": state})


async def fetched(
    conn: psycopg.AsyncConnection[Any],
    screen: Screen,
    messages: Sequence[uuid.UUID],
    *,
    at: dt.datetime,
    decided: dt.datetime,
) -> None:
    """Note that a station came for messages; each of them is delivered to it."""
    await conn.execute(_sql.seen, {"name": screen.name, "at": at, "state": None, "shown": None})
    values = {"contact": screen.contact, "messages": list(messages), "at": decided}
    await conn.execute(_sql.fetched, values)


async def _read(conn: psycopg.AsyncConnection[Any], name: str | None) -> list[Screen]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_sql.every, {"name": name, "limit": MOST})
        return [msgspec.convert(row, Screen) for row in await cursor.fetchall()]


async def _number(conn: psycopg.AsyncConnection[Any], query: Any, values: Any) -> int:
    row = await (await conn.execute(query, values)).fetchone()
    if row is None:
        raise ScreenError("the screen was not stored")
    return int(row[0])


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
