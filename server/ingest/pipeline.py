"""From a delivery to committed rows: decode, check, batch, write, and only then acknowledge."""

import asyncio
import datetime as dt
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psycopg

from server.clock import Clock
from server.ingest.batch import Batch, Place
from server.ingest.clocks import Clocks
from server.ingest.columns import arrange
from server.ingest.lanes import Lanes
from server.ingest.mapping import Mappings
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
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 3.0

CLOCKS = 1_000
"""Messages of a batch by which clocks are judged, about: of a flood a part says enough."""


@dataclass(slots=True)
class _Job:
    """Deliveries of one transaction; what has been made of them while the last one was written."""

    deliveries: list[Delivery]
    batch: Batch | None = None
    packed: sink.Packed | None = None


class Pipeline:
    """Takes deliveries from a source and keeps what they carry.

    While the database works on one batch the next is checked and packed. While it is away nothing
    is acknowledged, the source is held back, and the batch is tried again until it is stored.
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
        clocks: Clocks | None = None,
        ordered: bool = True,
    ) -> None:
        """Take the parts; ``connect`` opens a connection in autocommit mode.

        ``ordered``: the source wants its deliveries acknowledged in their order.
        """
        self._source = source
        self._connect = connect
        self._partitions = partitions
        self._settings = settings
        self._clock = clock
        self._mappings = Mappings.load(settings.mappings)
        self._vitals = vitals
        self._clocks = clocks
        self._roster = Roster(register=settings.unknown == "register")
        earliest = dt.date.fromisoformat(settings.earliest)
        self._earliest = dt.datetime.combine(earliest, dt.time(), dt.UTC)
        self._ahead = dt.timedelta(seconds=settings.ahead)
        self._lanes = Lanes(batch=settings.batch, queue=settings.queue, apart=not ordered)
        self._next: _Job | None = None
        self._inserting = False
        self._stored: list[Delivery] = []
        self._connection: Connection | None = None

    @property
    def waiting(self) -> int:
        """Reports that are not committed yet."""
        return self._lanes.reports

    def deliver(self, delivery: Delivery) -> bool:
        """Take a delivery; False when the queue is full."""
        delivery.items = self._mappings.items(delivery)
        room = self._lanes.put(delivery)
        if self._inserting:
            self._prepare()
        return room

    async def run(self) -> None:
        """Write batches until cancelled."""
        try:
            while True:
                if self._next is None:
                    await self._lanes.wait(self._settings.linger)
                await self._turn()
        finally:
            self._settle()
            await self._disconnect()

    async def drain(self) -> None:
        """Write until nothing waits."""
        while self._lanes or self._next is not None:
            await self._turn()
        await self._disconnect()

    async def _turn(self) -> None:
        job, self._next = self._next or _Job(self._lanes.take()), None
        try:
            await self._keep(job)
        except asyncio.CancelledError:
            if self._next is not None:
                self._lanes.back(self._next.deliveries)
                self._next = None
            self._lanes.back(job.deliveries)
            raise
        self._settle()
        self._stored = job.deliveries
        if self._next is None:
            self._settle()

    def _settle(self) -> None:
        """Acknowledge what was stored last.

        An acknowledgement brings the next message at once. When another batch is ready, it goes
        to the database first: else the database would wait until all those have been read.
        """
        stored, self._stored = self._stored, []
        if not stored:
            return
        self._lanes.settle(stored)
        self._vitals.add("received", len(stored))
        self._vitals.set("queue", self._lanes.reports)
        self._source.acknowledge(stored)

    def _busy(self) -> None:
        """Use the time in which the database works on a batch."""
        self._inserting = True
        self._settle()
        self._prepare()

    def _prepare(self) -> None:
        """Make the next full batch ready."""
        if self._next is not None or not self._lanes.plenty:
            return
        job = self._next = _Job(self._lanes.take())
        stations = self._identify(job.deliveries)
        if not _unknown(job.deliveries, stations):
            job.batch = self._batch(job.deliveries, stations)
            job.packed = _pack(list(job.batch.places.values()))

    async def _keep(self, job: _Job) -> None:
        """Store a batch, however long it takes."""
        pause = _FIRST_PAUSE
        blocked = 0.0
        while True:
            try:
                connection = await self._connected()
                await self._roster.refresh(connection)
                batch, packed = job.batch, job.packed
                job.batch = job.packed = None  # good for one attempt
                if batch is None:
                    batch = await self._sort(connection, job.deliveries)
                started = time.monotonic()
                outcome = await self._write(connection, batch, packed)
                break
            except (psycopg.Error, StoreError, OSError) as error:
                self._settle()
                now = time.monotonic()
                blocked = blocked or now
                self._vitals.add("retries", reason=_reason(error))
                self._vitals.set("blocked_seconds", now - blocked)
                logger.warning(
                    "the database does not take readings: waiting=%d pause=%.2f reason=%s"
                    " detail=%s",
                    self._lanes.reports,
                    pause,
                    _reason(error),
                    str(error).strip(),
                )
                await self._disconnect()
                await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - no secret
                pause = min(pause * 2, _LONGEST_PAUSE)
        if blocked:
            self._vitals.set("blocked_seconds", 0)
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
        stations = self._identify(deliveries)
        if unknown := _unknown(deliveries, stations):
            await self._roster.find(connection, unknown, now=self._clock.now())
            stations = self._identify(deliveries)
        return self._batch(deliveries, stations)

    def _identify(self, deliveries: list[Delivery]) -> list[int | None]:
        """Look each station up once: among a hundred thousand that is what costs."""
        get = self._roster.ids.get
        return [get(delivery.station) for delivery in deliveries]

    def _batch(self, deliveries: list[Delivery], stations: list[int | None]) -> Batch:
        batch = Batch(earliest=self._earliest, ahead=self._ahead)
        # Before a reading is refused for its time: a clock far ahead is told by just that.
        if self._clocks is not None:
            apart = 1 + len(deliveries) // CLOCKS
            for index in range(random.randrange(apart), len(deliveries), apart):  # noqa: S311 - no secret
                if station := stations[index]:
                    self._clocks.note(station, deliveries[index])
        for delivery, station in zip(deliveries, stations, strict=True):
            batch.put(delivery, station)
        return batch

    async def _write(
        self, connection: Connection, batch: Batch, packed: sink.Packed | None
    ) -> sink.Outcome:
        """Write everything in one transaction; if a row is refused, find it and leave it out."""
        places = list(batch.places.values())
        try:
            await self._partitions.ensure(connection, _days(places))
            return await self._transact(connection, batch, packed or _pack(places), finish=True)
        except psycopg.errors.CheckViolation:
            # Perhaps retention took a partition away that was known to be there.
            self._partitions.forget()
        except psycopg.Error as error:
            if not _poisonous(error):
                raise
        outcome = await self._halve(connection, batch, places)
        rest = await self._transact(connection, batch, None, finish=True)
        return _sum(outcome, rest)

    async def _halve(
        self, connection: Connection, batch: Batch, places: list[Place]
    ) -> sink.Outcome:
        try:
            await self._partitions.ensure(connection, _days(places))
            return await self._transact(connection, batch, _pack(places), finish=False)
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
        self, connection: Connection, batch: Batch, packed: sink.Packed | None, *, finish: bool
    ) -> sink.Outcome:
        """Write some rows; with ``finish`` the quarantine too."""
        outcome = sink.Outcome(0, 0, 0)
        now = self._clock.now()
        async with connection.transaction():
            if packed is not None:
                try:
                    outcome = await sink.write(connection, packed, stored=now, meanwhile=self._busy)
                finally:
                    self._inserting = False
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


def _pack(places: Sequence[Place]) -> sink.Packed | None:
    return sink.pack(arrange(places)) if places else None


def _unknown(deliveries: list[Delivery], stations: list[int | None]) -> set[str]:
    if None not in stations:
        return set()
    pairs = zip(deliveries, stations, strict=True)
    return {delivery.station for delivery, station in pairs if station is None and delivery.station}


def _reason(error: Exception) -> str:
    """Give a word for the vitals: the SQLSTATE, or that there is no connection."""
    return (isinstance(error, psycopg.Error) and error.sqlstate) or "connection"


def _poisonous(error: psycopg.Error) -> bool:
    return (error.sqlstate or "")[:2] in _POISON


def _days(places: Sequence[Place]) -> list[dt.datetime]:
    """Give one moment of each day that the rows touch."""
    days = {place.moment // 86_400_000_000 for place in places}
    return [sink.EPOCH + dt.timedelta(days=day) for day in days]


def _sum(one: sink.Outcome, other: sink.Outcome) -> sink.Outcome:
    return sink.Outcome(
        one.inserted + other.inserted,
        one.corrected + other.corrected,
        one.duplicates + other.duplicates,
        one.conflicts + other.conflicts,
    )
