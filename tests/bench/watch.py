"""How soon is a committed reading decided on, in calm and while a backlog pours in?

``python -m tests.bench.watch`` runs on an embedded server of its own. 1,200 stations send one
reading a second each, committed by a process of its own; then another one commits a backlog of a
million readings of the last days as fast as it can. The latency is from just before the COMMIT
(the time in the log) to the end of the turn that decided on it. Everything in one run.
"""

import asyncio
import datetime as dt
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from agent.elements import ELEMENTS
from alerts import regions
from alerts.bureau.policy import Policy
from alerts.catalogue import Catalogue
from alerts.life import ledger
from alerts.texts.wording import Bureau
from forecast.criteria import Criteria
from forecast.quality import Check, code
from server.clock import SystemClock
from server.judging import Keeper
from server.store import arrivals, sink, stations
from server.store.connection import Connection, connect, probe
from server.store.database import Database
from server.store.embedded import Embedded
from server.store.partitions import Partitions
from server.vitals import Vitals
from server.wakeup import Wakeup
from server.watch import CONSUMER, REST, Watch
from tests.bench.ingest import LIVE, ROOT, Row_, fresh, row
from tests.support import eventually_async

MINUTE = 60
HOUR = 3_600
HISTORY = 6 * HOUR
"""Seconds of readings, one a minute, that each station has sent before."""
BEAT = 0.05
"""Seconds between two commits of live readings."""
BEGIN, SPAN = 90 * HOUR, 72 * HOUR
"""The backlog begins so long ago and reaches over so much."""
BACKLOG = 1_000_000
BATCH = 5_000
NAMES = ("air_temperature", "precipitation_amount", "relative_humidity", "wind_speed")

RANGE = code(Check.RANGE, failed=False)
JUDGED = RANGE | code(Check.STEP, failed=False)
"""What readings bear that the watch has judged already."""


async def _open(url: str) -> tuple[Connection, Partitions]:
    connection = await connect(url, name="bench", autocommit=True)
    await sink.prepare(connection)
    return connection, Partitions(await probe(connection), chunk_days=7)


async def _put(
    connection: Connection,
    station: np.ndarray,
    seconds: np.ndarray,
    *,
    interval: int,
    quality: int = RANGE,
) -> None:
    """Commit readings of these stations at these times (s since 1970), rain among them.

    quality: of every value; of itself that of the ingest.
    """
    count = len(station)
    rain = (station % 40 == 0) * interval / 60 * 0.05
    values = np.stack([20 + station % 7, rain, 60 + station % 9, 3 + station % 5], axis=1)
    block = sink.Block(
        names=NAMES,
        station=station.astype(np.int32),
        moment=(seconds.astype(np.int64) - int(sink.EPOCH.timestamp())) * 1_000_000,
        interval=np.full(count, interval, np.int32),
        revision=np.zeros(count, np.int16),
        place=None,
        values=values.astype(np.float64),
        quality=np.full((count, len(NAMES)), quality, np.int16),
    )
    async with connection.transaction():
        await sink.store(connection, [block], stored=dt.datetime.now(dt.UTC))


