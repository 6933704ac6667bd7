"""Less noise on a real database: who is told once, later, or not at all, and what it says."""

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import psycopg
import pytest

from alerts import regions
from alerts.bureau import policies, silences
from alerts.bureau.policy import Policy, PolicyError, shipped
from alerts.cap.rules import check
from alerts.life import ledger
from alerts.life.course import advance
from alerts.life.evidence import Door
from alerts.life.ledger import Desk
from alerts.life.warning import Act, Step, Terms, changed
from alerts.life.warning import notice as give_notice
from alerts.regions import Region
from alerts.texts import announcement
from tests.folk import people
from tests.samples import REGION, START, case, desk, later

NEXT = Region(
    id="54398",
    zh="顺义",
    en="Shunyi",
    boundary={
        "type": "Polygon",
        "coordinates": [
            [[116.4, 39.9], [116.6, 39.9], [116.6, 40.1], [116.4, 40.1], [116.4, 39.9]]
        ],
    },
)
WHOLE = Region(
    id="110000",
    zh="北京",
    en="Beijing",
    boundary={
        "type": "Polygon",
        "coordinates": [[[115, 39], [117, 39], [117, 41], [115, 41], [115, 39]]],
    },
)
TERMS = Terms(validity=dt.timedelta(hours=12))


@pytest.fixture
async def conn(plain_database: str) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    async with await psycopg.AsyncConnection.connect(plain_database) as connection:
        await regions.save(connection, [REGION, NEXT, WHOLE])
        yield connection


def ruled(*changes: tuple[str, str]) -> Desk:
    """Give a desk whose policy is the shipped one with changes."""
    text = shipped()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return msgspec.structs.replace(desk("sms"), policy=Policy.read(text))


PLAIN = ruled()


def issued(
    level: str = "blue",
    *,
    hazard: str = "rainstorm",
    region: Region = REGION,
    hour: float = 0,
    exercise: bool = False,
    door: Door = "observed",
    lead: float = 0,
    automatic: bool = True,
) -> Step:
    at = later(hour)
    found = case(level, hazard=hazard, door=door, region=region.id, at=at)
    opened = advance(
        None, msgspec.structs.replace(found, onset=at + dt.timedelta(hours=lead)), at=at,
        complete=True, terms=TERMS, exercise=exercise,
        automatic=("blue", "yellow", "orange", "red") if automatic else (),
    )  # fmt: skip
    assert opened is not None
    return opened


def next_step(before: Step, hour: float, level: str = "") -> Step:
    at, warning = later(hour), before.warning
    found = case(level, hazard=warning.hazard, region=warning.region, at=at) if level else None
    step = advance(warning, found, at=at, complete=True, terms=TERMS, exercise=warning.exercise)
    assert step is not None
    return step


async def rows(conn: psycopg.AsyncConnection[Any], subscriber: int) -> list[tuple[Any, ...]]:
    """Give what somebody was sent: act, state, reason, hours until it is due."""
    cursor = await conn.execute(
        "SELECT act, state, reason, extract(epoch FROM due - sent)::float / 3600"
        " FROM delivery JOIN message ON message.id = message"
        " WHERE subscriber = %s ORDER BY serial, channel",
        [subscriber],
    )
    return await cursor.fetchall()


async def bodies(conn: psycopg.AsyncConnection[Any], subscriber: int) -> list[str]:
    cursor = await conn.execute(
        "SELECT body FROM delivery JOIN message ON message.id = message"
        " JOIN script ON script.message = delivery.message AND script.channel = way"
        " AND script.language = delivery.language"
        " WHERE subscriber = %s AND delivery.state NOT IN ('merged', 'muted', 'superseded')"
        " ORDER BY serial",
        [subscriber],
    )
    return [row[0] for row in await cursor.fetchall()]


