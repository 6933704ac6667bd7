"""The stream as a sink: what the listener takes in is published, and acknowledged by a quorum."""

import asyncio
import contextlib
import logging
from collections import deque

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg

from server.ingest.jetstream.stream import (
    AWAY,
    PAUSE,
    SUBJECT,
    Envelope,
    connect,
    encode,
    fingerprint,
    heed,
    place,
)
from server.ingest.mapping import Mappings
from server.ingest.source import Delivery, Source
from server.settings import Ingest
from server.vitals import Vitals

logger = logging.getLogger(__name__)

QUEUE_BYTES = 64 * 1024 * 1024
"""Payload that waits for the cluster at most."""

WINDOW = 4_096
"""Messages published and not acknowledged yet, at most."""

ANSWER_SECONDS = 5.0
"""Silence of the cluster after which what was published is published again."""


class _Fault(msgspec.Struct):
    description: str = ""


class _Answer(msgspec.Struct):
    seq: int = 0
    error: _Fault | None = None


_answer = msgspec.json.Decoder(_Answer)


class JetStreamSink:
    """Takes deliveries in place of the pipeline, and acknowledges what a quorum has.

    While the cluster is away nothing is acknowledged and the source is held back; afterwards
    everything without an answer is published again, in its order.
    """

    def __init__(self, source: Source, *, settings: Ingest, vitals: Vitals) -> None:
        """Take the parts."""
        self._source = source
        self._settings = settings
        self._vitals = vitals
        self._mappings = Mappings.load(settings.mappings)
        self._new: deque[Delivery] = deque()
        self._again: deque[int] = deque()
        self._flying: dict[int, Delivery] = {}
        self._done: list[Delivery] = []
        self._bytes = 0
        self._last = 0
        self._heard = 0.0
        self._until = 0.0
        self._work = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._client: Client | None = None

    @property
    def waiting(self) -> int:
        """Messages that the cluster has not acknowledged."""
        return len(self._new) + len(self._flying)

    def deliver(self, delivery: Delivery) -> bool:
        """Take a delivery; False when there is no room for another."""
        delivery.items = self._mappings.items(delivery)
        self._new.append(delivery)
        self._bytes += len(delivery.payload)
        self._empty.clear()
        self._work.set()
        return self.waiting < self._settings.queue and self._bytes < QUEUE_BYTES

    async def run(self) -> None:
        """Publish until cancelled."""
        if self._client is None:
            self._client = await connect(
                self._settings, name="fenghuo ingest", vitals=self._vitals, back=self._repeat
            )
        client = self._client
        inbox = client.new_inbox()
        subscription = await client.subscribe(f"{inbox}.*", cb=self._answered)
        time = asyncio.get_running_loop().time
        try:
            while True:
                heed()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(ANSWER_SECONDS / 5):
                        await self._work.wait()
                await asyncio.sleep(max(0.0, self._until - time()))
                self._work.clear()
                if self._flying and time() - self._heard > ANSWER_SECONDS:
                    logger.warning("the cluster does not answer: waiting=%d", self.waiting)
                    await self._repeat()
                try:
                    await self._publish(client, inbox)
                except AWAY as error:
                    logger.debug("not published: detail=%s", error)
                    self._until = time() + PAUSE
                self._vitals.set("queue", self.waiting)
        finally:
            with contextlib.suppress(*AWAY):
                await subscription.unsubscribe()

    async def drain(self) -> None:
        """Publish until nothing waits, and part from the cluster."""
        task = asyncio.create_task(self.run())
        try:
            await self._empty.wait()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if self._client is not None:
                await self._client.close()

    async def _publish(self, client: Client, inbox: str) -> None:
        """Publish what may be published now."""
        time = asyncio.get_running_loop().time
        while self._again or (self._new and len(self._flying) < WINDOW):
            if self._again:
                number = self._again.popleft()
                found = self._flying.get(number)
                if found is None:
                    continue
                delivery = found
            else:
                delivery = self._new.popleft()
                self._last += 1
                number = self._last
                if not self._flying:
                    self._heard = time()
                self._flying[number] = delivery
            envelope = Envelope(
                delivery.station, delivery.topic, delivery.received, delivery.payload
            )
            await client.publish(
                f"{SUBJECT}.{place(delivery)}",
                encode(envelope),
                reply=f"{inbox}.{number}",
                headers={"Nats-Msg-Id": fingerprint(delivery)},
            )

    async def _repeat(self) -> None:
        """Have everything without an answer published again."""
        self._heard = asyncio.get_running_loop().time()
        self._again = deque(self._flying)
        self._vitals.add("retries", len(self._again))
        self._work.set()

    async def _answered(self, message: Msg) -> None:
        """Take the answer of the cluster to one message."""
        loop = asyncio.get_running_loop()
        answer = _answer.decode(message.data) if message.data else _Answer()
        if answer.error is not None or not answer.seq:
            if not self._until > loop.time():
                # The stream has no leader just now, or no room: everything again, a little later.
                detail = answer.error.description if answer.error else "nobody answers"
                logger.warning("the stream does not take messages: detail=%s", detail)
                self._until = loop.time() + PAUSE
                loop.call_later(PAUSE, lambda: loop.create_task(self._repeat()))
            return
        self._heard = loop.time()
        delivery = self._flying.pop(int(message.subject.rpartition(".")[2]), None)
        if delivery is None:
            return
        self._bytes -= len(delivery.payload)
        if not self._done:
            loop.call_soon(self._settle)
        self._done.append(delivery)

    def _settle(self) -> None:
        """Acknowledge what a quorum has, all that came together."""
        done, self._done = self._done, []
        self._vitals.add("received", len(done))
        self._vitals.add("published", len(done))
        self._source.acknowledge(done)
        self._work.set()
        if not self.waiting:
            self._empty.set()
