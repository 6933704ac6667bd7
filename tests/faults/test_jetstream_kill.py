"""kill -9 along the way through JetStream: what was acknowledged is stored, once.

FENGHUO_FAULT_KILLS: how often each is killed (once by default).
"""

import asyncio
import os
import signal
import statistics
from collections.abc import Callable

from server.ingest.jetstream.stream import STREAM
from tests.faults.results import Row
from tests.ingesting import add_stations
from tests.servers.nats import Cluster
from tests.streaming import Streaming

KILLS = int(os.environ.get("FENGHUO_FAULT_KILLS", "1"))
RECOVERY_SECONDS = 60.0
MORE = 80
"""Messages of each station after a kill: more than could be acknowledged already."""


async def test_acknowledged_is_stored(
    plain_database: str, cluster: Cluster, record: Callable[[Row], None]
) -> None:
    url = plain_database
    seconds: list[float] = []
    async with Streaming(url, cluster) as way:
        await add_stations(url, way.names)
        way.publish()
        await way.progress(MORE)
        for number in range(KILLS):
            for kill in (_leader, _writer, _listener, _cluster):
                took = await kill(way, number)
                seconds.append(took)
                print(f"{kill.__name__[1:]} killed: all acknowledged again after {took:.1f} s")
        await way.quiet()
        await way.settled(within=RECOVERY_SECONDS)
        count = await way.check()  # which also finds what is doubled or another's
        record(
            Row(
                fault="JetStream of three: its leader, a writer, the listener, all three",
                times=len(seconds),
                acknowledged=way.acknowledged,
                stored=count,
                lost=await way.missing(),
                doubled=0,
                foreign=0,
                median=statistics.median(seconds),
                worst=max(seconds),
            )
        )


async def _leader(way: Streaming, number: int) -> float:  # noqa: ARG001 - as the others
    node = await asyncio.to_thread(way.cluster.leader, STREAM)
    node.kill()
    took = await way.progress(MORE, within=RECOVERY_SECONDS)
    await asyncio.to_thread(way.cluster.start)
    return took


async def _writer(way: Streaming, number: int) -> float:
    role = way.writers[number % 2]
    await role.end(signal.SIGKILL)
    took = await way.progress(MORE, within=RECOVERY_SECONDS)
    await role.start()
    return took


async def _listener(way: Streaming, number: int) -> float:  # noqa: ARG001 - as the others
    await way.listener.end(signal.SIGKILL)
    await way.listener.start()
    return await way.progress(MORE, within=RECOVERY_SECONDS)


async def _cluster(way: Streaming, number: int) -> float:  # noqa: ARG001 - as the others
    for node in way.cluster.nodes:
        node.kill()
    await asyncio.sleep(0.3)
    before = way.acknowledged
    await asyncio.sleep(1)
    assert way.acknowledged == before, "acknowledged while nobody can keep it"
    await asyncio.to_thread(way.cluster.start)
    return await way.progress(MORE, within=RECOVERY_SECONDS)