async def test_quiet_hours_of_a_person(conn: psycopg.AsyncConnection[Any]) -> None:
    # 00:00 UTC is eight in the morning at the bureau.
    (late,) = await people(conn, [REGION.id], quiet_from=dt.time(7), quiet_until=dt.time(10, 30))
    (other,) = await people(conn, [REGION.id])
    given = issued("orange")
    await ledger.record(conn, given, desk=PLAIN)
    assert await rows(conn, late) == [("issue", "queued", "quiet", 2.5)]
    assert await rows(conn, other) == [("issue", "queued", None, 0)]
    await ledger.record(conn, next_step(given, 1, "red"), desk=PLAIN)
    assert await rows(conn, late) == [
        ("issue", "superseded", "quiet", 2.5),
        ("upgrade", "queued", None, 0),
    ]


async def test_what_does_not_count_in_the_morning_is_kept_back(
    conn: psycopg.AsyncConnection[Any],
) -> None:
    (asleep,) = await people(conn, [REGION.id], quiet_from=dt.time(7), quiet_until=dt.time(6, 59))
    given = issued()
    await ledger.record(conn, given, desk=PLAIN)
    assert await rows(conn, asleep) == [("issue", "muted", "quiet", pytest.approx(22.98, abs=0.01))]
    # Whoever has not heard of it does not hear that it is over.
    await ledger.record(conn, next_step(given, 5), desk=PLAIN)
    assert len(await rows(conn, asleep)) == 1


async def test_the_end_of_what_was_heard_waits_but_comes(
    conn: psycopg.AsyncConnection[Any],
) -> None:
    (person,) = await people(conn, [REGION.id], quiet_from=dt.time(12), quiet_until=dt.time(18))
    given = issued()
    await ledger.record(conn, given, desk=PLAIN)
    await conn.execute("UPDATE delivery SET state = 'delivered'")
    await ledger.record(conn, next_step(given, 5), desk=PLAIN)
    assert (await rows(conn, person))[1] == ("cancel", "queued", "quiet", 5)
    cursor = await conn.execute(
        "SELECT extract(epoch FROM max(expires) - max(due))::float / 3600 FROM delivery"
    )
    assert await cursor.fetchone() == (2,)


async def test_several_regions_are_told_once(conn: psycopg.AsyncConnection[Any]) -> None:
    (both,) = await people(conn, [REGION.id, NEXT.id], channels=["sms", "email"])
    (one,) = await people(conn, [NEXT.id], language="en")
    steps = [issued("orange", region=NEXT), issued("orange")]
    said = await ledger.record_all(conn, steps, desk=msgspec.structs.replace(
        PLAIN, channels=("sms", "email"),
    ))  # fmt: skip
    assert len(said) == 2
    assert await rows(conn, both) == [
        ("issue", "queued", None, 0), ("issue", "queued", None, 0),
        ("issue", "merged", f"message:{said[0].id}", 0),
        ("issue", "merged", f"message:{said[0].id}", 0),
    ]  # fmt: skip
    sms = (await bodies(conn, both))[1]
    assert "顺义、海淀暴雨橙色预警" in sms
    (alone,) = await bodies(conn, one)
    assert "Shunyi" in alone
    assert "for Haidian" not in alone
    # Both count as heard: the end comes for both, in one message again.
    await conn.execute("UPDATE delivery SET state = 'delivered' WHERE state = 'queued'")
    ends = [next_step(step, 5) for step in steps]
    await ledger.record_all(conn, ends, desk=PLAIN)
    assert [row[:2] for row in (await rows(conn, both))[4:]] == [
        ("cancel", "queued"), ("cancel", "merged"),
    ]  # fmt: skip
    assert "解除顺义、海淀暴雨橙色预警" in (await bodies(conn, both))[-1]


async def test_screens_and_platforms_are_told_everything(
    conn: psycopg.AsyncConnection[Any],
) -> None:
    (screen,) = await people(conn, [REGION.id, NEXT.id, WHOLE.id], tier="outlet")
    await ledger.record_all(conn, [issued("red"), issued("red", region=NEXT)], desk=PLAIN)
    await ledger.record(conn, issued("yellow", hazard="lightning", region=WHOLE), desk=PLAIN)
    assert [row[1:3] for row in await rows(conn, screen)] == [("queued", None)] * 3


