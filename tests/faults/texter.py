"""Dispatchers of SMS to be killed: ``python -m tests.faults.texter URL STANDIN EPOCH SPEED``.

Each line on its standard input kills the one that works, as ``kill -9`` does, and lets a new one
begin: a fork of this process, which has loaded everything once. Their clock runs faster than the
real one, so that what takes minutes between two questions to a provider takes seconds here.
"""

import datetime as dt
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import uvloop

from alerts.channels.sms import Sms
from alerts.people.sealing import KEY_BYTES, Seal
from alerts.sending import dispatch

# As in `tests.samples` and `tests.standin`, which would take long to begin.
START = dt.datetime(2016, 7, 20, 0, tzinfo=dt.UTC)
SEAL = Seal(bytes(KEY_BYTES))
ACCOUNT, TOKEN = "AC" + "0" * 32, "token"

PATIENCE = 1.0
"""Seconds that the provider gets to answer, by the real clock."""


class Hasty:
    """A clock that was at START when the real one was at ``epoch``."""

    def __init__(self, epoch: float, speed: float) -> None:
        self._epoch = epoch
        self._speed = speed

    def now(self) -> dt.datetime:
        return START + dt.timedelta(seconds=(time.time() - self._epoch) * self._speed)


async def main(url: str, address: str, epoch: float, speed: float) -> None:
    sms = Sms(
        account=ACCOUNT, token=TOKEN, sender="+15005550006", base_url=address, timeout=PATIENCE
    )

    @asynccontextmanager
    async def lend() -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        async with await psycopg.AsyncConnection.connect(url) as conn:
            yield conn

    await dispatch.run(lend, [sms], clock=Hasty(epoch, speed), seal=SEAL, poll=0.1)


def begin(*words: str) -> int:
    """Start one, and give its process number."""
    child = os.fork()
    if child:
        return child
    url, address, epoch, speed = words
    uvloop.run(main(url, address, float(epoch), float(speed)))
    os._exit(1)


if __name__ == "__main__":
    working = begin(*sys.argv[1:])
    try:
        for _ in sys.stdin:
            os.kill(working, signal.SIGKILL)
            os.waitpid(working, 0)
            working = begin(*sys.argv[1:])
            print(working, flush=True)
    finally:
        os.kill(working, signal.SIGKILL)
