"""The way through JetStream for tests: a listener, writers and stations, as processes and tasks."""

import asyncio
import datetime as dt
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from tests.ingesting import NOW, payload, report, rows
from tests.servers.nats import Cluster
from tests.support import eventually_async, free_port

ROOT = Path(__file__).parents[1]


class Role:
    """One process of ours."""

    def __init__(self, *argv: str, log: Path, **settings: str) -> None:
        self._argv = argv
        self._log = log
        self._environment = os.environ | settings
        self.process: subprocess.Popen[bytes] | None = None

    async def start(self) -> dict[str, Any]:
        """Start and give what it says when it is ready."""
        self.process = process = await asyncio.to_thread(self._run)
        assert process.stdout is not None
        line = await asyncio.to_thread(process.stdout.readline)
        ready: dict[str, Any] = json.loads(line)
        return ready

    def _run(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", *self._argv],
                cwd=ROOT,
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=log,
            )

    async def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        process, self.process = self.process, None
        if process is not None:
            process.send_signal(number)
            await asyncio.to_thread(process.wait, 20)
            assert process.stdout is not None
            process.stdout.close()


class Station:
    """Publishes until told to stop; connects again when cut off; remembers what is safe."""

    def __init__(self, name: str, port: int, window: int) -> None:
        self.name = name
        self.port = port
        self.window = window
        self.acknowledged: set[int] = set()
        self.number = 0
        self.last = 0.0
        self._open: dict[int, int] = {}

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
                await self._connection()
            except (OSError, EOFError):
                await asyncio.sleep(0.02)

    async def _connection(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02" + self.name.encode())
            await reader.readexactly(4)
            # Everything not acknowledged goes again: the spool of a real station.
            waiting = sorted(self._open.values(), reverse=True)
            self._open.clear()
            while True:
                while len(self._open) < self.window:
                    if waiting:
                        number = waiting.pop()
                    else:
                        self.number += 1
                        number = self.number
                    identifier = number % 65_535 + 1
                    self._open[identifier] = number
                    writer.write(self.packet(identifier, number))
                await writer.drain()
                answer = await reader.readexactly(4)
                self.acknowledged.add(self._open.pop(int.from_bytes(answer[2:])))
                self.last = asyncio.get_running_loop().time()
        finally:
            writer.close()


class Streaming:
    """All of it, on one database and one cluster."""

    def __init__(self, url: str, cluster: Cluster, *, stations: int = 8, window: int = 50) -> None:
        self.url = url
        self.cluster = cluster
        self.port = free_port()
        settings = {
            "FENGHUO_STORE_URL": url,
            "FENGHUO_INGEST_PORT": str(self.port),
            "FENGHUO_INGEST_ANONYMOUS": "true",
            "FENGHUO_INGEST_SINK": "jetstream",
            "FENGHUO_INGEST_JETSTREAM": cluster.setting,
        }
        folder = cluster.folder
        self.names = [f"S{n}" for n in range(stations)]
        self.stations = [Station(name, self.port, window) for name in self.names]
        self.listener = Role("server.ingest", log=folder / "ingest.log", **settings)
        self.writers = [
            Role("server.main", "write", log=folder / f"write{n}.log", **settings) for n in range(2)
        ]
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        ready = await asyncio.gather(*(role.start() for role in (self.listener, *self.writers)))
        assert [said["ready"] for said in ready] == ["ingest", "write", "write"]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.quiet()
        await asyncio.gather(*(role.end() for role in (self.listener, *self.writers)))

    def publish(self) -> None:
        """Let the stations begin."""
        self._tasks = [asyncio.create_task(station.run()) for station in self.stations]

    async def quiet(self) -> None:
        """Let the stations stop."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    @property
    def acknowledged(self) -> int:
        return sum(len(station.acknowledged) for station in self.stations)

    async def progress(self, count: int, *, within: float = 30) -> float:
        """Wait until each station has so many more acknowledged; give the seconds it took."""
        time = asyncio.get_running_loop().time
        began = time()
        goals = [(station, len(station.acknowledged) + count) for station in self.stations]
        await eventually_async(
            lambda: all(len(station.acknowledged) >= goal for station, goal in goals),
            timeout=within,
            about="the stations to be acknowledged",
        )
        return time() - began

    async def missing(self) -> int:
        """Give how many readings are acknowledged, but not stored (yet)."""
        found = await self._found()
        return sum(len(s.acknowledged - found[s.name]) for s in self.stations)

    async def settled(self, *, within: float = 30) -> float:
        """Wait until everything acknowledged is stored; give the seconds it took."""
        time = asyncio.get_running_loop().time
        began = time()

        async def all_stored() -> bool:
            return not await self.missing()

        await eventually_async(
            all_stored, timeout=within, every=0.1, about="acknowledged readings to be stored"
        )
        return time() - began

    async def check(self) -> int:
        """Hold that each reading is its own station's, stored and told once; give how many."""
        found = await self._found()
        count = sum(map(len, found.values()))
        assert await rows(self.url, "SELECT count(*) FROM observation") == [(count,)]
        logged = await rows(self.url, "SELECT sum(cardinality(stations)) FROM arrival")
        assert logged == [(count,)], "told twice, or not at all"
        assert await rows(self.url, "SELECT * FROM quarantine") == []
        return count

    async def _found(self) -> dict[str, set[int]]:
        found: dict[str, set[int]] = {name: set() for name in self.names}
        for name, time, temperature, wind in await rows(
            self.url,
            "SELECT s.name, o.time, o.air_temperature, o.wind_speed"
            " FROM observation o JOIN station s ON s.id = o.station",
        ):
            second = int((NOW - time).total_seconds())
            assert (temperature, wind) == (second % 50, int(name[1:])), "another's reading"
            found[name].add(second)
        return found
