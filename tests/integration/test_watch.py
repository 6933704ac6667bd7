"""The watch on a real database: readings in, warnings and messages out, once each."""

import datetime as dt
from collections.abc import AsyncIterator, Sequence

import psycopg
import pytest

from agent.elements import ELEMENTS
from alerts import regions
from alerts.bureau.policy import Policy
from alerts.catalogue import Catalogue
from alerts.life import ledger
from alerts.people import subscribers
from alerts.texts.wording import Bureau
from forecast.criteria import Criteria
from server import exercise
from server.clock import EventClock
from server.store import stations
from server.store.database import Database
from server.store.partitions import Partitions
from server.watch import Watch
from tests.rows import Row, commit
from tests.samples import SEAL
from tests.support import eventually_async

START = dt.datetime(2016, 7, 20, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
RAIN = (0.0, 0.0, 30.0, 30.0, 10.0, 5.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
"""50 mm in three hours are reached with the fourth reading; nothing falls after the seventh."""

SAID = [
    ("issue", "orange", START + 3 * HOUR),
    ("downgrade", "yellow", START + 6 * HOUR),
    ("cancel", "yellow", START + 8 * HOUR),
]

CRITERIA = Criteria.load(units={name: element.unit for name, element in ELEMENTS.items()})
DESK = ledger.Desk(
    bureau=Bureau(agency={"zh": "示范气象台", "en": "Sample"}, sender="a@b.example"),
    policy=Policy.load(),
    catalogue=Catalogue.load(),
)


class Place:
    """One station in one region, and the watch over it."""

    def __init__(self, database: Database, station: int) -> None:
        self.database = database
        self.station = station
        self.partitions = Partitions(database.kind, chunk_days=7)

    async def put(self, hour: int, amount: float) -> None:
        row = Row(
            station=self.station,
            time=START + hour * HOUR,
            values={"precipitation_amount": amount},
            interval=3_600,
        )
        async with self.database.connection() as conn:
            await commit(conn, self.partitions, [row])

    async def clock(self, hour: int) -> None:
        async with self.database.connection() as conn:
            await exercise.move(conn, START + hour * HOUR)

    async def watch(self) -> Watch:
        async with self.database.connection() as conn:
            return await Watch.open(conn, CRITERIA, DESK, 7_200, EventClock(START))

    async def turn(self, watch: Watch) -> None:
        async def done() -> bool:
            async with self.database.connection() as conn:
                return await watch.turn(conn)

        await eventually_async(done)

    async def messages(self) -> Sequence[tuple[str, str, dt.datetime]]:
        async with self.database.connection() as conn:
            rows = await conn.execute("SELECT act, level, sent FROM message ORDER BY serial")
            return await rows.fetchall()


@pytest.fixture
async def place(any_database: str) -> AsyncIterator[Place]:
    async with await Database.open(any_database, name="test", size=3) as database:
        async with database.connection() as conn:
            await stations.put(
                conn,
                [stations.Entry(name="gauge", zh="站", en="Gauge", longitude=118.0, latitude=39.0)],
                now=START,
            )
            places = await stations.every(conn)
            found = regions.sample(places)
            await regions.save(conn, found)
            await regions.assign(conn, found, places)
            await subscribers.save(conn, subscribers.sample(found), seal=SEAL, at=START)
            await exercise.mark(
                conn,
                exercise.Event(
                    name="rain",
                    zh="雨",
                    en="Rain",
                    start=START,
                    end=START + 12 * HOUR,
                    time=START - HOUR,
                    steps=12,
                ),
            )
        yield Place(database, places[0].id)


async def step_by_step(place: Place) -> Sequence[tuple[str, str, dt.datetime]]:
    watch = await place.watch()
    for hour, amount in enumerate(RAIN):
        await place.put(hour, amount)
        await place.clock(hour)
        await place.turn(watch)
    return await place.messages()


async def test_rain_is_warned_of_in_its_own_time_and_ends(place: Place) -> None:
    assert await step_by_step(place) == SAID


async def test_one_late_turn_decides_what_many_would_have(place: Place) -> None:
    """A watch that was away decides every hour afterwards, each by what was known then."""
    watch = await place.watch()
    for hour, amount in enumerate(RAIN):
        await place.put(hour, amount)
    await place.clock(len(RAIN) - 1)
    await place.turn(watch)
    assert await place.messages() == SAID


async def test_a_new_watch_goes_on_where_the_last_one_was(place: Place) -> None:
    for hour, amount in enumerate(RAIN):
        await place.put(hour, amount)
        await place.clock(hour)
        await place.turn(await place.watch())
    assert await place.messages() == SAID


async def test_what_is_rolled_back_was_never_said(place: Place) -> None:
    watch = await place.watch()
    for hour, amount in enumerate(RAIN[:4]):
        await place.put(hour, amount)
    await place.clock(3)

    class PowerCutError(Exception):
        pass

    async def turn() -> None:
        async with place.database.connection() as conn:
            await watch.turn(conn)
            raise PowerCutError

    with pytest.raises(PowerCutError):
        await turn()
    assert await place.messages() == []
    await place.turn(await place.watch())
    assert [act for act, _, _ in await place.messages()].count("issue") == 1


async def test_readings_later_than_the_event_wait_for_their_time(place: Place) -> None:
    watch = await place.watch()
    for hour, amount in enumerate(RAIN[:4]):
        await place.put(hour, amount)
    await place.clock(1)
    await place.turn(watch)
    assert await place.messages() == []
    await place.clock(3)
    await place.turn(watch)
    assert await place.messages() != []


async def test_a_moment_is_not_decided_while_some_of_it_cannot_be_read_yet(
    place: Place, any_database: str
) -> None:
    """A transaction elsewhere that has written something holds back the log of commits."""
    watch = await place.watch()
    async with await psycopg.AsyncConnection.connect(any_database) as elsewhere:
        await elsewhere.execute("INSERT INTO meta VALUES ('elsewhere', '')")
        for hour, amount in enumerate(RAIN[:4]):
            await place.put(hour, amount)
        await place.clock(3)
        async with place.database.connection() as conn:
            assert not await watch.turn(conn)
        assert await place.messages() == []
        await elsewhere.rollback()
    await place.turn(watch)
    assert await place.messages() == SAID[:1]


async def test_all_of_it_is_an_exercise_for_the_exercise_phone_alone(place: Place) -> None:
    await step_by_step(place)
    async with place.database.connection() as conn:
        rows = await conn.execute("SELECT DISTINCT exercise, channel FROM delivery")
        assert await rows.fetchall() == [(True, "exercise")]
