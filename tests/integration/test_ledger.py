"""The ledger on a real database: what is written together, and what the database refuses."""

import psycopg
import pytest

from alerts import regions
from alerts.life import ledger
from alerts.life.course import advance
from alerts.life.warning import Step, Terms, Warning  # noqa: A004 - the domain's own word
from alerts.people import subscribers
from tests.samples import (
    REGION,
    SEAL,
    START,
    Station,
    announce,
    case,
    desk,
    later,
    phone,
    prepare,
    step,
)


def after(warning: Warning, hour: float, level: str = "") -> Step:
    at = later(hour)
    given = case(level, at=at) if level else None
    found = advance(warning, given, at=at, complete=True, terms=Terms(), exercise=warning.exercise)
    assert found is not None
    return found


COPY = """
    INSERT INTO delivery (
        message, subscriber, contact, channel, way, language, tier, exercise,
        priority, due, expires, changed
    )
    SELECT
        message, subscriber, contact, '{channel}', 'sms', language, tier, {exercise},
        0, due, expires, changed
    FROM delivery LIMIT 1
"""


async def rows(conn: psycopg.AsyncConnection, query: str) -> list[tuple]:
    return await (await conn.execute(query)).fetchall()


async def test_a_warning_survives_the_way_through_the_database(plain_database: str) -> None:
    async with await prepare(plain_database) as conn:
        given = await announce(conn)
        assert await ledger.running(conn) == [given.warning]
        kept = after(given.warning, 1, "blue")
        await ledger.record(conn, kept, desk=desk())
        assert await ledger.running(conn) == [kept.warning]
        assert len(await ledger.chain(conn, given.warning.id)) == 1


async def test_the_whole_event(plain_database: str) -> None:
    async with await prepare(plain_database) as conn:
        given = await announce(conn)
        for hour, level in [(1, "orange"), (3, "blue"), (5, "")]:
            given = after(given.warning, hour, level)
            await ledger.record(conn, given, desk=desk())
        assert await ledger.running(conn) == []
        assert await ledger.summary(conn) == {
            "warnings": [
                {
                    "hazard": "rainstorm",
                    "region": "54399",
                    "levels": [
                        {"level": "blue", "door": "observed", "opened": "2016-07-20T00:00:00Z"},
                        {"level": "orange", "door": "observed", "opened": "2016-07-20T01:00:00Z"},
                    ],
                    "ended": "2016-07-20T05:00:00Z",
                }
            ],
            "messages": {"sms": 12},
        }
        acts = await rows(conn, "SELECT number, act, level FROM message ORDER BY number")
        assert acts == [
            (1, "issue", "blue"), (2, "upgrade", "orange"), (3, "downgrade", "blue"),
            (4, "cancel", "blue"),
        ]  # fmt: skip


async def test_officials_first_then_officers_then_the_public(plain_database: str) -> None:
    async with await prepare(plain_database) as conn:
        given = await announce(conn)
        await ledger.record(conn, after(given.warning, 1, "red"), desk=desk())
        order = await rows(
            conn,
            "SELECT message.level, delivery.tier FROM delivery JOIN message ON message.id = message"
            " ORDER BY priority",
        )
        tiers = ["official", "officer", "public"]
        assert order == [(level, tier) for level in ("red", "blue") for tier in tiers]


async def test_who_heard_the_beginning_hears_the_end_and_nobody_else(plain_database: str) -> None:
    async with await prepare(plain_database) as conn:
        high = subscribers.Subscriber(
            name="orange only", addresses=phone("+8619900009001"), language="zh", tier="public",
            lowest="orange", regions=(REGION.id,),
        )  # fmt: skip
        other = subscribers.Subscriber(
            name="gale only", addresses=phone("+8619900009002"), language="fr", tier="public",
            hazards=("gale",), regions=(REGION.id,),
        )  # fmt: skip
        await subscribers.save(conn, [high, other], seal=SEAL, at=START)
        given = await announce(conn)
        for hour, level in [(1, "orange"), (3, "blue")]:
            given = after(given.warning, hour, level)
            await ledger.record(conn, given, desk=desk())
        newcomer = subscribers.Subscriber(
            name="too late", addresses=phone("+8619900009003"), language="zh", tier="public",
            regions=(REGION.id,),
        )  # fmt: skip
        await subscribers.save(conn, [newcomer], seal=SEAL, at=START)
        await ledger.record(conn, after(given.warning, 5), desk=desk())
        heard = await rows(
            conn,
            "SELECT hint, array_agg(act ORDER BY number) FROM delivery"
            " JOIN message ON message.id = message JOIN contact ON contact.id = contact"
            " WHERE hint LIKE '%900_' GROUP BY hint",
        )
        assert heard == [("…9001", ["upgrade", "downgrade", "cancel"])]