async def test_what_is_not_the_same_news_is_not_merged(
    conn: psycopg.AsyncConnection[Any],
) -> None:
    (both,) = await people(conn, [REGION.id, NEXT.id])
    await ledger.record_all(conn, [issued("orange", region=NEXT), issued("blue")], desk=PLAIN)
    assert [row[1] for row in await rows(conn, both)] == ["queued", "queued"]
    merging = ruled(("regions = true", "regions = false"))
    more = [issued(hazard="gale", region=NEXT), issued(hazard="gale")]
    await ledger.record_all(conn, more, desk=merging)
    assert [row[1] for row in await rows(conn, both)] == ["queued"] * 4


async def test_red_of_a_place_makes_lower_news_needless_to_whoever_heard_it(
    conn: psycopg.AsyncConnection[Any],
) -> None:
    (everywhere,) = await people(conn, [REGION.id, WHOLE.id, NEXT.id])
    (district,) = await people(conn, [REGION.id])
    await ledger.record(conn, issued("red", region=WHOLE), desk=PLAIN)
    low = issued("yellow", hazard="lightning", hour=1)
    await ledger.record(conn, low, desk=PLAIN)
    assert (await rows(conn, everywhere))[1] == ("issue", "muted", "inhibited", 0)
    assert await rows(conn, district) == [("issue", "queued", None, 0)]
    await ledger.record(conn, issued("orange", hazard="lightning", region=NEXT, hour=1), desk=PLAIN)
    assert [row[1] for row in await rows(conn, everywhere)] == ["queued", "muted", "queued"]


async def test_neighbours_are_not_the_same_place(conn: psycopg.AsyncConnection[Any]) -> None:
    (both,) = await people(conn, [REGION.id, NEXT.id])
    await ledger.record(conn, issued("red", region=NEXT), desk=PLAIN)
    await ledger.record(conn, issued("yellow", hazard="lightning"), desk=PLAIN)
    assert [row[1] for row in await rows(conn, both)] == ["queued", "queued"]


async def test_a_silence_keeps_back_all_but_red_and_the_end(
    conn: psycopg.AsyncConnection[Any],
) -> None:
    (person,) = await people(conn, [REGION.id])
    (official,) = await people(conn, [REGION.id], tier="official")
    heard = issued(hazard="gale")
    await ledger.record(conn, heard, desk=PLAIN)
    wanted = silences.Wanted(
        reason="sensor test", until=later(24), regions=(REGION.id,), tiers=("public",)
    )
    number = await silences.add(conn, wanted, owner="li", at=later(1))
    given = issued("orange", hour=2)
    await ledger.record(conn, given, desk=PLAIN)
    assert (await rows(conn, person))[1] == ("issue", "muted", "silenced", 0)
    assert (await rows(conn, official))[1] == ("issue", "queued", None, 0)
    await ledger.record(conn, next_step(given, 3, "red"), desk=PLAIN)
    assert (await rows(conn, person))[2] == ("upgrade", "queued", None, 0)
    await conn.execute("UPDATE delivery SET state = 'delivered' WHERE state = 'queued'")
    await ledger.record(conn, next_step(heard, 4), desk=PLAIN)
    assert (await rows(conn, person))[-1] == ("cancel", "queued", None, 0)
    assert await silences.lift(conn, number, by="wang", at=later(5))
    assert not await silences.lift(conn, number, by="wang", at=later(5))
    assert await silences.active(conn, at=later(6)) == []
    (kept,) = await silences.every(conn, at=later(6))
    assert (kept.owner, kept.lifter, kept.active) == ("li", "wang", False)


async def test_silences_that_are_none(conn: psycopg.AsyncConnection[Any]) -> None:
    plain = silences.Wanted(reason="x", until=later(1))
    table: list[tuple[dict[str, Any], str]] = [
        ({"levels": ("blue", "red")}, "red can never be silenced"),
        ({"reason": " "}, "reason"),
        ({"until": later(0)}, "at most 7 days"),
        ({"until": later(24 * 8)}, "at most 7 days"),
        ({"until": later(5).replace(tzinfo=None)}, "zone"),
        ({"hazards": ("snow",)}, "unknown danger snow"),
        ({"regions": ("nowhere",)}, "there is no nowhere"),
    ]
    for changes, reason in table:
        wanted = msgspec.structs.replace(plain, **changes)
        with pytest.raises(silences.SilenceError, match=reason):
            await silences.add(conn, wanted, owner="li", at=later(0))


