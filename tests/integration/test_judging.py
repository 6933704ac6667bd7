"""What the watch finds of quality, on a real database: codes are kept, proposals are held."""

import datetime as dt
from collections.abc import AsyncIterator

import httpx
import msgspec
import numpy as np
import pytest

from alerts import regions
from alerts.bureau import policies
from alerts.bureau.policy import Automatic, Proposals, shipped
from alerts.life import ledger
from alerts.life.acts import perform
from alerts.life.evidence import LEVELS
from alerts.life.warning import Act, Terms
from alerts.people import subscribers
from alerts.rights import Person
from forecast.quality import FAILED, Check, code
from server import rules
from server.clock import SystemClock
from server.judging import Keeper
from server.settings import Settings
from server.store import codes, criteria, rollups, stations
from server.store.database import Database
from server.store.partitions import Partitions
from server.vitals import Vitals
from server.watch import Watch
from server.web.app import create
from tests.accounts import bearer
from tests.integration.test_watch import CRITERIA
from tests.integration.test_watch import DESK as MANNED
from tests.rows import Row, commit, readable
from tests.samples import SEAL, Fixed
from tests.support import eventually_async

NOW = dt.datetime(2026, 5, 20, 12, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
GUST = "wind_speed_of_gust"
RANGE = code(Check.RANGE, failed=False)
DESK = msgspec.structs.replace(
    MANNED,
    policy=msgspec.structs.replace(MANNED.policy, automatic=Automatic(levels=tuple(LEVELS))),
)


class Centre:
    """Two stations far apart, each in a region, and a watch in real life with a clock to be set."""

    def __init__(self, database: Database, first: int) -> None:
        self.database = database
        self.first = first
        self.clock = Fixed(NOW)
        self.vitals = Vitals()
        self.keeper = Keeper(database, clock=SystemClock(), vitals=self.vitals)
        self.desk = DESK
        self.partitions = Partitions(database.kind, chunk_days=7)

    async def gusts(self, *values: float, end: dt.datetime = NOW, station: int = 0) -> None:
        """Commit readings of ten minutes as the ingest does: only their range is checked."""
        rows = [
            Row(
                station=self.first + station,
                time=end - (len(values) - 1 - n) * 10 * MINUTE,
                values={GUST: value, "wind_speed": value / 2 if value < 40 else 5.0},
                quality={GUST: RANGE, "wind_speed": RANGE},
                interval=600,
            )
            for n, value in enumerate(values)
        ]
        async with self.database.connection() as conn:
            await commit(conn, self.partitions, rows)

    async def watch(self) -> Watch:
        async with self.database.connection() as conn:
            found = rules.Rules(CRITERIA)
            return await Watch.open(conn, found, self.desk, 7_200, self.clock, keeper=self.keeper)

    async def turn(self, watch: Watch, at: dt.datetime = NOW) -> None:
        self.clock.time = at
        async with self.database.connection() as conn:
            await readable(conn)

        async def done() -> bool:
            async with self.database.connection() as conn:
                return await watch.turn(conn)

        await eventually_async(done)

    async def ask(self, query: str) -> list[tuple]:
        async with self.database.connection() as conn:
            return await (await conn.execute(query)).fetchall()

    async def codes(self) -> list[int]:
        """Write what waits and give the codes of the first station's gusts, the oldest first."""
        await self.keeper.write()
        rows = await self.ask("SELECT station, wind_speed_of_gust_q FROM observation ORDER BY time")
        return [quality for station, quality in rows if station == self.first]

    async def said(self) -> list[tuple]:
        return await self.ask("SELECT act, level FROM message ORDER BY serial")


@pytest.fixture
async def centre(any_database: str) -> AsyncIterator[Centre]:
    async with await Database.open(any_database, name="test", size=4) as database:
        async with database.connection() as conn:
            places = {"A": 118.0, "B": 100.0}
            await stations.put(
                conn,
                [
                    stations.Entry(name=name, zh=name, en=name, longitude=east, latitude=39.0)
                    for name, east in places.items()
                ],
                now=NOW,
            )
            found = await stations.every(conn)
            areas = regions.sample(found)
            await regions.save(conn, areas)
            await regions.assign(conn, areas, found)
            await subscribers.save(conn, subscribers.sample(areas), seal=SEAL, at=NOW)
        yield Centre(database, min(place.id for place in found))


CALM = (9.0, 10.0, 9.5, 11.0, 10.0, 12.0, 10.5)


async def test_codes_are_written_behind_the_decision_and_come_to_rest(centre: Centre) -> None:
    watch = await centre.watch()
    await centre.gusts(*CALM)
    await centre.turn(watch)
    await centre.gusts(160.0, end=NOW + 10 * MINUTE)
    await centre.turn(watch, NOW + 10 * MINUTE)
    found = await centre.codes()
    assert [bool(each & FAILED) for each in found] == [False] * 7 + [True]
    assert all(each & ~RANGE for each in found)  # more was checked than by the ingest
    # The value itself stays, and hours are computed without it: a commit tells them so.
    assert await centre.ask("SELECT max(wind_speed_of_gust) FROM observation") == [(160.0,)]
    arrived = await centre.ask("SELECT count(*) FROM arrival")
    async with centre.database.connection() as conn:
        while await rollups.roll_hours(conn):
            pass
    assert await centre.ask("SELECT max(maximum) FROM rollup WHERE maximum > 100") == [(None,)]
    # The watch reads its own commit, and nothing follows from it.
    for minute in (11, 12):
        await centre.turn(watch, NOW + minute * MINUTE)
        assert await centre.codes() == found
    assert await centre.ask("SELECT count(*) FROM arrival") == arrived


async def test_what_was_not_written_before_a_kill_is_found_again(centre: Centre) -> None:
    watch = await centre.watch()
    await centre.gusts(*CALM, 160.0)
    await centre.turn(watch)
    assert len(centre.keeper) > 0
    before = centre.keeper
    centre.keeper = Keeper(centre.database, clock=SystemClock(), vitals=centre.vitals)
    again = await centre.watch()
    await centre.turn(again, NOW + MINUTE)
    found = await centre.codes()
    await before.write()
    assert await centre.codes() == found
    assert found[-1] & FAILED
    # A third one is told all of it, and has nothing to write.
    written = centre.vitals.get("codes_written")
    third = await centre.watch()
    await centre.turn(third, NOW + 2 * MINUTE)
    await centre.keeper.write()
    assert centre.vitals.get("codes_written") == written


async def test_codes_of_readings_that_are_not_stored_are_left_out(centre: Centre) -> None:
    await centre.gusts(10.0)
    found = codes.Codes(
        station=np.array([centre.first, centre.first, 9_999]),
        time=np.array([int(NOW.timestamp()), 5, int(NOW.timestamp())]),
        codes={GUST: np.array([RANGE | 512, 256, 256], np.int16)},
    )
    async with centre.database.connection() as conn:
        first = await codes.write(conn, found, stored=NOW)
        again = await codes.write(conn, found, stored=NOW)
    assert (first, again) == (codes.Written(1, 0), codes.Written(0, 0))


async def test_a_bad_value_waits_and_a_good_one_goes_out(centre: Centre) -> None:
    watch = await centre.watch()
    await centre.gusts(*CALM)
    await centre.turn(watch)
    await centre.gusts(160.0, end=NOW + 10 * MINUTE)
    await centre.turn(watch, NOW + 10 * MINUTE)
    assert await centre.said() == []
    async with centre.database.connection() as conn:
        (warning,) = await ledger.running(conn)
    assert (warning.state, warning.level, warning.ground.standing) == (
        "proposed",
        "red",
        "doubtful",
    )
    app = create(centre.database, Settings(), centre.clock)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as web:
        assert (await web.get("/api/v1/proposals")).status_code == 401
        web.headers.update(await bearer(centre.database.url, "forecaster"))
        answer = (await web.get("/api/v1/proposals")).json()["proposals"]
        assert (await web.get("/api/v1/proposals?hazard=hail")).json()["proposals"] == []
        assert (await web.get("/api/v1/proposals?hazard=rain")).status_code == 400
    (shown,) = answer
    assert (shown["standing"], shown["level"], shown["lead"]) == ("doubtful", "red", 0)
    assert shown["evidence"][0]["value"] == 160.0
    assert "failed quality control" in shown["reason"]["en"]
    assert "质量控制" in shown["reason"]["zh"]
    # Two readings that agree: the level that they show goes out, not the one in doubt.
    await centre.gusts(15.0, 15.5, end=NOW + 30 * MINUTE)
    await centre.turn(watch, NOW + 30 * MINUTE)
    assert await centre.said() == [("issue", "blue")]


async def test_one_reading_waits_for_the_next(centre: Centre) -> None:
    watch = await centre.watch()
    await centre.gusts(*CALM, 12.5, 14.5)
    await centre.turn(watch)
    assert await centre.said() == []
    await centre.gusts(14.8, end=NOW + 10 * MINUTE)
    await centre.turn(watch, NOW + 10 * MINUTE)
    assert await centre.said() == [("issue", "blue")]


async def test_a_budget_keeps_low_levels_rare(centre: Centre) -> None:
    policy = msgspec.structs.replace(DESK.policy, proposals=Proposals(blue=1))
    centre.desk = msgspec.structs.replace(DESK, policy=policy)
    watch = await centre.watch()
    for day in range(2):
        at = NOW + dt.timedelta(days=day)
        await centre.gusts(*CALM, 14.5, 14.8, end=at)
        await centre.turn(watch, at)
        await centre.gusts(8.0, end=at + 150 * MINUTE)
        await centre.turn(watch, at + 150 * MINUTE)
    # Met already, so it is said all the same, and says why.
    assert await centre.said() == [("issue", "blue"), ("cancel", "blue")] * 2
    used = await centre.ask("SELECT grounds -> 'blue' -> 'used' FROM warning ORDER BY opened")
    assert used == [(None,), (1,)]


async def test_other_criteria_come_into_force_at_their_time(centre: Centre) -> None:
    """What is put in force later counts from its own time, without a restart."""
    start = NOW + 20 * MINUTE
    text = (
        'base = "national"\n[gale]\nsource = "test"\n[gale.blue]\nany = [{ element = '
        '"wind_speed_of_gust", statistic = "value", comparison = ">=", threshold = 8, '
        'unit = "m/s" }]\n'
    )
    async with centre.database.connection() as conn:
        version = await criteria.write(conn, text=text, author="a", note="", now=NOW)
        await criteria.enact(
            conn,
            version.number,
            author="a",
            note="a test",
            now=NOW,
            since=start,
            present=NOW,
            force=True,
        )
        before = await rules.read(conn, Settings(), at=NOW)
        assert before.until == start
        watch = await Watch.open(conn, before, DESK, 7_200, centre.clock)
    await centre.gusts(*CALM)
    await centre.turn(watch)
    assert await centre.said() == []
    await centre.gusts(9.0, 9.0, end=NOW + 20 * MINUTE)
    centre.clock.time = start
    async with centre.database.connection() as conn:
        await readable(conn)
        await watch.turn(conn)
    assert watch.expired == start
    assert await centre.said() == []
    async with centre.database.connection() as conn:
        found = await rules.read(conn, Settings(), at=watch.expired)
        watch = await Watch.open(conn, found, DESK, 7_200, centre.clock)
    await centre.turn(watch, start)
    assert await centre.said() == [("issue", "blue")]


async def test_a_policy_counts_from_the_next_decision_and_a_veto_holds(centre: Centre) -> None:
    async with centre.database.connection() as conn:
        watch = await Watch.open(
            conn,
            rules.Rules(CRITERIA),
            centre.desk,
            7_200,
            centre.clock,
            keeper=centre.keeper,
            policy=policies.in_force,
        )
    await centre.gusts(*CALM, 14.5, 14.8)
    await centre.turn(watch)
    assert await centre.ask("SELECT state, version FROM warning") == [("proposed", 1)]
    text = shipped().replace("[automatic]\nlevels = []", '[automatic]\nlevels = ["blue", "yellow"]')
    text = text.replace('veto = "0m"', 'veto = "20m"')
    async with centre.database.connection() as conn:
        await policies.put(conn, text, author="admin", note="", at=NOW, after=None)
    await centre.gusts(14.9, end=NOW + 10 * MINUTE)
    await centre.turn(watch, NOW + 10 * MINUTE)
    assert await centre.ask("SELECT state, veto_until FROM warning") == [
        ("approved", NOW + 30 * MINUTE)
    ]
    by = Person(id=1, name="wang", title="Wang", roles=frozenset({"approver"}))
    async with centre.database.connection() as conn:
        (waiting,) = await ledger.running(conn)
        at = NOW + 20 * MINUTE
        (step,) = perform(
            waiting, Act.VETO, version=waiting.version, by=by, at=at, terms=Terms(), note="mast"
        )
        await ledger.record(conn, step, desk=centre.desk)
    for minutes in (30, 40, 50):
        await centre.gusts(14.9, end=NOW + minutes * MINUTE)
        await centre.turn(watch, NOW + minutes * MINUTE)
    assert await centre.said() == []
    assert await centre.ask("SELECT act, name, note FROM warning_act ORDER BY id") == [
        ("propose", "", ""),
        ("approve", "", ""),
        ("veto", "wang", "mast"),
    ]
