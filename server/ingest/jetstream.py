"""A replicated log between the way in and the database: NATS JetStream, as a sink and as a source.

The listener's messages are published to a stream and acknowledged to the station when a quorum
of the cluster has them; writers take them out again, store them, and acknowledge after COMMIT.
A message may come twice, never not at all: storing is idempotent.
"""

import asyncio
import contextlib
import datetime as dt
import hashlib
import logging
import zlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import nats
import nats.errors
import nats.js.errors
import psycopg
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)

from server.ingest.leases import Leases
from server.ingest.mapping import Mappings
from server.ingest.source import Deliver, Delivery, Source
from server.settings import Ingest
from server.store.errors import StoreError
from server.vitals import Vitals

logger = logging.getLogger(__name__)

STREAM = "FENGHUO"
SUBJECT = "fenghuo.obs"
PARTITIONS = 16
"""Subjects of the stream, so the most writers that share the work."""

QUEUE_BYTES = 64 * 1024 * 1024
"""Payload that waits for the cluster at most."""

WINDOW = 4_096
"""Messages published and not acknowledged yet, at most."""

ANSWER_SECONDS = 5.0
"""Silence of the cluster after which what was published is published again."""

REMEMBERED_SECONDS = 60
"""How long the stream knows a message again: stations repeat what a dead listener had."""

ACK_SECONDS = 5.0
"""After it a message not acknowledged goes to a writer again."""

PULL = 256
"""Messages asked for at once, of one partition."""

PULL_SECONDS = 5.0
PAUSE = 0.2
RECONNECT_SECONDS = 1
LOOK_SECONDS = 1.0
DRAIN_SECONDS = 5.0

_AWAY = (nats.errors.Error, OSError, TimeoutError)


class Envelope(msgspec.Struct, array_like=True, gc=False):
    """A message of a station in the stream."""

    station: str
    topic: str
    received: dt.datetime
    payload: bytes


class _Fault(msgspec.Struct):
    description: str = ""


class _Answer(msgspec.Struct):
    seq: int = 0
    error: _Fault | None = None


_encode = msgspec.msgpack.Encoder().encode
_envelope = msgspec.msgpack.Decoder(Envelope)
_answer = msgspec.json.Decoder(_Answer)


def partition(station: str) -> int:
    """Give the partition of a station, the same for ever: its messages keep their order there."""
    return zlib.crc32(station.encode()) % PARTITIONS


def _place(delivery: Delivery) -> int:
    # A mapped message may not say whose it is.
    return partition(delivery.station or delivery.topic)


def fingerprint(delivery: Delivery) -> str:
    """Give the id by which the stream knows a repeated message again."""
    text = delivery.topic.encode() + b"\0" + delivery.payload
    return hashlib.blake2b(text, digest_size=16).hexdigest()


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
            self._client = await _open(
                self._settings, name="fenghuo ingest", vitals=self._vitals, back=self._repeat
            )
        client = self._client
        inbox = client.new_inbox()
        subscription = await client.subscribe(f"{inbox}.*", cb=self._answered)
        time = asyncio.get_running_loop().time
        try:
            while True:
                _heed()
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
                except _AWAY as error:
                    logger.debug("not published: detail=%s", error)
                    self._until = time() + PAUSE
                self._vitals.set("queue", self.waiting)
        finally:
            with contextlib.suppress(*_AWAY):
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
                f"{SUBJECT}.{_place(delivery)}",
                _encode(envelope),
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