async def test_low_levels_gathered_into_one(conn: psycopg.AsyncConnection[Any]) -> None:
    (person,) = await people(conn, [REGION.id, NEXT.id], digest=True)
    await ledger.record(conn, issued(hour=1), desk=PLAIN)
    await ledger.record(conn, issued(hazard="gale", region=NEXT, hour=2), desk=PLAIN)
    said = await ledger.record(conn, issued(hazard="frost", hour=3), desk=PLAIN)
    assert said is not None
    states = [row[:3] for row in await rows(conn, person)]
    assert [state for _, state, _ in states] == ["merged", "merged", "queued"]
    assert states[1][2] == f"message:{said.id}"
    (body,) = await bodies(conn, person)
    assert body == (
        "【示范气象台】低级别预警汇总：海淀暴雨蓝色预警；顺义大风蓝色预警；海淀霜冻蓝色预警。"
    )
    # Told at six in the evening, ten hours after eight; what is graver does not wait for it.
    assert (await rows(conn, person))[-1][3] == 7
    await ledger.record(conn, issued("orange", hazard="hail", hour=4), desk=PLAIN)
    assert (await rows(conn, person))[-1] == ("issue", "queued", None, 0)


async def test_a_digest_tells_of_the_end_of_what_it_tells_of(
    conn: psycopg.AsyncConnection[Any],
) -> None:
    (person,) = await people(conn, [REGION.id], digest=True)
    first = issued(hour=1)
    await ledger.record(conn, first, desk=PLAIN)
    await ledger.record(conn, issued(hazard="frost", hour=2), desk=PLAIN)
    await ledger.record(conn, next_step(first, 6), desk=PLAIN)
    (body,) = await bodies(conn, person)
    assert body == (
        "【示范气象台】低级别预警汇总：海淀暴雨蓝色预警；海淀霜冻蓝色预警；"
        "7月20日14:00解除海淀暴雨蓝色预警。"
    )


async def test_what_ended_before_the_digest_is_not_told(
    conn: psycopg.AsyncConnection[Any],
) -> None:
    (person,) = await people(conn, [REGION.id], digest=True)
    first = issued(hour=1)
    await ledger.record(conn, first, desk=PLAIN)
    await ledger.record(conn, next_step(first, 6), desk=PLAIN)
    assert [row[:2] for row in await rows(conn, person)] == [("issue", "superseded")]


async def test_newer_news_takes_the_place_of_what_waits(
    conn: psycopg.AsyncConnection[Any],
) -> None:
    (person,) = await people(conn, [REGION.id])
    (high,) = await people(conn, [REGION.id], lowest="orange")
    given = issued("orange")
    await ledger.record(conn, given, desk=PLAIN)
    down = next_step(next_step(given, 1, "blue"), 2.5, "blue")
    assert down.act is Act.DOWNGRADE
    await ledger.record(conn, down, desk=PLAIN)
    assert [row[:2] for row in await rows(conn, person)] == [
        ("issue", "superseded"), ("downgrade", "queued"),
    ]  # fmt: skip
    # Who was never told of orange is not bothered with blue, nor with the end of it.
    assert [row[:2] for row in await rows(conn, high)] == [("issue", "superseded")]
    await ledger.record(conn, next_step(down, 5), desk=PLAIN)
    assert [row[:2] for row in await rows(conn, person)] == [
        ("issue", "superseded"), ("downgrade", "superseded"),
    ]  # fmt: skip


