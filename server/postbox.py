"""Sending the codes that people asked for: an outbox of its own, for a code is no warning."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence

import psycopg

from alerts.channels.port import Channel, ChannelError, Delivery, Receipt
from alerts.people import signup
from alerts.people.sealing import Seal, SealError
from server.clock import SystemClock
from server.store.database import Database
from server.store.errors import StoreError
from server.wakeup import Wakeup

_log = logging.getLogger(__name__)

POLL = 2.0
"""Seconds between looks where nobody wakes us."""

ONCE = 20
"""Codes on their way at once."""

LIMIT = 30.0
"""Seconds that a channel gets for a code."""

TIDY = 600.0
"""Seconds between two looks for codes to forget."""


async def run(database: Database, channels: Sequence[Channel], *, seal: Seal) -> None:
    """Send codes until cancelled, by the real time: a code is never part of an event."""
    # Second barrier: the exercise phone is not among those that can carry a code.
    ways = {channel.name: channel for channel in channels if channel.name in signup.WAYS}
    time = asyncio.get_running_loop().time
    tidied = -TIDY
    async with Wakeup(database, "fenghuo_code") as wakeup:
        while True:
            more = False
            try:
                if time() - tidied >= TIDY:
                    async with database.connection() as conn:
                        await signup.tidy(conn, at=SystemClock().now())
                    tidied = time()
                more = await _send(database, ways, seal=seal) if ways else False
            except (psycopg.Error, StoreError, OSError, SealError) as error:
                _log.warning("codes wait error=%s", type(error).__name__)
            if not more:
                await wakeup.wait(POLL)


async def _send(database: Database, ways: dict[str, Channel], *, seal: Seal) -> bool:
    """Send what waits; say whether there may be more."""
    async with database.connection() as conn:
        taken = await signup.claim(
            conn, seal=seal, channels=list(ways), at=SystemClock().now(), limit=ONCE
        )
    if not taken:
        return False
    receipts = await asyncio.gather(*(_one(ways[code.channel], code) for code in taken))
    async with database.connection() as conn:
        for code, receipt in zip(taken, receipts, strict=True):
            await signup.report(conn, code, receipt, at=SystemClock().now())
    return len(taken) == ONCE


async def _one(channel: Channel, code: Delivery) -> Receipt:
    problem = "no answer in time"
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LIMIT):
            try:
                return await channel.send(code, now=SystemClock().now())
            except ChannelError as error:
                return Receipt(delivery=code.id, state="failed", problem=str(error))
            except Exception as error:  # noqa: BLE001 - one code must not hold up the others
                problem = type(error).__name__
    # What a channel says may repeat the address: only the kind of fault is told.
    _log.warning("code not sent channel=%s problem=%s", channel.name, problem)
    return Receipt(delivery=code.id, state="uncertain", problem=problem)