async def _old(url: str, *, first: int, until: int, size: int, quality: int = RANGE) -> None:
    """Commit ``size`` readings, one a minute of each station, the oldest first."""
    connection, partitions = await _open(url)
    days = np.arange(first, until + 24 * HOUR, 24 * HOUR)
    await partitions.ensure(connection, [dt.datetime.fromtimestamp(int(d), dt.UTC) for d in days])
    times = np.arange(first, until, MINUTE)
    width = -(-size // len(times))
    number = np.arange(size)
    for begin in range(0, size, BATCH):
        part = number[begin : begin + BATCH]
        await _put(
            connection, 1 + part % width, times[part // width], interval=MINUTE, quality=quality
        )
    await connection.close()


async def _live(url: str) -> None:
    """Commit one reading a second of each station until killed."""
    connection, partitions = await _open(url)
    await partitions.ensure(connection, [dt.datetime.now(dt.UTC)])
    part = int(LIVE * BEAT)
    due, first = time.monotonic(), 0
    while True:
        station = 1 + (first + np.arange(part)) % LIVE
        now = int(time.time())
        await _put(connection, station, np.full(part, now), interval=1)
        first += part
        due += BEAT
        await asyncio.sleep(max(due - time.monotonic(), 0))


async def _places(conn: Connection) -> None:
    """Give the stations of the bench places and regions."""
    entries = [
        stations.Entry(name=f"bench-{n}", longitude=100 + n % 40 * 0.2, latitude=30 + n // 40 * 0.2)
        for n in range(1, LIVE + 1)
    ]
    await stations.put(conn, entries, now=SystemClock().now())
    places = await stations.every(conn)
    found = regions.sample(places)
    await regions.save(conn, found)
    await regions.assign(conn, found, places)


class Deciding:
    """The watch as its role runs it, with the place in the log and the time of every turn."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.turns: list[tuple[arrivals.Cursor, dt.datetime]] = []
        self.waiting = self.unwritten = 0
        self.vitals = Vitals()

    async def run(self) -> None:
        units = {name: element.unit for name, element in ELEMENTS.items()}
        desk = ledger.Desk(
            bureau=Bureau(agency={"zh": "台", "en": "Bureau"}, sender="a@b.example"),
            policy=Policy.load(),
            catalogue=Catalogue.load(),
        )
        criteria = Criteria.load(units=units)
        keeper = Keeper(self.database, clock=SystemClock(), vitals=self.vitals)
        async with Wakeup(self.database, "fenghuo_arrival") as wakeup, asyncio.TaskGroup() as tasks:
            tasks.create_task(keeper.run())
            async with self.database.connection() as conn:
                watch = await Watch.open(conn, criteria, desk, 7_200, SystemClock(), keeper=keeper)
            while True:
                async with self.database.connection() as conn:
                    done = await watch.turn(conn)
                    place = await arrivals.position(conn, CONSUMER)
                self.turns.append((place, SystemClock().now()))
                self.waiting = watch.waiting
                self.unwritten = len(keeper)
                await asyncio.sleep(REST)
                if done:
                    await wakeup.wait(1)


async def _latencies(conn: Connection, deciding: Deciding, since: dt.datetime) -> list[float]:
    """Give the seconds from commit to decision of the live commits since then."""
    rows = await (
        await conn.execute(
            "SELECT xid::text, id, stored FROM arrival"
            " WHERE stored > %s AND times[1] > stored - interval '1 hour' ORDER BY xid, id",
            (since,),
        )
    ).fetchall()
    found = []
    turns = iter(deciding.turns)
    place, ended = next(turns)
    for xid, number, stored in rows:
        while place < arrivals.Cursor(int(xid), number):
            following = next(turns, None)
            if following is None:
                return found
            place, ended = following
        found.append((ended - stored).total_seconds())
    return found


def _report(name: str, seconds: Sequence[float]) -> Iterator[Row_]:
    for label, part in (("p50", 50), ("p99", 99)):
        figure = float(np.percentile(seconds, part)) * 1_000
        yield row(f"committed → decided, {name}, {label}", figure, "ms")


def _start(url: str, *arguments: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.bench.watch", url, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT)


async def _measure(url: str, seconds: float, backlog: int) -> list[Row_]:
    found: list[Row_] = []
    now = int(time.time()) // MINUTE * MINUTE
    size = HISTORY // MINUTE * LIVE
    await _old(url, first=now - HISTORY, until=now, size=size, quality=JUDGED)
    async with await Database.open(url, name="bench", size=4) as database:
        async with database.connection() as conn:
            await _places(conn)
            # The log begins behind the history, as for a watch that has run all the time.
            await conn.execute("TRUNCATE arrival")
        live = _start(url)
        deciding = Deciding(database)
        task = asyncio.create_task(deciding.run())
        try:
            await eventually_async(lambda: deciding.turns or task.done(), timeout=120)
            await asyncio.sleep(2)
            since = SystemClock().now()
            await asyncio.sleep(seconds)
            async with database.connection() as conn:
                calm = await _latencies(conn, deciding, since)
            found += _report(f"{LIVE:,} readings a second", calm)
            since, began = SystemClock().now(), time.monotonic()
            flood = _start(url, now - BEGIN, now - BEGIN + SPAN, backlog)
            most = 0
            while flood.poll() is None:
                await asyncio.sleep(0.05)
                most = max(most, deciding.waiting)
            poured = time.monotonic() - began
            await eventually_async(lambda: not deciding.waiting or task.done(), timeout=600)
            drained = time.monotonic() - began
            async with database.connection() as conn:
                late = await _latencies(conn, deciding, since)
            found += _report("with a backlog of a million", late)
            found.append(row("the same, longest", max(late) * 1_000, "ms"))
            found.append(row("backlog committed", backlog / poured, "readings/s"))
            found.append(row("backlog in the windows after", drained, "s"))
            found.append(row("of it waiting at most", most, "readings"))
            found.append(row("codes that wait behind it all", deciding.unwritten, "readings"))
        finally:
            live.kill()
            live.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if not task.cancelled():
            task.result()
    return found


def run(seconds: float = 20, *, backlog: int = BACKLOG) -> list[Row_]:
    """Measure on the embedded server as it is delivered."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Embedded(Path(folder)) as server,
        fresh(server.url) as url,
    ):
        return asyncio.run(_measure(url, seconds, backlog))


def main() -> None:
    if len(sys.argv) == 1:
        for found in run():
            print(f"{found['name']:60} {found['figure']:>12,.1f} {found['unit']}")
        return
    url, *numbers = sys.argv[1:]
    if not numbers:
        asyncio.run(_live(url))
    first, until, size = map(int, numbers)
    asyncio.run(_old(url, first=first, until=until, size=size))


if __name__ == "__main__":
    main()
