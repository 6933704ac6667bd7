"""Whose clock is wrong: how far each station's times lie from ours, by its live readings.

A live reading comes soon after its time, so ``received - time`` is the error of the clock and
the way of the message together; the median over the last few is the offset. What was kept and
sent later says nothing about a clock and does not count: of a message with many readings only
the newest is looked at, a reading older than one that came before is left out, and so is one
by which the station caught up, as it does when it sends what it kept, oldest first.
"""

import asyncio
import datetime as dt
import logging
from collections import deque
from collections.abc import Iterable

import msgspec
import psycopg

from agent.report import Report
from alerts.queries import Queries
from server.clock import Clock
from server.ingest.source import Delivery
from server.store.connection import Connection
from server.store.database import Database
from server.store.errors import StoreError
from server.vitals import Vitals

logger = logging.getLogger(__name__)

EVERY = 10.0
"""Seconds between two looks at what is to be written."""
LEAST = 5
"""Live readings without which nothing is said."""
QUIET = 1_800.0
"""A station that sends nothing newer for so many seconds begins anew: its clock was set back."""
CALM = 0.5
"""Of the limit, below which a clock that was wrong counts as right again."""
GRAIN = 1.0
"""An offset that moved by less seconds is not written again."""
APART = dt.timedelta(seconds=1)
"""Of messages that come closer together than this one is looked at: the rest says the same."""
NAMED = 5
"""Clocks named in the log at a time; when a hundred go wrong together, the fault is elsewhere."""