async def test_updates_rest_unless_it_gets_worse(conn: psycopg.AsyncConnection[Any]) -> None:
    (person,) = await people(conn, [REGION.id])
    rule = ruled(('rest = "0m"', 'rest = "4h"'))
    given = issued("orange")
    await ledger.record(conn, given, desk=rule)
    await conn.execute("UPDATE delivery SET state = 'delivered'")
    down = next_step(next_step(given, 1, "blue"), 2.5, "blue")
    await ledger.record(conn, down, desk=rule)
    assert (await rows(conn, person))[1] == ("downgrade", "queued", "rest", 1.5)
    await ledger.record(conn, next_step(down, 3, "red"), desk=rule)
    assert (await rows(conn, person))[2] == ("upgrade", "queued", None, 0)


async def test_officials_hours_ahead_and_the_public_just_before(
    conn: psycopg.AsyncConnection[Any],
) -> None:
    rule = ruled(
        ('[tiers.public]\nlevels = ["blue", "yellow", "orange", "red"]\nlead = "0m"',
         '[tiers.public]\nlevels = ["blue", "yellow", "orange", "red"]\nbefore = "1h"')
    )  # fmt: skip
    (official,) = await people(conn, [REGION.id], tier="official")
    (person,) = await people(conn, [REGION.id])
    given = issued("orange", door="expected", lead=5)
    await ledger.record(conn, given, desk=rule)
    assert await rows(conn, official) == [("issue", "queued", None, 0)]
    assert await rows(conn, person) == [("issue", "queued", "onset", 4)]
    # It has come earlier: everybody is told at once, and once.
    await ledger.record(conn, next_step(given, 2, "red"), desk=rule)
    assert (await rows(conn, person))[-1] == ("upgrade", "queued", None, 0)


async def test_officers_of_a_group_in_turn(conn: psycopg.AsyncConnection[Any]) -> None:
    values: dict[str, Any] = {"tier": "officer", "groups": ["village"]}
    first, same = await people(conn, [REGION.id], turn=1, number=2, **values)
    (second,) = await people(conn, [REGION.id], turn=2, **values)
    (third,) = await people(conn, [REGION.id], turn=7, **values)
    (other,) = await people(conn, [REGION.id], turn=9, tier="officer", groups=["town"])
    (alone,) = await people(conn, [REGION.id], turn=9, tier="officer")
    given = issued("orange")
    await ledger.record(conn, given, desk=PLAIN)
    minutes = {
        person: round(60 * (await rows(conn, person))[0][3])
        for person in (first, same, second, third, other, alone)
    }
    assert (await rows(conn, second))[0][2] == "turn"
    assert minutes == {first: 0, same: 0, second: 5, third: 10, other: 0, alone: 0}
    await conn.execute("UPDATE delivery SET state = 'delivered' WHERE due <= %s", [later(0.01)])
    down = next_step(next_step(given, 1, "blue"), 2.5, "blue")
    await ledger.record(conn, down, desk=PLAIN)
    assert len(await rows(conn, first)) == 2
    assert [row[1] for row in await rows(conn, second)] == ["superseded"]


async def test_a_notice_is_closed_and_its_end_too(conn: psycopg.AsyncConnection[Any]) -> None:
    (official,) = await people(conn, [REGION.id], tier="official")
    (person,) = await people(conn, [REGION.id])
    (school,) = await people(conn, [REGION.id], groups=["schools"])
    await people(conn, [REGION.id], tier="outlet", groups=["schools"])
    rule = ruled(("groups = []", 'groups = ["schools"]'))
    proposed = issued("orange", door="expected", lead=3, automatic=False)
    assert await ledger.record(conn, proposed, desk=rule) is None
    step = give_notice(proposed.warning, at=later(0.5), terms=TERMS)
    said = await ledger.record(conn, step, desk=rule)
    assert said is not None
    assert await rows(conn, official) == [("notice", "queued", None, 0)]
    assert await rows(conn, school) == [("notice", "queued", None, 0)]
    assert await rows(conn, person) == []
    assert "{ack}" in (await bodies(conn, official))[0]
    cursor = await conn.execute("SELECT count(*), min(cap) FROM delivery, message")
    count, document = await cursor.fetchone() or (0, "")
    assert count == 2
    assert check(document) == []
    assert "<scope>Restricted</scope>" in document
    assert "<msgType>Alert</msgType>" in document
    await conn.execute("UPDATE delivery SET state = 'delivered'")
    # The warning refers to nothing that was closed.
    warning = changed(step.warning, state="issued", sent=later(1), number=step.warning.number + 1)
    await ledger.record(conn, Step(act=Act.ISSUE, warning=warning, before=step.warning), desk=rule)
    cursor = await conn.execute("SELECT cap FROM message WHERE act = 'issue'")
    (document,) = await cursor.fetchone() or ("",)
    assert "<references>" not in document
    assert "<msgType>Alert</msgType>" in document
    assert [row[0] for row in await rows(conn, person)] == ["issue"]
    assert [row[0] for row in await rows(conn, official)] == ["notice", "issue"]


