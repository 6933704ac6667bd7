"""Sending what is due: order, retries, barriers and what is done about doubt."""

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

from alerts.channels.exercise import ExercisePhone
from alerts.channels.port import Channel, Delivery, ExerciseError, Memory, Receipt, State
from alerts.channels.sms import Sms
from alerts.people import acknowledge
from alerts.sending import dispatch, lane, receipts
from tests.samples import SEAL, START, Fixed, announce, connector, later, prepare
from tests.standin import ACCOUNT, TOKEN, standin
from tests.support import eventually_async


@asynccontextmanager
async def dispatching(
    url: str, *channels: Channel, clock: Fixed | None = None, **more: Any
) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(
        dispatch.run(connector(url), channels, clock=clock or Fixed(), seal=SEAL, poll=0.05, **more)
    )
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def states(conn: psycopg.AsyncConnection[Any]) -> dict[str, int]:
    cursor = await conn.execute("SELECT state, count(*) FROM delivery GROUP BY state")
    found = dict(await cursor.fetchall())
    await conn.rollback()
    return found


async def until(conn: psycopg.AsyncConnection[Any], **wanted: int) -> None:
    async def reached() -> bool:
        return await states(conn) == wanted

    await eventually_async(reached, about=str(wanted))


async def waiting(conn: psycopg.AsyncConnection[Any], attempts: int) -> bool:
    """Say whether the only delivery waits after so many attempts."""
    cursor = await conn.execute("SELECT state, attempts FROM delivery")
    found = await cursor.fetchone()
    await conn.rollback()
    return found == ("queued", attempts)


def always(state: State, problem: str = "") -> Callable[[Delivery], Receipt]:
    return lambda delivery: Receipt(delivery=delivery.id, state=state, problem=problem)


async def test_the_exercise_phone_gets_it(plain_database: str) -> None:
    async with await prepare(plain_database) as conn, dispatching(plain_database, ExercisePhone()):
        await announce(conn)
        await until(conn, delivered=3)


async def test_a_replay_does_not_wait_for_the_clock(plain_database: str) -> None:
    for_long = Fixed(later(-100))
    async with await prepare(plain_database) as conn:
        await announce(conn)
        async with dispatching(plain_database, ExercisePhone(), clock=for_long):
            await until(conn, delivered=3)


async def test_red_first_and_officials_first(plain_database: str) -> None:
    memory = Memory(workers=1)
    async with await prepare(plain_database) as conn:
        await announce(conn, exercise=False, channels=("sms",))
        async with dispatching(plain_database, memory):
            await until(conn, accepted=3)
    numbers = [delivery.address[-1] for delivery in memory.sent]
    assert numbers == ["0", "1", "2"]  # official, officer, public


async def test_what_was_not_taken_is_tried_again_until_it_is_enough(plain_database: str) -> None:
    clock, memory = Fixed(), Memory(answer=always("queued", "busy"))
    async with await prepare(plain_database, people=1) as conn:
        await announce(conn, exercise=False, channels=("sms",))
        async with dispatching(plain_database, memory, clock=clock):
            for attempt in range(1, lane.ATTEMPTS):
                await eventually_async(lambda want=attempt: waiting(conn, want))
                clock.time += dt.timedelta(seconds=lane.LONGEST_PAUSE)
            await until(conn, failed=1)
    assert len(memory.sent) == lane.ATTEMPTS


async def test_a_pause_before_trying_again(plain_database: str) -> None:
    memory = Memory(answer=always("queued"))
    async with await prepare(plain_database, people=1) as conn:
        await announce(conn, exercise=False, channels=("sms",))
        async with dispatching(plain_database, memory):
            await eventually_async(lambda: waiting(conn, 1))
        cursor = await conn.execute("SELECT due FROM delivery")
        ((due,),) = await cursor.fetchall()
        assert dt.timedelta(seconds=0.5) <= due - START <= dt.timedelta(seconds=1)
    assert len(memory.sent) == 1


