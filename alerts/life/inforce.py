"""What was in force when: the messages of warnings as stretches of time."""

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from alerts.queries import Queries

_sql = Queries("alerts.life", "inforce.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spell:
    """A warning at one level, from a message to the next; until: None while it is in force."""

    warning: uuid.UUID
    hazard: str
    region: str
    exercise: bool
    level: str
    door: str
    sent: dt.datetime
    until: dt.datetime | None


async def spells(
    conn: psycopg.AsyncConnection[Any], *, start: dt.datetime, end: dt.datetime, limit: int
) -> list[Spell]:
    """Give the spells of the warnings that were in force in (start, end], at most ``limit``."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_sql.spells, {"start": start, "end": end, "limit": limit})
        rows = await cursor.fetchall()
    return [Spell(**row) for row in rows if not row.pop("over")]
