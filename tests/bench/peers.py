"""Others on the same machine and the same messages: Node-RED, and a script as people write it.

Both read Mosquitto and write PostgreSQL with a session that the broker keeps (the careful way).
Node-RED comes from npm: ``npm install --prefix ~/.cache/fenghuo/bench node-red@4 pg``.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psycopg

from server.store.embedded import Embedded
from tests.bench.ingest import (
    ROOT,
    Process,
    Row_,
    flat_out,
    fresh,
    ingest,
    mosquitto,
    row,
)
from tests.support import eventually, free_port, listening

CACHE = Path.home() / ".cache/fenghuo/bench"
TABLE = (
    "CREATE TABLE peer (station text, time timestamptz, reading jsonb, PRIMARY KEY (station, time))"
)
KILL_RATE, KILL_SECONDS = 1_000, 8
KILL_AT = 2_000
"""Rows after which it is killed."""
BROKER = {
    "id": "b",
    "type": "mqtt-broker",
    "broker": "127.0.0.1",
    "clientid": "node-red",
    "autoConnect": True,
    "usetls": False,
    "protocolVersion": "4",
    "keepalive": "60",
    "cleansession": False,
}
READ = {
    "id": "i",
    "z": "t",
    "type": "mqtt in",
    "topic": "fenghuo/v1/+/obs",
    "qos": "1",
    "datatype": "json",
    "broker": "b",
    "wires": [["f"]],
}
WRITE = """
const pool = global.get("pool");
pool.query({
    name: "put",
    text: "INSERT INTO peer VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
    values: [msg.topic.split("/")[2], msg.payload.time, JSON.stringify(msg.payload.values)],
}).catch((error) => node.error(error.message));
return null;
"""
SETTINGS = """
const { Pool } = require("pg");
module.exports = {
    uiHost: "127.0.0.1", uiPort: %d, flowFile: "flows.json", credentialSecret: false,
    logging: { console: { level: "warn" } },
    functionGlobalContext: {
        pool: new Pool({ connectionString: %s, max: 10 }),
    },
};
"""


GATHER = """
const pool = global.get("pool");
const put = () => {
    const held = context.held;
    if (!held.length) return;
    context.held = [];
    pool.query({
        name: "put",
        text: "INSERT INTO peer SELECT * FROM"
            + " unnest($1::text[], $2::timestamptz[], $3::jsonb[]) ON CONFLICT DO NOTHING",
        values: [
            held.map((msg) => msg.topic.split("/")[2]),
            held.map((msg) => msg.payload.time),
            held.map((msg) => JSON.stringify(msg.payload.values)),
        ],
    }).catch((error) => node.error(error.message));
};
context.held = [];
context.put = put;
setInterval(put, 20);
"""
GATHERED = """
context.held.push(msg);
if (context.held.length >= 1000) context.put();
return null;
"""


def node_red(
    folder: Path, port: int, url: str, *, function: str = WRITE, initialize: str = ""
) -> subprocess.Popen[bytes]:
    """Start Node-RED with a flow of two nodes: MQTT in, and a function that writes."""
    home = folder / "node-red"
    home.mkdir(exist_ok=True)
    web = free_port()
    flow = [
        {"id": "t", "type": "tab", "label": "bench"},
        BROKER | {"port": str(port)},
        READ,
        {
            "id": "f",
            "z": "t",
            "type": "function",
            "func": function,
            "initialize": initialize,
            "outputs": 1,
            "wires": [[]],
        },
    ]
    (home / "flows.json").write_text(json.dumps(flow), "utf-8")
    (home / "settings.js").write_text(SETTINGS % (web, json.dumps(url)), "utf-8")
    program = CACHE / "node_modules/node-red/red.js"
    process = subprocess.Popen(
        ["node", str(program), "-u", str(home), "-s", str(home / "settings.js")],
        env={**os.environ, "NODE_PATH": str(CACHE / "node_modules")},
        stdout=subprocess.DEVNULL,
    )
    eventually(lambda: listening("127.0.0.1", web), timeout=40, about="Node-RED to listen")
    time.sleep(1)  # until it is subscribed
    return process


def plain(folder: Path, port: int, url: str) -> subprocess.Popen[bytes]:  # noqa: ARG001
    """Start the script."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.plainway", str(port), url],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


