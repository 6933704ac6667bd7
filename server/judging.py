"""Keeping what the watch finds of quality: behind the decision, in transactions of its own.

A code says how far a value can be trusted and never waits before a decision. What is not written
when the process dies is found again by the next one, which judges anew whatever the store does
not know as judged.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np
import psycopg
from numpy.typing import NDArray

from forecast.quality import Check, Judged, code
from server.clock import Clock
from server.store import codes, observations
from server.store.database import Database
from server.store.errors import StoreError
from server.vitals import Vitals

_log = logging.getLogger(__name__)

PART = 1_000
"""Readings in one transaction: while it writes, the log of commits cannot be read further."""

REST = 0.1
"""Seconds between two transactions: what comes meanwhile is written together."""

AGAIN = 1.0
"""Seconds after a failure."""

MOST = 1_000_000
"""Readings that wait at most; older ones are left to the next start."""

_INGEST = code(Check.RANGE, failed=True)
"""What the ingest checks by itself."""


def parts(station: NDArray[np.int64], judged: Iterable[Judged]) -> Iterator[codes.Codes]:
    """Cut what was judged into parts; ``station`` gives the id for each number of the nowcast."""
    for each in judged:
        for first in range(0, len(each), PART):
            rows = slice(first, first + PART)
            yield codes.Codes(
                station=station[each.readings.station[rows]],
                time=each.readings.time[rows],
                codes={name: column[rows] for name, column in each.codes.items()},
            )


class Keeper:
    """Writes codes, the oldest first."""

    def __init__(self, database: Database, *, clock: Clock, vitals: Vitals) -> None:
        """Begin with nothing to write."""
        self._database = database
        self._clock = clock
        self._vitals = vitals
        self._waiting: deque[codes.Codes] = deque()
        self._size = 0
        self._woken = asyncio.Event()

    def __len__(self) -> int:
        """Count the readings that wait."""
        return self._size

    def put(self, found: Iterable[codes.Codes]) -> None:
        """Take what was judged."""
        for part in found:
            self._waiting.append(part)
            self._size += len(part)
        while self._size > MOST:
            self._size -= len(self._waiting.popleft())
        if self._waiting:
            self._woken.set()

    async def run(self) -> None:
        """Write until cancelled; a database away is waited out."""
        while True:
            await self._woken.wait()
            try:
                await self.write()
            except (psycopg.Error, StoreError) as error:
                _log.warning("quality codes wait error=%s", error)
                await asyncio.sleep(AGAIN)
            await asyncio.sleep(REST)

    async def write(self) -> None:
        """Write all that waits, each part in a transaction."""
        while self._waiting:
            part = self._waiting[0]
            async with self._database.connection() as conn:
                written = await codes.write(conn, part, stored=self._clock.now())
            self._vitals.add("codes_written", written.changed)
            self._vitals.add("codes_failed", written.failed)
            if self._waiting and self._waiting[0] is part:
                self._waiting.popleft()
                self._size -= len(part)
        self._woken.clear()


def known(columns: observations.Columns, found: dict[str, NDArray[np.int16]]) -> NDArray[np.bool_]:
    """Tell which readings bear codes that the watch gave, not only those of the ingest."""
    judged = np.zeros(len(columns), np.bool_)
    for column in found.values():
        judged |= (column & ~_INGEST) != 0
    return judged
