"""How a role is doing: counters, gauges and a histogram, put where the web can read them.

Every few seconds each role writes its numbers with their time into ``meta``; the web shows all
of them with their age. A role that is dead is seen by numbers that grow old.
"""

import asyncio
import bisect
import datetime as dt
import logging
from typing import TypeAlias

import msgspec
import psycopg

from alerts.queries import Queries
from server.clock import Clock
from server.store.connection import Connection
from server.store.database import Database
from server.store.errors import StoreError

logger = logging.getLogger(__name__)

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the histogram's classes, in seconds."""

EVERY = 5.0
STALE = 30.0
"""Seconds after which a sheet is too old to be believed."""

Labels: TypeAlias = tuple[tuple[str, str], ...]
_queries = Queries("server", "vitals.sql")


class Sample(msgspec.Struct, frozen=True):
    """One number; ``kind`` is counter or gauge. Histograms come as their counters."""

    name: str
    value: float
    kind: str = "gauge"
    labels: Labels = ()


class Sheet(msgspec.Struct, frozen=True):
    """The numbers of one role, and when they were true."""

    role: str
    time: dt.datetime
    samples: tuple[Sample, ...]


class Vitals:
    """The numbers of this process. Names are plain words; the web puts its prefix before them."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._numbers: dict[tuple[str, str, Labels], float] = {}
        self._histograms: dict[str, tuple[list[int], list[float]]] = {}

    def add(self, name: str, amount: float = 1, /, **labels: str) -> None:
        """Raise a counter."""
        key = (name, "counter", tuple(sorted(labels.items())))
        self._numbers[key] = self._numbers.get(key, 0) + amount

    def set(self, name: str, value: float, /, **labels: str) -> None:
        """Set a gauge."""
        self._numbers[name, "gauge", tuple(sorted(labels.items()))] = value

    def observe(self, name: str, seconds: float) -> None:
        """Count a duration in the class it belongs to."""
        classes, total = self._histograms.setdefault(name, ([0] * (len(BOUNDS) + 1), [0.0]))
        classes[bisect.bisect_left(BOUNDS, seconds)] += 1
        total[0] += seconds

    def get(self, name: str, /, **labels: str) -> float:
        """Give a counter or gauge; 0 where there is none. Without labels: the sum over all."""
        wanted = tuple(sorted(labels.items()))
        return sum(
            value
            for (key, _, found), value in self._numbers.items()
            if key == name and (not wanted or found == wanted)
        )

    def samples(self) -> tuple[Sample, ...]:
        """Give all numbers; a histogram as name_bucket{le}, name_sum and name_count."""
        found = [
            Sample(name, value, kind, labels)
            for (name, kind, labels), value in self._numbers.items()
        ]
        for name, (classes, total) in self._histograms.items():
            running = 0
            for bound, count in zip((*map(str, BOUNDS), "+Inf"), classes, strict=True):
                running += count
                found.append(Sample(f"{name}_bucket", running, "counter", (("le", bound),)))
            found.append(Sample(f"{name}_sum", total[0], "counter"))
            found.append(Sample(f"{name}_count", running, "counter"))
        return tuple(found)

    async def publish(self, database: Database, role: str, clock: Clock) -> None:
        """Write the numbers every few seconds until cancelled; a database away is waited out."""
        while True:
            sheet = Sheet(role, clock.now(), self.samples())
            try:
                async with database.connection() as connection:
                    await write(connection, sheet)
            except (psycopg.Error, StoreError) as error:
                logger.warning("vitals not written: role=%s detail=%s", role, error)
            await asyncio.sleep(EVERY)


async def write(connection: Connection, sheet: Sheet) -> None:
    """Write a sheet over the role's last one."""
    value = msgspec.json.encode(sheet).decode()
    await connection.execute(_queries.write, (f"metrics:{sheet.role}", value))


async def read(connection: Connection) -> list[Sheet]:
    """Give the newest sheet of every role."""
    cursor = await connection.execute(_queries.read)
    return [msgspec.json.decode(value, type=Sheet) for (value,) in await cursor.fetchall()]
