"""A whole chain of real processes to be broken: instruments, agents, a way between, ingest, store.

An instrument is a text file that grows, as loggers write it: it is the truth to compare with, and
no fault touches it. Values tell which station and which reading a row must be.
"""

import datetime as dt
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import msgspec
import psycopg

from agent.clock import SystemClock
from agent.spool import Spool
from server.store.embedded import Embedded
from server.store.migrations import migrate
from tests.faults.raw import Crowd, Raw
from tests.faults.results import Row
from tests.ingesting import NOW, add_stations
from tests.servers.broker import Broker
from tests.servers.databases import in_thread
from tests.support import eventually, free_port

ROOT = Path(__file__).parents[2]
LONG = os.environ.get("FENGHUO_FAULTS") == "long"
"""Whether the long run was asked for (``make faults``)."""

CONFIRM = 3
"""Seconds after which the agents of the tests send again; 30 unless configured."""
RETRY = 2
"""Seconds between attempts of the agents of the tests to connect at most; 60 unless configured."""

_START = NOW - dt.timedelta(days=3)
_TICK = 0.05
_PATIENCE = 60.0
_CONFIG = """
station = "{name}"

[broker]
url = "{url}"
confirm = {confirm}
retry = {retry}
keepalive = 5

[driver]
name = "table"

[driver.options]
path = "{name}.csv"
poll = 0.05
time = {{ column = "time", zone = "UTC", marks = "end", interval = 1 }}

[driver.options.elements]
air_temperature = {{ column = "temperature" }}
wind_speed = {{ column = "wind" }}
"""
_COUNTS = """
SELECT s.name, count(*), max(o.time) FROM observation o JOIN station s ON s.id = o.station
GROUP BY s.name
"""
_ROWS = """
SELECT s.name, extract(epoch FROM o.time)::bigint, o.air_temperature, o.wind_speed
FROM observation o JOIN station s ON s.id = o.station
"""
_LOGGED = "SELECT coalesce(sum(cardinality(stations)), 0) FROM arrival"


def environment(**more: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if "FENGHUO" not in name}
    return {**clean, "PYTHONPATH": str(ROOT), **more}