class JetStreamSource:
    """Brings what the stream has to the pipeline; a `Source`, as many at once as one likes.

    Each writer holds some partitions by `Leases`, so that one station is one writer's.
    """

    def __init__(self, settings: Ingest, *, leases: Leases, vitals: Vitals) -> None:
        """Take the parts."""
        self._settings = settings
        self._leases = leases
        self._vitals = vitals
        self._client: Client | None = None
        self._deliver: Deliver | None = None
        self._room = asyncio.Event()
        self._room.set()
        self._stored = asyncio.Event()
        self._open: list[dict[int, Delivery]] = [{} for _ in range(PARTITIONS)]
        self._pulls: dict[int, asyncio.Task[None]] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    async def run(self, deliver: Deliver) -> None:
        """Bring deliveries until cancelled."""
        self._deliver = deliver
        self._client = await _open(self._settings, name="fenghuo write", vitals=self._vitals)
        try:
            while True:
                try:
                    await self._share()
                except (psycopg.Error, StoreError, OSError) as error:
                    logger.warning("partitions not shared: detail=%s", str(error).strip())
                self._vitals.set("partitions", len(self._pulls))
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            for task in self._pulls.values():
                task.cancel()
            await asyncio.gather(*self._pulls.values(), return_exceptions=True)

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Tell the stream that these are committed."""
        for delivery in deliveries:
            self._open[_place(delivery)].pop(delivery.token, None)
        self._finish(*(delivery.origin for delivery in deliveries))
        self._room.set()
        self._stored.set()

    async def close(self) -> None:
        """Send the last acknowledgements, and part from the cluster and from the leases."""
        await asyncio.gather(*self._leaving)
        if self._client is not None:
            with contextlib.suppress(*_AWAY):
                await self._client.flush(timeout=2)
            await self._client.close()
        await self._leases.close()

    def _finish(self, *replies: str, word: bytes = b"+ACK") -> None:
        task = asyncio.get_running_loop().create_task(self._confirm(replies, word))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _confirm(self, replies: Sequence[str], word: bytes) -> None:
        client = self._client
        try:
            for reply in replies:
                if client is not None:
                    await client.publish(reply, word)
        except _AWAY as error:
            # They come again, and change nothing then.
            logger.info("acknowledgements lost: count=%d detail=%s", len(replies), error)

    async def _share(self) -> None:
        """Hold a fair share of the partitions."""
        held = await self._leases.look()
        for number in held - self._pulls.keys():
            self._pulls[number] = asyncio.create_task(self._pull(number))
        for number in self._pulls.keys() - held:
            await self._stop(number)
        for number in self._leases.surplus():
            await self._stop(number)
            # The next holder begins when ours are stored, so that the order stays.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_SECONDS):
                    while self._open[number]:
                        self._stored.clear()
                        await self._stored.wait()
            await self._leases.give(number)

    async def _stop(self, number: int) -> None:
        task = self._pulls.pop(number, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _pull(self, number: int) -> None:
        """Ask for one partition's messages, again and again."""
        while True:
            _heed()
            try:
                await self._consume(number)
            except _AWAY as error:
                logger.info("no messages: partition=%d detail=%r", number, error)
            await asyncio.sleep(PAUSE)

    async def _consume(self, number: int) -> None:
        """Pull until the cluster has a complaint."""
        client = self._client
        if client is None:
            return
        name = f"writer-{number}"
        await client.jetstream().add_consumer(
            STREAM,
            ConsumerConfig(
                durable_name=name,
                filter_subject=f"{SUBJECT}.{number}",
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=ACK_SECONDS,
                max_ack_pending=max(2 * PULL, self._settings.batch),
            ),
        )
        over = asyncio.Event()
        left = PULL
        complaint = ""

        async def take(message: Msg) -> None:
            nonlocal left, complaint
            if message.headers and "Status" in message.headers and not message.data:
                if message.headers["Status"] not in {"404", "408"}:
                    complaint = f"{message.headers}"
                over.set()
                return
            left -= 1
            if not left:
                over.set()
            self._take(number, message)

        inbox = client.new_inbox()
        subscription = await client.subscribe(inbox, cb=take)
        wish = msgspec.json.encode({"batch": PULL, "expires": int(PULL_SECONDS * 1e9)})
        try:
            while not complaint:
                _heed()
                await self._room.wait()
                left = PULL
                over.clear()
                await client.publish(
                    f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{name}", wish, reply=inbox
                )
                async with asyncio.timeout(PULL_SECONDS + 2):
                    await over.wait()
            raise nats.errors.Error(complaint)
        finally:
            with contextlib.suppress(*_AWAY):
                await subscription.unsubscribe()

    def _take(self, number: int, message: Msg) -> None:
        sequence = message.metadata.sequence.stream
        waiting = self._open[number].get(sequence)
        if waiting is not None:
            # It took too long and came again: one is enough, with the newer way back.
            waiting.origin = message.reply
            return
        try:
            said = _envelope.decode(message.data)
        except msgspec.DecodeError as error:
            # Not published by a listener of ours; nobody was told that it is kept.
            logger.error("not a message of ours: subject=%s detail=%s", message.subject, error)  # noqa: TRY400 - says all
            self._finish(message.reply, word=b"+TERM")
            return
        delivery = Delivery(
            said.station, said.topic, said.payload, said.received, message.reply, sequence
        )
        self._open[number][sequence] = delivery
        if self._deliver is None or not self._deliver(delivery):
            self._room.clear()


