"""Deciding: each commit wakes the watch, which turns readings into warnings in their own time.

One turn is one transaction: the readings since the last turn, what they mean, the warnings that
begin, change or end, their messages, and the position in the log of commits. A kill in the middle
leaves nothing half done, and the next start goes on from the same position.

In a replayed event every time of a reading is decided in its order, and only when all readings of
that time are committed; so the outcome does not depend on how fast anything ran. In real life the
present moment is decided, at every commit and at least every ``watch.poll`` seconds. What comes
late waits behind what is new and is taken in small parts, each into the windows of its own time,
so a flood of old readings delays no decision; what no window reaches back to is left alone.
"""

import asyncio
import datetime as dt
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import psycopg
from numpy.typing import NDArray

from agent.elements import ELEMENTS
from alerts import ledger, regions
from alerts.cap.signature import Signer
from alerts.catalogue import Catalogue
from alerts.evidence import Case, named
from alerts.policy import Policy
from alerts.warning import Act, advance
from alerts.wording import Bureau
from forecast.criteria import Criteria
from forecast.nowcast import Nowcast
from forecast.proposal import propose
from forecast.readings import Readings
from server import exercise
from server.backlog import Backlog
from server.clock import Clock, SystemClock
from server.processes import ready
from server.settings import Settings
from server.store import arrivals, observations, stations
from server.store.connection import Connection
from server.store.database import Database
from server.store.errors import StoreError
from server.store.pairs import Pairs
from server.store.stations import Station
from server.vitals import Vitals
from server.wakeup import Wakeup

_log = logging.getLogger(__name__)

CONSUMER = "watch"
LIMIT = 500
"""Commits taken in one turn at most."""

REST = 0.05
"""Least seconds between two turns: what comes meanwhile is decided together."""

PART = 3_000
"""Readings taken in one turn at most in real life, the newest first."""

PRESENT = 600
"""Readings not older than this (s) are decided on at once; older ones within the second."""

NOTE = dt.timedelta(minutes=1)
"""A warning that nothing changes in is written down again after this time."""

RELOAD = dt.timedelta(minutes=1)
"""How often stations and regions are looked at for changes."""


async def serve(settings: Settings, *, clock: Clock) -> None:
    """Decide until cancelled; a broken turn is rolled back and begun again from the store."""
    criteria = Criteria.load(
        Path(settings.watch.criteria) if settings.watch.criteria else None,
        units={name: element.unit for name, element in ELEMENTS.items()},
    )
    desk = ledger.Desk(
        bureau=Bureau(
            agency={"zh": settings.alerts.agency_zh, "en": settings.alerts.agency_en},
            sender=settings.alerts.sender,
            zone=settings.zone,
            web=settings.web.public_url,
        ),
        policy=Policy.load(Path(settings.alerts.policy) if settings.alerts.policy else None),
        catalogue=Catalogue.load(),
        channels=settings.alerts.channels,
        signer=Signer.load(Path(settings.alerts.signature)) if settings.alerts.signature else None,
    )
    async with (
        await Database.open(settings.store.url, name="fenghuo watch", size=2) as database,
        Wakeup(database, "fenghuo_arrival", "fenghuo_clock") as wakeup,
    ):
        vitals = Vitals()
        publishing = asyncio.create_task(vitals.publish(database, "watch", SystemClock()))
        ready("watch")
        try:
            while True:
                try:
                    async with database.connection() as conn:
                        watch = await Watch.open(
                            conn, criteria, desk, settings.watch.silence, clock
                        )
                    while not await watch.outdated(database):
                        began = time.monotonic()
                        async with database.connection() as conn:
                            done = await watch.turn(conn)
                        vitals.observe("turn_seconds", time.monotonic() - began)
                        vitals.set("readings_waiting", watch.waiting)
                        await asyncio.sleep(REST)
                        if done:
                            await wakeup.wait(settings.watch.poll)
                except (psycopg.Error, StoreError) as error:
                    # Memory may be ahead of the store now: begin again from what is committed.
                    vitals.add("turns_rolled_back")
                    _log.warning("turn rolled back error=%s", error)
                    await asyncio.sleep(settings.watch.poll)
        finally:
            publishing.cancel()


