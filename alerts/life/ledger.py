"""What was decided, said and sent, for good. Runs in its caller's transaction, never commits.

A message, its CAP text and the deliveries to its audience are written together, before anything
is sent. The database refuses to change a message, to let an exercise become real, and to give
one person the same message twice on a channel.
"""

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, TypeVar

import msgspec
import psycopg
from psycopg.rows import dict_row

from alerts.bureau import silences
from alerts.life import diary
from alerts.life.evidence import LEVELS, Case, rank
from alerts.life.message import Message
from alerts.life.warning import Step, Warning  # noqa: A004 - the domain's own word
from alerts.queries import Queries
from alerts.texts import announcement
from alerts.texts.announcement import Desk, chain

__all__ = ["Desk", "chain"]

_sql = Queries("alerts.life", "ledger.sql")

_Value = TypeVar("_Value", bound=msgspec.Struct)


class Opening(TypedDict):
    """When a level of an event was first reached."""

    level: str
    door: str
    opened: str


class Event(TypedDict):
    """One event in short; times as ISO 8601, in the event's own time."""

    hazard: str
    region: str
    levels: list[Opening]
    ended: str | None


class Summary(TypedDict):
    """All events, and how many messages to people there were, by kind."""

    warnings: list[Event]
    messages: dict[str, int]


async def running(conn: psycopg.AsyncConnection[Any]) -> list[Warning]:
    """Give every event that has not ended, by danger and region."""
    return await _all(conn, _sql.running, {}, Warning)


async def used(
    conn: psycopg.AsyncConnection[Any], case: Case, *, exercise: bool, since: dt.datetime
) -> int:
    """Count the events of a danger at a place since a time that went no higher than the case."""
    cursor = await conn.execute(
        _sql.used,
        {
            "hazard": case.hazard,
            "region": case.region,
            "exercise": exercise,
            "since": since,
            "level": case.level,
            "above": list(LEVELS[rank(case.level) + 1 :]),
        },
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def record(conn: psycopg.AsyncConnection[Any], step: Step, *, desk: Desk) -> Message | None:
    """Write what was decided; say it, when it is to be said, and give the message.

    Raises psycopg.errors.UniqueViolation where this step was recorded before.
    """
    said = await record_all(conn, [step], desk=desk)
    return said[0] if said else None


async def record_all(
    conn: psycopg.AsyncConnection[Any], steps: Sequence[Step], *, desk: Desk
) -> list[Message]:
    """Write what was decided in one moment; say what is to be said, and give the messages.

    The same news of several regions goes to a person once. Raises as `record` does.
    """
    for step in steps:
        await conn.execute(_sql.save, diary.row(step.warning))
        await diary.write(conn, step)
    sent = [step.warning.sent for step in steps if step.publishes or step.closed]
    if not sent:
        return []
    held = await silences.active(conn, at=min(filter(None, sent)))
    return await announcement.announce(conn, steps, desk=desk, silences=held)


async def summary(conn: psycopg.AsyncConnection[Any]) -> Summary:
    """Give every event, in order of time, with the first opening of each level it reached.

    Messages of an exercise count as the SMS that they stand for.
    """
    events: dict[uuid.UUID, Event] = {}
    rows = await (await conn.execute(_sql.summary)).fetchall()
    for key, hazard, region, ended, level, door, sent in rows:
        empty = Event(hazard=hazard, region=region, levels=[], ended=ended and _iso(ended))
        event = events.setdefault(key, empty)
        event["levels"].append(Opening(level=level, door=door, opened=_iso(sent)))
    counts = dict(await (await conn.execute(_sql.counts)).fetchall())
    return Summary(warnings=list(events.values()), messages={"sms": 0, **counts})


async def _all(
    conn: psycopg.AsyncConnection[Any], query: Any, values: Mapping[str, Any], kind: type[_Value]
) -> list[_Value]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return [msgspec.convert(row, kind) for row in await cursor.fetchall()]


def _iso(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
