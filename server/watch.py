"""Deciding: each commit wakes the watch, which turns readings into warnings in their own time.

One turn is one transaction: the readings since the last turn, what they mean, the warnings that
begin, change or end, their messages, and the position in the log of commits. A kill in the middle
leaves nothing half done, and the next start goes on from the same position.

In a replayed event every time of a reading is decided in its order, and only when all readings of
that time are committed; so the outcome does not depend on how fast anything ran. In real life the
present moment is decided, at every commit and at least every ``watch.poll`` seconds. What comes
late waits behind what is new and is taken in small parts, each into the windows of its own time,
so a flood of old readings delays no decision; what no window reaches back to is left alone.

What is new is judged before it counts; the codes are written behind the decision. The criteria
are those in force at the moment that is decided: where others come into force, the memory is
filled anew.
"""

import asyncio
import datetime as dt
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias

import msgspec
import numpy as np
import psycopg
from numpy.typing import NDArray

from alerts import regions
from alerts.bureau import policies
from alerts.bureau.policy import Policy
from alerts.life import ledger
from alerts.life.evidence import Case, named
from forecast.criteria import Book, Criteria
from forecast.proposal import Proposal, propose
from server import exercise, rules
from server.backlog import Backlog
from server.clock import Clock, SystemClock
from server.decision import decide
from server.desk import desk as made
from server.desk import policy_file
from server.judging import Keeper
from server.memory import Memory
from server.processes import ready
from server.rules import Rules
from server.settings import Settings
from server.store import arrivals, codes, criteria, stations
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

Reading: TypeAlias = Callable[[Connection], Awaitable[Policy]]
"""Reads the policy in force."""

RELOAD = dt.timedelta(minutes=1)
"""How often stations and regions are looked at for changes."""


async def serve(settings: Settings, *, clock: Clock) -> None:
    """Decide until cancelled; a broken turn is rolled back and begun again from the store."""
    file = policy_file(settings)
    desk = made(settings, Policy.load(file))
    async with (
        await Database.open(settings.store.url, name="fenghuo watch", size=3) as database,
        Wakeup(database, "fenghuo_arrival", "fenghuo_clock") as wakeup,
        Wakeup(database, criteria.CHANNEL) as bell,
    ):
        vitals = Vitals()
        keeper = Keeper(database, clock=SystemClock(), vitals=vitals)
        beside = [
            asyncio.create_task(vitals.publish(database, "watch", SystemClock())),
            asyncio.create_task(keeper.run(), name="quality codes"),
        ]
        at: dt.datetime | None = None
        ready("watch")
        try:
            while True:
                try:
                    async with database.connection() as conn:
                        at = at or await _present(conn, clock)
                        found = await rules.read(conn, settings, at=at)
                        watch = await Watch.open(
                            conn,
                            found,
                            desk,
                            settings.watch.silence,
                            clock,
                            keeper=keeper,
                            policy=lambda conn: policies.in_force(conn, file),
                        )
                    at = await _follow(
                        watch, database, wakeup, bell, settings=settings, vitals=vitals
                    )
                except (psycopg.Error, StoreError) as error:
                    # Memory may be ahead of the store now: begin again from what is committed.
                    vitals.add("turns_rolled_back")
                    _log.warning("turn rolled back error=%s", error)
                    await asyncio.sleep(settings.watch.poll)
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)


async def _present(conn: Connection, clock: Clock) -> dt.datetime:
    """Give the moment that is decided next, as far as it is known."""
    event = await exercise.read(conn)
    if event is None:
        return clock.now()
    return await arrivals.decided(conn, CONSUMER) or event.time


async def _follow(
    watch: "Watch",
    database: Database,
    wakeup: Wakeup,
    bell: Wakeup,
    *,
    settings: Settings,
    vitals: Vitals,
) -> dt.datetime | None:
    """Take turns until the memory must be filled anew; give the moment to begin with."""
    while not await watch.outdated(database):
        if await bell.wait(0):
            async with database.connection() as conn:
                at = await _present(conn, watch.clock)
                if await rules.read(conn, settings, at=at) != watch.rules:
                    return at
        began = time.monotonic()
        async with database.connection() as conn:
            done = await watch.turn(conn)
        vitals.observe("turn_seconds", time.monotonic() - began)
        vitals.set("readings_waiting", watch.waiting)
        if watch.expired is not None:
            return watch.expired
        await asyncio.sleep(REST)
        if done:
            await wakeup.wait(settings.watch.poll)
    return None


