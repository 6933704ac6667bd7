"""The quarantine once more: the same checks and the same sink as for live readings.

A page of rows is one transaction: its readings are stored and its rows are marked, or neither is.
What was stored already is a duplicate and changes nothing, so a replay can be repeated at will.
"""

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec
import psycopg

from agent.report import Refusal
from alerts.queries import Queries
from server.clock import Clock
from server.ingest import quarantine, topics
from server.ingest.batch import Batch
from server.ingest.columns import arrange
from server.ingest.mapping import Mappings, TopicMapping
from server.ingest.quarantine import Choice, Kept
from server.ingest.roster import Roster
from server.ingest.source import Delivery
from server.settings import Ingest
from server.store import sink
from server.store.connection import Connection
from server.store.partitions import Partitions

PAGE = 200
"""Rows in one transaction."""

_POISON = frozenset({"22", "23", "0A", "P0"})
_DAY = 86_400_000_000
_queries = Queries("server.ingest", "quarantine.sql")


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the rows.

    replayed: passed now.  refused: stay, by their newest reason.  left: not touched, because no
    mapping takes their topic.  more: there are others that were not looked at.
    """

    replayed: int
    refused: Mapping[str, int]
    left: int
    more: bool = False


class Replay:
    """Replays rows over a connection of its own in autocommit mode."""

    def __init__(
        self,
        connection: Connection,
        *,
        partitions: Partitions,
        settings: Ingest,
        clock: Clock,
        mend: TopicMapping | None = None,
    ) -> None:
        """Take the parts; ``mend`` reads the messages in place of the wire and the mappings."""
        self._connection = connection
        self._partitions = partitions
        self._clock = clock
        self._mend = mend
        self._mappings = Mappings.load(settings.mappings)
        self._roster = Roster(register=settings.unknown == "register")
        earliest = dt.date.fromisoformat(settings.earliest)
        self._earliest = dt.datetime.combine(earliest, dt.time(), dt.UTC)
        self._ahead = dt.timedelta(seconds=settings.ahead)
        self._replayed = 0
        self._left = 0
        self._refused: Counter[str] = Counter()

    async def run(self, choice: Choice, *, limit: int | None = None) -> Result:
        """Replay what is chosen, at most ``limit`` rows of it."""
        await sink.prepare(self._connection)
        after, seen = 0, 0
        more = True
        while limit is None or seen < limit:
            size = PAGE if limit is None else min(PAGE, limit - seen)
            page = await quarantine.waiting(self._connection, choice, after=after, limit=size)
            if page:
                await self._page(page)
                after, seen = page[-1].id, seen + len(page)
            if len(page) < size:
                more = False
                break
        return Result(
            replayed=self._replayed, refused=dict(self._refused), left=self._left, more=more
        )

    async def _page(self, rows: Sequence[Kept]) -> None:
        known = [row for row in rows if self._read(row) is not None]
        self._left += len(rows) - len(known)
        if not known:
            return
        try:
            await self._together(known)
        except psycopg.Error as error:
            if (error.sqlstate or "")[:2] not in _POISON:
                raise
            if len(known) > 1:
                for row in known:
                    await self._page([row])
                return
            detail = f"the database refuses it: {error.diag.message_primary or error}"
            await self._connection.execute(
                _queries.stays, ([known[0].id], ["store"], [detail[: quarantine.DETAIL]])
            )
            self._refused["store"] += 1

    def _read(self, row: Kept) -> Delivery | None:
        """Give the message as it came, read anew; None where it is of no topic of ours now."""
        received = row.newest or row.received
        delivery = Delivery("", row.topic, row.payload, received)
        if self._mend is not None:
            if self._mend.match(row.topic) is None:
                return None
            reading = self._mend.read(row.topic, row.payload, received=received)
            delivery.station, delivery.items = reading.station, [reading.item]
            return delivery
        ours = topics.read(row.topic)
        if ours is not None:
            delivery.station = ours.station
        else:
            mapped = self._mappings.read(row.topic, row.payload, received=received)
            if mapped is None:
                return None
            delivery.station = mapped.station
        delivery.items = self._mappings.items(delivery)
        return delivery

    async def _together(self, rows: Sequence[Kept]) -> None:
        """Store and mark rows in one transaction; raises what the database says."""
        read = {row.id: delivery for row in rows if (delivery := self._read(row)) is not None}
        await self._roster.refresh(self._connection)
        names = {delivery.station for delivery in read.values()} - {""}
        if unknown := names - self._roster.ids.keys():
            await self._roster.find(self._connection, unknown, now=self._clock.now())
        batch = Batch(earliest=self._earliest, ahead=self._ahead)
        async with self._connection.transaction():
            cursor = await self._connection.execute(_queries.lock, (list(read),))
            locked = {number: read[number] for (number,) in await cursor.fetchall()}
            for delivery in locked.values():
                batch.put(delivery, self._roster.ids.get(delivery.station))
            await self._store(batch)
            await self._mark(locked)

    async def _store(self, batch: Batch) -> None:
        rows = list(batch.places.values())
        if not rows:
            return
        days = {row.moment // _DAY for row in rows}
        times = [sink.EPOCH + dt.timedelta(days=day) for day in days]
        await self._partitions.ensure(self._connection, times)
        stored = self._clock.now()
        outcome = await sink.store(self._connection, arrange(rows), stored=stored)
        for key in outcome.conflicts:
            batch.contradict(key)

    async def _mark(self, read: Mapping[int, Delivery]) -> None:
        passed: list[int] = []
        stays: list[tuple[int, str, str]] = []
        for number, delivery in read.items():
            refusals = [item for item in delivery.items if isinstance(item, Refusal)]
            if refusals:
                kept = quarantine.keep(delivery, refusals[0])
                stays.append((number, kept.reason, kept.detail))
            else:
                passed.append(number)
        if passed:
            await self._connection.execute(_queries.passed, (self._clock.now(), passed))
        if stays:
            columns = [list(column) for column in zip(*stays, strict=True)]
            await self._connection.execute(_queries.stays, columns)
        self._replayed += len(passed)
        self._refused.update(reason for _, reason, _ in stays)
