"""The stream between the way in and the database: its messages, and how a client gets to it."""

import asyncio
import contextlib
import datetime as dt
import hashlib
import logging
import zlib
from collections.abc import Awaitable, Callable

import msgspec
import nats
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

from server.ingest.source import Delivery
from server.settings import Ingest
from server.vitals import Vitals

logger = logging.getLogger(__name__)

STREAM = "FENGHUO"
SUBJECT = "fenghuo.obs"
PARTITIONS = 16
"""Subjects of the stream, so the most writers that share the work."""

REMEMBERED_SECONDS = 60
"""How long the stream knows a message again: stations repeat what a dead listener had."""

PAUSE = 0.2
RECONNECT_SECONDS = 1

AWAY = (nats.errors.Error, OSError, TimeoutError)
"""What the client raises while the cluster is away."""


class Envelope(msgspec.Struct, array_like=True, gc=False):
    """A message of a station in the stream."""

    station: str
    topic: str
    received: dt.datetime
    payload: bytes


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Envelope).decode


def partition(station: str) -> int:
    """Give the partition of a station, the same for ever: its messages keep their order there."""
    return zlib.crc32(station.encode()) % PARTITIONS


def place(delivery: Delivery) -> int:
    """Give the partition of a message."""
    # A mapped message may not say whose it is.
    return partition(delivery.station or delivery.topic)


def fingerprint(delivery: Delivery) -> str:
    """Give the id by which the stream knows a repeated message again."""
    text = delivery.topic.encode() + b"\0" + delivery.payload
    return hashlib.blake2b(text, digest_size=16).hexdigest()


async def connect(
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
        heed()
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
        except AWAY as error:
            detail = str(error) or type(error).__name__
            logger.warning("waiting for the cluster: detail=%s", detail)
            vitals.set("cluster_away", 1)
            with contextlib.suppress(*AWAY):
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


def heed() -> None:
    """Notice that this task is cancelled: nats-py swallows it in some places (2.16)."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _shown(settings: Ingest) -> str:
    """Give the addresses without passwords."""
    return " ".join(url.rpartition("@")[2] for url in settings.jetstream)
