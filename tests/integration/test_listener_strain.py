"""The listener under strain: whoever floods it or dawdles, the other stations do not feel it."""

import asyncio
import contextlib
import resource
import statistics
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from server.ingest import properties as props
from tests.ingesting import NOW, add_stations, ingesting, payload, report
from tests.integration.test_listener import COUNT, MINUTE, Raw
from tests.support import eventually_async

FACTOR = 10
"""How much slower than alone (but at least than `FLOOR`) a station's acknowledgement may be."""

FLOOR = 0.02
"""Seconds below which a latency on a busy machine says nothing."""

PINGREQ, PINGRESP = b"\xc0\x00", b"\xd0"


@pytest.fixture
async def url(plain_database: str) -> str:
    await add_stations(plain_database, ("A", "B"), b"secret")
    return plain_database


def resident() -> int:
    """Give the resident size of this process in bytes."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize()


def message(identifier: int, data: bytes, *, station: str = "B", qos: int = 1) -> bytes:
    topic = props.string(f"fenghuo/v1/{station}/obs")
    body = topic + (identifier.to_bytes(2) if qos else b"") + data
    return bytes((0x30 | qos << 1,)) + props.length(len(body)) + body


async def median_latency(raw: Raw, count: int, *, first: int) -> float:
    """Give the median of publish→acknowledged of readings one after the other."""
    taken = []
    for number in range(first, first + count):
        began = time.monotonic()
        raw.publish(number, payload(report(NOW - number * MINUTE)), v5=False)
        assert await raw.packet() == b"\x40" + number.to_bytes(2)
        taken.append(time.monotonic() - began)
        await asyncio.sleep(0.005)
    return statistics.median(taken)


async def keep_writing(raw: Raw, data: bytes) -> None:
    with contextlib.suppress(ConnectionError):
        while True:
            raw.writer.write(data)
            await raw.writer.drain()


async def keep_reading(raw: Raw) -> None:
    with contextlib.suppress(ConnectionError):
        while await raw.reader.read(65_536):
            pass


@contextlib.asynccontextmanager
async def publish_flood(ingest: Any, *, qos: int, reports: int) -> AsyncIterator[None]:
    raw = await Raw.open(ingest.port, 4, name="flood")
    many = [report(NOW - number * MINUTE) for number in range(reports)]
    data = b"".join(message(n, payload(*many), qos=qos) for n in range(1, 101))
    tasks = [asyncio.create_task(keep_writing(raw, data)), asyncio.create_task(keep_reading(raw))]
    yield
    assert ingest.vitals.get("duplicates") > 1_000, "the flood did not come through"
    raw.writer.transport.abort()
    await asyncio.gather(*tasks)


@contextlib.asynccontextmanager
async def connection_flood(ingest: Any) -> AsyncIterator[None]:
    async def knock() -> None:
        while True:
            with contextlib.suppress(ConnectionError):
                reader, writer = await asyncio.open_connection("127.0.0.1", ingest.port)
                with contextlib.closing(writer):
                    await reader.read(1)

    tasks = [asyncio.create_task(knock()) for _ in range(120)]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert ingest.vitals.get("disconnected", reason="full") > 20
    assert ingest.vitals.get("connections") <= ingest.settings.connections


@contextlib.asynccontextmanager
async def dawdlers(ingest: Any, *, half: bytes) -> AsyncIterator[None]:
    """Half packets, a byte now and then (or nothing: connections that idle)."""
    many = [await Raw.open(ingest.port, 4, name=f"slow{n}") for n in range(100)]

    async def crumbs(raw: Raw) -> None:
        for byte in half:
            raw.writer.write(bytes((byte,)))
            await asyncio.sleep(0.02)

    tasks = [asyncio.create_task(crumbs(raw)) for raw in many]
    yield
    await asyncio.gather(*tasks)
    for raw in many:
        raw.writer.transport.abort()


STRAINS: dict[str, Callable[[Any], Any]] = {
    "flood, QoS 1": lambda ingest: publish_flood(ingest, qos=1, reports=1),
    "flood, QoS 0": lambda ingest: publish_flood(ingest, qos=0, reports=1),
    "flood of batches": lambda ingest: publish_flood(ingest, qos=1, reports=100),
    "connection flood": connection_flood,
    "half packets": lambda ingest: dawdlers(ingest, half=message(1, bytes(100))[:60]),
    "idle": lambda ingest: dawdlers(ingest, half=b""),
}


@pytest.mark.parametrize("strain", STRAINS)
async def test_other_stations_do_not_feel_it(url: str, strain: str) -> None:
    async with ingesting(url, connections=110) as ingest:
        raw = await Raw.open(ingest.port, 4, name="calm")
        alone = await median_latency(raw, 20, first=1)
        async with STRAINS[strain](ingest):
            await asyncio.sleep(0.3)
            strained = await median_latency(raw, 20, first=101)
        raw.writer.transport.abort()
    assert strained < FACTOR * max(alone, FLOOR), (alone, strained)


async def test_who_is_held_back_still_gets_its_pingresp(url: str) -> None:
    async with ingesting(url, inflight=5) as ingest:
        raw = await Raw.open(ingest.port, 4, name="three")
        async with locked(url):
            for number in range(1, 21):
                raw.publish(number, payload(report(NOW - number * MINUTE)), v5=False)
                if number % 10 == 0:
                    raw.writer.write(PINGREQ)
            assert [await raw.packet() for _ in range(2)] == [PINGRESP] * 2
            raw.writer.write(PINGREQ[:1])
            await raw.writer.drain()
            raw.writer.write(PINGREQ[1:])
            assert await raw.packet() == PINGRESP
        answers = [await raw.packet() for _ in range(20)]
        assert answers == [b"\x40" + number.to_bytes(2) for number in range(1, 21)]
        raw.writer.write(PINGREQ)
        assert await raw.packet() == PINGRESP  # one, not the earlier ones again
        assert ingest.listener.ahead == 0
        raw.writer.transport.abort()


async def test_what_was_read_ahead_is_taken_although_the_client_has_gone(url: str) -> None:
    async with ingesting(url, inflight=2) as ingest:
        raw = await Raw.open(ingest.port, 4, name="three")
        async with locked(url):
            for number in range(1, 9):
                raw.publish(number, payload(report(NOW - number * MINUTE)), v5=False)
            raw.send(0xE0, b"")
            raw.writer.write_eof()
            await eventually_async(lambda: ingest.listener.ahead > 0)
        await eventually_async(lambda: ingest.vitals.get("stored") == 8)
        assert await ingest.rows(COUNT) == [(8,)]
        await eventually_async(lambda: ingest.vitals.get("connections") == 0)
        raw.writer.transport.abort()


@contextlib.asynccontextmanager
async def locked(url: str) -> AsyncIterator[None]:
    """Let nobody write readings for a while."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute("LOCK TABLE observation IN EXCLUSIVE MODE")
        yield
        await connection.rollback()