async def test_what_is_late_is_never_sent(plain_database: str) -> None:
    memory = Memory()
    async with await prepare(plain_database) as conn:
        await announce(conn, exercise=False, channels=("sms",))
        async with dispatching(plain_database, memory, clock=Fixed(later(6))):
            await until(conn, expired=3)
    assert memory.sent == []


@pytest.mark.parametrize(("repeatable", "state"), [(False, "uncertain"), (True, "queued")])
async def test_a_broken_channel_stops_nobody(
    plain_database: str, repeatable: bool, state: str
) -> None:
    def broken(delivery: Delivery) -> Receipt:
        raise RuntimeError(f"bug at {delivery.id}")

    memory = Memory(repeatable=repeatable, answer=broken)
    async with await prepare(plain_database, people=1) as conn:
        await announce(conn, exercise=False, channels=("sms",))
        async with dispatching(plain_database, memory) as task:
            await eventually_async(lambda: len(memory.sent) == 1)
            await until(conn, **{state: 1})
            assert not task.done()


async def test_the_second_barrier_is_the_channel_itself() -> None:
    trial = Delivery(
        id=uuid.uuid4(), message=uuid.uuid4(), channel="sms", exercise=True, address="+1",
        body="x", expires=later(1),
    )  # fmt: skip
    sms = Sms(account=ACCOUNT, token=TOKEN, sender="+1")
    for channel in (Memory(), sms):
        with pytest.raises(ExerciseError):
            await channel.send(trial, now=START)
    await sms.close()
    real = msgspec.structs.replace(trial, exercise=False)
    with pytest.raises(ExerciseError):
        await ExercisePhone().send(real, now=START)


async def test_a_channel_of_a_false_name_gets_no_exercise_out(plain_database: str) -> None:
    misnamed = Memory(name="exercise")
    async with await prepare(plain_database) as conn, dispatching(plain_database, misnamed):
        await announce(conn)
        await until(conn, failed=3)
    assert misnamed.sent == []


async def test_many_workers_send_each_once(plain_database: str) -> None:
    memory = Memory()
    async with await prepare(plain_database, people=500) as conn:
        await announce(conn, exercise=False, channels=("sms",))
        async with (
            dispatching(plain_database, memory),
            dispatching(plain_database, memory),
            dispatching(plain_database, memory),
        ):
            await until(conn, accepted=500)
    assert len({delivery.id for delivery in memory.sent}) == len(memory.sent) == 500


async def test_ending_waits_for_what_is_under_way(plain_database: str) -> None:
    class Slow(Memory):
        started = asyncio.Event()

        async def send(self, delivery: Delivery, *, now: dt.datetime) -> Receipt:
            self.started.set()
            await asyncio.sleep(0.2)
            return await super().send(delivery, now=now)

    slow = Slow()
    async with await prepare(plain_database, people=1) as conn:
        await announce(conn, exercise=False, channels=("sms",))
        async with dispatching(plain_database, slow):
            await slow.started.wait()
        assert await states(conn) == {"accepted": 1}


async def test_told_to_end_at_any_moment_nothing_is_left_in_doubt(plain_database: str) -> None:
    memory = Memory()
    async with await prepare(plain_database, people=400) as conn:
        await announce(conn, exercise=False, channels=("sms",))
        for pause in range(12):
            async with dispatching(plain_database, memory):
                await asyncio.sleep(pause / 150)
        async with dispatching(plain_database, memory):
            await until(conn, accepted=400)
    assert len(memory.sent) == 400