class Watch:
    """What is known in memory: the nowcast's windows, and how far has been decided."""

    def __init__(
        self,
        *,
        nowcast: Nowcast,
        desk: ledger.Desk,
        silence: float,
        clock: Clock,
        places: Sequence[Station],
        members: Mapping[str, Sequence[int]],
    ) -> None:
        """Know the stations, in the order of the nowcast, and the stations of each region."""
        self._nowcast = nowcast
        self._desk = desk
        self._silence = silence
        self._clock = clock
        self._places = places
        self._members = members
        self._index = {place.id: index for index, place in enumerate(places)}
        self._named = {place.name: index for index, place in enumerate(places)}
        self._regions = list(members)
        self._membership = [
            [self._index[station] for station in members[region] if station in self._index]
            for region in self._regions
        ]
        # The newest reading of each station, and the seconds that it covers.
        self._newest: NDArray[np.int64] = np.zeros(len(places), np.int64)
        self._interval: NDArray[np.int64] = np.zeros(len(places), np.int64)
        self._undecided: set[int] = set()
        self._backlog = Backlog()
        self._decided = 0
        self._looked = clock.now()

    @classmethod
    async def open(
        cls,
        conn: Connection,
        criteria: Criteria,
        desk: ledger.Desk,
        silence: float,
        clock: Clock,
    ) -> "Watch":
        """Begin where the last turn ended: with the readings that its windows need."""
        places = await stations.every(conn)
        watch = cls(
            nowcast=Nowcast(criteria=criteria, stations=len(places)),
            desk=desk,
            silence=silence,
            clock=clock,
            places=places,
            members=await regions.membership(conn),
        )
        decided = await arrivals.decided(conn, CONSUMER)
        since = decided if await exercise.read(conn) else clock.now()
        if since is not None:
            start = since - dt.timedelta(seconds=watch._nowcast.span)
            past = await observations.window(
                conn, start=start, end=None, elements=watch._nowcast.elements
            )
            watch._take(past)
        if decided is not None:
            watch._decided = int(decided.timestamp())
            watch._nowcast.evaluate(watch._decided)
        return watch

    async def outdated(self, database: Database) -> bool:
        """Say whether stations or regions have changed since this memory was filled."""
        if self._clock.now() - self._looked < RELOAD:
            return False
        self._looked = self._clock.now()
        async with database.connection() as conn:
            places, members = await stations.every(conn), await regions.membership(conn)
        return bool(places != self._places or members != self._members)

    async def turn(self, conn: Connection) -> bool:
        """Take what was committed, decide, and say whether that was all.

        The caller's transaction holds all of it.
        """
        event = await exercise.read(conn)
        if event is None:
            return await self._live(conn)
        now = int(event.time.timestamp())
        batch = await arrivals.pending(conn, CONSUMER, limit=LIMIT)
        if batch.size:
            self._take(await observations.readings(conn, batch.pairs, self._nowcast.elements))
        # What is committed may not be readable yet: nothing is decided without all of it.
        done = not await arrivals.unread(conn, batch.cursor)
        due = {moment for moment in self._undecided if moment <= now} | {now}
        moments = sorted(moment for moment in due if moment > self._decided) if done else []
        for moment in moments:
            await self._decide(conn, moment, as_exercise=True)
        if moments:
            self._decided = moments[-1]
        self._undecided = {moment for moment in self._undecided if moment > self._decided}
        if batch.size or moments:
            await self._advance(conn, batch.cursor)
        return done

    async def _live(self, conn: Connection) -> bool:
        """Decide the present by the newest of what was committed, however much there is.

        What waits is in memory only: a new watch reads all that its windows need anyway.
        """
        now = int(self._clock.now().timestamp())
        batch = await arrivals.pending(conn, CONSUMER, limit=LIMIT)
        oldest = now - self._nowcast.span
        wanted = batch.pairs.times > oldest
        self._backlog.put(Pairs(batch.pairs.stations[wanted], batch.pairs.times[wanted]))
        self._backlog.forget(oldest)
        newest = 0
        for part in self._backlog.take(PART):
            self._take(await observations.readings(conn, part, self._nowcast.elements))
            newest = max(newest, int(part.times.max()))
        self._undecided.clear()
        # The same second is decided again when it has brought something new.
        decides = now > self._decided or (now == self._decided and newest > now - PRESENT)
        if decides:
            await self._decide(conn, now, as_exercise=False)
            self._decided = now
        if batch.size or decides:
            await self._advance(conn, batch.cursor)
        return batch.size < LIMIT and not self._backlog

    @property
    def waiting(self) -> int:
        """Readings that are committed but wait behind newer ones."""
        return len(self._backlog)

    async def _advance(self, conn: Connection, cursor: arrivals.Cursor) -> None:
        decided = dt.datetime.fromtimestamp(self._decided, dt.UTC) if self._decided else None
        await arrivals.register(conn, CONSUMER)
        await arrivals.advance(conn, CONSUMER, cursor, decided)

    def _take(self, columns: observations.Columns) -> None:
        """Put readings into memory, in the nowcast's order of stations."""
        index = np.array([self._index.get(station, -1) for station in columns.station.tolist()])
        known = index >= 0
        if not known.any():
            return
        station, time, interval = index[known], columns.time[known], columns.interval[known]
        self._nowcast.put(
            Readings(
                station=station,
                time=time,
                interval=interval,
                values={name: values[known] for name, values in columns.values.items()},
            )
        )
        self._undecided |= set(np.unique(time).tolist())
        order = np.argsort(time, kind="stable")
        newer = time[order] >= self._newest[station[order]]
        rows = order[newer]
        self._newest[station[rows]] = time[rows]
        self._interval[station[rows]] = interval[rows]

    async def _decide(self, conn: Connection, moment: int, *, as_exercise: bool) -> None:
        """Decide everything for one moment and write what follows."""
        at = dt.datetime.fromtimestamp(moment, dt.UTC)
        proposals = propose(self._nowcast.evaluate(moment), self._membership)
        cases: dict[tuple[str, str], Case] = {}
        for proposal in proposals:
            found = named(proposal, regions=self._regions, stations=self._places)
            cases[found.hazard, found.region] = found
        running = {
            (warning.hazard, warning.region): warning for warning in await ledger.running(conn)
        }
        for key in sorted(running.keys() | cases.keys()):
            warning, case = running.get(key), cases.get(key)
            step = advance(
                warning,
                case,
                at=at,
                complete=warning is None or self._heard(warning.supporters, moment),
                terms=self._desk.policy.terms(key[0]),
                exercise=as_exercise,
                automatic=self._desk.policy.issues(
                    hazard=key[0], level=case.level if case else "blue", exercise=as_exercise
                ),
            )
            if step is None:
                continue
            if step.act is Act.KEEP and warning and at - warning.decided < NOTE:
                continue
            await ledger.record(conn, step, desk=self._desk)

    def _heard(self, names: Iterable[str], moment: int) -> bool:
        """Say whether each station has reported up to the moment, or is silent for long."""
        index = [self._named[name] for name in names if name in self._named]
        age = moment - self._newest[index]
        fresh = age < 2 * self._interval[index]
        return bool(np.all(fresh | (age > self._silence)))
