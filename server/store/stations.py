"""The catalogue of stations and their keys."""

import csv
import datetime as dt
import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from psycopg.rows import class_row

from alerts.queries import Queries
from server.store.connection import Connection

NAME = re.compile(r"[A-Za-z0-9-]{1,64}")
_queries = Queries("server.store", "stations.sql")


class StationError(ValueError):
    """A station cannot be stored as it was given; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """A station: id in the store, name on the wire, degrees east and north (WGS 84), metres."""

    id: int
    name: str
    zh: str
    en: str
    longitude: float | None
    latitude: float | None
    elevation: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is said of a station when it is added or changed. Raises StationError."""

    name: str
    zh: str = ""
    en: str = ""
    longitude: float | None = None
    latitude: float | None = None
    elevation: float | None = None

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise StationError(
                f"station name {self.name!r}: use 1 to 64 letters, digits and hyphens"
            )
        if (self.longitude is None) != (self.latitude is None):
            raise StationError(f"station {self.name}: give longitude and latitude, or neither")
        for what, value, bound in (
            ("longitude", self.longitude, 180),
            ("latitude", self.latitude, 90),
        ):
            if value is not None and not abs(value) <= bound:
                raise StationError(f"station {self.name}: {what} {value:g} is not within ±{bound}")
        if self.elevation is not None and not -500 <= self.elevation <= 9_000:
            raise StationError(
                f"station {self.name}: elevation {self.elevation:g} m is not within -500 to 9000"
            )


async def put(connection: Connection, entries: Sequence[Entry], *, now: dt.datetime) -> int:
    """Add stations, or correct what is known of those that exist; give how many were added."""
    columns = (
        [entry.name for entry in entries],
        [entry.zh for entry in entries],
        [entry.en for entry in entries],
        [entry.longitude for entry in entries],
        [entry.latitude for entry in entries],
        [entry.elevation for entry in entries],
    )
    if len(set(columns[0])) != len(entries):
        raise StationError("a station is named twice")
    cursor = await connection.execute(_queries.put, (now, *columns))
    return sum(added for (added,) in await cursor.fetchall())


async def add(connection: Connection, entry: Entry, *, now: dt.datetime) -> str:
    """Add one station and give its key, which is shown now and never again.

    Raises StationError when the name is taken.
    """
    key = new_key()
    values = (entry.name, entry.zh, entry.en, entry.longitude, entry.latitude, entry.elevation)
    cursor = await connection.execute(_queries.add, (*values, hash_key(key), now))
    if await cursor.fetchone() is None:
        raise StationError(f"there is a station {entry.name} already")
    return key


async def renew_key(connection: Connection, name: str) -> str:
    """Give the station a new key in place of its old one. Raises StationError if unknown."""
    key = new_key()
    cursor = await connection.execute(_queries.set_key, (hash_key(key), name))
    if not cursor.rowcount:
        raise StationError(f"there is no station {name}")
    return key


async def every(connection: Connection) -> list[Station]:
    """Give all stations, by id."""
    async with connection.cursor(row_factory=class_row(Station)) as cursor:
        return await (await cursor.execute(_queries.every)).fetchall()


async def by_name(connection: Connection, name: str) -> Station | None:
    """Give the station of that name."""
    async with connection.cursor(row_factory=class_row(Station)) as cursor:
        return await (await cursor.execute(_queries.by_name, (name,))).fetchone()


def read(file: Path) -> list[Entry]:
    """Read a list of stations: CSV with the columns id, zh, en, longitude, latitude, elevation.

    Columns beside these are left alone. Raises StationError with the line that is wrong.
    """
    entries = []
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows = csv.DictReader(lines)
            if "id" not in (rows.fieldnames or ()):
                raise StationError(f"{file}: the first line must name the columns, id among them")
            entries = [_entry(file, rows.line_num, row) for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise StationError(f"{file}: {error}") from None
    return entries


def new_key() -> str:
    """Make a key for a station: 192 random bits."""
    return secrets.token_urlsafe(24)


def hash_key(key: str) -> bytes:
    """Give what is stored of a key; a random one needs no slow hash."""
    return hashlib.sha256(key.encode()).digest()


def _entry(file: Path, line: int, row: dict[str, str | None]) -> Entry:
    def number(column: str) -> float | None:
        text = (row.get(column) or "").strip()
        return float(text) if text else None

    def text(column: str) -> str:
        return (row.get(column) or "").strip()

    try:
        return Entry(
            name=text("id"),
            zh=text("zh"),
            en=text("en"),
            longitude=number("longitude"),
            latitude=number("latitude"),
            elevation=number("elevation"),
        )
    except ValueError as error:
        raise StationError(f"{file}, line {line}: {error}") from None
