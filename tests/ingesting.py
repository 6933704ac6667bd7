"""A running ingest for tests: a real listener, the pipeline and a database, in one event loop."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from server.clock import SystemClock
from server.ingest import roster
from server.ingest.access import Access
from server.ingest.listener import Listener
from server.ingest.pipeline import Pipeline
from server.ingest.source import MemorySource
from server.ingest.status import Board
from server.settings import Ingest
from server.store.connection import Connection, connect
from server.store.database import Database
from server.store.partitions import Partitions
from server.vitals import Vitals

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)


def settings(**changes: Any) -> Ingest:
    return msgspec.structs.replace(Ingest(port=0, anonymous=True), **changes)


def report(time: dt.datetime = NOW, **fields: Any) -> dict[str, Any]:
    values = fields.pop("values", {"air_temperature": 21.5, "precipitation_amount": 0.2})
    return {"time": time.isoformat(), "values": values, **fields}


def payload(*reports: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(reports[0] if len(reports) == 1 else {"reports": reports})


async def add_stations(url: str, names: Iterable[str], key: bytes | None = None) -> None:
    connection = await connect(url, name="test", autocommit=True)
    for name in names:
        await connection.execute(
            "INSERT INTO station (name, key_hash, added) VALUES (%s, sha256(%s), now())",
            (name, key),
        )
    await connection.close()


async def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    connection = await connect(url, name="test", autocommit=True)
    cursor = await connection.execute(query)
    found = await cursor.fetchall() if cursor.description else []
    await connection.close()
    return found


class Ingesting:
    """The parts of a running ingest."""

    def __init__(self, url: str, database: Database, options: Ingest) -> None:
        self.url = url
        self.vitals = Vitals()
        self.board = Board(self.vitals)
        self.clock = SystemClock()
        self.settings = options
        self.database = database
        self.memory = MemorySource()
        self.port = 0

        async def keys(names: Iterable[str]) -> Mapping[str, bytes | None]:
            async with database.connection() as connection:
                return await roster.keys(connection, names)

        access = Access(keys, anonymous=options.anonymous)
        self.listener = Listener(
            options, access=access, board=self.board, clock=self.clock, vitals=self.vitals
        )
        self.partitions = Partitions(database.kind, chunk_days=7)

    def pipeline(self, source: Any) -> Pipeline:
        async def connect_() -> Connection:
            return await connect(self.url, name="ingest", autocommit=True)

        return Pipeline(
            source,
            connect=connect_,
            partitions=self.partitions,
            settings=self.settings,
            clock=self.clock,
            vitals=self.vitals,
            ordered=source is not self.listener,
        )

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        return await rows(self.database.url, query)

    async def rows_at(self, url: str, query: str) -> list[tuple[Any, ...]]:
        return await rows(url, query)


@asynccontextmanager
async def ingesting(url: str, *, source: str = "listener", **changes: Any) -> AsyncIterator[Any]:
    """Run listener (or the source in memory) and pipeline on the database."""
    async with await Database.open(url, name="test", size=2) as database:
        parts = Ingesting(url, database, settings(**changes))
        origin = parts.listener if source == "listener" else parts.memory
        if origin is parts.listener:
            parts.port = parts.listener.open()
        pipeline = parts.pipeline(origin)
        tasks = [
            asyncio.create_task(origin.run(pipeline.deliver)),
            asyncio.create_task(pipeline.run()),
        ]
        try:
            yield parts
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await parts.listener.close()
            for task in tasks:
                if not task.cancelled():
                    task.result()
