"""From a delivery to committed rows: decode, check, batch, write, and only then acknowledge."""

import asyncio
import datetime as dt
import logging
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import psycopg

from agent.report import decode
from server.clock import Clock
from server.ingest.batch import Batch, Place
from server.ingest.columns import arrange
from server.ingest.roster import Roster
from server.ingest.source import Delivery, Source
from server.settings import Ingest
from server.store import sink
from server.store.connection import Connection
from server.store.errors import StoreError
from server.store.partitions import Partitions
from server.vitals import Vitals

logger = logging.getLogger(__name__)

_POISON = ("22", "23", "0A", "P0")
"""Classes of SQLSTATE that speak of the data, not of the server: one row may be to blame."""
QUEUE_BYTES = 64 * 1024 * 1024
"""Payload that waits for the database at most, whatever the number of readings."""
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 3.0


class Pipeline:
    """Takes deliveries from a source and keeps what they carry.

    While the database is away nothing is acknowledged, the source is held back, and the batch
    is tried again until it is stored.
    """

    def __init__(
        self,
        source: Source,
        *,
        connect: Callable[[], Awaitable[Connection]],
        partitions: Partitions,
        settings: Ingest,
        clock: Clock,
        vitals: Vitals,
    ) -> None:
        """Take the parts; ``connect`` opens a connection in autocommit mode."""
        self._source = source
        self._connect = connect
        self._partitions = partitions
        self._settings = settings
        self._clock = clock
        self._vitals = vitals
        self._roster = Roster(register=settings.unknown == "register")
        earliest = dt.date.fromisoformat(settings.earliest)
        self._earliest = dt.datetime.combine(earliest, dt.time(), dt.UTC)
        self._ahead = dt.timedelta(seconds=settings.ahead)
        self._waiting: deque[Delivery] = deque()
        self._reports = 0
        self._bytes = 0
        self._some = asyncio.Event()
        self._plenty = asyncio.Event()
        self._connection: Connection | None = None

    @property
    def waiting(self) -> int:
        """Reports that are not committed yet."""
        return self._reports

    def deliver(self, delivery: Delivery) -> bool:
        """Take a delivery; False when the queue is full."""
        delivery.items = decode(delivery.payload)
        self._waiting.append(delivery)
        self._reports += len(delivery.items)
        self._bytes += len(delivery.payload)
        self._some.set()
        if self._reports >= self._settings.batch:
            self._plenty.set()
        return self._reports < self._settings.queue and self._bytes < QUEUE_BYTES

    async def run(self) -> None:
        """Write batches until cancelled."""
        try:
            while True:
                await self._some.wait()
                if not self._plenty.is_set() and self._settings.linger:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(self._settings.linger):
                            await self._plenty.wait()
                await self._turn()
        finally:
            await self._disconnect()

    async def drain(self) -> None:
        """Write until nothing waits."""
        while self._waiting:
            await self._turn()
        await self._disconnect()

    async def _turn(self) -> None:
        deliveries = self._take()
        try:
            await self._keep(deliveries)
        except asyncio.CancelledError:
            self._waiting.extendleft(reversed(deliveries))
            raise
        self._reports -= sum(len(delivery.items) for delivery in deliveries)
        self._bytes -= sum(len(delivery.payload) for delivery in deliveries)
        self._vitals.add("received", len(deliveries))
        self._vitals.set("queue", self._reports)
        self._source.acknowledge(deliveries)

    def _take(self) -> list[Delivery]:
        """Take a batch's worth off the queue."""
        taken: list[Delivery] = []
        size = 0
        while self._waiting and size < self._settings.batch:
            delivery = self._waiting.popleft()
            size += len(delivery.items)
            taken.append(delivery)
        self._plenty.clear()
        if not self._waiting:
            self._some.clear()
        elif self._reports - size >= self._settings.batch:
            self._plenty.set()
        return taken

    async def _keep(self, deliveries: list[Delivery]) -> None:
        """Store a batch, however long it takes."""
        pause = _FIRST_PAUSE
        while True:
            try:
                connection = await self._connected()
                await self._roster.refresh(connection)
                batch = await self._sort(connection, deliveries)
                started = time.monotonic()
                outcome = await self._write(connection, batch, list(batch.places.values()))
                break
            except (psycopg.Error, StoreError, OSError) as error:
                logger.warning(
                    "the database does not take readings: waiting=%d pause=%.2f detail=%s",
                    self._reports,
                    pause,
                    str(error).strip(),
                )
                self._vitals.add("retries")
                await self._disconnect()
                await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - no secret
                pause = min(pause * 2, _LONGEST_PAUSE)
        self._count(batch, outcome, time.monotonic() - started)

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            connection = await self._connect()
            await sink.prepare(connection)
            self._connection = connection
        return self._connection

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error, OSError):
                await connection.close()

    async def _sort(self, connection: Connection, deliveries: list[Delivery]) -> Batch:
        ids = self._roster.ids
        unknown = {d.station for d in deliveries if d.station not in ids}
        if unknown:
            await self._roster.find(connection, unknown, now=self._clock.now())
        batch = Batch(self._roster.ids, earliest=self._earliest, ahead=self._ahead)
        for delivery in deliveries:
            batch.put(delivery)
        return batch

    async def _write(
        self, connection: Connection, batch: Batch, places: list[Place]
    ) -> sink.Outcome:
        """Write everything in one transaction; if a row is refused, find it and leave it out."""
        try:
            await self._partitions.ensure(connection, _days(places))
            return await self._transact(connection, batch, places, finish=True)
        except psycopg.errors.CheckViolation:
            # Perhaps retention took a partition away that was known to be there.
            self._partitions.forget()
        except psycopg.Error as error:
            if not _poisonous(error):
                raise
        outcome = await self._halve(connection, batch, places)
        rest = await self._transact(connection, batch, [], finish=True)
        return _sum(outcome, rest)

    async def _halve(
        self, connection: Connection, batch: Batch, places: list[Place]
    ) -> sink.Outcome:
        try:
            await self._partitions.ensure(connection, _days(places))
            return await self._transact(connection, batch, places, finish=False)
        except psycopg.Error as error:
            if not _poisonous(error):
                raise
            if len(places) == 1:
                detail = error.diag.message_primary or str(error)
                place = places[0]
                detail = f"the database refuses it: {detail}"
                batch.refuse(place.delivery, place.index, "store", detail)
                return sink.Outcome(0, 0, 0)
        middle = len(places) // 2
        first = await self._halve(connection, batch, places[:middle])
        return _sum(first, await self._halve(connection, batch, places[middle:]))

    async def _transact(
        self, connection: Connection, batch: Batch, places: list[Place], *, finish: bool
    ) -> sink.Outcome:
        """Write some rows; with ``finish`` the quarantine too."""
        outcome = sink.Outcome(0, 0, 0)
        now = self._clock.now()
        async with connection.transaction():
            if places:
                blocks = arrange([place.row for place in places])
                outcome = await sink.store(connection, blocks, stored=now)
                for key in outcome.conflicts:
                    batch.contradict(key)
            if finish and batch.refused:
                await sink.refuse(connection, batch.refused)
        return outcome

    def _count(self, batch: Batch, outcome: sink.Outcome, seconds: float) -> None:
        vitals = self._vitals
        vitals.add("batches")
        vitals.add("stored", outcome.inserted)
        vitals.add("corrected", outcome.corrected)
        vitals.add("duplicates", outcome.duplicates + batch.duplicates)
        vitals.observe("commit_seconds", seconds)
        for refused in batch.refused:
            vitals.add("quarantined", reason=refused.reason)
        for station in batch.contradicted:
            logger.warning(
                "two values for one reading: station=%s (two stations with one name?)", station
            )


def _poisonous(error: psycopg.Error) -> bool:
    return (error.sqlstate or "")[:2] in _POISON


def _days(places: Sequence[Place]) -> list[dt.datetime]:
    """Give one moment of each day that the rows touch."""
    days = {place.row.moment // 86_400_000_000 for place in places}
    return [sink.EPOCH + dt.timedelta(days=day) for day in days]


def _sum(one: sink.Outcome, other: sink.Outcome) -> sink.Outcome:
    return sink.Outcome(
        one.inserted + other.inserted,
        one.corrected + other.corrected,
        one.duplicates + other.duplicates,
        one.conflicts + other.conflicts,
    )
