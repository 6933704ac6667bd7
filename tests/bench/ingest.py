"""How fast is the way from a station to a committed row, and what are the limits around it?

``python -m tests.bench.ingest --seconds 10 --json FILE`` on the database of ``--database`` or
``FENGHUO_TEST_DATABASE_URL``, else on an embedded server of its own. Everything in one run on
one machine, the load included; compare the ratios, not the numbers.
"""

import argparse
import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import uvloop
from psycopg import sql

from agent.report import decode
from server.ingest.columns import Row, arrange
from server.store import sink
from server.store.connection import connect, probe
from server.store.embedded import Embedded
from server.store.migrations import migrate
from server.store.partitions import Partitions
from tests.bench.publishers import body
from tests.servers import prepare
from tests.support import eventually, free_port, listening

ROOT = Path(__file__).parents[2]
LIVE = 1_200
"""Stations, and messages a second, of a prefecture: one reading a second together."""

BUSY = 60
WINDOW = 250
Row_ = dict[str, Any]


@contextmanager
def fresh(server: str, stations: int = 1_200) -> Iterator[str]:
    """Lend a database of its own on the server."""
    name = f"fenghuo_bench_{os.getpid()}_{secrets.token_hex(3)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        url = urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        try:
            asyncio.run(migrate(url))
            with psycopg.connect(url) as own:
                own.execute(
                    "INSERT INTO station (name, added)"
                    " SELECT 'bench-' || n, now() FROM generate_series(1, %s) AS n",
                    (stations,),
                )
            yield url
        finally:
            connection.execute(
                sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            )


class Process:
    """A process with the CPU and the memory it used."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    @property
    def cpu(self) -> float:
        """Seconds of CPU so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text("ascii").rpartition(")")[2]
        user, system = fields.split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    @property
    def memory(self) -> float:
        """Largest resident size so far, MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text("ascii")
        peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) / 1024


@contextmanager
def ingest(url: str, **settings: str) -> Iterator[tuple[Process, int]]:
    """Run the ingest role; give the process and its port."""
    environment = {**os.environ, "FENGHUO_STORE_URL": url, "FENGHUO_INGEST_PORT": "0"}
    environment["FENGHUO_INGEST_ANONYMOUS"] = "true"
    environment |= {f"FENGHUO_INGEST_{name.upper()}": value for name, value in settings.items()}
    profile = os.environ.get("BENCH_PROFILE")
    argv = [sys.executable, *(["-m", "cProfile", "-o", profile] if profile else [])]
    process = subprocess.Popen(
        [*argv, "-m", "server.ingest"], cwd=ROOT, env=environment, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        yield Process(process), ready["port"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        process.stdout.close()


def publishers(plan: Row_) -> Row_:
    """Run the load in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.publishers"],
        cwd=ROOT,
        input=json.dumps({"host": "127.0.0.1", **plan}).encode(),
        stdout=subprocess.PIPE,
        timeout=plan["seconds"] * 3 + 60,
        check=True,
    )
    found: Row_ = json.loads(done.stdout)
    return found


def names(count: int) -> list[str]:
    return [f"bench-{number}" for number in range(1, count + 1)]


def today() -> int:
    return int(time.time()) // 86_400 * 86_400 - 10 * 86_400


def steady(port: int, seconds: float, **changes: Any) -> Row_:
    plan = {"names": names(LIVE), "seconds": seconds, "rate": LIVE, "start": today()}
    return publishers({"mode": "steady", "port": port, **plan, **changes})


def flat_out(port: int, seconds: float, **changes: Any) -> Row_:
    plan = {"names": names(BUSY), "seconds": seconds, "window": WINDOW, "start": today()}
    return publishers({"mode": "flat out", "port": port, **plan, **changes})


async def bare_upsert(url: str, seconds: float, size: int = 5_000) -> float:
    """Give rows a second of the sink alone, with rows that are made beforehand."""
    connection = await connect(url, name="bench", autocommit=True)
    partitions = Partitions(await probe(connection), chunk_days=7)
    await sink.prepare(connection)
    busy, count, seq = 0.0, 0, 0
    while busy < seconds:
        rows = []
        while len(rows) < size:
            seq += 1
            report = decode(body(seq, today()))[0]
            moment = sink.moment(report.time)  # type: ignore[union-attr] # it is valid
            rows += [Row(station, moment, report) for station in range(1, BUSY + 1)]  # type: ignore[arg-type]
        blocks = arrange(rows)
        began = time.perf_counter()
        await partitions.ensure(connection, [rows[0].report.time, rows[-1].report.time])
        async with connection.transaction():
            outcome = await sink.store(connection, blocks, stored=rows[0].report.time)
        busy += time.perf_counter() - began
        assert outcome.inserted == len(rows)
        count += len(rows)
    await connection.close()
    return count / busy