class Watch:
    """What is known in memory: the nowcast's windows, and how far has been decided."""

    def __init__(
        self,
        *,
        memory: Memory,
        desk: ledger.Desk,
        silence: float,
        clock: Clock,
        places: Sequence[Station],
        members: Mapping[str, Sequence[int]],
        rules: Rules,
        keeper: Keeper | None = None,
        policy: Reading | None = None,
    ) -> None:
        """Know the stations, in the order of the nowcast, and the stations of each region."""
        self._memory = memory
        self._nowcast = memory.nowcast
        self._desk = desk
        self._policy = policy
        self._silence = silence
        self.clock = clock
        self.rules = rules
        self.expired: dt.datetime | None = None
        """The moment that other criteria are in force for than these."""
        self._keeper = keeper
        self._places = places
        self._members = members
        self._regions = list(members)
        self._membership = [
            [memory.index[station] for station in members[region] if station in memory.index]
            for region in self._regions
        ]
        self._backlog = Backlog()
        self._decided = 0
        self._looked = clock.now()

    @classmethod
    async def open(
        cls,
        conn: Connection,
        criteria: Rules | Book | Criteria,
        desk: ledger.Desk,
        silence: float,
        clock: Clock,
        *,
        keeper: Keeper | None = None,
        policy: Reading | None = None,
    ) -> "Watch":
        """Begin where the last turn ended: with the readings that its windows need.

        policy: reads what is in force, at each decision; without it the desk's stays.
        """
        places = await stations.every(conn)
        found = criteria if isinstance(criteria, Rules) else Rules(criteria)
        watch = cls(
            memory=Memory(found.book, places),
            desk=desk,
            silence=silence,
            clock=clock,
            places=places,
            members=await regions.membership(conn),
            rules=found,
            keeper=keeper,
            policy=policy,
        )
        decided = await arrivals.decided(conn, CONSUMER)
        since = decided if await exercise.read(conn) else clock.now()
        if since is not None:
            await watch._memory.fill(conn, since)
        if decided is not None:
            watch._decided = int(decided.timestamp())
            watch._nowcast.look(watch._decided)
        return watch

    async def outdated(self, database: Database) -> bool:
        """Say whether stations or regions have changed since this memory was filled."""
        if self.clock.now() - self._looked < RELOAD:
            return False
        self._looked = self.clock.now()
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
            await self._memory.read(conn, batch.pairs)
        # What is committed may not be readable yet: nothing is decided without all of it.
        done = not await arrivals.unread(conn, batch.cursor)
        due = {moment for moment in self._memory.undecided if moment <= now} | {now}
        moments = sorted(moment for moment in due if moment > self._decided) if done else []
        for number, moment in enumerate(moments):
            if self._ends(moment):
                moments = moments[:number]
                break
            await self._decide(conn, moment, as_exercise=True)
        if moments:
            self._decided = moments[-1]
        self._memory.undecided = {each for each in self._memory.undecided if each > self._decided}
        # What was found goes with the decision: an event is decided the same after any kill.
        for part in self._memory.judged():
            await codes.write(conn, part, stored=SystemClock().now())
        if batch.size or moments:
            await self._advance(conn, batch.cursor)
        return done

    async def _live(self, conn: Connection) -> bool:
        """Decide the present by the newest of what was committed, however much there is.

        What waits is in memory only: a new watch reads all that its windows need anyway.
        """
        now = int(self.clock.now().timestamp())
        batch = await arrivals.pending(conn, CONSUMER, limit=LIMIT)
        oldest = now - self._nowcast.span
        wanted = batch.pairs.times > oldest
        self._backlog.put(Pairs(batch.pairs.stations[wanted], batch.pairs.times[wanted]))
        self._backlog.forget(oldest)
        newest = 0
        for part in self._backlog.take(PART):
            await self._memory.read(conn, part)
            newest = max(newest, int(part.times.max()))
        self._memory.undecided.clear()
        # The same second is decided again when it has brought something new.
        decides = now > self._decided or (now == self._decided and newest > now - PRESENT)
        if decides and self._ends(now):
            decides = False
        if decides:
            await self._decide(conn, now, as_exercise=False)
            self._decided = now
        found = self._memory.judged()
        if self._keeper is not None:
            self._keeper.put(found)  # behind the decision, which waits for nothing
        if batch.size or decides:
            await self._advance(conn, batch.cursor)
        return batch.size < LIMIT and not self._backlog

    def _ends(self, moment: int) -> bool:
        """Say whether other criteria are in force at a moment, and remember it."""
        at = dt.datetime.fromtimestamp(moment, dt.UTC)
        if self.rules.until is None or at < self.rules.until:
            return False
        self.expired = at
        return True

    @property
    def waiting(self) -> int:
        """Readings that are committed but wait behind newer ones."""
        return len(self._backlog)

    async def _advance(self, conn: Connection, cursor: arrivals.Cursor) -> None:
        decided = dt.datetime.fromtimestamp(self._decided, dt.UTC) if self._decided else None
        await arrivals.register(conn, CONSUMER)
        await arrivals.advance(conn, CONSUMER, cursor, decided)

    def _proposals(self, moment: int) -> list[Proposal]:
        """Give what the stations propose at a moment, by the criteria of each region."""
        look = self._nowcast.look(moment)
        found: list[Proposal] = []
        sets = self.rules.sets(self._regions, moment)
        for chosen, names in sets:
            members = [
                stations_ if region in names else []
                for region, stations_ in zip(self._regions, self._membership, strict=True)
            ]
            among: NDArray[np.bool_] | None = None
            if len(sets) > 1:
                among = np.zeros(len(self._places), np.bool_)
                among[[station for each in members for station in each]] = True
            keep = self._desk.policy.proposals.keep
            findings = self._nowcast.findings(look, criteria=chosen, among=among, keep=keep)
            found += propose(findings, members)
        return found

    async def _decide(self, conn: Connection, moment: int, *, as_exercise: bool) -> None:
        """Decide everything for one moment and write what follows."""
        at = dt.datetime.fromtimestamp(moment, dt.UTC)
        if self._policy is not None:
            policy = await self._policy(conn)
            self._desk = msgspec.structs.replace(self._desk, policy=policy)
        cases: dict[tuple[str, str], Case] = {}
        for proposal in self._proposals(moment):
            found = named(proposal, regions=self._regions, stations=self._places, at=at)
            cases[found.hazard, found.region] = found
        await decide(
            conn,
            cases,
            at=at,
            as_exercise=as_exercise,
            desk=self._desk,
            heard=lambda names: self._memory.heard(names, moment, silence=self._silence),
        )
