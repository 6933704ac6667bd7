"""What the store does beside storing: hours and days, retention, and old records."""

import asyncio
import datetime as dt
import logging
import time
from collections.abc import Awaitable, Callable

import psycopg

from alerts.queries import Queries
from server import offices
from server.clock import Clock, SystemClock
from server.processes import ready
from server.settings import Settings
from server.store import arrivals, rollups
from server.store.database import Database
from server.store.errors import StoreError
from server.store.partitions import Partitions
from server.vitals import Vitals

logger = logging.getLogger(__name__)

HOURS_EVERY = 5.0
DAYS_EVERY = 15.0
SWEEP_EVERY = 600.0
"""Least seconds between looks at the hours, the days, and what is too old."""
SHARE = 0.1
"""Of the time that each of them may be at work: with many stations the looks become rarer."""
ARRIVAL_MINUTES = 10
"""Minutes that the log of commits keeps what has been read."""
ARRIVAL_DAYS = 30
"""Days that the log of commits waits for a consumer that is away."""

_queries = Queries("server.store", "housekeeping.sql")


async def serve(settings: Settings, *, clock: Clock) -> None:
    """Keep house until cancelled; needs ``settings.store.url``."""
    async with await Database.open(
        settings.store.url, name="fenghuo housekeeping", size=4
    ) as database:
        keeper = Housekeeping(database, settings, clock=clock)
        ready("keep")
        async with asyncio.TaskGroup() as group:
            group.create_task(keeper.run(), name="housekeeping")
            group.create_task(offices.run(database, clock), name="other offices")


class Housekeeping:
    """The periodic work of one database; each part can be asked for by itself."""

    def __init__(self, database: Database, settings: Settings, *, clock: Clock) -> None:
        """Take the database, and how long things are kept."""
        self._database = database
        self._zone = settings.zone
        self._store = settings.store
        self._clock = clock
        self._partitions = Partitions(database.kind, chunk_days=settings.store.chunk_days)

    async def run(self) -> None:
        """Do each part in its own rhythm until cancelled; what fails is tried again later."""
        async with asyncio.TaskGroup() as group:
            vitals = Vitals()
            group.create_task(vitals.publish(self._database, "keep", SystemClock()))
            for work, every in (
                (self.hours, HOURS_EVERY),
                (self.days, DAYS_EVERY),
                (self.sweep, SWEEP_EVERY),
            ):
                group.create_task(
                    _repeat(work, every, vitals), name=f"housekeeping {work.__name__}"
                )

    async def hours(self) -> None:
        """Bring the hours up to date."""
        done = 1
        while done:
            async with self._database.connection() as connection:
                done = await rollups.roll_hours(connection, floor=self._floor())

    async def days(self) -> None:
        """Bring the days up to date."""
        done = 1
        while done:
            async with self._database.connection() as connection:
                done = await rollups.roll_days(
                    connection,
                    zone=self._zone,
                    day_ends=self._store.day_ends,
                    floor=self._floor(),
                )

    async def sweep(self) -> None:
        """Drop raw readings, commits and refused messages that are too old.

        Raw readings go only after the hours and days that need them are computed.
        """
        now = self._clock.now()
        await self.hours()
        await self.days()
        async with self._database.connection() as connection:
            await arrivals.prune(
                connection,
                read=now - dt.timedelta(minutes=ARRIVAL_MINUTES),
                any_=now - dt.timedelta(days=ARRIVAL_DAYS),
            )
        async with self._database.connection() as connection:
            oldest = now - dt.timedelta(days=self._store.keep_quarantine_days)
            await connection.execute(_queries.prune_quarantine, (oldest,))
        floor = self._floor()
        if floor is not None:
            async with self._database.connection() as connection:
                dropped = await self._partitions.drop_before(connection, floor)
            if dropped:
                logger.info("retention: dropped=%s", ",".join(dropped))

    def _floor(self) -> dt.datetime | None:
        """Give the time up to which raw readings may be gone; None where all are kept."""
        if not self._store.keep_days:
            return None
        return self._clock.now() - dt.timedelta(days=self._store.keep_days)


async def _repeat(work: Callable[[], Awaitable[None]], every: float, vitals: Vitals) -> None:
    while True:
        started = time.monotonic()
        try:
            await work()
        except (psycopg.Error, StoreError) as error:
            vitals.add("work_failed", work=work.__name__)
            logger.warning("housekeeping failed, tried again later: error=%s", error)
        took = time.monotonic() - started
        vitals.set("work_seconds", took, work=work.__name__)
        await asyncio.sleep(max(every, took / SHARE) - took)
