"""From the approval to the phones: how soon the first, how soon all are queued, how fast they go.

``python -m tests.bench.alerts`` runs on an embedded server of its own, against the stand-in of
the tests in a process of its own, which accepts everything: after 50 ms, as a provider beyond the
internet does, and at once, where nothing counts but the processor. The same number of messages
goes by the bare official client and by procrastinate, with as many under way at once, each in a
process of its own; everything in one run.
"""

import asyncio
import contextlib
import datetime as dt
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psycopg

from alerts import regions
from alerts.life import ledger
from server.store.embedded import Embedded
from tests.bench.ingest import ROOT, Row_, fresh
from tests.crowd import fill, official
from tests.samples import REGION, desk, step
from tests.standin import Book, Chances, apart
from tests.support import eventually

CROWD = 100_000
"""People who are told of the large warning; one in a hundred is an official."""
TOWN = 1_000
"""People who are told of the small one."""
SENT = 4_000
"""Messages by which a rate is measured."""
DELAY = 0.05
"""Seconds in which a provider answers."""


async def _approve(url: str) -> tuple[float, float]:
    """Issue a warning; give when that began, and the seconds until it was committed."""
    found, bureau = step(exercise=False, at=dt.datetime.now(dt.UTC)), desk("sms")
    async with await psycopg.AsyncConnection.connect(url) as conn:
        began, clock = time.time(), time.monotonic()
        await ledger.record(conn, found, desk=bureau)
        await conn.commit()
        return began, time.monotonic() - clock


@contextlib.contextmanager
def _dispatcher(url: str, address: str) -> Iterator[None]:
    command = [sys.executable, "-m", "tests.bench.senders", "ledger", url, address]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def _child(*words: object) -> list[float]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.senders", *map(str, words)],
        cwd=ROOT, stdout=subprocess.PIPE, timeout=300, check=True,
    )  # fmt: skip
    return [float(word) for word in done.stdout.split()]


def _book(address: str) -> Book:
    answer = httpx.get(f"{address}/book", timeout=30)
    return msgspec.json.decode(answer.content, type=Book)


def _sent(address: str) -> int:
    return int(httpx.get(f"{address}/count", timeout=30).text)


def _warn(
    server: str, people: int, *, until: int, delay: float = 0
) -> tuple[float, float, float, Book]:
    """Warn so many; give the seconds to the first SMS and to the end of the queueing, the rate,
    and the stand-in's book after so many were taken."""
    with fresh(server) as url, apart(Chances(delay=delay)) as address:
        asyncio.run(_prepare(url))
        fill(url, people)
        with _dispatcher(url, address):
            time.sleep(1)  # it is idle when the approval comes
            began, queued = asyncio.run(_approve(url))
            eventually(lambda: _sent(address) >= until, timeout=300, every=0.5)
            book = _book(address)
        moments = [moment for _, moment in book.taken[:until]]
        tenth = until // 10  # the beginning and the end are not the rate
        middle = moments[tenth : until - tenth]
        rate = (len(middle) - 1) / (middle[-1] - middle[0])
        return moments[0] - began, queued, rate, book


async def _prepare(url: str) -> None:
    async with await psycopg.AsyncConnection.connect(url) as conn:
        await regions.save(conn, [REGION])


def _after_officials(book: Book) -> tuple[float, int]:
    """Give the seconds from the last official to the first of the public; who came after it."""
    officials = [at for phone, at in book.taken if official(phone)]
    public = min(at for phone, at in book.taken if not official(phone))
    return public - max(officials), sum(at > public for at in officials)


def run(sent: int = SENT, *, crowd: int = CROWD) -> list[Row_]:
    """Measure on the embedded server as it is delivered."""
    with tempfile.TemporaryDirectory() as folder, Embedded(Path(folder)) as server:
        first, _, _, town = _warn(server.url, TOWN, until=TOWN)
        plain = _bare(sent, DELAY)
        crowd_first, queued, rate, _ = _warn(server.url, crowd, until=sent, delay=DELAY)
        peer_queued, peer = _queue(server.url, sent, DELAY)
        plain_at_once = _bare(sent, 0)
        _, _, at_once, _ = _warn(server.url, sent, until=sent)
        _, peer_at_once = _queue(server.url, sent, 0)
    pause, late = _after_officials(town)
    bare, instant = "the bare official client", "the bare official client at once"
    return [
        _row("approval to the first SMS accepted, 1,000 people", first, "s"),
        _row("the same, 100,000 people", crowd_first, "s"),
        _row("100,000 people queued by one approval", queued, "s"),
        _row("first SMS of the public after the last of an official", pause, "s"),
        _row("officials told after the first of the public", late, "of 10"),
        _row("SMS, provider that answers in 50 ms, 20 at once", rate, "/s", plain, bare),
        _row("procrastinate, the same", peer, "/s", plain, bare),
        _row("SMS, provider that answers at once", at_once, "/s", plain_at_once, instant),
        _row("procrastinate, the same", peer_at_once, "/s", plain_at_once, instant),
        _row("procrastinate, 100,000 jobs queued (by 4,000)", peer_queued * CROWD / sent, "s"),
    ]


def _bare(sent: int, delay: float) -> float:
    with apart(Chances(delay=delay)) as address:
        (rate,) = _child("bare", address, sent)
        return rate


def _queue(server: str, sent: int, delay: float) -> tuple[float, float]:
    """Give the seconds in which the jobs were queued, and the rate."""
    with fresh(server) as url, apart(Chances(delay=delay)) as address:
        queued, rate = _child("queue", url, address, sent)
        return queued, rate


def _row(name: str, figure: float, unit: str, base: float = 0, to: str = "") -> Row_:
    row: dict[str, Any] = {"name": name, "figure": figure, "unit": unit}
    return {**row, "ratio": figure / base, "to": to} if base else row


if __name__ == "__main__":
    for found in run(*(int(word) for word in sys.argv[1:2])):
        print(json.dumps(found))