async def test_a_borrowed_connection_is_given_back_as_it_was(plain_database: str) -> None:
    async with await psycopg.AsyncConnection.connect(plain_database) as conn:
        lent = asyncio.Event()

        @asynccontextmanager
        async def lend() -> AsyncIterator[psycopg.AsyncConnection[Any]]:
            lent.set()
            yield conn

        worker = dispatch.Dispatcher(
            connector(plain_database),
            [ExercisePhone()],
            clock=Fixed(),
            seal=SEAL,
            poll=0.05,
        )

        async def borrow() -> None:
            async with lend() as session:
                await worker.serve(session)

        task = asyncio.create_task(borrow())
        await lent.wait()
        await eventually_async(lambda: conn.autocommit)
        await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert not conn.autocommit
        cursor = await conn.execute(
            "SELECT (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'),"
            " (SELECT count(*) FROM pg_listening_channels())"
        )
        assert await cursor.fetchone() == (0, 0)


async def test_a_lost_session_is_replaced(plain_database: str) -> None:
    async with await prepare(plain_database) as conn, dispatching(plain_database, ExercisePhone()):
        await announce(conn)
        await until(conn, delivered=3)
        cut = await conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert cut.rowcount
        await conn.execute("UPDATE delivery SET state = 'queued'")
        await conn.commit()
        await until(conn, delivered=3)


async def test_through_the_official_client(plain_database: str) -> None:
    """Refused once and then taken; lost after it was taken, and found again by the receipt."""
    async with (
        await prepare(plain_database) as conn,
        standin(429, "lost", 201, 400) as stand,
    ):
        clock = Fixed()
        sms = Sms(
            account=ACCOUNT, token=TOKEN, sender="+15005550006", base_url=stand.url,
            callback="https://warn.example/callbacks/sms", workers=1,
        )  # fmt: skip
        await announce(conn, exercise=False, channels=("sms",))
        async with dispatching(plain_database, sms, clock=clock):
            await until(conn, queued=2, uncertain=1)  # the public waits for the official
            clock.time += dt.timedelta(seconds=5)
            await until(conn, accepted=1, uncertain=1, failed=1)
            assert len(stand.taken) == 2
            for number in range(2):
                for status in ("delivered", "sent", "delivered"):  # twice and out of order
                    url, form, signature = stand.receipt(number, status)
                    headers = {"x-twilio-signature": signature}
                    (receipt,) = sms.parse_callback(url=url, form=form, headers=headers, body=b"")
                    await receipts.settle(conn, receipt, changed=clock.now())
                    await conn.commit()
            await until(conn, delivered=2, failed=1)
        await sms.close()


async def test_a_receipt_faster_than_the_answer_stands(plain_database: str) -> None:
    async with await prepare(plain_database, people=1) as conn:
        await announce(conn, exercise=False, channels=("sms",))
        entered, leave = asyncio.Event(), asyncio.Event()

        class Held(Memory):
            async def send(self, delivery: Delivery, *, now: dt.datetime) -> Receipt:
                entered.set()
                await leave.wait()
                return await super().send(delivery, now=now)

        held = Held()
        async with dispatching(plain_database, held):
            await entered.wait()
            cursor = await conn.execute("SELECT id FROM delivery")
            ((number,),) = await cursor.fetchall()
            receipt = Receipt(delivery=number, state="delivered", provider="SM1")
            assert await receipts.settle(conn, receipt, changed=START)
            await conn.commit()
            leave.set()
            await eventually_async(lambda: len(held.sent) == 1)
        assert await states(conn) == {"delivered": 1}


async def test_the_public_waits_until_every_official_is_through(plain_database: str) -> None:
    """An official who is refused at first holds the public back; the other workers wait."""
    refused: list[uuid.UUID] = []

    def once(delivery: Delivery) -> Receipt:
        if delivery.tier == "official" and not refused:
            refused.append(delivery.id)
            return Receipt(delivery=delivery.id, state="queued", problem="busy")
        return Receipt(delivery=delivery.id, state="accepted")

    memory, clock = Memory(answer=once), Fixed()
    async with await prepare(plain_database) as conn:
        await announce(conn, exercise=False, channels=("sms",))
        async with dispatching(plain_database, memory, clock=clock):
            await until(conn, queued=2, accepted=1)
            await asyncio.sleep(0.1)
            assert [one.tier for one in memory.sent] == ["official", "officer"]
            clock.time += dt.timedelta(seconds=2)
            await until(conn, accepted=3)
    assert [one.tier for one in memory.sent] == ["official", "officer", "official", "public"]