def missing() -> str:
    """Say why Node-RED cannot be measured; "" when it can."""
    if shutil.which("node") is None:
        return "node is not installed"
    if not (CACHE / "node_modules/node-red/red.js").exists():
        return "Node-RED is not installed, see tests/bench/peers.py"
    return "" if (CACHE / "node_modules/pg").exists() else "pg is not installed"


def rows(url: str) -> int:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT count(*) FROM peer").fetchone()
    return int(found[0]) if found else 0


def settled(url: str, *, timeout: float = 120) -> int:
    """Give the rows when no more come; raises TimeoutError if they never end."""
    end, before = time.monotonic() + timeout, -1
    while (now := rows(url)) != before:
        if time.monotonic() > end:
            raise TimeoutError("rows still come")
        before = now
        time.sleep(3)
    return now


def measure(
    server: str, name: str, start: Callable[..., subprocess.Popen[bytes]], seconds: float
) -> list[Row_]:
    """Flood one of them, then kill it while a steady load goes on."""
    with tempfile.TemporaryDirectory() as home, fresh(server) as url:
        with psycopg.connect(url) as connection:
            connection.execute(TABLE)
        folder = Path(home)
        with mosquitto(folder) as (_, port):
            process = start(folder, port, url)
            try:
                used = Process(process)
                cpu, began = used.cpu, time.monotonic()
                flat_out(port, seconds)
                done, passed = rows(url), time.monotonic() - began
                # Then without the flood beside it: what the broker has kept for it.
                began = time.monotonic()
                time.sleep(seconds)
                kept = rows(url) - done
                done, passed = max(
                    (done, passed),
                    (kept, time.monotonic() - began),
                    key=lambda pair: pair[0] / pair[1],
                )
                cost, memory = (used.cpu - cpu) / max(rows(url), 1) * 1e6, used.memory
            finally:
                process.kill()
                process.wait()
        with psycopg.connect(url) as connection:
            connection.execute("TRUNCATE peer")
        with mosquitto(folder) as (_, port):
            process = start(folder, port, url)
            try:
                load = subprocess.Popen(
                    [sys.executable, "-c", _LOAD % (port, KILL_SECONDS, KILL_RATE)],
                    cwd=ROOT,
                    stdout=subprocess.PIPE,
                )
                eventually(lambda: rows(url) > KILL_AT, timeout=40, about="rows to arrive")
                process.send_signal(signal.SIGKILL)
                process.wait()
                process = start(folder, port, url)
                out, _ = load.communicate(timeout=60)
                sent = json.loads(out)["acknowledged"]
                lost = sent - settled(url)
            finally:
                process.kill()
                process.wait()
    return [
        row(f"{name}, most", done / passed, "msg/s"),
        row(f"{name}, its CPU", cost, "µs/msg"),
        row(f"{name}, its memory", memory, "MB"),
        row(f"{name}, lost of {sent:,} on one kill -9", lost, "messages"),
    ]


_LOAD = """
import json
from tests.bench.ingest import steady
print(json.dumps(steady(%d, %d, rate=%d)))
"""


def run(seconds: float = 5) -> list[Row_]:
    """Measure the peers, and the listener in the same run."""
    found = []
    with tempfile.TemporaryDirectory() as home, Embedded(Path(home)) as server:
        with fresh(server.url) as url, ingest(url) as (_, port):
            ours = flat_out(port, seconds)["rate"]
        found.append(row("listener in the run of the peers", ours, "msg/s"))
        peers: dict[str, Callable[..., subprocess.Popen[bytes]]] = {
            "aiomqtt and psycopg, an INSERT a message": plain
        }
        if reason := missing():
            print(f"Node-RED skipped: {reason}", file=sys.stderr)
            found.append({"part": "peers", "name": "Node-RED", "skipped": reason})
        else:
            peers["Node-RED, an INSERT a message on 10 connections"] = node_red
            peers["Node-RED, INSERTs of up to 1,000 messages"] = partial(
                node_red, function=GATHERED, initialize=GATHER
            )
        for name, start in peers.items():
            theirs = measure(server.url, name, start, seconds)
            to = "that way"
            found += theirs
            found.append(row("listener against it", ours, "msg/s", ours / theirs[0]["figure"], to))
    return found


if __name__ == "__main__":
    run()
