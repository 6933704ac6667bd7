"""What was decided, said and sent, for good. Runs in its caller's transaction, never commits.

A message, its CAP text and the deliveries to its audience are written together, before anything
is sent. The database refuses to change a message, to let an exercise become real, and to give
one person the same message twice on a channel.
"""

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any, TypedDict, TypeVar

import msgspec
import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from alerts import cap
from alerts.cap.signature import Signer
from alerts.catalogue import Catalogue
from alerts.channels.port import Receipt
from alerts.evidence import LEVELS, Case, rank
from alerts.message import Message, compose
from alerts.policy import Policy
from alerts.queries import Queries
from alerts.regions import Region
from alerts.warning import ENDING, Step, Warning  # noqa: A004 - the domain's own word
from alerts.wording import Bureau, Writer

_sql = Queries("alerts", "ledger.sql")

_Value = TypeVar("_Value", bound=msgspec.Struct)

EXERCISE = "exercise"
"""Name of the only channel an exercise has."""


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """What it takes to speak: the bureau, its policy, words, real channels, and its signature."""

    bureau: Bureau
    policy: Policy
    catalogue: Catalogue
    channels: tuple[str, ...] = ()
    signer: Signer | None = None


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
    values = msgspec.structs.asdict(step.warning)
    grounds = Jsonb(msgspec.to_builtins(step.warning.grounds))
    await conn.execute(_sql.save, {**values, "grounds": grounds})
    return await _announce(conn, step, desk) if step.publishes else None


async def _announce(conn: psycopg.AsyncConnection[Any], step: Step, desk: Desk) -> Message:
    warning, message = step.warning, compose(step)
    (region,) = await _all(conn, _sql.region, {"id": warning.region}, Region)
    earlier = await chain(conn, warning.id)
    writers = {
        language: Writer(
            warning,
            act=step.act,
            at=message.sent,
            region=region,
            bureau=desk.bureau,
            catalogue=desk.catalogue,
            language=language,
        )
        for language in desk.catalogue.languages
    }
    text = cap.build(
        message,
        warning=warning,
        predecessors=earlier,
        region=region,
        bureau=desk.bureau,
        bulletins={language: writer.bulletin() for language, writer in writers.items()},
    )
    if desk.signer is not None:
        text = desk.signer.sign(text)
    values = msgspec.structs.asdict(message)
    evidence = Jsonb(msgspec.to_builtins(message.evidence))
    await conn.execute(_sql.publish, {**values, "evidence": evidence, "cap": text})
    await _address(conn, message, step, desk, writers)
    await conn.execute(_sql.wake, {"warning": str(warning.id)})
    return message


async def _address(
    conn: psycopg.AsyncConnection[Any],
    message: Message,
    step: Step,
    desk: Desk,
    writers: Mapping[str, Writer],
) -> None:
    """Write one delivery for each person and channel, in one statement however many they are."""
    turns = desk.policy.turns(message.level)
    texts = [writer.sms() for writer in writers.values()]
    await conn.execute(
        _sql.address,
        {
            "message": message.id,
            "warning": message.warning,
            "exercise": message.exercise,
            "sent": message.sent,
            "expires": message.expires,
            "ends": step.act in ENDING,
            "hazard": step.warning.hazard,
            "region": step.warning.region,
            "level": message.level,
            "levels": list(LEVELS),
            "urgency": 10 * (len(LEVELS) - 1 - rank(message.level)),
            "tiers": [turn.tier for turn in turns],
            "places": [turn.order for turn in turns],
            "delays": [turn.delay for turn in turns],
            "languages": list(writers),
            "bodies": [text.body for text in texts],
            "segments": [text.segments for text in texts],
            # First barrier: an exercise is written for the exercise phone and nothing else.
            "channels": [EXERCISE] if message.exercise else list(desk.channels),
        },
    )


async def chain(conn: psycopg.AsyncConnection[Any], warning: uuid.UUID) -> list[Message]:
    """Give the messages of an event, the first first."""
    return await _all(conn, _sql.chain, {"warning": warning}, Message)


async def settle(
    conn: psycopg.AsyncConnection[Any], receipt: Receipt, *, changed: dt.datetime
) -> bool:
    """Note what a provider says became of a delivery; False where that is no news."""
    cursor = await conn.execute(
        _sql.settle,
        {
            "id": receipt.delivery,
            "state": receipt.state,
            "provider": receipt.provider,
            "problem": receipt.problem,
            "changed": changed,
        },
    )
    return cursor.rowcount > 0


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


async def progress(conn: psycopg.AsyncConnection[Any], message: uuid.UUID) -> dict[str, int]:
    """Give how many deliveries of a message are in each state."""
    return dict(await (await conn.execute(_sql.progress, {"message": message})).fetchall())


async def _all(
    conn: psycopg.AsyncConnection[Any], query: Any, values: Mapping[str, Any], kind: type[_Value]
) -> list[_Value]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return [msgspec.convert(row, kind) for row in await cursor.fetchall()]


def _iso(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
