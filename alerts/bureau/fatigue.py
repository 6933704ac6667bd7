"""How much each person was sent, so that fatigue can be seen before people stop to read.

A message counts once, by however many ways it came; what was kept back is counted beside it.
"""

import datetime as dt
from itertools import pairwise
from typing import Any

import psycopg
from psycopg.rows import dict_row

from alerts.queries import Queries

_sql = Queries("alerts.bureau", "fatigue.sql")

BOUNDS = (1, 2, 3, 6, 11, 21, 51)
"""Where the classes of messages per person begin."""

TOP = 20
"""Persons named who were sent the most."""

MOST = 500
"""Rows about one person."""


async def spread(
    conn: psycopg.AsyncConnection[Any], *, since: dt.datetime, until: dt.datetime
) -> dict[str, Any]:
    """Give the distribution of messages per person in (since, until], by tier, and who got most."""
    period: dict[str, Any] = {"since": since, "until": until}
    rows = await _rows(conn, _sql.distribution, period)
    buckets = await _rows(conn, _sql.buckets, {**period, "bounds": list(BOUNDS)})
    kept = await _rows(conn, _sql.kept, period)
    tiers: dict[str, Any] = {}
    for row in rows:
        tier, none = row.pop("tier"), row.pop("none")
        counts = {each["bucket"]: each["people"] for each in buckets if each["tier"] == tier}
        classes = [{"from": 0, "to": 0, "people": none}]
        for number, (low, high) in enumerate(pairwise((*BOUNDS, None)), start=1):
            last = None if high is None else high - 1
            classes.append({"from": low, "to": last, "people": counts.get(number, 0)})
        tiers[tier] = {
            **row,
            "classes": classes,
            "kept": [
                {name: each[name] for name in ("state", "reason", "number")}
                for each in kept
                if each["tier"] == tier
            ],
        }
    return {
        **period,
        "tiers": tiers,
        "most": await _rows(conn, _sql.most, {**period, "limit": TOP}),
    }


async def person(
    conn: psycopg.AsyncConnection[Any],
    subscriber: int,
    *,
    since: dt.datetime,
    until: dt.datetime,
) -> list[dict[str, Any]] | None:
    """Give what one person was sent in (since, until], by danger and level; None for nobody."""
    (known,) = await _rows(conn, _sql.known, {"subscriber": subscriber})
    if not known["exists"]:
        return None
    values = {"subscriber": subscriber, "since": since, "until": until, "limit": MOST}
    return await _rows(conn, _sql.person, values)


async def _rows(
    conn: psycopg.AsyncConnection[Any], query: Any, values: dict[str, Any]
) -> list[dict[str, Any]]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()
