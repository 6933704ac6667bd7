"""kill -9 of the dispatcher between sending and writing it down."""

import asyncio
import contextlib
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from alerts.channels.exercise import ExercisePhone
from alerts.channels.port import Memory
from alerts.sending import dispatch
from tests.samples import SEAL, Fixed, announce, connector, prepare
from tests.support import eventually, eventually_async

PEOPLE = 150
"""More than a dispatcher takes ahead at once."""
ROOT = Path(__file__).parents[2]


def kill_while_sending(url: str, channel: str, log: Path, *, after: int) -> list[str]:
    """Start a dispatcher, kill it when it hangs in mid-send, give what it had sent by then."""
    log.touch()
    before = len(log.read_text().split())
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.dispatcher", url, channel, str(log), str(after)],
        cwd=ROOT,
    )
    try:
        eventually(lambda: len(log.read_text().split()) > before + after, timeout=20)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    return log.read_text().split()


async def settled(conn: psycopg.AsyncConnection[Any]) -> dict[str, int]:
    cursor = await conn.execute("SELECT state, count(*) FROM delivery GROUP BY state")
    found = dict(await cursor.fetchall())
    await conn.rollback()
    return {} if found.keys() & {"queued", "sending"} else found


async def finish(
    url: str, conn: psycopg.AsyncConnection[Any], channel: ExercisePhone | Memory
) -> dict[str, int]:
    """Let another dispatcher do the rest, and give how many are in each state."""
    task = asyncio.create_task(
        dispatch.run(connector(url), [channel], clock=Fixed(), seal=SEAL, poll=0.05)
    )
    try:
        return await eventually_async(lambda: settled(conn), timeout=20)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_the_exercise_phone_has_each_exactly_once(
    plain_database: str, tmp_path: Path
) -> None:
    async with await prepare(plain_database, people=PEOPLE) as conn:
        await announce(conn)
        for after in (0, 5, 11):
            await asyncio.to_thread(
                kill_while_sending, plain_database, "exercise", tmp_path / "log", after=after
            )
        assert await finish(plain_database, conn, ExercisePhone()) == {"delivered": PEOPLE}
        cursor = await conn.execute(
            "SELECT count(*), count(DISTINCT subscriber), max(attempts) FROM delivery"
        )
        ((count, people, attempts),) = await cursor.fetchall()
        assert (count, people) == (PEOPLE, PEOPLE)
        assert attempts > 1


@pytest.mark.parametrize("after", [0, 7])
async def test_a_real_one_is_never_sent_twice_and_doubt_is_named(
    plain_database: str, tmp_path: Path, after: int
) -> None:
    async with await prepare(plain_database, people=PEOPLE) as conn:
        await announce(conn, exercise=False, channels=("sms",))
        first = await asyncio.to_thread(
            kill_while_sending, plain_database, "sms", tmp_path / "log", after=after
        )
        rest = Memory()
        found = await finish(plain_database, conn, rest)
        assert found.keys() == {"accepted", "uncertain"}
        assert sum(found.values()) == PEOPLE
        second = [str(delivery.id) for delivery in rest.sent]
        assert not set(first) & set(second)
        cursor = await conn.execute("SELECT id::text FROM delivery WHERE state = 'uncertain'")
        uncertain = {number for (number,) in await cursor.fetchall()}
        assert uncertain
        # Whatever nobody knows of was sent by the dead one, or was about to be.
        assert set(first) | set(second) | uncertain == {
            number for (number,) in await (
                await conn.execute("SELECT id::text FROM delivery")
            ).fetchall()
        }  # fmt: skip