async def test_what_will_not_come_is_withdrawn(conn: psycopg.AsyncConnection[Any]) -> None:
    (official,) = await people(conn, [REGION.id], tier="official")
    (late,) = await people(conn, [], tier="official")
    proposed = issued("orange", door="expected", lead=3, automatic=False)
    await ledger.record(conn, proposed, desk=PLAIN)
    step = give_notice(proposed.warning, at=later(0.5), terms=TERMS)
    await ledger.record(conn, step, desk=PLAIN)
    await conn.execute("UPDATE delivery SET state = 'delivered'")
    await conn.execute("UPDATE subscriber SET regions = %s WHERE id = %s", [[REGION.id], late])
    gone = changed(step.warning, sent=later(1), number=step.warning.number + 1)
    await ledger.record(conn, Step(act=Act.WITHDRAW, warning=gone, before=step.warning), desk=PLAIN)
    assert [row[0] for row in await rows(conn, official)] == ["notice", "withdraw"]
    assert await rows(conn, late) == []
    cursor = await conn.execute("SELECT cap FROM message WHERE act = 'withdraw'")
    (document,) = await cursor.fetchone() or ("",)
    assert check(document) == []
    assert "<msgType>Cancel</msgType>" in document
    assert "<references>" in document


async def test_an_exercise_waits_and_gathers_in_its_own_time(
    conn: psycopg.AsyncConnection[Any],
) -> None:
    (person,) = await people(conn, [REGION.id], digest=True, channels=["sms", "email"])
    await ledger.record(conn, issued(hour=1, exercise=True), desk=PLAIN)
    await conn.execute("UPDATE delivery SET state = 'delivered'")
    await ledger.record(conn, issued(hazard="gale", hour=2, exercise=True), desk=PLAIN)
    cursor = await conn.execute(
        "SELECT channel, way, state FROM delivery WHERE subscriber = %s ORDER BY state, way",
        [person],
    )
    assert await cursor.fetchall() == [
        ("exercise", "email", "merged"), ("exercise", "sms", "merged"),
        ("exercise", "email", "queued"), ("exercise", "sms", "queued"),
    ]  # fmt: skip


async def test_a_policy_is_in_force_at_once(conn: psycopg.AsyncConnection[Any]) -> None:
    assert (await policies.in_force(conn)).automatic.levels == ()
    text = shipped().replace("levels = []", 'levels = ["blue"]', 1)
    with pytest.raises(PolicyError):
        await policies.put(conn, "[terms]", author="li", note="", at=START, after=None)
    first = await policies.put(conn, text, author="li", note="try", at=START, after=None)
    assert (await policies.in_force(conn)).automatic.levels == ("blue",)
    second = await policies.put(conn, shipped(), author="li", note="", at=START, after=first)
    assert second > first
    assert (await policies.in_force(conn)).automatic.levels == ()
    with pytest.raises(policies.StaleError, match=f"version {second}"):
        await policies.put(conn, text, author="li", note="", at=START, after=first)
    assert [each.number for each in await policies.versions(conn)][1:] == [second, first]


def test_the_same_place() -> None:
    same = announcement._same
    assert same(REGION, REGION)
    assert same(REGION, WHOLE)
    assert same(WHOLE, NEXT)
    assert not same(REGION, NEXT)
