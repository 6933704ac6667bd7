"""How far the sending is: sent, accepted, delivered, failed, and how long the rest will take."""

import datetime as dt
import uuid
from typing import Any

import psycopg
from psycopg.rows import dict_row

from alerts.queries import Queries

_sql = Queries("alerts.sending", "progress.sql")

LATELY = dt.timedelta(seconds=10)
"""What was handed over within this time makes the rate."""

DAY = dt.timedelta(days=1)
"""How far back a channel is looked at."""

MOST = 500
"""Acknowledgements that are listed."""

WAITING = frozenset({"queued", "sending"})


async def of(
    conn: psycopg.AsyncConnection[Any], warning: uuid.UUID, *, now: dt.datetime
) -> list[dict[str, Any]]:
    """Give each message of an event: deliveries by way and state and by tier and state.

    rate: handed over per second of late; remaining_seconds: of what waits, None where none moves.
    acknowledged: who has read it, the first first.
    """
    found: dict[uuid.UUID, dict[str, Any]] = {}
    lately: dict[uuid.UUID, int] = {}
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_sql.messages, {"warning": warning, "since": now - LATELY})
        for row in await cursor.fetchall():
            message = found.setdefault(row["id"], _empty(row))
            if row["state"] is None:
                continue
            for group, name in (("channels", row["way"]), ("tiers", row["tier"])):
                counts = message[group].setdefault(name, {})
                counts[row["state"]] = counts.get(row["state"], 0) + row["people"]
            lately[row["id"]] = lately.get(row["id"], 0) + row["lately"]
        await cursor.execute(_sql.acknowledged, {"warning": warning, "limit": MOST})
        for row in await cursor.fetchall():
            found[row.pop("message")]["acknowledged"].append(row)
    for identifier, message in found.items():
        _foresee(message, lately.get(identifier, 0) / LATELY.total_seconds())
    return list(found.values())


async def routes(
    conn: psycopg.AsyncConnection[Any], *, now: dt.datetime
) -> dict[str, dict[str, Any]]:
    """Give what each channel has queued, sending and uncertain, and when it last sent."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_sql.routes, {"since": now - DAY})
        return {row.pop("channel"): row for row in await cursor.fetchall()}


def _empty(row: dict[str, Any]) -> dict[str, Any]:
    head = {name: row[name] for name in ("id", "number", "act", "sent")}
    return {**head, "channels": {}, "tiers": {}, "acknowledged": []}


def _foresee(message: dict[str, Any], rate: float) -> None:
    waiting = sum(
        count
        for counts in message["channels"].values()
        for state, count in counts.items()
        if state in WAITING
    )
    message["rate"] = rate
    message["remaining_seconds"] = 0.0 if not waiting else waiting / rate if rate else None
