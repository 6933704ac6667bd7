"""What the stream tells: the newest state of everything, followed commit by commit."""

import asyncio
import datetime as dt
import logging
import uuid
from collections.abc import AsyncGenerator
from typing import Any

import psycopg

from alerts.life import board
from alerts.people.sealing import Seal
from alerts.queries import Queries
from server import exercise, vitals
from server.clock import Clock
from server.store import observations, stations
from server.store.connection import Connection
from server.store.database import Database
from server.store.errors import StoreError
from server.wakeup import Wakeup
from server.web.faces.pulse import NAME, Pulse
from server.web.recent import ELEMENTS, FIELDS, HOURS, Recent
from server.web.stream import Hub, frame

_log = logging.getLogger(__name__)
_sql = Queries("server.web", "queries.sql")

POLL = 1.0
"""Seconds after which the database is looked at even without a notification."""

REST = 0.1
"""Least seconds between two looks: what comes meanwhile is told together."""

QUIET = 0.5
"""Least seconds between two looks at what no message tells: a warning that is kept, a receipt."""

BEAT = 5.0
"""Seconds between two signs of life, by which a page knows that the line is not dead."""

COMMITS = 2_000
"""Commits read in one look."""

LOST = 30.0
"""After this many seconds without a look at the log, it may have been tidied: all is read anew."""

ENDED = dt.timedelta(hours=48)
"""How long a warning that has ended is still shown."""

PHONE = 100
"""Messages that the phone of a new page shows."""