@contextmanager
def mosquitto(folder: Path) -> Iterator[tuple[Process, int]]:
    """Run a broker; give the process and its port."""
    port = free_port()
    config = folder / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\nmax_queued_messages 0\n"
        "max_inflight_messages 1000\n",
        "ascii",
    )
    process = subprocess.Popen([prepare.mosquitto(), "-c", config], stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: listening("127.0.0.1", port), about="mosquitto to listen")
        yield Process(process), port
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def reader(port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a subscriber that takes everything and does nothing."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.reader", str(port)], cwd=ROOT, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def row(name: str, figure: float, unit: str, ratio: float | None = None, to: str = "") -> Row_:
    found: Row_ = {"part": "ingest", "name": name, "figure": round(figure, 3), "unit": unit}
    if ratio is not None:
        found |= {"ratio": round(ratio, 3), "to": to}
    print(f"{name:58} {figure:12,.1f} {unit:10}", end="", file=sys.stderr)
    print("" if ratio is None else f" {ratio:6.2f} of {to}", file=sys.stderr)
    return found


def measure(server: str, seconds: float) -> list[Row_]:
    """Measure everything on one server."""
    found = []
    with fresh(server) as url:
        bare = uvloop.run(bare_upsert(url, seconds))
    with fresh(server) as url, ingest(url) as (process, port):
        live = steady(port, seconds)
        cpu, memory = process.cpu, process.memory
    with fresh(server) as url, ingest(url) as (process, port):
        before = process.cpu
        most = flat_out(port, seconds)
        busy = (process.cpu - before) / most["acknowledged"]
        with psycopg.connect(url) as connection:
            stored = connection.execute("SELECT count(*) FROM observation").fetchone()
        assert stored == (most["acknowledged"],), (stored, most)
    found += [
        row("bare COPY and upsert, batches of 5,000", bare, "rows/s"),
        row("listener, most", most["rate"], "msg/s", most["rate"] / bare, "the bare upsert"),
        row("listener, its CPU at the most", busy * 1e6, "µs/msg"),
        row(
            "listener, the load's CPU at the most", most["cpu"] * 1e6 / most["published"], "µs/msg"
        ),
        row("listener, 1,200/s on 1,200 connections, p50", live["p50"] * 1000, "ms"),
        row("listener, 1,200/s on 1,200 connections, p99", live["p99"] * 1000, "ms"),
        row("listener, 1,200/s, its CPU", 100 * cpu / seconds, "% of a core"),
        row("listener, 1,200/s, its memory", memory, "MB"),
    ]
    try:
        prepare.mosquitto()
    except Exception as error:  # noqa: BLE001 - the bench goes on without a broker
        print(f"no mosquitto: {error}", file=sys.stderr)
        return found
    with tempfile.TemporaryDirectory() as folder:
        with mosquitto(Path(folder)) as (_, port), reader(port) as process_:
            flat_out(port, seconds)
            assert process_.stdout is not None
            forwarded = json.loads(process_.stdout.readline())["rate"]
        with (
            fresh(server) as url,
            mosquitto(Path(folder)) as (_, port),
            ingest(url, source="broker", broker=f"mqtt://127.0.0.1:{port}"),
        ):
            arriving = broker_way(url, port, seconds)
        with (
            fresh(server) as url,
            mosquitto(Path(folder)) as (broker, port),
            ingest(url, source="broker", broker=f"mqtt://127.0.0.1:{port}") as (process, _),
        ):
            time.sleep(1)  # until it is subscribed
            theirs = steady(port, seconds, confirmed=True)
            their_cpu = process.cpu + broker.cpu
    found += [
        row("mosquitto, forwarding alone", forwarded, "msg/s"),
        row("listener against it", most["rate"], "msg/s", most["rate"] / forwarded, "mosquitto"),
        row("through mosquitto and the subscriber, most", arriving, "msg/s"),
        row("listener against it", most["rate"], "msg/s", most["rate"] / arriving, "that way"),
        row("that way, 1,200/s, p50", theirs["p50"] * 1000, "ms"),
        row("that way, 1,200/s, p99", theirs["p99"] * 1000, "ms"),
        row(
            "listener's p99 against it",
            live["p99"] * 1000,
            "ms",
            live["p99"] / theirs["p99"],
            "that way",
        ),
        row("that way, 1,200/s, CPU of both", 100 * their_cpu / seconds, "% of a core"),
    ]
    return found


def broker_way(url: str, port: int, seconds: float) -> float:
    """Give readings a second that are committed while the broker is flooded."""
    plan = flat_out(port, seconds)
    begin = time.monotonic()
    with psycopg.connect(url, autocommit=True) as connection:

        def stored() -> int:
            found = connection.execute("SELECT count(*) FROM observation").fetchone()
            return int(found[0]) if found else 0

        before = stored()
        while (now := stored()) < plan["acknowledged"] and time.monotonic() < begin + seconds:
            time.sleep(0.2)
        return (now - before) / (time.monotonic() - begin)


def main() -> None:
    """Measure and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--database", default=os.environ.get("FENGHUO_TEST_DATABASE_URL", ""))
    given = parser.parse_args()
    rows = run(given.seconds, database=given.database)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", "utf-8")


def run(seconds: float = 8, *, database: str = "") -> list[Row_]:
    """Measure on a server, or on the embedded one as it is delivered, which waits for the disk."""
    if database:
        return measure(database, seconds)
    with tempfile.TemporaryDirectory() as folder, Embedded(Path(folder)) as server:
        return measure(server.url, seconds)


if __name__ == "__main__":
    main()
