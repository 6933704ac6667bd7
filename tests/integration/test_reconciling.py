"""What is in doubt is asked about, what is silent too; where one way fails another is taken."""

import asyncio
import contextlib
import datetime as dt
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import psycopg
import pytest

from alerts.channels.port import Channel, Delivery, Memory, Receipt, State
from alerts.people import contacts, subscribers
from alerts.sending import dispatch, progress, receipts
from alerts.sending.receipts import ASKS, MISSING
from tests.samples import REGION, SEAL, START, Fixed, announce, connector, phone, prepare
from tests.support import eventually_async

MINUTE = dt.timedelta(minutes=1)


@asynccontextmanager
async def dispatching(
    url: str, *channels: Channel, clock: Fixed, fallback: tuple[str, ...] = (), public: str = ""
) -> AsyncIterator[None]:
    task = asyncio.create_task(
        dispatch.run(
            connector(url), channels, clock=clock, seal=SEAL, fallback=fallback, public=public,
            poll=0.03,
        )
    )  # fmt: skip
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def says(state: State, problem: str | None = None) -> Callable[[Delivery], Receipt]:
    return lambda delivery: Receipt(delivery=delivery.id, state=state, problem=problem)


async def rows(conn: psycopg.AsyncConnection[Any], query: str) -> list[tuple[Any, ...]]:
    found = await (await conn.execute(query)).fetchall()
    await conn.rollback()
    return found


async def until(conn: psycopg.AsyncConnection[Any], **wanted: int) -> None:
    async def reached() -> bool:
        query = "SELECT state, count(*) FROM delivery GROUP BY state"
        return dict(await rows(conn, query)) == wanted

    await eventually_async(reached, about=str(wanted))


async def one(url: str) -> psycopg.AsyncConnection[Any]:
    conn = await prepare(url, people=1)
    await announce(conn, exercise=False, channels=("sms",))
    return conn


async def test_what_is_uncertain_is_found(plain_database: str) -> None:
    memory, clock = Memory(answer=says("uncertain"), found=says("accepted")), Fixed()
    async with (
        await one(plain_database) as conn,
        dispatching(plain_database, memory, clock=clock),
    ):
        await until(conn, uncertain=1)
        assert memory.asked == []  # not at once: the provider's list may lag behind
        clock.time += MINUTE
        await until(conn, accepted=1)
    assert len(memory.sent) == 1
    (asked,) = memory.asked
    assert (asked.address, asked.body) == (memory.sent[0].address, memory.sent[0].body)
    assert asked.handed == START


async def test_what_the_provider_does_not_have_twice_in_a_row_is_sent_again(
    plain_database: str,
) -> None:
    answers: list[State] = ["uncertain", "accepted"]
    memory = Memory(
        answer=lambda delivery: Receipt(delivery=delivery.id, state=answers.pop(0)),
        found=says("queued", MISSING),
    )
    clock = Fixed()
    async with (
        await one(plain_database) as conn,
        dispatching(plain_database, memory, clock=clock),
    ):
        await until(conn, uncertain=1)
        clock.time += MINUTE
        await eventually_async(lambda: len(memory.asked) == 1)
        await asyncio.sleep(0.1)
        assert len(memory.sent) == 1
        clock.time += MINUTE
        await until(conn, accepted=1)
    assert (len(memory.sent), len(memory.asked)) == (2, 2)


async def test_a_provider_that_cannot_tell_is_asked_a_few_times_and_the_doubt_stays(
    plain_database: str,
) -> None:
    memory, clock = Memory(answer=says("uncertain")), Fixed()
    async with (
        await one(plain_database) as conn,
        dispatching(plain_database, memory, clock=clock),
    ):
        await until(conn, uncertain=1)
        for number in range(1, ASKS + 1):
            clock.time += 20 * MINUTE
            await eventually_async(lambda want=number: len(memory.asked) == want)
        clock.time += 60 * MINUTE

        async def given_up() -> bool:
            return (await rows(conn, "SELECT ask FROM delivery")) == [(None,)]

        await eventually_async(given_up)
        await until(conn, uncertain=1)
    assert len(memory.sent) == 1