class Live:
    """The state behind the stream, and the task that keeps it up to date."""

    def __init__(self, database: Database, clock: Clock, wall: Clock, seal: Seal) -> None:
        """Tell it to an own hub, which pages connect to."""
        self._database = database
        self._clock = clock
        self._wall = wall
        self._seal = seal
        self.hub = Hub(self)
        self.pulse = Hub(Pulse(self))
        self.serial = 0
        self.looked: dt.datetime | None = None
        self._forget()

    def _forget(self) -> None:
        self._recent = Recent()
        self._names: dict[int, str] = {}
        self._warnings: dict[uuid.UUID, dict[str, Any]] = {}
        self._phone: dict[uuid.UUID, dict[str, Any]] = {}
        self._time: dict[str, Any] = {"now": self._clock.now(), "event": None}
        self._vitals: Any = []
        self._cursor = ("0", 0)
        self._whole: dict[str, bytes] = {}

    @property
    def now(self) -> dt.datetime:
        """The time that is decided by: the event's in an exercise, else the clock's."""
        event = self._time["event"]
        now: dt.datetime = self._clock.now() if event is None else event["time"]
        return now

    @property
    def newest(self) -> dt.datetime | None:
        """Time of the newest reading of all; None before any."""
        seconds = self._recent.newest
        return dt.datetime.fromtimestamp(seconds, dt.UTC) if seconds else None

    @property
    def exercise(self) -> bool:
        """Whether the database holds a replayed event."""
        return self._time["event"] is not None

    def close(self) -> None:
        """End every stream."""
        self.hub.close()
        self.pulse.close()

    # What a new or a slow client gets.

    def snapshot(self) -> bytes:
        """Give everything as one frame; encoded once until something changes."""
        if "snapshot" not in self._whole:
            data = {
                "clock": self._time,
                "readings": self._readings(self._recent.stations),
                "warnings": list(self._warnings.values()),
                "phone": list(self._phone.values()),
                "vitals": self._vitals,
            }
            self._whole["snapshot"] = frame("snapshot", data, serial=self.serial)
        return self._whole["snapshot"]

    def whole(self, name: str) -> bytes:
        """Give the newest state that stands for all events of this name."""
        if name not in self._whole:
            match name:
                case "reading":
                    data: Any = self._readings(self._recent.stations)
                case "phone":
                    data = {"messages": list(self._phone.values())}
                case "clock":
                    data = self._time
                case "state":
                    data = {"warnings": list(self._warnings.values())}
                case _:
                    data = self._vitals
            self._whole[name] = frame(name, data)
        return self._whole[name]

    async def replay(self, after: int, until: int) -> AsyncGenerator[bytes, None]:
        """Give the warning events that a client missed, in their order."""
        while after < until:
            async with self._database.connection() as conn:
                frames = await self._events(conn, after, until)
            if not frames:
                return
            for number, data in frames:
                after = number
                yield data

    # Following.

    async def follow(self) -> None:
        """Keep up with the database until cancelled; without it, wait for it."""
        async with Wakeup(
            self._database, "fenghuo_arrival", "fenghuo_warning", "fenghuo_clock"
        ) as wakeup:
            while True:
                try:
                    await self._load()
                    await self._keep_up(wakeup)
                except (psycopg.Error, StoreError, OSError) as error:
                    _log.warning("the stream waits for the database error=%s", error)
                    await asyncio.sleep(POLL)

    async def _keep_up(self, wakeup: Wakeup) -> None:
        time = asyncio.get_running_loop().time
        looked = beat = time()
        quiet = 0.0
        while time() - looked < LOST:
            async with self._database.connection() as conn:
                more = await self._look_at_readings(conn)
                await self._look_at_messages(conn)
                await self._look_at_clock(conn)
                if time() - quiet >= QUIET:
                    quiet = time()
                    await self._look_at_states(conn)
                if time() - beat >= BEAT:
                    beat = time()
                    await self._look_at_vitals(conn)
            looked = time()
            self.looked = self._wall.now()
            await asyncio.sleep(REST)
            if not more:
                await wakeup.wait(POLL)

    async def _load(self) -> None:
        """Read everything as one moment shows it."""
        serial = self.serial
        async with self._database.connection() as conn:
            await conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            self._forget()
            row = await (await conn.execute(_sql.horizon)).fetchone()
            # What was committed above the horizon is read once more later, which does no harm.
            self._cursor = (row[0] if row else "0", 0)
            await self._read_clock(conn)
            self._names = {place.id: place.name for place in await stations.every(conn)}
            self._recent.put(await observations.newest(conn, elements=ELEMENTS))
            start = self.now - dt.timedelta(hours=max(HOURS) + 1)
            self._recent.put(
                await observations.window(conn, start=start, end=None, elements=ELEMENTS)
            )
            self.serial = await board.serial(conn, exercises=self.exercise)
            found = await board.find(conn, ended_after=self.now - ENDED, exercises=self.exercise)
            self._warnings = {item["id"]: item for item in found}
            self._phone = await self._texts(conn)
            self._vitals = await vitals.read(conn)
            missed = await self._events(conn, serial, self.serial) if serial else []
        # Pages that stayed while the database was away get what they missed.
        for _, data in missed:
            self.hub.keep(data)
        for name in ("state", "reading", "phone", "clock", "vitals"):
            self.hub.offer(name, self.whole(name))
        self._beat()

    async def _look_at_readings(self, conn: Connection) -> bool:
        """Take what was committed; say whether there is more."""
        cursor = await conn.execute(
            _sql.arrivals, {"xid": self._cursor[0], "id": self._cursor[1], "limit": COMMITS}
        )
        rows = await cursor.fetchall()
        if not rows:
            return False
        pairs = {pair for row in rows for pair in zip(row[2], row[3], strict=True)}
        batch = await observations.readings(conn, pairs, ELEMENTS)
        touched = self._recent.put(batch)
        self._cursor = (rows[-1][0], rows[-1][1])
        if touched - self._names.keys():
            self._names = {place.id: place.name for place in await stations.every(conn)}
        if touched:
            self._offer("reading", self._readings(sorted(touched)))
        return len(rows) == COMMITS

    async def _look_at_messages(self, conn: Connection) -> None:
        until = await board.serial(conn, exercises=self.exercise)
        if until > self.serial:
            frames = await self._events(conn, self.serial, until)
            for number, data in frames:
                self.serial = number
                self._whole.pop("snapshot", None)
                self.hub.keep(data)
            self._beat()

    async def _look_at_states(self, conn: Connection) -> None:
        found = await board.find(conn, running=True, exercises=self.exercise)
        running = {item["id"]: item for item in found}
        changed = [item for id_, item in running.items() if self._warnings.get(id_) != item]
        if changed:
            self._warnings.update(running)
            self._offer("state", {"warnings": changed})
        texts = await self._texts(conn)
        fresh = [item for id_, item in texts.items() if self._phone.get(id_) != item]
        if fresh:
            self._phone = texts
            self._offer("phone", {"messages": fresh})

    async def _texts(self, conn: Connection) -> dict[uuid.UUID, dict[str, Any]]:
        if not self.exercise:
            return {}  # what a real centre practises is not for everybody
        texts = await board.phone(conn, seal=self._seal, limit=PHONE)
        return {item["id"]: item for item in texts}

    async def _look_at_clock(self, conn: Connection) -> None:
        before = self._time["event"]
        await self._read_clock(conn)
        if self._time["event"] != before:
            self._offer("clock", self._time)

    async def _look_at_vitals(self, conn: Connection) -> None:
        self._vitals = await vitals.read(conn)
        self._offer("vitals", self._vitals)
        self._offer("clock", self._time)
        shown = self.now - ENDED
        self._warnings = {
            id_: item
            for id_, item in self._warnings.items()
            if item["ended"] is None or item["ended"] > shown
        }

    async def _read_clock(self, conn: Connection) -> None:
        event = await exercise.read(conn)
        self._time = {
            "now": self._clock.now(),
            "event": None
            if event is None
            else {
                "zh": event.zh,
                "en": event.en,
                "start": event.start,
                "end": event.end,
                "time": event.time,
            },
        }

    async def _events(self, conn: Connection, after: int, until: int) -> list[tuple[int, bytes]]:
        """Give a page of warning events: each message with the present state of its warning."""
        rows = await board.messages(conn, after=after, until=until, exercises=self.exercise)
        if not rows:
            return []
        ids = list({warning for _, _, warning in rows})
        found = await board.find(conn, ids=ids, exercises=self.exercise)
        by_id = {item["id"]: item for item in found}
        self._warnings.update(by_id)
        frames = []
        for number, message, warning in rows:
            chain = by_id[warning]["messages"]
            said = next(item for item in chain if item["id"] == str(message))
            data = {"message": said, "warning": by_id[warning]}
            frames.append((number, frame("warning", data, serial=number)))
        return frames

    def _readings(self, numbers: list[int]) -> dict[str, Any]:
        known = [number for number in numbers if number in self._names]
        rows = self._recent.rows(known)
        return {
            "fields": FIELDS,
            "stations": {self._names[n]: row for n, row in zip(known, rows, strict=True)},
        }

    def _beat(self) -> None:
        """Tell everybody's pages that they are out of date."""
        self.pulse.offer(NAME, frame(NAME, {"serial": self.serial}, serial=self.serial))

    def _offer(self, name: str, data: Any) -> None:
        self._whole.pop(name, None)
        self._whole.pop("snapshot", None)
        self.hub.offer(name, frame(name, data))