async def test_everybody_reads_the_own_language(plain_database: str) -> None:
    async with await prepare(plain_database) as conn:
        stranger = subscribers.Subscriber(
            name="x",
            addresses=phone("+8619900009004"),
            language="fr",
            tier="public",
            regions=(REGION.id,),
        )
        english = subscribers.Subscriber(
            name="y",
            addresses=phone("+8619900009005"),
            language="en",
            tier="public",
            regions=(REGION.id,),
        )
        await subscribers.save(conn, [stranger, english], seal=SEAL, at=START)
        await announce(conn)
        bodies = dict(
            await rows(
                conn,
                "SELECT hint, body FROM delivery JOIN contact ON contact.id = contact"
                " JOIN script ON script.message = delivery.message"
                " AND script.channel = way AND script.language = delivery.language",
            )
        )
        assert bodies["…9004"].startswith("【演练】")
        assert bodies["…9005"].startswith("EXERCISE ")


async def test_an_exercise_is_written_for_the_exercise_phone_only(plain_database: str) -> None:
    async with await prepare(plain_database) as conn:
        await announce(conn, channels=("sms",))
        assert await rows(conn, "SELECT DISTINCT channel, exercise FROM delivery") == [
            ("exercise", True)
        ]


async def test_a_real_one_goes_to_the_channels_in_use(plain_database: str) -> None:
    async with await prepare(plain_database) as conn:
        await announce(conn, exercise=False, channels=("sms",))
        assert await rows(conn, "SELECT DISTINCT channel, exercise FROM delivery") == [
            ("sms", False)
        ]


async def test_the_same_step_cannot_be_published_twice(plain_database: str) -> None:
    async with await prepare(plain_database) as conn:
        given = await announce(conn)
        with pytest.raises(psycopg.errors.UniqueViolation):
            await ledger.record(conn, given, desk=desk())


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE message SET cap = ''",
        "UPDATE message SET exercise = false",
        "DELETE FROM message",
        "TRUNCATE message CASCADE",
        "UPDATE warning SET exercise = false",
        "UPDATE delivery SET exercise = false, channel = 'sms'",
        "UPDATE delivery SET channel = 'sms'",
        "UPDATE delivery SET contact = contact + 1",
        "UPDATE delivery SET way = 'fax'",
        "UPDATE script SET body = 'real'",
        "DELETE FROM script",
        COPY.format(channel="sms", exercise="false"),
        COPY.format(channel="sms", exercise="true"),
        COPY.format(channel="exercise", exercise="true"),
    ],
)
async def test_the_database_refuses(plain_database: str, change: str) -> None:
    async with await prepare(plain_database) as conn:
        await announce(conn)
        with pytest.raises(psycopg.errors.IntegrityError):
            await conn.execute(change)


async def test_a_rolled_back_step_leaves_nothing(plain_database: str) -> None:
    async with await prepare(plain_database) as conn:
        await ledger.record(conn, step(), desk=desk())
        await conn.rollback()
        assert await ledger.running(conn) == []
        assert await rows(conn, "SELECT 1 FROM delivery") == []


async def test_commit_wakes_the_listeners(plain_database: str) -> None:
    async with (
        await prepare(plain_database) as conn,
        await psycopg.AsyncConnection.connect(plain_database, autocommit=True) as listener,
    ):
        await listener.execute("LISTEN fenghuo_warning")
        await listener.execute("LISTEN fenghuo_delivery")
        given = await announce(conn)
        heard = {note.channel: note.payload async for note in listener.notifies(stop_after=2)}
        assert heard == {"fenghuo_warning": str(given.warning.id), "fenghuo_delivery": ""}


async def test_regions_and_their_stations(plain_database: str) -> None:
    async with await prepare(plain_database) as conn:
        await conn.execute(
            "INSERT INTO station (name, longitude, latitude, added) VALUES ('X', 116.3, 40, now())"
        )
        ((number,),) = await rows(conn, "SELECT id FROM station")
        station = Station(number, "X", 116.3, 40.0)
        assert await regions.load(conn) == [REGION]
        assert await regions.membership(conn) == {REGION.id: ()}
        for _ in range(2):
            await regions.assign(conn, [REGION], [station])
            assert await regions.membership(conn) == {REGION.id: (number,)}
        await announce(conn)
        await regions.save(conn, regions.sample([station]))
        await regions.retire_samples(conn)
        assert await regions.membership(conn) == {REGION.id: ()}


async def test_counting_an_audience(plain_database: str) -> None:
    async with await prepare(plain_database) as conn:
        # a second time changes nothing
        await subscribers.save(conn, subscribers.sample([REGION]), seal=SEAL, at=START)
        found = await subscribers.count(conn, hazard="gale", region=REGION.id, level="blue")
        assert found == {"official": 1, "officer": 1, "public": 1}
