"""What the listener does at its edges: linger, idle connections, a backlog, a large catalogue."""

import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psycopg

from server.store.embedded import Embedded
from tests.bench import ingest as base
from tests.bench.ingest import ROOT, Row_, flat_out, fresh, ingest, names, row, steady
from tests.bench.publishers import BATCH

IDLE = 20_000
CALM = 15_000
"""Messages a second of all stations together, a third of what is possible."""


def count(url: str, table: str) -> int:
    with psycopg.connect(url) as connection:
        found = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
    return int(found[0]) if found else 0


def lingers(server: str, seconds: float) -> list[Row_]:
    """Trade commits for latency at 1,200 readings a second."""
    found = []
    for linger in (0, 1, 3, 5, 10):
        with fresh(server) as url, ingest(url, linger=str(linger / 1000)) as (process, port):
            live = steady(port, seconds)
            commits, cpu = count(url, "arrival") / seconds, process.cpu / seconds
        name = f"1,200/s with linger {linger} ms"
        found += [
            row(f"{name}, p99", live["p99"] * 1000, "ms"),
            row(f"{name}, commits", commits, "commits/s"),
            row(f"{name}, CPU", 100 * cpu, "% of a core"),
        ]
    return found


def idlers(server: str, seconds: float) -> list[Row_]:
    """Hold as many connections as the system lets one process have."""
    with fresh(server) as url, ingest(url, connections=str(IDLE + 2_000)) as (process, port):
        before = process.memory
        argv = [sys.executable, "-m", "tests.bench.idle", str(port), str(IDLE - 1_600)]
        with subprocess.Popen(
            argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as idle:
            assert idle.stdout is not None
            held = json.loads(idle.stdout.readline())["held"]
            cpu = process.cpu
            live = steady(port, seconds)
            cpu = (process.cpu - cpu) / seconds
            memory = process.memory
            idle.communicate()
    name = f"{held + base.LIVE:,} connections, {base.LIVE:,} of them live"
    return [
        row(f"{name}, memory", memory, "MB"),
        row("memory of a connection", (memory - before) * 1024 / held, "kB"),
        row(f"{name}, p99 at 1,200/s", live["p99"] * 1000, "ms"),
        row(f"{name}, CPU", 100 * cpu, "% of a core"),
    ]


def backlog(server: str, seconds: float) -> list[Row_]:
    """Drain backlogs of 300 stations beside 300 live readings a second, as many as fit."""
    with fresh(server) as url, ingest(url) as (_, port), ThreadPoolExecutor(1) as beside:
        live = {"names": names(600)[300:], "rate": 300}
        alone = steady(port, seconds, **live)
        stored = count(url, "observation")
        late = beside.submit(
            flat_out,
            port,
            3 * seconds,
            names=names(300),
            window=4,
            backlog=True,
        )
        time.sleep(1)
        together = steady(port, seconds, **live, start=base.today() + 100_000)
        drained = late.result()
        done = count(url, "observation") - stored - together["published"]
    rate = drained["rate"] * BATCH
    name = f"backlog of {done:,} readings from 300 stations"
    return [
        row(name, rate, "readings/s"),
        row("live readings alone, p99", alone["p99"] * 1000, "ms"),
        row(
            "live readings beside the backlog, p99",
            together["p99"] * 1000,
            "ms",
            together["p99"] / alone["p99"],
            "alone",
        ),
    ]


def catalogue(server: str, seconds: float) -> list[Row_]:
    """Let 1, 10 and 100 thousand stations publish over 60 connections, each heard before.

    Flat out the database is the slower part with many stations; what waits for it then lies in
    memory for longer, which costs the listener too.
    """
    found: list[Row_] = []
    first: dict[str, float] = {}
    for stations in (1_000, 10_000, 100_000):
        with fresh(server, stations) as url, ingest(url) as (process, port):
            load = {"names": names(stations), "lines": base.BUSY}
            flat_out(port, seconds, **load)
            for number, (pace, publish) in enumerate(
                {
                    f"{CALM:,} msg/s": partial(steady, rate=CALM),
                    "flat out": flat_out,
                }.items(),
                1,
            ):
                before = process.cpu
                done = publish(port, seconds, **load, start=base.today() + 10_000 * number)
                cost = (process.cpu - before) / done["acknowledged"] * 1e6
                name = f"{stations:,} stations, {pace}, CPU of the listener"
                ratio = cost / first.setdefault(pace, cost)
                found.append(row(name, cost, "µs/msg", ratio, "1,000 stations"))
    return found


def run(seconds: float = 3) -> list[Row_]:
    """Measure on an embedded server."""
    with tempfile.TemporaryDirectory() as folder, Embedded(Path(folder)) as server:
        found = []
        for part in (lingers, idlers, backlog, catalogue):
            found += part(server.url, seconds)
        return found
