"""kill -9 of each part of the chain, again and again under load.

A few times in ``make test``; more than a hundred with ``FENGHUO_FAULTS=long`` (``make faults``).
"""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.faults.results import Row
from tests.faults.rig import LONG, Postgres, Rig
from tests.servers import prepare
from tests.servers.broker import Broker
from tests.servers.databases import TIMESCALE

Record = Callable[[Row], None]
TIMES = 12 if LONG else 2
PAUSE = 120 if LONG else 5
"""Seconds that the database stands still."""
RAW = 400
"""Readings/s of each bare publisher."""

# Mosquitto keeps nothing over a kill unless told to, and then what it had a second ago: neither
# may be trusted. (With autosave_on_changes 2.0 writes its whole file anew for each message.)
DEFAULTS = ""
KEEPING = """
persistence true
autosave_interval 1
max_queued_messages 0
"""


@pytest.fixture
def timescale(tmp_path: Path) -> Iterator[Postgres]:
    if os.environ.get("FENGHUO_TEST_DATABASE_URL"):
        pytest.skip("the server of FENGHUO_TEST_DATABASE_URL is not ours to kill")
    server = Postgres(tmp_path / "pg", binaries=prepare.timescale(), options=TIMESCALE)
    yield server
    server.close()


def agent(rig: Rig) -> None:
    chosen = random.choice(rig.instruments).agent
    chosen.end()
    chosen.start()


def ingest(rig: Rig) -> None:
    rig.ingest.end()
    rig.ingest.start()


def whole(server: Postgres) -> None:
    server.kill()
    server.start()


def paused(server: Postgres) -> None:
    server.send(signal.SIGSTOP)
    try:
        time.sleep(PAUSE)
    finally:
        server.send(signal.SIGCONT)


def broker_(rig: Rig) -> None:
    assert rig.broker is not None
    rig.broker.kill()
    rig.broker.start()


def centre(rig: Rig) -> None:
    """The subscriber first: what the broker takes while it is away dies with the broker."""
    assert rig.broker is not None
    rig.ingest.end()
    time.sleep(0.3)
    rig.broker.kill()
    rig.broker.start()
    rig.ingest.start()


def test_listener(postgres: Postgres, tmp_path: Path, record: Record) -> None:
    with Rig(tmp_path, url=postgres.url) as rig:
        rig.add_crowd(rate=RAW)
        record(rig.phase("agent", lambda: agent(rig), times=TIMES))
        record(rig.phase("listener", lambda: ingest(rig), times=TIMES))
        record(rig.phase("PostgreSQL 18, whole server", lambda: whole(postgres), times=TIMES))
        record(rig.phase("PostgreSQL 18, one backend", postgres.kill_backend, times=TIMES))
        name = f"database paused for {PAUSE} s"
        record(rig.phase(name, lambda: paused(postgres), times=1, lasts=True))


@pytest.mark.parametrize("config", [DEFAULTS, KEEPING], ids=["defaults", "keeping"])
def test_broker(
    timescale: Postgres,
    tmp_path: Path,
    mosquitto: Callable[..., Broker],
    record: Record,
    config: str,
) -> None:
    if config == KEEPING and not LONG:
        pytest.skip("in the long run only: FENGHUO_FAULTS=long")
    broker = mosquitto(config)
    how = "defaults" if config == DEFAULTS else "autosave"
    with Rig(tmp_path, url=timescale.url, broker=broker) as rig:
        rig.add_crowd(rate=RAW // 4)
        strikes = {
            f"Mosquitto, {how}": partial(broker_, rig),
            f"Mosquitto, {how}, and subscriber": partial(centre, rig),
        }
        # The short run takes the harder one of the two.
        for fault, strike in list(strikes.items())[0 if LONG else 1 :]:
            before = rig.former
            row = rig.phase(fault, strike, times=TIMES)
            record(row)
            record(rig.control(row, before))
        if config == DEFAULTS:
            record(rig.phase("subscriber", lambda: ingest(rig), times=TIMES))
            if LONG:
                record(rig.phase("agent behind Mosquitto", lambda: agent(rig), times=TIMES))
            record(rig.phase("TimescaleDB, whole server", lambda: whole(timescale), times=TIMES))