async def test_memory_does_not_grow_with_what_passes_through(url: str) -> None:
    many = [report(NOW - number * MINUTE) for number in range(200)]
    data = payload(*many)
    async with ingesting(url) as ingest:
        raw = await Raw.open(ingest.port, 4, name="bulk")

        async def push(megabytes: int) -> None:
            for _ in range(megabytes * 50_000 // len(data) + 1):
                for number in range(1, 21):
                    raw.publish(number, data, v5=False)
                for number in range(1, 21):
                    assert await raw.packet() == b"\x40" + number.to_bytes(2)

        await push(2)
        before = resident()
        await push(16)
        assert resident() - before < 8_000_000
        raw.writer.transport.abort()


async def test_memory_is_bounded_while_the_database_does_not_answer(url: str) -> None:
    data = b"".join(message(n, payload(report(NOW - n * MINUTE))) for n in range(1, 101))
    async with ingesting(url, queue=1_000) as ingest, locked(url):
        before = resident()
        many = [await Raw.open(ingest.port, 4, name=f"c{n}") for n in range(20)]
        tasks = [asyncio.create_task(keep_writing(raw, data)) for raw in many]
        await eventually_async(lambda: ingest.listener.ahead >= 20 * ingest.settings.packet)
        await asyncio.sleep(0.5)
        assert ingest.listener.ahead < 20 * (ingest.settings.packet + 65_536)
        assert resident() - before < 60_000_000
        for raw in many:
            raw.writer.transport.abort()
        await asyncio.gather(*tasks)


async def test_a_sql_error_that_is_no_data_s_fault_is_seen_in_the_vitals(url: str) -> None:
    async with ingesting(url) as ingest:
        await ingest.rows("ALTER TABLE latest RENAME TO elsewhere")
        raw = await Raw.open(ingest.port, 4, name="three")
        raw.publish(1, payload(report()), v5=False)
        await eventually_async(lambda: ingest.vitals.get("retries", reason="42P01") >= 2)
        assert ingest.vitals.get("blocked_seconds") > 0
        await ingest.rows("ALTER TABLE elsewhere RENAME TO latest")
        assert await raw.packet() == b"\x40\x00\x01"
        assert ingest.vitals.get("blocked_seconds") == 0
        raw.writer.transport.abort()
