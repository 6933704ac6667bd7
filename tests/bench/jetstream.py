"""How fast is the way through three NATS servers, next to the direct way, in one run?

``python -m tests.bench.jetstream --seconds 10``: everything on one machine, the load, the three
servers, two writers and the database included; compare the ratios, not the numbers.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg

from server.ingest.jetstream.stream import STREAM
from server.store.embedded import Embedded
from tests.bench.ingest import ROOT, Row_, flat_out, fresh, ingest, row, steady
from tests.servers.nats import Cluster

DRAIN_SECONDS = 180.0


@contextmanager
def cluster(extra: str = "") -> Iterator[Cluster]:
    """Lend three servers."""
    with tempfile.TemporaryDirectory() as folder:
        nodes = Cluster(Path(folder), extra)
        try:
            nodes.start()
            yield nodes
        finally:
            nodes.kill()


@contextmanager
def writer(url: str, servers: str) -> Iterator[None]:
    """Run one writer."""
    process = subprocess.Popen(
        [sys.executable, "-m", "server.main", "write"],
        cwd=ROOT,
        env=os.environ | {"FENGHUO_STORE_URL": url, "FENGHUO_INGEST_JETSTREAM": servers},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["ready"] == "write"
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def stored(url: str) -> int:
    """Give the readings in the database."""
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT count(*) FROM observation").fetchone()
        return int(found[0]) if found else 0


def row_bytes(url: str) -> float:
    """Give the bytes of a row, its index and what lies between included, on plain PostgreSQL."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits"
            " WHERE inhparent = 'observation'::regclass"
        ).fetchone()
        return float(found[0]) / max(1, stored(url)) if found and found[0] else 0.0


def stream_bytes(nodes: Cluster) -> float:
    """Give the bytes of a message in one copy of the stream."""
    said = nodes.leader(STREAM).ask("jsz?streams=true")
    state = said["account_details"][0]["stream_detail"][0]["state"]
    return float(state["bytes"]) / max(1, int(state["messages"]))


def through(server: str, seconds: float, *, writers: int, extra: str = "") -> dict[str, float]:
    """Flood a listener whose sink is the stream; then wait until all is stored."""
    with ExitStack() as stack:
        nodes = stack.enter_context(cluster(extra))
        url = stack.enter_context(fresh(server))
        _, port = stack.enter_context(ingest(url, sink="jetstream", jetstream=nodes.setting))
        for _ in range(writers):
            stack.enter_context(writer(url, nodes.setting))
        time.sleep(3)  # the partitions are shared by then
        began = time.monotonic()
        most = flat_out(port, seconds)
        found = {"acknowledged": most["rate"]}
        if not writers:
            found["bytes"] = stream_bytes(nodes)
            stack.enter_context(writer(url, nodes.setting))
            time.sleep(1)
            began = time.monotonic()
        before = stored(url)
        while (now := stored(url)) < most["acknowledged"]:
            assert time.monotonic() - began < DRAIN_SECONDS, (now, most["acknowledged"])
            time.sleep(0.2)
        rows = now - (0 if writers else before)
        found["stored"] = rows / (time.monotonic() - began)
        if writers:
            live = steady(port, seconds)
            found |= {"p50": live["p50"], "p99": live["p99"]}
    return found


def measure(server: str, seconds: float) -> list[Row_]:
    """Measure both ways on one server."""
    with fresh(server) as url, ingest(url) as (_, port):
        direct = flat_out(port, seconds)["rate"]
        size = row_bytes(url)
        live = steady(port, seconds)
    both = through(server, seconds, writers=2)
    alone = through(server, seconds, writers=0)
    synced = through(server, seconds, writers=0, extra="sync_interval: always")
    name = "stream of three copies"
    return [
        row("listener to PostgreSQL, most", direct, "msg/s"),
        row("a row of 12 elements in PostgreSQL", size, "B"),
        row("listener to PostgreSQL, 1,200/s, p50", live["p50"] * 1000, "ms"),
        row("listener to PostgreSQL, 1,200/s, p99", live["p99"] * 1000, "ms"),
        row(f"{name}, acknowledged, writers resting", alone["acknowledged"], "msg/s",
            alone["acknowledged"] / direct, "direct"),
        row(f"{name}, fsync always, writers resting", synced["acknowledged"], "msg/s",
            synced["acknowledged"] / direct, "direct"),
        row(f"{name}, one writer empties it", alone["stored"], "rows/s",
            alone["stored"] / direct, "direct"),
        row(f"{name}, two writers at once, acknowledged", both["acknowledged"], "msg/s",
            both["acknowledged"] / direct, "direct"),
        row(f"{name}, two writers at once, stored", both["stored"], "rows/s",
            both["stored"] / direct, "direct"),
        row(f"{name}, 1,200/s, to the acknowledgement, p50", both["p50"] * 1000, "ms"),
        row(f"{name}, 1,200/s, to the acknowledgement, p99", both["p99"] * 1000, "ms"),
        row("a message in one copy of the stream", alone["bytes"], "B"),
    ]  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Embedded(Path(folder) / "postgres") as server:
        measure(server.url, arguments.seconds)


if __name__ == "__main__":
    main()
