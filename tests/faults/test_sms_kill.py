"""kill -9 of the dispatcher while thousands of SMS go out through a provider that fails as well.

A few kills in ``make test``; fifty, and 20,000 SMS, with ``FENGHUO_FAULTS=long`` (``make faults``).
What counts is the provider's own book.
"""

import asyncio
import contextlib
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psycopg

from tests.crowd import fill, number
from tests.faults.results import Row
from tests.faults.rig import LONG
from tests.samples import announce, prepare
from tests.standin import Book, Chances, apart
from tests.support import eventually

PEOPLE, KILLS = (20_000, 50) if LONG else (1_000, 5)
CHANCES = Chances(busy=0.10, silent=0.02, broken=0.01, seed=5)
SPEED = 40.0
"""Seconds of the dispatcher's clock in one of ours."""
LONGEST = 280 if LONG else 60
"""Seconds that all of it may take."""
ROOT = Path(__file__).parents[2]


class Texters:
    """Dispatchers, one after the other."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def kill(self) -> None:
        """Kill the one that works; another begins."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("next\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline().strip()


@contextlib.contextmanager
def texting(*words: object) -> Iterator[Texters]:
    command = [sys.executable, "-m", "tests.faults.texter", *map(str, words)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Texters(process)


def count(address: str) -> int:
    return int(httpx.get(f"{address}/count", timeout=30).text)


def waiting(url: str) -> int:
    """How many are not settled yet, and will be."""
    with psycopg.connect(url) as conn:
        row = conn.execute(
            "SELECT count(*) FROM delivery WHERE state IN ('queued', 'sending')"
            " OR (state = 'uncertain' AND ask IS NOT NULL)"
        ).fetchone()
    return row[0] if row else 0


def storm(url: str, address: str) -> tuple[list[float], int]:
    """Kill the dispatcher again and again, let the last one finish.

    Give the seconds from each kill to the next SMS, and how many deliveries were in doubt at most.
    """
    chance, recoveries, doubtful = random.Random(7), [], 0
    with texting(url, address, time.time(), SPEED) as texters:
        for place in range(1, KILLS + 1):
            # Not at the end of a turn, and not only when things go well.
            goal = place * PEOPLE // (KILLS + 2) + chance.randrange(20)
            eventually(lambda goal=goal: count(address) >= goal, timeout=LONGEST)
            time.sleep(chance.random() / 50)
            killed = time.monotonic()
            texters.kill()
            before = count(address)
            eventually(lambda before=before: count(address) > before, timeout=60)
            recoveries.append(time.monotonic() - killed)
            doubtful = max(doubtful, doubts(url))
        eventually(lambda: not waiting(url), timeout=LONGEST, every=0.1)
    return recoveries, doubtful


def doubts(url: str) -> int:
    with psycopg.connect(url) as conn:
        row = conn.execute("SELECT count(*) FROM delivery WHERE state = 'uncertain'").fetchone()
    return row[0] if row else 0


async def start(url: str) -> None:
    async with await prepare(url, people=1) as conn:
        await conn.execute("TRUNCATE subscriber, contact RESTART IDENTITY CASCADE")
        await conn.commit()
        fill(url, PEOPLE)
        await announce(conn, exercise=False, channels=("sms",))


def test_killed_again_and_again_everybody_gets_it_exactly_once(
    plain_database: str, record: Callable[[Row], None]
) -> None:
    asyncio.run(start(plain_database))
    with apart(CHANCES) as address:
        recoveries, doubtful = storm(plain_database, address)
        book = msgspec.json.decode(httpx.get(f"{address}/book", timeout=60).content, type=Book)
    got = Counter(phone for phone, _ in book.taken)
    with psycopg.connect(plain_database) as conn:
        states: dict[str, Any] = dict(
            conn.execute("SELECT state, count(*) FROM delivery GROUP BY state").fetchall()
        )
    everybody = {number(place) for place in range(1, PEOPLE + 1)}
    # What happened at all: otherwise this shows nothing.
    assert {"201", "429", "500", "slow", "broken"} <= book.answers.keys()
    assert doubtful > 0
    assert got.keys() <= everybody
    # Nothing is left in doubt, because this provider's list can be asked.
    assert states == {"accepted": PEOPLE}
    record(
        Row(
            fault="dispatcher, SMS, failing provider",
            times=KILLS,
            acknowledged=states["accepted"],
            stored=len(got),
            lost=len(everybody - got.keys()),
            doubled=sum(times > 1 for times in got.values()),
            foreign=len(got.keys() - everybody),
            median=sorted(recoveries)[len(recoveries) // 2],
            worst=max(recoveries),
        )
    )