_queries = Queries("server.ingest", "clocks.sql")


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a station's clock.

    offset: seconds that the station's times lie behind ours; below zero its clock is fast.
    suspect: it is further off than the limit. seen: when the newest live reading came.
    """

    station: int
    offset: float
    suspect: bool
    seen: dt.datetime


class _Station:
    """The offsets of the last live readings."""

    __slots__ = ("count", "last", "name", "newest", "offsets", "seen", "suspect", "written")

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.offsets: deque[float] = deque(maxlen=size)
        self.newest: dt.datetime | None = None
        self.seen = dt.datetime.min.replace(tzinfo=dt.UTC)
        self.last = 0.0
        self.count = 0
        self.suspect = False
        self.written: tuple[float, bool] | None = None

    def note(self, report: Report, received: dt.datetime) -> bool:
        """Take the newest reading of a message; say whether it was a live one."""
        offset = (received - report.time).total_seconds()
        fallen, before = self.last - offset, self.newest
        if (
            before is not None
            and report.time <= before
            and (received - self.seen).total_seconds() < QUIET
        ):
            return False
        self.newest, self.seen, self.last = report.time, received, offset
        # A clock that was set back lies behind `newest`; that counts, catching up does not.
        if before is None or (report.time > before and fallen > report.interval / 2):
            return False
        self.offsets.append(offset)
        self.count += 1
        return True

    @property
    def offset(self) -> float | None:
        """The median; None while too little is known."""
        if len(self.offsets) < LEAST:
            return None
        return sorted(self.offsets)[len(self.offsets) // 2]


class Clocks:
    """The clocks of all stations that this process hears. Pure but for `publish`."""

    def __init__(self, *, limit: float, size: int, vitals: Vitals) -> None:
        """Name a clock that is off by more than ``limit`` s over ``size`` live readings."""
        self._limit = limit
        self._size = max(size, LEAST)
        self._vitals = vitals
        self._stations: dict[int, _Station] = {}
        self._changed: set[int] = set()
        self._turned: list[_Station] = []
        self._suspects = 0

    def note(self, station: int, delivery: Delivery) -> None:
        """Take a message; the same again changes nothing."""
        known = self._stations.get(station)
        if known is not None and delivery.received - known.seen < APART:
            return
        report = _newest(delivery)
        if report is None:
            return
        if known is None:
            known = self._stations[station] = _Station(delivery.station, self._size)
        if not known.note(report, delivery.received):
            return
        # A reading in time cannot make a clock wrong: the median is not wanted for each.
        if known.suspect or abs(known.last) > self._limit or known.count % LEAST == 0:
            self._judge(station, known)

    def get(self, station: int) -> Reading | None:
        """Give what is known of a clock; None while that is too little."""
        known = self._stations.get(station)
        offset = known.offset if known else None
        if known is None or offset is None:
            return None
        return Reading(station=station, offset=offset, suspect=known.suspect, seen=known.seen)

    def changed(self) -> list[Reading]:
        """Give the clocks that are not written as they are now."""
        return [reading for station in sorted(self._changed) if (reading := self.get(station))]

    def wrote(self, readings: Iterable[Reading]) -> None:
        """Note that these are written."""
        for reading in readings:
            self._stations[reading.station].written = (reading.offset, reading.suspect)
            self._changed.discard(reading.station)

    def tell(self) -> None:
        """Name in the log the clocks that went wrong or right since the last time, a few."""
        turned, self._turned = self._turned, []
        for known in turned[:NAMED]:
            if (offset := known.offset) is not None:
                _tell(known, offset)
        if len(turned) > NAMED:
            logger.warning(
                "more clocks wrong or right again: stations=%d wrong=%d (/api/v1/stations names"
                " them; so many together are rather ours, or the line's)",
                len(turned) - NAMED,
                self._suspects,
            )

    async def publish(self, database: Database, clock: Clock) -> None:
        """Write what changed every few seconds until cancelled; a database away is waited out."""
        while True:
            await asyncio.sleep(EVERY)
            self.tell()
            readings = self.changed()
            if not readings:
                continue
            try:
                async with database.connection() as connection:
                    await write(connection, readings, now=clock.now())
            except (psycopg.Error, StoreError) as error:
                logger.warning("clocks not written: detail=%s", error)
            else:
                self.wrote(readings)

    def _judge(self, station: int, known: _Station) -> None:
        offset = known.offset
        if offset is None:
            return
        limit = self._limit * (CALM if known.suspect else 1)
        suspect = abs(offset) > limit
        if suspect != known.suspect:
            known.suspect = suspect
            self._suspects += 1 if suspect else -1
            self._vitals.set("clocks_suspect", self._suspects)
            self._turned.append(known)
        written = known.written
        if written is None or written[1] != suspect or abs(written[0] - offset) >= GRAIN:
            self._changed.add(station)


async def write(connection: Connection, readings: Iterable[Reading], *, now: dt.datetime) -> None:
    """Write clocks over what was known of them; of two the one seen later stays."""
    rows = [(r.station, r.offset, r.suspect, r.seen) for r in readings]
    columns = [list(column) for column in zip(*rows, strict=True)]
    await connection.execute(_queries.write, (now, *columns))


async def read(connection: Connection) -> dict[int, Reading]:
    """Give every clock that is known, by station."""
    rows = await (await connection.execute(_queries.read)).fetchall()
    return {
        station: Reading(station=station, offset=offset, suspect=suspect, seen=seen)
        for station, offset, suspect, seen in rows
    }


def _newest(delivery: Delivery) -> Report | None:
    items = delivery.items
    if len(items) == 1:
        return items[0] if isinstance(items[0], Report) else None
    reports = [item for item in items if isinstance(item, Report)]
    return max(reports, key=lambda report: report.time, default=None)


def _tell(known: _Station, offset: float) -> None:
    if not known.suspect:
        logger.info("clock right again: station=%s offset=%.0f", known.name, offset)
    elif offset > 0:
        logger.warning(
            "clock slow, or the line: station=%s offset=%.0f (its readings come that many seconds"
            " after their time: set its clock, or see what holds them up)",
            known.name,
            offset,
        )
    else:
        logger.warning(
            "clock fast: station=%s offset=%.0f (its readings come before their time: set its"
            " clock; what lies more than ingest.ahead in the future is refused)",
            known.name,
            offset,
        )
