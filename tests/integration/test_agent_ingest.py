"""The agent and the ingest service with a real database between them."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg

from tests.support import free_port

ROOT = Path(__file__).parents[2]
EVENT = ROOT / "deploy/events/beijing-2016-07"

INGEST = """
import asyncio
from server import settings
from server.clock import SystemClock
from server.ingest.service import serve

asyncio.run(serve(settings.load(), clock=SystemClock()))
"""


def start(url: str, port: int) -> subprocess.Popen[str]:
    variables = {
        "FENGHUO_STORE_URL": url,
        "FENGHUO_INGEST_PORT": str(port),
        "FENGHUO_INGEST_ANONYMOUS": "true",
        "FENGHUO_INGEST_UNKNOWN": "register",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", INGEST],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **variables, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["ready"] == "ingest"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_every_reading_is_stored_once_though_the_ingest_is_killed(
    plain_database: str, tmp_path: Path
) -> None:
    port = free_port()
    ingest = start(plain_database, port)
    replay = subprocess.Popen(
        [
            sys.executable, "-m", "agent.main", "replay", "--event", EVENT, "--state",
            tmp_path / "s", "--pace", "0", "--json", "--broker", f"mqtt://127.0.0.1:{port}",
        ],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        assert replay.stdout is not None
        for _ in range(2):
            for _ in range(20):
                replay.stdout.readline()
            ingest.send_signal(signal.SIGKILL)
            end(ingest)
            ingest = start(plain_database, port)
        last = replay.stdout.read().splitlines()[-1]
        assert replay.wait(30) == 0
        replay.stdout.close()
        assert json.loads(last) == {"done": True, "sent": 864, "refused": 0}
        with psycopg.connect(plain_database) as connection:
            (stored,) = connection.execute("SELECT count(*) FROM observation").fetchone() or (0,)
            (bad,) = connection.execute("SELECT count(*) FROM quarantine").fetchone() or (0,)
        assert (stored, bad) == (864, 0)
    finally:
        replay.kill()
        end(ingest)
