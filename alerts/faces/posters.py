"""What everybody may read: the warnings in force, in the words that were published.

The words come from the CAP document of the newest message, so that every page, screen and station
says what was signed and nothing else. An exercise is shown only where all there is is one.
"""

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import msgspec
import psycopg
from lxml import etree
from psycopg.rows import dict_row

from alerts.cap.document import LANGUAGES, NAMESPACE
from alerts.life.evidence import LEVELS, rank
from alerts.queries import Queries

_sql = Queries("alerts.faces", "posters.sql")

MOST = 200
"""Warnings on one page at most, the highest levels first."""

PLACES = 5_000
"""Places to choose from at most."""

LASTS = dt.timedelta(days=14)
"""No message counts for longer."""

Language: TypeAlias = Literal["zh", "en"]


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """The public words of a message in one language."""

    event: str
    headline: str
    description: str
    instruction: str
    area: str
    sender: str


class Poster(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a warning, and whether the warning has ended."""

    warning: uuid.UUID
    message: uuid.UUID
    number: int
    act: str
    hazard: str
    level: str
    door: str
    region: str
    zh: str
    en: str
    exercise: bool
    since: dt.datetime
    sent: dt.datetime
    onset: dt.datetime
    expires: dt.datetime
    ended: dt.datetime | None
    cap: str

    def place(self, language: str) -> str:
        """Give the name of the place."""
        return (self.zh if language == "zh" else self.en) or self.region

    def text(self, language: str) -> Text:
        """Give the words in a language, in the first that there is where that one is missing."""
        return words(self.cap, language)


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A place to choose."""

    id: str
    zh: str
    en: str

    def name(self, language: str) -> str:
        """Give the name."""
        return (self.zh if language == "zh" else self.en) or self.id


async def in_force(
    conn: psycopg.AsyncConnection[Any],
    *,
    now: dt.datetime,
    exercise: bool,
    regions: Sequence[str] | None = None,
    hazards: Sequence[str] | None = None,
    lowest: str = LEVELS[0],
    limit: int = MOST,
) -> list[Poster]:
    """Give the warnings that count now, the highest level first; None: of all places, dangers.

    exercise: whether the whole database is one; then, and only then, exercises are given.
    """
    values = {
        "now": now,
        "exercise": exercise,
        "regions": None if regions is None else list(regions),
        "hazards": None if hazards is None else list(hazards),
        "levels": list(LEVELS),
        "lowest": rank(lowest) + 1,
        "limit": limit,
    }
    return await _all(conn, _sql.in_force, values)


async def chain(
    conn: psycopg.AsyncConnection[Any], warning: uuid.UUID, *, exercise: bool, limit: int = MOST
) -> list[Poster]:
    """Give all messages of a warning that everybody may read, the newest first; none: unknown."""
    values = {"warning": warning, "exercise": exercise, "limit": limit}
    return await _all(conn, _sql.chain, values)


async def spoken(
    conn: psycopg.AsyncConnection[Any], messages: Sequence[uuid.UUID], *, language: str
) -> dict[uuid.UUID, str]:
    """Give the words that were written for the ear, of those messages that have some."""
    values = {"messages": list(messages), "language": language}
    return dict(await (await conn.execute(_sql.spoken, values)).fetchall())


async def changed(
    conn: psycopg.AsyncConnection[Any], *, now: dt.datetime, exercise: bool
) -> dt.datetime | None:
    """Give when what is in force last became other than it was; None: not for long."""
    values = {"now": now, "exercise": exercise, "since": now - LASTS}
    row = await (await conn.execute(_sql.changed, values)).fetchone()
    return None if row is None else row[0]


async def places(conn: psycopg.AsyncConnection[Any]) -> list[Place]:
    """Give the places that are warned."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_sql.places, {"limit": PLACES})
        return [msgspec.convert(row, Place) for row in await cursor.fetchall()]


async def _all(
    conn: psycopg.AsyncConnection[Any], query: Any, values: Mapping[str, Any]
) -> list[Poster]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return [msgspec.convert(row, Poster) for row in await cursor.fetchall()]


def words(cap: str, language: str) -> Text:
    """Give the words of a CAP document in a language, in the first where that one is missing."""
    texts = _texts(cap)
    return texts.get(LANGUAGES.get(language, language)) or next(iter(texts.values()))


@lru_cache(maxsize=512)
def _texts(cap: str) -> dict[str, Text]:
    """Read the words of a document, which never changes, by its name of the language."""
    infos = etree.fromstring(cap).findall(f"{{{NAMESPACE}}}info")
    return {_field(info, "language") or "zh-CN": _text(info) for info in infos}


def _text(info: Any) -> Text:
    return Text(
        event=_field(info, "event"),
        headline=_field(info, "headline"),
        description=_field(info, "description"),
        instruction=_field(info, "instruction"),
        area=_field(info, f"area/{{{NAMESPACE}}}areaDesc"),
        sender=_field(info, "senderName"),
    )


def _field(info: Any, path: str) -> str:
    return (info.findtext(f"{{{NAMESPACE}}}{path}") or "").strip()
