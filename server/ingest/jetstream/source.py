"""The stream as a source: writers pull its messages and acknowledge them after COMMIT."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence

import msgspec
import nats.errors
import psycopg
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig

from server.ingest.jetstream.stream import (
    AWAY,
    PARTITIONS,
    PAUSE,
    STREAM,
    SUBJECT,
    connect,
    decode,
    heed,
    place,
)
from server.ingest.leases import Leases
from server.ingest.source import Deliver, Delivery
from server.settings import Ingest
from server.store.errors import StoreError
from server.vitals import Vitals

logger = logging.getLogger(__name__)

ACK_SECONDS = 5.0
"""After it a message not acknowledged goes to a writer again."""

PULL = 256
"""Messages asked for at once, of one partition."""

PULL_SECONDS = 5.0
LOOK_SECONDS = 1.0
DRAIN_SECONDS = 5.0


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
        self._client = await connect(self._settings, name="fenghuo write", vitals=self._vitals)
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
            self._open[place(delivery)].pop(delivery.token, None)
        self._finish(*(delivery.origin for delivery in deliveries))
        self._room.set()
        self._stored.set()

    async def close(self) -> None:
        """Send the last acknowledgements, and part from the cluster and from the leases."""
        await asyncio.gather(*self._leaving)
        if self._client is not None:
            with contextlib.suppress(*AWAY):
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
        except AWAY as error:
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
            heed()
            try:
                await self._consume(number)
            except AWAY as error:
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
                heed()
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
            with contextlib.suppress(*AWAY):
                await subscription.unsubscribe()

    def _take(self, number: int, message: Msg) -> None:
        sequence = message.metadata.sequence.stream
        waiting = self._open[number].get(sequence)
        if waiting is not None:
            # It took too long and came again: one is enough, with the newer way back.
            waiting.origin = message.reply
            return
        try:
            said = decode(message.data)
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