async def test_silence_is_asked_about_by_the_providers_own_number(plain_database: str) -> None:
    memory, clock = Memory(found=says("delivered")), Fixed()
    async with (
        await one(plain_database) as conn,
        dispatching(plain_database, memory, clock=clock),
    ):
        await until(conn, accepted=1)
        clock.time += 2 * MINUTE
        await asyncio.sleep(0.1)
        assert memory.asked == []
        clock.time += 5 * MINUTE
        await until(conn, delivered=1)
    assert memory.asked[0].provider == f"memory-{memory.sent[0].id}"


async def test_a_receipt_ends_the_questions(plain_database: str) -> None:
    memory, clock = Memory(found=says("failed")), Fixed()
    async with (
        await one(plain_database) as conn,
        dispatching(plain_database, memory, clock=clock),
    ):
        await until(conn, accepted=1)
        receipt = Receipt(delivery=memory.sent[0].id, state="delivered")
        assert await receipts.settle(conn, receipt, changed=START)
        await conn.commit()
        clock.time += 60 * MINUTE
        await asyncio.sleep(0.1)
        await until(conn, delivered=1)
    assert memory.asked == []


@pytest.mark.parametrize("spare", [("voice", "email"), ("email", "voice")])
async def test_another_way_once(plain_database: str, spare: tuple[str, str]) -> None:
    """The first spare way that the person has; when that fails too, the next one; then no more."""
    clock, names = Fixed(), ("sms", "voice", "email")
    ways = {name: Memory(name=name, answer=says("failed", "no such number")) for name in names}
    async with await prepare(plain_database, people=1) as conn:
        every = (
            *phone("+8619900000000"),
            contacts.read("voice", "+8619900000000"),
            contacts.read("email", "a@b.example"),
        )
        person = msgspec.structs.replace(subscribers.sample([REGION])[0], addresses=every)
        await subscribers.save(conn, [person], seal=SEAL, at=START)
        await conn.commit()
        await announce(conn, exercise=False, channels=("sms", "voice", "email"))
        # Spare ways wait; the test's desk knows of none, so they are taken away here.
        await conn.execute("DELETE FROM delivery WHERE channel <> 'sms'")
        await conn.commit()
        async with dispatching(plain_database, *ways.values(), clock=clock, fallback=spare):
            await until(conn, failed=3)
            await asyncio.sleep(0.1)
            await until(conn, failed=3)
        order = await rows(conn, "SELECT channel FROM delivery ORDER BY changed, channel")
        assert {name for (name,) in order} == {"sms", *spare}
    assert [len(way.sent) for way in ways.values()] == [1, 1, 1]


async def test_how_far_it_is(plain_database: str) -> None:
    memory, clock = Memory(), Fixed()
    async with await prepare(plain_database) as conn:
        given = await announce(conn, exercise=False, channels=("sms",))
        ((before),) = await progress.of(conn, given.warning.id, now=START)
        assert before["channels"] == {"sms": {"queued": 3}}
        assert before["remaining_seconds"] is None
        async with dispatching(plain_database, memory, clock=clock):
            await until(conn, accepted=3)
        await conn.execute("UPDATE delivery SET acknowledged = now(), acknowledged_by = 'Li'")
        ((after),) = await progress.of(conn, given.warning.id, now=START)
        assert after["channels"] == {"sms": {"accepted": 3}}
        assert set(after["tiers"]) == {"official", "officer", "public"}
        assert (after["rate"], after["remaining_seconds"]) == (0.3, 0.0)
        assert [item["name"] for item in after["acknowledged"]] == ["Li"] * 3
        assert await progress.of(conn, uuid.uuid4(), now=START) == []
        routes = await progress.routes(conn, now=START)
        assert routes["sms"]["handed"] == START
