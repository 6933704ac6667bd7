"""The subscriber behind a real Mosquitto."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiomqtt
import pytest

from server.ingest.subscriber import Subscriber
from server.store.database import Database
from tests.ingesting import NOW, Ingesting, add_stations, payload, report, settings
from tests.servers.broker import Broker
from tests.support import eventually_async

OBS = "fenghuo/v1/A/obs"
COUNT = "SELECT count(*) FROM observation"
DURABLE = "persistence true\nautosave_interval 1\nautosave_on_changes true\n"


@pytest.fixture
async def url(plain_database: str) -> str:
    await add_stations(plain_database, ["A"])
    return plain_database


@asynccontextmanager
async def subscribing(
    url: str, broker: Broker, *, version: int = 5, group: str = "", **changes: Any
) -> AsyncIterator[tuple[Ingesting, Subscriber]]:
    options = settings(source="broker", broker=broker.url, **changes)
    async with await Database.open(url, name="test", size=2) as database:
        parts = Ingesting(url, database, options)
        source = Subscriber(
            options,
            board=parts.board,
            clock=parts.clock,
            vitals=parts.vitals,
            version=version,
            group=group,
        )
        pipeline = parts.pipeline(source)
        tasks = [
            asyncio.create_task(source.run(pipeline.deliver)),
            asyncio.create_task(pipeline.run()),
        ]
        try:
            await eventually_async(source.connected.is_set)
            yield parts, source
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await source.close()


def station(broker: Broker, name: str = "station") -> aiomqtt.Client:
    return aiomqtt.Client(broker.host, broker.port, identifier=name, timeout=5)


@pytest.mark.parametrize("version", [3, 5])
async def test_stored_and_confirmed(
    url: str, mosquitto: Callable[..., Broker], version: int
) -> None:
    broker = mosquitto()
    async with subscribing(url, broker, version=version) as (ingest, _), station(broker) as one:
        await one.subscribe("fenghuo/v1/A/ack", 1)
        await one.publish(OBS, payload(report(seq=5)), qos=1)
        message = await anext(one.messages)
        assert json.loads(message.payload) == {"seq": [5]}  # type: ignore[arg-type]
        assert await ingest.rows(COUNT) == [(1,)]
        await one.publish(OBS, b"nonsense", qos=2)
        await one.publish("fenghuo/v1/A/status", b'{"state":"online"}', qos=1, retain=True)
        await eventually_async(lambda: ingest.vitals.get("quarantined", reason="json") == 1)
        await eventually_async(lambda: ingest.board.get("A") is not None)


async def test_what_is_not_committed_comes_again(
    url: str, mosquitto: Callable[..., Broker]
) -> None:
    broker = mosquitto("max_queued_messages 0")
    async with subscribing(url, broker) as (ingest, source), station(broker) as one:
        await one.publish(OBS, payload(report()), qos=1)
        await eventually_async(lambda: ingest.vitals.get("stored") == 1)
    async with station(broker) as one:  # nobody listens, the broker keeps it
        await one.publish(OBS, payload(report(revision=1, values={"wind_speed": 1})), qos=1)
    async with subscribing(url, broker) as (ingest, source):
        await eventually_async(lambda: ingest.vitals.get("corrected") == 1)
        assert source.connected.is_set()


async def test_broker_away_is_waited_for(url: str, mosquitto: Callable[..., Broker]) -> None:
    broker = mosquitto(DURABLE)
    async with subscribing(url, broker) as (ingest, source):
        broker.stop()
        await eventually_async(lambda: not source.connected.is_set())
        await eventually_async(lambda: ingest.vitals.get("broker_away_seconds") > 0.3)
        broker.start()
        await eventually_async(source.connected.is_set, timeout=20)
        async with station(broker) as one:
            await one.publish(OBS, payload(report()), qos=1)
            await eventually_async(lambda: ingest.vitals.get("stored") == 1)


async def test_a_full_queue_stops_the_reading_and_loses_nothing(
    url: str, mosquitto: Callable[..., Broker]
) -> None:
    broker = mosquitto("max_queued_messages 0\nmax_inflight_messages 0")
    options = {"queue": 20, "batch": 10, "inflight": 5_000}
    async with subscribing(url, broker, **options) as (ingest, _), station(broker) as one:
        times = [NOW.timestamp() - n for n in range(600)]
        for at in times:
            time = NOW.fromtimestamp(at, NOW.tzinfo)
            await one.publish(OBS, payload(report(time)), qos=0 if at == times[0] else 1)
        await eventually_async(lambda: ingest.vitals.get("stored") == len(times), timeout=20)


async def test_a_shared_subscription_divides_the_work(
    url: str, mosquitto: Callable[..., Broker]
) -> None:
    broker = mosquitto()
    async with subscribing(url, broker, group="centre") as (ingest, _), station(broker) as one:
        await one.publish(OBS, payload(report()), qos=1)
        await eventually_async(lambda: ingest.vitals.get("stored") == 1)