async def _open(
    settings: Ingest,
    *,
    name: str,
    vitals: Vitals,
    back: Callable[[], Awaitable[None]] | None = None,
) -> Client:
    """Connect and have the stream, waiting for the cluster as long as it takes."""

    async def away() -> None:
        if client.is_closed:
            return
        vitals.set("cluster_away", 1)
        logger.warning("the cluster is away: servers=%s", _shown(settings))

    async def again() -> None:
        vitals.set("cluster_away", 0)
        logger.info("connected to the cluster again")
        if back is not None:
            await back()

    async def failed(error: Exception) -> None:
        logger.debug("cluster: detail=%r", error)

    while True:
        _heed()
        client = Client()
        try:
            await client.connect(
                list(settings.jetstream),
                name=name,
                # While it is away nothing is buffered: what has no answer goes again.
                pending_size=0,
                allow_reconnect=True,
                max_reconnect_attempts=-1,
                reconnect_time_wait=RECONNECT_SECONDS,
                connect_timeout=2,
                ping_interval=5,
                disconnected_cb=away,
                reconnected_cb=again,
                error_cb=failed,
            )
            await _ensure(client, settings)
        except _AWAY as error:
            detail = str(error) or type(error).__name__
            logger.warning("waiting for the cluster: detail=%s", detail)
            vitals.set("cluster_away", 1)
            with contextlib.suppress(*_AWAY):
                await client.close()
            await asyncio.sleep(5 * PAUSE)
        else:
            vitals.set("cluster_away", 0)
            return client


async def _ensure(client: Client, settings: Ingest) -> None:
    """Have the stream. One that exists stays as its operator wants it."""
    if client.max_payload < settings.packet + 1_024:
        raise nats.errors.Error(
            f"max_payload of the cluster is {client.max_payload}, ingest.packet {settings.packet}"
        )
    manager = client.jetstream()
    try:
        await manager.stream_info(STREAM)
    except nats.js.errors.NotFoundError:
        await manager.add_stream(
            StreamConfig(
                name=STREAM,
                subjects=[f"{SUBJECT}.*"],
                num_replicas=settings.replicas,
                storage=StorageType.FILE,
                # What is stored leaves the stream; where it is full nothing new is acknowledged.
                retention=RetentionPolicy.WORK_QUEUE,
                discard=DiscardPolicy.NEW,
                duplicate_window=REMEMBERED_SECONDS,
            )
        )


def _heed() -> None:
    """Notice that this task is cancelled: nats-py swallows it in some places (2.16)."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _shown(settings: Ingest) -> str:
    """Give the addresses without passwords."""
    return " ".join(url.rpartition("@")[2] for url in settings.jetstream)
