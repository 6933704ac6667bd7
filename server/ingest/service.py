"""The ingest role: one source, the pipeline, and the numbers about them."""

import asyncio
import gc
import logging
import resource
from collections.abc import Iterable, Mapping

from server.clock import Clock
from server.ingest import roster
from server.ingest.access import Access
from server.ingest.clocks import Clocks
from server.ingest.jetstream.sink import JetStreamSink
from server.ingest.jetstream.source import JetStreamSource
from server.ingest.jetstream.stream import PARTITIONS
from server.ingest.leases import Leases
from server.ingest.listener import Listener
from server.ingest.pipeline import Pipeline
from server.ingest.status import Board
from server.ingest.subscriber import Subscriber
from server.processes import ready
from server.settings import Settings
from server.store.connection import Connection
from server.store.database import Database
from server.store.errors import StoreError
from server.store.partitions import Partitions
from server.vitals import Vitals

logger = logging.getLogger(__name__)

DRAIN_SECONDS = 10.0
FILES = 256
"""Files and sockets that the role needs besides its connections."""

RETRY_SECONDS = 1.0


async def serve(settings: Settings, *, clock: Clock, role: str = "ingest") -> None:
    """Take readings in until cancelled; then store what has come, acknowledge it, and end.

    The role ``write`` takes them from the stream that ``ingest`` fills with the sink jetstream.

    Writes one line of JSON to standard output when stations can connect. Raises OSError where
    the port cannot be had, StoreError where the database is not one that we can use.
    """
    _calm_collector()
    vitals = Vitals()
    async with await _database(settings) as database:
        source, port = await _source(settings, database, clock=clock, vitals=vitals, role=role)

        async def connect() -> Connection:
            return await database.listener(name="ingest")

        clocks = Clocks(
            limit=settings.ingest.clock, size=settings.ingest.clock_readings, vitals=vitals
        )
        pipeline: Pipeline | JetStreamSink = Pipeline(
            source,
            connect=connect,
            partitions=Partitions(database.kind, chunk_days=settings.store.chunk_days),
            settings=settings.ingest,
            clock=clock,
            vitals=vitals,
            clocks=clocks,
            ordered=not isinstance(source, Listener),
        )
        if role == "ingest" and settings.ingest.sink == "jetstream":
            pipeline = JetStreamSink(source, settings=settings.ingest, vitals=vitals)
        tasks = [
            asyncio.create_task(source.run(pipeline.deliver), name="source"),
            asyncio.create_task(pipeline.run(), name="pipeline"),
            asyncio.create_task(vitals.publish(database, role, clock), name="vitals"),
            asyncio.create_task(clocks.publish(database, clock), name="clocks"),
        ]
        ready(role, port=port)
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await _stop(source, pipeline, tasks)


async def _stop(
    source: Listener | Subscriber | JetStreamSource,
    pipeline: Pipeline | JetStreamSink,
    tasks: Iterable[asyncio.Task[None]],
) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            await pipeline.drain()
    except TimeoutError:
        # Not acknowledged, so the stations still have it.
        logger.warning("stopped with readings not stored: waiting=%d", pipeline.waiting)
    await source.close()


async def _database(settings: Settings) -> Database:
    """Open the database, waiting for it as long as it does not answer."""
    while True:
        try:
            return await Database.open(settings.store.url, name="ingest", size=4)
        except StoreError as error:
            if error.code != "unreachable":
                raise
            logger.warning("waiting for the database: detail=%s", error)
            await asyncio.sleep(RETRY_SECONDS)


async def _source(
    settings: Settings, database: Database, *, clock: Clock, vitals: Vitals, role: str
) -> tuple[Listener | Subscriber | JetStreamSource, int]:
    if role == "write":

        async def session() -> Connection:
            return await database.listener(name="write")

        leases = Leases(session, partitions=PARTITIONS)
        return JetStreamSource(settings.ingest, leases=leases, vitals=vitals), 0
    board = Board(vitals)
    if settings.ingest.source == "broker":
        return Subscriber(settings.ingest, board=board, clock=clock, vitals=vitals), 0

    async def keys(names: Iterable[str]) -> Mapping[str, bytes | None]:
        async with database.connection() as connection:
            return await roster.keys(connection, names)

    access = Access(keys, anonymous=settings.ingest.anonymous)
    more_files(settings.ingest.connections + FILES)
    listener = Listener(settings.ingest, access=access, board=board, clock=clock, vitals=vitals)
    return listener, listener.open()


def more_files(wanted: int) -> None:
    """Raise the limit of open files as far as the system lets us: each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most < wanted:
        logger.info("fewer connections than set: open files=%d wanted=%d", most, wanted)


def _calm_collector() -> None:
    """Collect cycles rarely: messages make none, and a walk over all of them costs their time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