class Process:
    """A program that can be killed and started again."""

    def __init__(self, argv: list[str], log: Path, *, ready: bool, **settings: str) -> None:
        self._argv = argv
        self._log = log
        self._ready = ready
        self._environment = environment(**settings)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._argv,
                cwd=ROOT,
                env=self._environment,
                stdout=subprocess.PIPE if self._ready else log,
                stderr=log,
            )
        if self._ready:
            assert self.process.stdout is not None
            line = self.process.stdout.readline()
            assert line, self.said()
            assert "ready" in json.loads(line)

    def send(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        self.send(number)
        process, self.process = self.process, None
        if process is None:
            return
        process.wait(30)
        if process.stdout is not None:
            process.stdout.close()

    @property
    def size(self) -> int:
        """How much it has said by now, in bytes."""
        return self._log.stat().st_size

    def said(self, *, after: int = 0) -> str:
        """The last of what it said, or what it said after so many bytes."""
        return self._log.read_bytes()[after or -4_000 :].decode(errors="replace")


class Instrument:
    """A station's logger: a file that grows, and the agent that reads it."""

    def __init__(self, folder: Path, name: str, url: str) -> None:
        self.name = name
        self.made = 0
        self._file = folder / f"{name}.csv"
        self._file.write_text("time,temperature,wind\n")
        self._spool = folder / "spool.sqlite"
        config = folder / "agent.toml"
        config.write_text(_CONFIG.format(name=name, url=url, confirm=CONFIRM, retry=RETRY))
        argv = [sys.executable, "-m", "agent.main", "run", "--config", str(config)]
        self.agent = Process(argv, folder / "agent.log", ready=False)

    def measure(self, count: int) -> None:
        """Write some more readings."""
        lines = []
        for _ in range(count):
            self.made += 1
            moment = _START + dt.timedelta(seconds=self.made)
            lines.append(f"{moment:%Y-%m-%dT%H:%M:%SZ},{self.made % 50},{self.name[1:]}\n")
        with self._file.open("a") as file:
            file.write("".join(lines))

    @property
    def newest(self) -> dt.datetime:
        """The time of the last reading it made."""
        return _START + dt.timedelta(seconds=self.made)

    def waiting(self) -> int:
        """Count what the agent, which must not run, still keeps."""
        with Spool(self._spool, clock=SystemClock()) as spool:
            tally = spool.tally
            assert (tally.lost, tally.refused) == (0, 0), tally
            return tally.waiting


class Postgres:
    """A server of its own, with fsync, that may be killed."""

    def __init__(
        self,
        folder: Path,
        *,
        binaries: Path | None = None,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self.embedded = Embedded(folder, binaries=binaries, options=options)
        self.url = self.embedded.start()
        in_thread(migrate(self.url))

    def close(self) -> None:
        self.embedded.stop()

    def processes(self) -> list[int]:
        """Give the server's process and all of its children."""
        head = self.embedded.pid
        assert head is not None
        found = [head]
        for entry in Path("/proc").glob("[0-9]*/stat"):
            try:
                parent = entry.read_text().rsplit(")", 1)[1].split()[1]
            except OSError:
                continue  # it ended meanwhile
            if int(parent) == head:
                found.append(int(entry.parent.name))
        return found

    def kill(self) -> None:
        pid = self.embedded.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        self.embedded.stop()

    def start(self) -> None:
        assert self.embedded.start() == self.url

    def kill_backend(self) -> None:
        """Kill the process that serves the ingest; the server then restarts all of itself."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            found = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'fenghuo ingest'"
                " ORDER BY backend_start DESC LIMIT 1"
            ).fetchone()
        assert found is not None
        os.kill(found[0], signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        for pid in self.processes():
            os.kill(pid, number)


class Books:
    """What was found. late: not stored, but still kept by the agent. control: see `add_crowd`."""

    def __init__(self) -> None:
        self.acknowledged = 0
        self.stored = 0
        self.lost = 0
        self.late = 0
        self.doubled = 0
        self.foreign = 0
        self.refused = 0
        self.control = 0
        self.control_lost = 0


class Rig:
    """Instruments that measure steadily, and everything behind them."""

    def __init__(
        self,
        folder: Path,
        *,
        url: str,
        broker: Broker | None = None,
        instruments: int = 3,
        rate: int = 100,
        way: Callable[[int], str] | None = None,
        **settings: str,
    ) -> None:
        """Make the parts.

        url: of the database. way: gives the agents' URL for the port of the centre.
        rate: readings/s of each instrument.
        """
        self.url = url
        self.broker = broker
        self.port = broker.port if broker is not None else free_port()
        self._rate = rate
        self._stack = ExitStack()
        self._crowd: Crowd | None = None
        self.former = Books()
        names = [f"S{n}" for n in range(1, instruments + 1)]
        raw = ["R7", "R8"]
        in_thread(add_stations(url, [*names, *raw]))
        centre = (way or "mqtt://127.0.0.1:{}".format)(self.port)
        self.instruments = []
        for name in names:
            (folder / name).mkdir()
            self.instruments.append(Instrument(folder / name, name, centre))
        source = (
            {"FENGHUO_INGEST_SOURCE": "broker", "FENGHUO_INGEST_BROKER": broker.url}
            if broker is not None
            else {"FENGHUO_INGEST_PORT": str(self.port), "FENGHUO_INGEST_ANONYMOUS": "true"}
        )
        self.ingest = Process(
            [sys.executable, "-m", "server.ingest"],
            folder / "ingest.log",
            ready=True,
            FENGHUO_STORE_URL=url,
            **{**source, **settings},
        )
        self._quiet = threading.Event()
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._clockwork = threading.Thread(target=self._measure, name="instruments")

    def __enter__(self) -> Self:
        self.ingest.start()
        self._stack.callback(self.ingest.end)
        for instrument in self.instruments:
            instrument.agent.start()
            self._stack.callback(instrument.agent.end)
        self._clockwork.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._clockwork.join()
        self._stack.close()

    def add_crowd(self, *, rate: int) -> None:
        """Let bare publishers load the centre beside the agents.

        Behind a broker they are the control: they take its PUBACK for safe, as most loggers do,
        and what they lose is counted apart, in `Books.control`.
        """
        self._crowd = self._stack.enter_context(Crowd(["R7", "R8"], self.port, rate=rate))

    def _measure(self) -> None:
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            due += _TICK
            if not self._quiet.is_set():
                with self._lock:
                    for instrument in self.instruments:
                        instrument.measure(max(1, int(self._rate * _TICK)))

    # Watching

    def query(self, text: str) -> list[tuple[Any, ...]] | None:
        """Ask the database; None while it does not answer."""
        try:
            with psycopg.connect(self.url, autocommit=True, connect_timeout=2) as connection:
                return connection.execute(text).fetchall()
        except psycopg.OperationalError:
            return None

    def recover(self, fault: Callable[[], None], *, lasts: bool = False) -> float:
        """Do the fault; give the seconds from its begin until later readings are stored.

        Of each station one that was made after ``fault`` returned, so after a killed process was
        started again. lasts: the seconds begin at the end of the fault instead.
        """
        began = time.monotonic()
        fault()
        if lasts:
            began = time.monotonic()
        with self._lock:
            goals = {i.name: i.newest for i in self.instruments}

        def reached() -> bool:
            newest = {name: last for name, _, last in self.query(_COUNTS) or ()}
            return all(name in newest and newest[name] > goal for name, goal in goals.items())

        eventually(reached, timeout=_PATIENCE, every=0.03, about=f"recovery\n{self.ingest.said()}")
        return time.monotonic() - began

    def underway(self) -> None:
        """Wait until readings of every station arrive."""
        self.recover(lambda: None)

    def settle(self) -> None:
        """Measure no more, wait until all is stored, and until the agents know it.

        Returns when no spool keeps anything, or when a minute is over.
        """
        self._quiet.set()
        if self._crowd is not None:
            self._crowd.quiet(True)
        end = time.monotonic() + _PATIENCE
        with self._lock:
            made = {i.name: i.made for i in self.instruments}

        def stored() -> bool:
            counts = {name: count for name, count, _ in self.query(_COUNTS) or ()}
            raw = self._crowd is None or self._crowd.settled
            return raw and all(counts.get(name) == made[name] for name in made)

        while not stored() and time.monotonic() < end:
            time.sleep(0.1)
        time.sleep(0.3)
        while True:
            for instrument in self.instruments:
                instrument.agent.send(signal.SIGTERM)
            for instrument in self.instruments:
                instrument.agent.end(signal.SIGTERM)
            if not sum(i.waiting() for i in self.instruments) or time.monotonic() > end:
                return
            for instrument in self.instruments:
                instrument.agent.start()
            time.sleep(1.5)

    def resume(self) -> None:
        """Go on after `settle`."""
        for instrument in self.instruments:
            instrument.agent.start()
        if self._crowd is not None:
            self._crowd.quiet(False)
        self._quiet.clear()

    def acknowledged(self) -> dict[str, int]:
        """Count by station what is known to be safe: made, and no longer kept by the agent."""
        found = {i.name: i.made - i.waiting() for i in self.instruments}
        for member in self._trusted:
            found[member.name] = len(member.acknowledged)
        return found

    @property
    def _trusted(self) -> list[Raw]:
        """The bare publishers whose PUBACK comes from us."""
        return self._crowd.members if self._crowd is not None and self.broker is None else []

    def books(self) -> Books:
        """Read the whole store and compare, agents stopped."""
        books = Books()
        rows = self.query(_ROWS)
        assert rows is not None
        found: dict[str, set[int]] = {}
        start, now = int(_START.timestamp()), int(NOW.timestamp())
        for name, moment, temperature, wind in rows:
            number = now - moment if name.startswith("R") else moment - start
            books.foreign += (temperature, wind) != (number % 50, int(name[1:]))
            found.setdefault(name, set()).add(number)
        books.stored = sum(map(len, found.values()))
        ((logged,),) = self.query(_LOGGED) or [(0,)]
        # The primary key forbids two rows; the log of arrivals shows whether one came as new twice.
        books.doubled = len(rows) - books.stored + abs(int(logged) - len(rows))
        acknowledged = self.acknowledged()
        books.acknowledged = sum(acknowledged.values())
        for instrument in self.instruments:
            true = set(range(1, instrument.made + 1))
            there = found.pop(instrument.name, set())
            books.foreign += len(there - true)
            missing = len(true - there)
            books.lost += max(0, missing - instrument.waiting())
            books.late += min(missing, instrument.waiting())
        for member in self._crowd.members if self._crowd is not None else ():
            there = found.pop(member.name, set())
            if self.broker is None:
                books.lost += len(member.acknowledged - there)
            else:
                books.control += len(member.acknowledged)
                books.control_lost += len(member.acknowledged - there)
                books.stored -= len(there)
            books.foreign += len(there - set(range(1, member.number + 1)))
        books.foreign += sum(map(len, found.values()))
        books.refused = len(self.query("SELECT 1 FROM quarantine") or [])
        return books

    def phase(
        self, name: str, fault: Callable[[], None], *, times: int, lasts: bool = False
    ) -> Row:
        """Do a fault several times under load; compare everything afterwards; go on."""
        before = self.former
        self.underway()
        seconds = []
        for _ in range(times):
            time.sleep(random.uniform(0, 1 if LONG else 0.2))
            seconds.append(self.recover(fault, lasts=lasts))
        self.settle()
        books = self.books()
        self.former = books
        row = Row(
            fault=name,
            times=times,
            acknowledged=books.acknowledged - before.acknowledged,
            stored=books.stored - before.stored,
            lost=books.lost - before.lost + books.late,
            doubled=books.doubled - before.doubled,
            foreign=books.foreign - before.foreign,
            median=statistics.median(seconds),
            worst=max(seconds),
        )
        assert not books.refused, self.query("SELECT reason, detail FROM quarantine LIMIT 5")
        self.resume()
        return row

    def control(self, row: Row, before: Books) -> Row:
        """Give what the bare publishers behind the broker lost in the phase of this row."""
        books = self.former
        acknowledged = books.control - before.control
        lost = books.control_lost - before.control_lost
        return msgspec.structs.replace(
            row,
            fault=f"{row.fault}: a publisher that trusts PUBACK",
            acknowledged=acknowledged,
            stored=acknowledged - lost,
            lost=lost,
            control=True,
        )
