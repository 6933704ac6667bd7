"""Village weather information officers: told in turn, and what is seen when none of them answers.

A group's first officers are told at once. Those of each later turn have their delivery from the
beginning, due when the turn before has had its time; it becomes needless when one of the group
answers (`alerts.people.acknowledge`), and is sent by the dispatcher when nobody does. So nothing
has to be remembered but the ledger.
"""

import datetime as dt
import uuid
from typing import Any

import msgspec
import psycopg
from psycopg.rows import dict_row

from alerts.queries import Queries

_sql = Queries("alerts.people", "officers.sql")

MOST = 500
"""Silent groups in one answer."""


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """A group of which nobody has answered.

    people: members who were told; reached: messages to them that were at least accepted.
    since: when the last turn was due.
    """

    warning: uuid.UUID
    message: uuid.UUID
    hazard: str
    region: str
    zh: str
    en: str
    level: str
    exercise: bool
    group: str
    people: int
    reached: int
    since: dt.datetime


async def silent(
    conn: psycopg.AsyncConnection[Any],
    *,
    now: dt.datetime,
    after: dt.timedelta,
    limit: int = MOST,
) -> list[Silence]:
    """Give the groups that were told to the last officer and have been silent for ``after``."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_sql.silent, {"now": now, "after": after, "limit": limit})
        return [msgspec.convert(row, Silence) for row in await cursor.fetchall()]
