"""What became of what was sent: receipts that come, questions where none do, then another way.

A receipt is the provider's own word and stands. Where none comes, the provider is asked: soon
about what it may have taken, later about what it took and never spoke of again. What it does not
have, twice in a row, was not sent and is sent again. What it cannot tell stays as it is: named.
"""

import asyncio
import datetime as dt
import logging
import secrets
from collections.abc import Sequence
from typing import Any

from alerts.channels.port import Channel, Delivery, Receipt, where
from alerts.people.opener import Opener
from alerts.queries import Queries
from alerts.sending.lane import DOUBT, SILENCE, Clock, Connect, Connection

_log = logging.getLogger(__name__)
_sql = Queries("alerts.sending", "receipts.sql")

ASKS = 6
"""Times that the provider is asked about one delivery; each time after twice as long."""

MISSING = "the provider does not have it"
"""What is noted of a delivery that was perhaps never sent; said twice, it is sent again."""

PART = 50
"""Questions taken at once at most."""

TOGETHER = 5
"""Questions under way at once: warnings go before them."""

LEASE = dt.timedelta(minutes=2)
"""After this a question that was taken and never answered is asked by anybody."""

SELDOM = 5
"""Times as long between two looks for questions as between two looks for what is to be sent."""

FOLLOWED = 500
"""Failures looked at in one turn."""


async def settle(
    conn: Connection,
    receipt: Receipt,
    *,
    changed: dt.datetime,
    ask: dt.datetime | None = None,
) -> bool:
    """Note what a provider says became of a delivery; False where that is no news.

    ask: when to ask again, where it is only on its way.
    """
    values = {
        "id": receipt.delivery,
        "state": receipt.state,
        "provider": receipt.provider,
        "problem": receipt.problem,
        "changed": changed,
        "ask": ask,
    }
    return (await conn.execute(_sql.settle, values)).rowcount > 0


class Inquirer:
    """Asks one channel's provider, slowly, and goes on to other channels where this one failed."""

    def __init__(
        self,
        channel: Channel,
        *,
        connect: Connect,
        clock: Clock,
        opener: Opener,
        fallback: Sequence[str] = (),
        poll: float = 1.0,
    ) -> None:
        """Ask about what went through a channel; fallback: where to go on, in this order."""
        self._channel = channel
        self._connect = connect
        self._clock = clock
        self._opener = opener
        self._fallback = list(fallback)
        self._poll = poll
        self._random = secrets.SystemRandom()

    async def serve(self) -> None:
        """Ask until cancelled; raises psycopg.OperationalError when the database is away."""
        while True:
            more = await self._turn()
            if not more:
                await asyncio.sleep(SELDOM * self._poll)

    async def _turn(self) -> bool:
        """Ask what is due, and say whether there may be more."""
        now = self._clock.now()
        async with self._connect() as conn, conn.transaction():
            values = {"channel": self._channel.name, "now": now}
            if self._fallback:
                await conn.execute(
                    _sql.follow, {**values, "limit": FOLLOWED, "fallback": self._fallback}
                )
            cursor = await conn.execute(
                _sql.questions, {**values, "limit": PART, "lease": now + LEASE}
            )
            taken = await cursor.fetchall()
        if not taken:
            return False
        lines = asyncio.Semaphore(TOGETHER)
        answers = await asyncio.gather(*(self._ask(row, lines) for row in taken))
        now = self._clock.now()
        async with self._connect() as conn, conn.transaction():
            for row, answer in zip(taken, answers, strict=True):
                await self._note(conn, row, answer, now)
        return len(taken) == PART

    async def _ask(self, row: tuple[Any, ...], lines: asyncio.Semaphore) -> Receipt | None:
        (
            identifier, _, _, _, attempts, way, sealed, subject, body, expires, message,
            provider, handed,
        ) = row  # fmt: skip
        delivery = Delivery(
            id=identifier,
            channel=self._channel.name,
            way=way,
            exercise=False,
            address=self._opener.address(sealed, identifier),
            subject=subject,
            body=self._opener.text(body, identifier),
            expires=expires,
            attempts=attempts,
            message=message,
            provider=provider,
            handed=handed,
        )
        try:
            async with lines:
                return await self._channel.find(delivery) if delivery.address else None
        except Exception as error:  # noqa: BLE001 - a fault in one channel must not stop the others
            _log.warning(
                "not asked channel=%s delivery=%s fault=%s",
                self._channel.name,
                identifier,
                where(error),
            )
            return None

    async def _note(
        self, conn: Connection, row: tuple[Any, ...], answer: Receipt | None, now: dt.datetime
    ) -> None:
        identifier, state, problem, asks, *_ = row
        base = SILENCE if state == "accepted" else DOUBT
        seconds = self._random.uniform(1, 1.25) * base * 2 ** (asks - 1)
        ask = now + dt.timedelta(seconds=seconds) if asks < ASKS else None
        if answer is not None and answer.state not in {"queued", "uncertain", state}:
            await settle(conn, answer, changed=now, ask=now + dt.timedelta(seconds=SILENCE))
            return
        missing = answer is not None and answer.state == "queued" and state == "uncertain"
        if missing and problem == MISSING:
            await conn.execute(_sql.again, {"id": identifier, "now": now, "problem": MISSING})
            return
        # It must say so twice in a row: its list may lag behind.
        noted = MISSING if missing else None if problem == MISSING else problem
        await conn.execute(_sql.later, {"id": identifier, "ask": ask, "problem": noted})
