"""The policy in force: the newest version in the database, or the settings' file without one."""

import datetime as dt
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from psycopg.rows import dict_row

from alerts.bureau.policy import Policy, PolicyError, shipped
from alerts.queries import Queries

_sql = Queries("alerts.bureau", "policies.sql")

MOST = 200
"""Versions in one answer."""


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A version without its text; size: characters of it."""

    number: int
    author: str
    note: str
    written: dt.datetime
    size: int


async def in_force(conn: psycopg.AsyncConnection[Any], file: Path | None = None) -> Policy:
    """Give the policy that counts now; raises PolicyError for a file that is none.

    Each version, and the file, is read once, so this may be asked at every turn.
    """
    number, text = await standing(conn, file)
    return _read(text, f"policy version {number}" if number else str(file or "policy.toml"))


async def standing(
    conn: psycopg.AsyncConnection[Any], file: Path | None = None
) -> tuple[int | None, str]:
    """Give number and text of the policy that counts now; no number: the settings' file."""
    row = await (await conn.execute(_sql.newest)).fetchone()
    if row is not None:
        return int(row[0]), str(row[1])
    return None, _source(file)


async def put(
    conn: psycopg.AsyncConnection[Any],
    text: str,
    *,
    author: str,
    note: str,
    at: dt.datetime,
    after: int | None,
) -> int:
    """Put a text in force and give its number; raises PolicyError for one that is no policy.

    after: the version that the writer saw; raises StaleError where another was written since.
    """
    Policy.read(text)
    values = {"text": text, "author": author, "note": note, "written": at}
    cursor = await conn.execute(_sql.write, values)
    row = await cursor.fetchone()
    number = int(row[0]) if row else 0
    newest = await (await conn.execute(_sql.before, {"number": number})).fetchone()
    present = newest[0] if newest else None
    if present != after:
        raise StaleError(present)
    return number


class StaleError(Exception):
    """Another version was put in force meanwhile; ``present`` is its number."""

    def __init__(self, present: int | None) -> None:
        super().__init__(f"version {present} is in force now: read it, and change that one")
        self.present = present


async def versions(conn: psycopg.AsyncConnection[Any], *, limit: int = MOST) -> list[Version]:
    """Give the versions, the newest first."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_sql.versions, {"limit": limit})
        return [msgspec.convert(row, Version) for row in await cursor.fetchall()]


async def one(conn: psycopg.AsyncConnection[Any], number: int) -> dict[str, Any] | None:
    """Give a version with its text."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_sql.one, {"number": number})
        return await cursor.fetchone()


@lru_cache(maxsize=8)
def _source(file: Path | None) -> str:
    try:
        return shipped() if file is None else file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"{file}: {error}") from None


@lru_cache(maxsize=8)
def _read(text: str, name: str) -> Policy:
    return Policy.read(text, name=name)
