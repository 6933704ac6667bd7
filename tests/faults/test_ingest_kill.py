"""kill -9 of the ingest under load: what was acknowledged is stored, once, for its own station."""

import asyncio
import json
import os
import random
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from tests.faults.raw import Raw
from tests.faults.results import Row
from tests.faults.rig import LONG
from tests.ingesting import NOW, add_stations, rows
from tests.support import eventually_async, free_port

ROOT = Path(__file__).parents[2]
STATIONS = 8
KILLS = 12 if LONG else 3


def start(url: str, port: int) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-m", "server.ingest"],
        cwd=ROOT,
        env=os.environ
        | {
            "FENGHUO_STORE_URL": url,
            "FENGHUO_INGEST_PORT": str(port),
            "FENGHUO_INGEST_ANONYMOUS": "true",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    assert json.loads(process.stdout.readline()) == {"ready": "ingest", "port": port}
    return process


def all_went_on(stations: list[Raw], former: list[int]) -> bool:
    pairs = zip(stations, former, strict=True)
    return all(len(station.acknowledged) > count for station, count in pairs)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["kill", "term"])
async def test_acknowledged_is_stored(
    plain_database: str, record: Callable[[Row], None], number: signal.Signals
) -> None:
    url = plain_database
    names = [f"S{n}" for n in range(STATIONS)]
    await add_stations(url, names)
    port = free_port()
    stations = [Raw(name, port) for name in names]
    tasks = [asyncio.create_task(station.run()) for station in stations]
    process = await asyncio.to_thread(start, url, port)
    seconds = []
    for _ in range(KILLS):
        await asyncio.sleep(random.uniform(0.3, 0.8))
        began = monotonic()
        process.send_signal(number)
        await asyncio.to_thread(process.wait)
        assert process.stdout is not None
        process.stdout.close()
        former = [len(station.acknowledged) for station in stations]
        process = await asyncio.to_thread(start, url, port)
        await eventually_async(partial(all_went_on, stations, former))
        seconds.append(monotonic() - began)
    for station in stations:
        station.quiet = True
    await eventually_async(lambda: all(len(s.acknowledged) == s.number for s in stations))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    process.terminate()
    await asyncio.to_thread(process.wait)
    assert process.stdout is not None
    process.stdout.close()

    found: dict[str, set[int]] = {name: set() for name in names}
    foreign = 0
    stored: list[tuple[Any, ...]] = await rows(
        url,
        "SELECT s.name, o.time, o.air_temperature, o.wind_speed"
        " FROM observation o JOIN station s ON s.id = o.station",
    )
    for name, time, temperature, wind in stored:
        second = int((NOW - time).total_seconds())
        foreign += (temperature, wind) != (second % 50, int(name[1:]))
        found[name].add(second)
    ((logged,),) = await rows(url, "SELECT sum(cardinality(stations)) FROM arrival")
    acknowledged = sum(len(station.acknowledged) for station in stations)
    record(
        Row(
            fault=f"listener at full load, {number.name}",
            times=KILLS,
            acknowledged=acknowledged,
            stored=len(stored),
            lost=sum(len(s.acknowledged - found[s.name]) for s in stations),
            doubled=len(stored) - sum(map(len, found.values())) + abs(logged - len(stored)),
            foreign=foreign,
            median=statistics.median(seconds),
            worst=max(seconds),
        )
    )
    assert acknowledged > 1_000
    assert await rows(url, "SELECT * FROM quarantine") == []
