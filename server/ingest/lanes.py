"""What waits for the database: live readings in one lane, backlogs in another."""

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress

from server.ingest.source import Delivery

QUEUE_BYTES = 32 * 1024 * 1024
"""Payload that waits in a lane at most, whatever the number of readings."""

SLICE = 150
"""Readings of a backlog in one transaction while live ones come too."""

LIVELY = 1.0
"""Seconds after the last live message during which another is expected at any time."""


class _Lane:
    """A queue that knows its size in readings and bytes."""

    __slots__ = ("bytes", "queue", "reports")

    def __init__(self) -> None:
        self.queue: deque[Delivery] = deque()
        self.reports = 0
        self.bytes = 0

    def take(self, room: int) -> list[Delivery]:
        """Take deliveries until their readings fill the room."""
        taken = []
        while self.queue and room > 0:
            delivery = self.queue.popleft()
            room -= len(delivery.items)
            taken.append(delivery)
        return taken


class Lanes:
    """Gives batches; a reading that comes alone never waits behind a station's whole backlog."""

    def __init__(self, *, batch: int, queue: int, apart: bool) -> None:
        """Take the limits in readings; without ``apart`` there is one lane, in order."""
        self._batch = batch
        self._limit = queue
        self._apart = apart
        self._live = _Lane()
        self._late = _Lane()
        self._last_live = 0.0
        self._sliced = False
        self._since = 0.0
        self._some = asyncio.Event()
        self._plenty = asyncio.Event()

    def __bool__(self) -> bool:
        return bool(self._live.queue or self._late.queue)

    @property
    def reports(self) -> int:
        """Readings that are not settled yet."""
        return self._live.reports + self._late.reports

    @property
    def plenty(self) -> bool:
        """Whether a full batch waits that may be made ready ahead of its turn.

        Not a backlog's while live readings come: it would delay them by one more turn.
        """
        if not self._plenty.is_set():
            return False
        lively = time.monotonic() - self._last_live < LIVELY
        return not (self._late.queue and lively) or len(self._live.queue) >= self._batch

    def put(self, delivery: Delivery) -> bool:
        """Take a delivery; False when its lane is full."""
        lane = self._late if self._apart and len(delivery.items) > 1 else self._live
        lane.queue.append(delivery)
        lane.reports += len(delivery.items)
        lane.bytes += len(delivery.payload)
        if not self._some.is_set():
            self._some.set()
            self._since = time.monotonic()
        if lane.reports >= self._batch:
            self._plenty.set()
        # To read and check a backlog takes time too: never more ahead than a batch of it.
        limit = self._batch if lane is self._late else self._limit
        return lane.reports < min(limit, self._limit) and lane.bytes < QUEUE_BYTES

    async def wait(self, linger: float) -> None:
        """Wait until something is there, and for more, ``linger`` seconds from its coming."""
        await self._some.wait()
        rest = self._since + linger - time.monotonic()
        if rest > 0 and not self._plenty.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(rest):
                    await self._plenty.wait()

    def take(self) -> list[Delivery]:
        """Take a batch's worth: the live ones first, and of a backlog what delays them little.

        While live ones come, every other batch is theirs alone: who came during one that holds
        a slice of a backlog does not wait for two.
        """
        taken = self._live.take(self._batch)
        room = self._batch - sum([len(delivery.items) for delivery in taken])
        sliced, self._sliced = self._sliced, False
        if self._late.queue and not (taken and sliced):
            now = time.monotonic()
            if taken:
                self._last_live = now
            if now - self._last_live < LIVELY:
                self._sliced = True
                room = min(room, SLICE)
            taken += self._late.take(max(room, 1))
        self._plenty.clear()
        if not self:
            self._some.clear()
        elif len(self._live.queue) >= self._batch:
            self._plenty.set()
        return taken

    def back(self, deliveries: Iterable[Delivery]) -> None:
        """Put deliveries that were taken back to the front."""
        for delivery in reversed(list(deliveries)):
            lane = self._late if self._apart and len(delivery.items) > 1 else self._live
            lane.queue.appendleft(delivery)
            self._some.set()

    def settle(self, deliveries: Iterable[Delivery]) -> None:
        """Forget deliveries that are stored."""
        for delivery in deliveries:
            lane = self._late if self._apart and len(delivery.items) > 1 else self._live
            lane.reports -= len(delivery.items)
            lane.bytes -= len(delivery.payload)
