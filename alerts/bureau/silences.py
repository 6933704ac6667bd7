"""Silences: what somebody keeps back for a while, with a name, a reason and an end.

What is red, and the end of what somebody heard of, no silence holds back. What one holds back is
in the ledger as muted.
"""

import datetime as dt
from typing import Any, Literal

import msgspec
import psycopg
from psycopg.rows import dict_row

from alerts.bureau.noise import Low, Silence
from alerts.bureau.policy import Tier
from alerts.codes import CODES
from alerts.queries import Queries

_sql = Queries("alerts.bureau", "silences.sql")

LONGEST = dt.timedelta(days=7)
"""A silence that is forgotten ends by itself."""

MOST = 500
"""Silences in one answer."""


class SilenceError(ValueError):
    """A silence makes no sense as it was asked for; the message says why and what to do."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A silence as it is asked for; empty: every danger, region, level below red, tier.

    until: ISO 8601 with a zone.
    """

    reason: str
    until: dt.datetime
    hazards: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    levels: tuple[Low | Literal["red"], ...] = ()
    tiers: tuple[Tier, ...] = ()


class Kept(Silence, frozen=True, kw_only=True):
    """A silence as it is kept. active: it holds now; lifted, lifter: ended before its time."""

    lifted: dt.datetime | None
    lifter: str | None
    active: bool


async def active(conn: psycopg.AsyncConnection[Any], *, at: dt.datetime) -> list[Silence]:
    """Give the silences that hold at a moment."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_sql.active, {"at": at})
        return [msgspec.convert(row, Silence) for row in await cursor.fetchall()]


async def every(
    conn: psycopg.AsyncConnection[Any], *, at: dt.datetime, limit: int = MOST
) -> list[Kept]:
    """Give all of them, the newest first."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_sql.every, {"at": at, "limit": limit})
        return [msgspec.convert(row, Kept) for row in await cursor.fetchall()]


async def add(
    conn: psycopg.AsyncConnection[Any], wanted: Wanted, *, owner: str, at: dt.datetime
) -> int:
    """Keep one and give its number; raises SilenceError."""
    if "red" in wanted.levels:
        raise SilenceError("red can never be silenced: leave it out of levels")
    if not wanted.reason.strip():
        raise SilenceError("reason: say why, so that others know whether it still holds")
    if wanted.until.tzinfo is None:
        raise SilenceError("until: write a time with its zone, as 2026-07-20T08:00:00Z")
    if not at < wanted.until <= at + LONGEST:
        raise SilenceError(f"until must lie ahead, at most {LONGEST.days} days")
    unknown = sorted(set(wanted.hazards) - CODES.keys())
    if unknown:
        raise SilenceError(f"hazards: unknown danger {', '.join(unknown)}")
    rows = await (await conn.execute(_sql.unknown, {"regions": list(wanted.regions)})).fetchall()
    if rows:
        raise SilenceError(f"regions: there is no {', '.join(row[0] for row in rows)}")
    lists = {
        name: list(getattr(wanted, name)) for name in ("hazards", "regions", "levels", "tiers")
    }
    times = {"since": at, "until": wanted.until}
    cursor = await conn.execute(
        _sql.add, {**lists, **times, "owner": owner, "reason": wanted.reason.strip()}
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def lift(
    conn: psycopg.AsyncConnection[Any], number: int, *, by: str, at: dt.datetime
) -> bool:
    """End one before its time; False where there is none that holds."""
    cursor = await conn.execute(_sql.lift, {"id": number, "by": by, "at": at})
    return await cursor.fetchone() is not None
