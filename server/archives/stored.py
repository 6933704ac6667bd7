"""The readings of a database as an archive."""

import asyncio
import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from agent.elements import ELEMENTS
from alerts import regions
from forecast.readings import Readings
from server.archives.archive import ROWS, ArchiveError, Faults, Place
from server.store import observations, stations
from server.store.database import Database

FIRST: Final = dt.timedelta(hours=6)
"""What is asked for at first; then so much that an answer is about `ROWS` readings."""

LONGEST: Final = dt.timedelta(days=30)


class StoredArchive:
    """The stored readings that passed their checks; made on the loop, read from a thread."""

    attribution = ""

    def __init__(
        self,
        database: Database,
        places: tuple[Place, ...],
        ids: tuple[int, ...],
        elements: frozenset[str],
    ) -> None:
        """See `open`; places and ids in the order of the ids."""
        self.names: Mapping[str, str] = {}
        self.places = places
        self.elements = elements
        self.faults = Faults()
        self._database = database
        self._ids = np.array(ids, np.int64)
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def open(cls, database: Database, *, elements: frozenset[str]) -> "StoredArchive":
        """Read the catalogue of stations and the regions. Raises ArchiveError without stations."""
        async with database.connection() as conn:
            found = sorted(await stations.every(conn), key=lambda station: station.id)
            members = await regions.membership(conn)
        if not found:
            raise ArchiveError("the database has no station; import some with fenghuo station")
        inside: dict[int, list[str]] = {}
        for region, ids in members.items():
            for number in ids:
                inside.setdefault(number, []).append(region)
        places = tuple(
            Place(
                name=station.name,
                zh=station.zh,
                en=station.en,
                longitude=station.longitude,
                latitude=station.latitude,
                elevation=station.elevation,
                regions=tuple(inside.get(station.id, ())),
            )
            for station in found
        )
        ids = tuple(station.id for station in found)
        return cls(database, places, ids, elements & ELEMENTS.keys())

    def readings(self, *, start: int | None, end: int | None) -> Iterator[Readings]:
        """Give the readings by time, with start < time <= end. Raises ArchiveError.

        Blocks: call it from another thread than the loop's.
        """
        if start is None or end is None:
            raise ArchiveError("of a database say the time: --from and --to")
        since, until = (dt.datetime.fromtimestamp(at, dt.UTC) for at in (start, end))
        span = FIRST
        while since < until:
            upto = min(since + span, until)
            found = self._await(self._window(since, upto))
            since = upto
            if len(found) * 2 < ROWS:
                span = min(2 * span, LONGEST)
            elif len(found) > ROWS:
                span = max(span / 2, dt.timedelta(minutes=10))
            if len(found):
                yield found

    async def _window(self, since: dt.datetime, until: dt.datetime) -> Readings:
        async with self._database.connection() as conn:
            found = await observations.window(
                conn, start=since, end=until, elements=sorted(self.elements)
            )
        station = np.searchsorted(self._ids, found.station)
        return Readings(station, found.time, found.interval, found.values)

    def _await(self, work: Any) -> Readings:
        result: Readings = asyncio.run_coroutine_threadsafe(work, self._loop).result()
        return result
