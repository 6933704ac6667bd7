"""Versions of the criteria: written once, never changed; which counts when; who did what.

The SQL of trials is here too; `server.commands.trial` runs them.
"""

import datetime as dt
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from psycopg.rows import class_row

from agent.elements import ELEMENTS
from alerts import regions
from alerts.queries import Queries
from forecast.criteria import Book
from server.clock import aware
from server.settings import Settings
from server.store.connection import Connection

_queries = Queries("server.store", "criteria.sql")

UNITS: Mapping[str, str] = {name: element.unit for name, element in ELEMENTS.items()}
"""The unit of every element, as criteria are read with."""

CHANNEL = "fenghuo_criteria"
"""Notified after a version was put in force."""


class CriteriaRefusedError(Exception):
    """A key of the catalogue's ``criteria.refused``, and its values."""

    def __init__(self, key: str, **values: object) -> None:
        super().__init__(f"{key}: {values}")
        self.key = key
        self.values = values


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A text of criteria as somebody wrote it. digest: SHA-256, hexadecimal."""

    number: int
    text: str
    digest: str
    author: str
    note: str
    written: dt.datetime


class Enacted(Version, frozen=True, kw_only=True):
    """A version in force. since: in the readings' own time; enacted: by the real clock."""

    since: dt.datetime
    enacted_by: str
    enacted_note: str
    enacted: dt.datetime


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A version without its text. tried: it was dry-run; since: when it last came into force."""

    number: int
    digest: str
    author: str
    note: str
    written: dt.datetime
    size: int
    tried: bool
    since: dt.datetime | None


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the audit."""

    id: int
    act: str
    version: int
    digest: str
    author: str
    note: str
    at: dt.datetime
    trial: int | None
    since: dt.datetime | None


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What is in force: a version, or the settings' file where there is none.

    until: when the next version comes into force, as far as that is decided.
    """

    book: Book
    version: Enacted | None
    digest: str
    until: dt.datetime | None


async def in_force(connection: Connection, settings: Settings, *, at: dt.datetime) -> Standing:
    """Give the criteria in force at a moment of the readings' own time.

    Of what was decided, the latest start counts; of two with the same start the later decision.
    Raises CriteriaError where the text or the settings' file cannot be read.
    """
    aware(at)
    async with connection.cursor(row_factory=class_row(Enacted)) as cursor:
        await cursor.execute(_queries.in_force, {"at": at})
        version = await cursor.fetchone()
    row = await (await connection.execute(_queries.next_change, {"at": at})).fetchone()
    if version is not None:
        book = Book(version.text, units=UNITS)
    else:
        file = settings.watch.criteria
        book = Book.load(Path(file) if file else None, units=UNITS)
    return Standing(
        book=book,
        version=version,
        digest=digest(book.source),
        until=row[0] if row else None,
    )


def digest(text: str) -> str:
    """Give the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


async def write(
    connection: Connection, *, text: str, author: str, note: str, now: dt.datetime
) -> Version:
    """Keep a text as a new version, with its row in the audit.

    Raises CriteriaError for a text that is none, CriteriaRefusedError without an author.
    """
    signed(author)
    Book(text, units=UNITS)
    draft = Version(
        number=0, text=text, digest=digest(text), author=author, note=note, written=aware(now)
    )
    values = msgspec.structs.asdict(draft)
    row = await (await connection.execute(_queries.write, values)).fetchone()
    version = msgspec.structs.replace(draft, number=row[0] if row else 0)
    await record(connection, "written", version, author=author, note=note, now=now)
    return version


async def enact(
    connection: Connection,
    number: int,
    *,
    author: str,
    note: str,
    now: dt.datetime,
    since: dt.datetime,
    present: dt.datetime,
    force: bool = False,
) -> Version:
    """Put a version in force, and tell everybody once this is committed.

    now: the real time; present: the moment that is decided now, which no start may lie before.
    Raises CriteriaRefusedError where there is no such version, where it was not tried (``force``
    with a note allows that), where it names regions that there are none of, or where the start
    lies in the past; CriteriaError where the text cannot be read any more.
    """
    signed(author)
    version = await one(connection, number)
    if version is None:
        raise CriteriaRefusedError("missing", number=number)
    if aware(since) < aware(present):
        raise CriteriaRefusedError("past", since=since.isoformat(), present=present.isoformat())
    missing = await unknown(connection, Book(version.text, units=UNITS))
    if missing:
        raise CriteriaRefusedError("regions", names=", ".join(missing))
    row = await (await connection.execute(_queries.proof, {"digest": version.digest})).fetchone()
    trial = row[0] if row else None
    if trial is None and not force:
        raise CriteriaRefusedError("untried", number=number)
    if trial is None and not note.strip():
        raise CriteriaRefusedError("unexplained")
    await record(
        connection, "in_force", version, author=author, note=note, now=now, trial=trial, since=since
    )
    await connection.execute(_queries.notify, {"version": number})
    return version


async def unknown(connection: Connection, book: Book) -> list[str]:
    """Give the regions that overrides name and the database does not have."""
    if not book.regions:
        return []
    return sorted(book.regions - (await regions.membership(connection)).keys())


async def one(connection: Connection, number: int) -> Version | None:
    """Give a version."""
    async with connection.cursor(row_factory=class_row(Version)) as cursor:
        await cursor.execute(_queries.one, {"number": number})
        return await cursor.fetchone()


async def versions(
    connection: Connection, *, limit: int = 100, before: int = 2**31 - 1
) -> list[Listed]:
    """Give versions with lower numbers, the newest first."""
    async with connection.cursor(row_factory=class_row(Listed)) as cursor:
        await cursor.execute(_queries.versions, {"limit": limit, "before": before})
        return await cursor.fetchall()


async def acts(
    connection: Connection, *, version: int | None = None, limit: int = 100
) -> list[Act]:
    """Give the audit, the newest first."""
    async with connection.cursor(row_factory=class_row(Act)) as cursor:
        await cursor.execute(_queries.acts, {"version": version, "limit": limit})
        return await cursor.fetchall()


def signed(author: str) -> None:
    """Raise CriteriaRefusedError where nobody signs."""
    if not author.strip():
        raise CriteriaRefusedError("unsigned")


async def record(
    connection: Connection,
    act: str,
    version: Version,
    *,
    author: str,
    note: str,
    now: dt.datetime,
    trial: int | None = None,
    since: dt.datetime | None = None,
) -> None:
    """Write a row of the audit."""
    values: dict[str, Any] = {
        "act": act,
        "version": version.number,
        "digest": version.digest,
        "author": author,
        "note": note,
        "at": aware(now),
        "trial": trial,
        "since": since,
    }
    await connection.execute(_queries.act, values)