async def test_an_official_who_hangs_does_not_hold_the_public_for_ever(plain_database: str) -> None:
    class Hanging(Memory):
        async def send(self, delivery: Delivery, *, now: dt.datetime) -> Receipt:
            if delivery.tier == "official":
                await asyncio.Event().wait()
            return await super().send(delivery, now=now)

    hanging, clock = Hanging(), Fixed()
    async with await prepare(plain_database) as conn:
        await announce(conn, exercise=False, channels=("sms",))
        async with dispatching(plain_database, hanging, clock=clock):
            await until(conn, sending=1, accepted=1, queued=1)
            clock.time += lane.HOLD
            await until(conn, sending=1, accepted=2)
            for task in asyncio.all_tasks():
                if "_send" in repr(task.get_coro()):
                    task.cancel()
            await until(conn, uncertain=1, accepted=2)


async def test_a_slow_channel_holds_up_no_other(plain_database: str) -> None:
    class Stuck(Memory):
        released = asyncio.Event()

        async def send(self, delivery: Delivery, *, now: dt.datetime) -> Receipt:
            await self.released.wait()
            return await super().send(delivery, now=now)

    stuck, quick = Stuck(name="voice", workers=2), Memory(name="sms")
    async with await prepare(plain_database, people=40) as conn:
        await announce(conn, exercise=False, channels=("sms",))
        await conn.execute(
            "INSERT INTO script SELECT message, 'voice', language, subject, body, segments"
            " FROM script"
        )
        await conn.execute(
            "INSERT INTO delivery (message, subscriber, contact, channel, way, language, tier,"
            " exercise, priority, due, expires, changed) SELECT message, subscriber, contact,"
            " 'voice', 'voice', language, tier, exercise, priority, due, expires, changed"
            " FROM delivery"
        )
        await conn.commit()
        async with dispatching(plain_database, stuck, quick):
            await eventually_async(lambda: len(quick.sent) == 40)
            assert stuck.sent == []
            stuck.released.set()


async def test_a_rate_is_shared_by_all_dispatchers(plain_database: str) -> None:
    memory = Memory(rate=40)
    async with await prepare(plain_database, people=30) as conn:
        await announce(conn, exercise=False, channels=("sms",))
        began = asyncio.get_running_loop().time()
        async with dispatching(plain_database, memory), dispatching(plain_database, memory):
            await until(conn, accepted=30)
        spent = asyncio.get_running_loop().time() - began
    assert len(memory.sent) == 30
    assert spent > (30 - 40 * lane.BURST) / 40 * 0.95


async def test_each_recipient_gets_the_own_link(plain_database: str) -> None:
    memory = Memory()
    async with await prepare(plain_database) as conn:
        await announce(conn, exercise=False, channels=("sms",))
        await conn.execute("ALTER TABLE script DISABLE TRIGGER USER")
        await conn.execute("UPDATE script SET body = 'Storm. Read: {ack}'")
        await conn.commit()
        async with dispatching(plain_database, memory, public="https://warn.example/"):
            await until(conn, accepted=3)
    assert {one.body for one in memory.sent} == {
        f"Storm. Read: https://warn.example{acknowledge.link(one.id, SEAL)}" for one in memory.sent
    }
    assert len({one.body for one in memory.sent}) == 3


async def test_without_an_address_nothing_is_sent(plain_database: str) -> None:
    memory = Memory()
    async with await prepare(plain_database, people=1) as conn:
        await announce(conn, exercise=False, channels=("sms",))
        await conn.execute("UPDATE contact SET address = NULL")
        await conn.commit()
        async with dispatching(plain_database, memory):
            await until(conn, failed=1)
    assert memory.sent == []
