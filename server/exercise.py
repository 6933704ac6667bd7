"""A replayed event at the centre: the mark that makes all of it an exercise, and its clock.

A database that holds a replayed event is an exercise for good: the mark is written before the
first reading and nothing takes it away. What is decided in it is decided at the event's own time,
which moves when every reading up to it has been committed.
"""

import asyncio
import contextlib
import datetime as dt
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from agent.event import Timeline, load
from alerts import regions
from alerts.people import subscribers
from alerts.people.sealing import Seal
from alerts.queries import Queries
from server.clock import Clock, EventClock, SystemClock, aware
from server.store import stations
from server.store.database import Database
from server.store.errors import StoreError
from server.wakeup import Wakeup

_log = logging.getLogger(__name__)
_sql = Queries("server", "exercise.sql")

POLL = 1.0
"""Seconds between looks at the event's time."""


class OtherEventError(Exception):
    """The database holds another event, or real readings; the message says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What is known of the event in the database."""

    name: str
    zh: str
    en: str
    start: dt.datetime
    end: dt.datetime
    time: dt.datetime
    steps: int


async def prepare(database: Database, folder: Path, *, seal: Seal) -> Event:
    """Make the database ready for the event in ``folder``: mark, stations, regions, people.

    Doing it again changes nothing. Raises EventError for a folder that is not an event and
    OtherEventError for a database that holds something else.
    """
    found = load(folder)
    timeline = Timeline(found, fault=lambda fault: _log.warning("event fault=%s", fault))
    steps = len(timeline)
    start, end = timeline.time(0), timeline.time(steps - 1)
    timeline.close()
    title = found.description.title
    event = Event(
        name=title.en,
        zh=title.zh,
        en=title.en,
        start=start,
        end=end,
        time=start - dt.timedelta(seconds=1),
        steps=steps,
    )
    async with database.connection() as conn:
        await mark(conn, event)
        await stations.put(
            conn,
            [
                stations.Entry(
                    name=station.id,
                    zh=station.zh,
                    en=station.en,
                    longitude=station.longitude,
                    latitude=station.latitude,
                    elevation=station.elevation,
                )
                for station in found.stations
            ],
            now=SystemClock().now(),
        )
        places = await stations.every(conn)
        samples = regions.sample(places)
        await regions.save(conn, samples)
        await regions.assign(conn, samples, places)
        await subscribers.save(conn, subscribers.sample(samples), seal=seal, at=SystemClock().now())
    return event


async def read(conn: psycopg.AsyncConnection[Any]) -> Event | None:
    """Give the event this database holds; None where it holds real readings."""
    rows = dict(await (await conn.execute(_sql.read)).fetchall())
    if "event_name" not in rows:
        return None
    return Event(
        name=rows["event_name"],
        zh=rows["event_title_zh"],
        en=rows["event_title_en"],
        start=dt.datetime.fromisoformat(rows["event_start"]),
        end=dt.datetime.fromisoformat(rows["event_end"]),
        time=dt.datetime.fromisoformat(rows["event_time"]),
        steps=int(rows["event_steps"]),
    )


async def mark(conn: psycopg.AsyncConnection[Any], event: Event) -> None:
    """Make the database an exercise that holds this event; the same event again is welcome.

    Raises OtherEventError where it already holds something else.
    """
    held = await read(conn)
    if held is not None:
        if held.name != event.name:
            raise OtherEventError(f"the database holds the event {held.name}")
        return
    if await (await conn.execute(_sql.any_reading)).fetchone():
        raise OtherEventError("the database holds real readings")
    rows = {
        "event_name": event.name,
        "event_title_zh": event.zh,
        "event_title_en": event.en,
        "event_start": event.start.isoformat(),
        "event_end": event.end.isoformat(),
        "event_time": event.time.isoformat(),
        "event_steps": str(event.steps),
    }
    for name, value in rows.items():
        await conn.execute(_sql.write, {"name": name, "value": value})


async def move(conn: psycopg.AsyncConnection[Any], to: dt.datetime) -> None:
    """Tell everybody that every reading up to ``to`` is committed."""
    await conn.execute(_sql.move, {"time": aware(to).isoformat()})


@contextlib.asynccontextmanager
async def clock(database: Database) -> AsyncIterator[Clock]:
    """Give the clock to decide by: the event's, kept up to date, or the real one."""
    async with database.connection() as conn:
        event = await read(conn)
    if event is None:
        yield SystemClock()
        return
    ticking = EventClock(event.time)
    task = asyncio.create_task(_follow(database, ticking), name="event clock")
    try:
        yield ticking
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _follow(database: Database, ticking: EventClock) -> None:
    async with Wakeup(database, "fenghuo_clock") as wakeup:
        while True:
            with contextlib.suppress(psycopg.Error, StoreError):
                async with database.connection() as conn:
                    event = await read(conn)
                    if event is not None:
                        ticking.move(event.time)
            await wakeup.wait(POLL)
