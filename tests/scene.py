"""A small piece of the world for tests of pages and interfaces: stations, rain, warnings."""

import datetime as dt
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from psycopg import sql

from alerts import regions
from alerts.bureau.policy import Policy
from alerts.catalogue import Catalogue
from alerts.life import ledger
from alerts.life.course import advance
from alerts.life.evidence import LEVELS, Case, Evidence
from alerts.life.ledger import Desk
from alerts.life.message import Message
from alerts.life.warning import Step, Terms
from alerts.life.warning import Warning as Running
from alerts.people import subscribers
from alerts.texts.wording import Bureau
from server import exercise
from server.store import stations
from server.store.connection import Connection, connect, probe
from server.store.partitions import Partitions
from tests.samples import SEAL

START = dt.datetime(2016, 7, 19, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
EVENT = Path(__file__).parents[1] / "deploy" / "events" / "beijing-2016-07"


@dataclass
class Scene:
    """A database with the stations of the bundled event, written to by hand."""

    url: str
    time: dt.datetime = START
    ids: dict[str, int] = field(default_factory=dict)
    running: dict[str, Running] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        return list(self.ids)

    async def open(self, *, event: bool = True, now: dt.datetime = START) -> None:
        """Add stations, a sample region round each, and the sample people."""
        self.time = now
        async with await connect(self.url, name="scene") as conn:
            entries = stations.read(EVENT / "stations.csv")
            await stations.put(conn, entries, now=now)
            places = await stations.every(conn)
            self.ids = {place.name: place.id for place in places}
            samples = regions.sample(places)
            await regions.save(conn, samples)
            await regions.assign(conn, samples, places)
            await subscribers.save(conn, subscribers.sample(samples), seal=SEAL, at=now)
            if event:
                await exercise.mark(conn, self._event())

    async def report(
        self,
        values: Mapping[str, Mapping[str, float]],
        *,
        time: dt.datetime,
        interval: int = 3600,
        stored: dt.datetime | None = None,
    ) -> None:
        """Store one reading of each named station, as the ingest does, and move the event on."""
        async with await connect(self.url, name="scene") as conn:
            await Partitions(await probe(conn), chunk_days=7).ensure(conn, [time])
            for name, row in values.items():
                await _insert(conn, self.ids[name], time, interval, row)
            await conn.execute(
                "INSERT INTO latest SELECT *, %s::timestamptz FROM unnest(%s::integer[])"
                " ON CONFLICT (station) DO UPDATE SET time = greatest(latest.time, excluded.time)",
                (time, [self.ids[name] for name in values]),
            )
            await conn.execute(
                "INSERT INTO arrival (stored, stations, times)"
                " VALUES (coalesce(%s, now()), %s, %s)",
                (stored, [self.ids[name] for name in values], [time] * len(values)),
            )
            await conn.execute("NOTIFY fenghuo_arrival")
            if time > self.time:
                self.time = time
                await exercise.move(conn, time)

    async def storm(self, hours: int, *, without: Iterable[str] = ()) -> None:
        """Let it rain on every station for some hours, with a peak that wanders."""
        silent = set(without)
        for hour in range(1, hours + 1):
            time = START + hour * HOUR
            rows = {
                name: _weather(number, hour)
                for number, name in enumerate(self.ids)
                if name not in silent or hour < hours - 6
            }
            await self.report(rows, time=time)

    async def warn(
        self,
        station: str,
        level: str | None,
        *,
        at: dt.datetime,
        value: float = 51.2,
        automatic: Collection[str] = LEVELS,
        veto: dt.timedelta = dt.timedelta(0),
    ) -> Message | None:
        """Open or raise the rainstorm warning of a station's region; end it with None.

        automatic, veto: as in `advance`; what is not automatic remains a proposal.
        """
        case = None if level is None else self._case(station, level, at, value)
        async with await connect(self.url, name="scene") as conn:
            step = advance(
                self.running.get(station),
                case,
                at=at,
                complete=True,
                terms=Terms(),
                exercise=True,
                automatic=automatic,
                veto=veto,
            )
            assert isinstance(step, Step)
            said = await ledger.record(conn, step, desk=self._desk())
            await conn.execute("UPDATE delivery SET state = 'delivered' WHERE state = 'queued'")
        self.running[station] = step.warning
        return said

    async def execute(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        async with await connect(self.url, name="scene") as conn:
            cursor = await conn.execute(statement, values)  # type: ignore[arg-type]
            return await cursor.fetchall() if cursor.description else []

    def _case(self, station: str, level: str, at: dt.datetime, value: float) -> Case:
        entry = next(e for e in stations.read(EVENT / "stations.csv") if e.name == station)
        evidence = Evidence(
            station=station,
            zh=entry.zh,
            en=entry.en,
            element="precipitation_amount",
            statistic="sum",
            window=12 * 3600 if level == "blue" else 6 * 3600 if level == "yellow" else 3 * 3600,
            value=value,
            threshold=50.0,
            comparison=">=",
            probability=None,
            time=at,
        )
        return Case(
            hazard="rainstorm",
            region=station,
            level=level,
            door="observed",
            time=at,
            evidence=(evidence,),
        )

    @staticmethod
    def _desk() -> Desk:
        return Desk(
            bureau=Bureau(
                agency={"zh": "示范气象台", "en": "Sample Weather Bureau"},
                sender="warnings@fenghuo.example",
            ),
            policy=Policy.load(),
            catalogue=Catalogue.load(),
        )

    @staticmethod
    def _event() -> exercise.Event:
        return exercise.Event(
            name="scene",
            zh="北京暴雨 2016年7月",
            en="Beijing rainstorm, July 2016",
            start=START,
            end=START + 72 * HOUR,
            time=START,
            steps=72,
        )


async def _insert(
    conn: Connection, station: int, time: dt.datetime, interval: int, row: Mapping[str, float]
) -> None:
    statement = sql.SQL(
        "INSERT INTO observation (station, time, interval, {}) VALUES (%s, %s, %s, {})"
    ).format(
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join([sql.Placeholder()] * len(row)),
    )
    await conn.execute(statement, (station, time, interval, *row.values()))


def _weather(number: int, hour: int) -> dict[str, float]:
    peak = 26 + 1.5 * (number % 5)
    rain = 24 * math.exp(-(((hour - peak) / 5) ** 2)) * (0.5 + (number * 7 % 10) / 12)
    return {
        "precipitation_amount": round(rain, 1) if rain > 0.1 else 0.0,
        "air_temperature": round(27 + 4 * math.sin(hour / 3.82) - rain / 6 - number * 0.15, 1),
        "relative_humidity": min(99.0, round(72 + rain * 1.6 + number * 0.5, 0)),
        "wind_speed": round(1.6 + 0.8 * math.sin(hour / 3 + number) ** 2 + rain / 9, 1),
        "air_pressure": round(998 - rain / 8, 1),
    }
