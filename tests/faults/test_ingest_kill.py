"""kill -9 of the ingest under load: what was acknowledged is stored, once, for its own station."""

import asyncio
import datetime as dt
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.ingesting import NOW, add_stations, payload, report, rows
from tests.support import free_port

ROOT = Path(__file__).parents[2]
STATIONS = 8
KILLS = 3


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


class Station:
    """Publishes until told to stop; connects again when cut off; remembers what is safe."""

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self.port = port
        self.acknowledged: set[int] = set()
        self.number = 0
        self.open: dict[int, int] = {}

    def packet(self, identifier: int, number: int) -> bytes:
        time = NOW - dt.timedelta(seconds=number)
        values = {"air_temperature": float(number % 50), "wind_speed": float(int(self.name[1:]))}
        topic = f"fenghuo/v1/{self.name}/obs".encode()
        body = len(topic).to_bytes(2) + topic + identifier.to_bytes(2)
        body += payload(report(time, values=values))
        return b"\x32" + bytes((len(body) & 0x7F | 0x80, len(body) >> 7)) + body

    async def run(self) -> None:
        while True:
            try:
                await self.connection()
            except (OSError, EOFError):
                await asyncio.sleep(0.02)

    async def connection(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02" + self.name.encode())
            await reader.readexactly(4)
            # Everything not acknowledged goes again: the spool of a real station.
            waiting = sorted(self.open.values())
            self.open.clear()
            while True:
                while len(self.open) < 100:
                    if waiting:
                        number = waiting.pop()
                    else:
                        self.number += 1
                        number = self.number
                    identifier = number % 65_535 + 1
                    self.open[identifier] = number
                    writer.write(self.packet(identifier, number))
                await writer.drain()
                answer = await reader.readexactly(4)
                self.acknowledged.add(self.open.pop(int.from_bytes(answer[2:])))
        finally:
            writer.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_acknowledged_is_stored(plain_database: str, number: signal.Signals) -> None:
    url = plain_database
    names = [f"S{n}" for n in range(STATIONS)]
    await add_stations(url, names)
    port = free_port()
    stations = [Station(name, port) for name in names]
    tasks = [asyncio.create_task(station.run()) for station in stations]
    process = await asyncio.to_thread(start, url, port)
    for _ in range(KILLS):
        await asyncio.sleep(random.uniform(0.3, 0.8))
        process.send_signal(number)
        await asyncio.to_thread(process.wait)
        assert process.stdout is not None
        process.stdout.close()
        process = await asyncio.to_thread(start, url, port)
    await asyncio.sleep(0.5)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    process.terminate()
    await asyncio.to_thread(process.wait)
    assert process.stdout is not None
    process.stdout.close()

    found: dict[str, set[int]] = {name: set() for name in names}
    count = 0
    stored: list[tuple[Any, ...]] = await rows(
        url,
        "SELECT s.name, o.time, o.air_temperature, o.wind_speed"
        " FROM observation o JOIN station s ON s.id = o.station",
    )
    for name, time, temperature, wind in stored:
        second = int((NOW - time).total_seconds())
        assert (temperature, wind) == (second % 50, int(name[1:])), "another station's reading"
        found[name].add(second)
        count += 1
    assert count == sum(map(len, found.values())), "duplicates"
    acknowledged = 0
    for station in stations:
        assert station.acknowledged <= found[station.name], "acknowledged, not stored"
        acknowledged += len(station.acknowledged)
    assert acknowledged > 1_000
    logged = await rows(url, "SELECT sum(cardinality(stations)) FROM arrival")
    assert logged == [(count,)]
    assert await rows(url, "SELECT * FROM quarantine") == []
