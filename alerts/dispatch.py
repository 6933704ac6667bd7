"""Taking what is due from the ledger, sending it, and writing down what became of it.

Nothing is sent inside a transaction: a delivery is marked as being sent and committed, sent, and
the outcome committed. A worker holds an advisory lock of its own while it lives; what a dead one
was sending is sent again where that is harmless, and marked uncertain where it is not.
"""

import asyncio
import contextlib
import datetime as dt
import logging
import secrets
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeAlias

import msgspec
import psycopg
from psycopg.rows import dict_row

from alerts.channels.port import Channel, ChannelError, Delivery, Receipt, State
from alerts.queries import Queries

_log = logging.getLogger(__name__)
_sql = Queries("alerts", "dispatch.sql")

Connection: TypeAlias = psycopg.AsyncConnection[Any]
Connect: TypeAlias = Callable[[], AbstractAsyncContextManager[Connection]]

ATTEMPTS = 10
"""Times that a delivery is tried, where trying again is safe."""

LONGEST_PAUSE = 300.0
"""Seconds between two of them at most."""

GRACE = 5.0
"""Seconds that sending may still take when the dispatcher is told to end."""

_KIND = 0x66656E67
"""The advisory locks of dispatchers."""


class Clock(Protocol):
    """What time it is."""

    def now(self) -> dt.datetime:
        """Give the present moment, aware."""
        ...


async def run(
    connect: Connect,
    channels: Iterable[Channel],
    *,
    clock: Clock,
    workers: int = 20,
    poll: float = 1.0,
) -> None:
    """Send what is due, until cancelled; any number of processes may do so at once.

    connect: lends a connection, one of which is kept. workers: deliveries under way at once.
    poll: seconds between looks at the ledger when no notification comes.
    """
    dispatcher = Dispatcher(connect, channels, clock=clock, workers=workers, poll=poll)
    while True:
        try:
            async with connect() as session:
                await dispatcher.serve(session)
        except psycopg.OperationalError as error:
            _log.warning("database away error=%s", error)
            await asyncio.sleep(poll)


class Dispatcher:
    """One worker: what it has under way, and what it has not written down yet."""

    def __init__(
        self,
        connect: Connect,
        channels: Iterable[Channel],
        *,
        clock: Clock,
        workers: int,
        poll: float,
    ) -> None:
        self._connect = connect
        self._channels = {channel.name: channel for channel in channels}
        self._clock = clock
        self._workers = workers
        self._poll = poll
        self._number = 0
        self._random = secrets.SystemRandom()
        self._flying: set[asyncio.Task[None]] = set()
        self._turning: asyncio.Task[None] | None = None
        self._done: list[tuple[int, Delivery, Receipt]] = []
        self._wake = asyncio.Event()
        self._look = 0.0

    async def serve(self, session: Connection) -> None:
        """Work until cancelled, or until the session is lost; then wait for what is under way."""
        # A new one each time: what a lost transaction may have taken is left to be revived.
        self._number = secrets.randbelow(2**31 - 1) + 1
        await session.set_autocommit(True)
        try:
            await session.execute(_sql.live, {"kind": _KIND, "worker": self._number})
            await session.execute("LISTEN fenghuo_delivery")
            await self._work(session)
        finally:
            await self._finish()
            with contextlib.suppress(psycopg.OperationalError):  # it may be what was lost
                await session.execute(_sql.leave)
                await session.set_autocommit(False)

    async def _work(self, session: Connection) -> None:
        listening = asyncio.create_task(self._listen(session), name="fenghuo_delivery")
        try:
            while not listening.done():
                self._wake.clear()
                # Shielded: what is marked as being sent must be sent, even when told to end.
                self._turning = asyncio.create_task(self._turn(), name="dispatch")
                await asyncio.shield(self._turning)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._poll):
                        await self._wake.wait()
            listening.result()
        finally:
            listening.cancel()
            await asyncio.wait([listening])

    async def _listen(self, session: Connection) -> None:
        try:
            async for _ in session.notifies():
                self._wake.set()
        finally:
            self._wake.set()

    async def _turn(self) -> None:
        """Write down what is done, take what is due, and begin to send it."""
        now, done = self._clock.now(), list(self._done)
        async with self._connect() as conn, conn.transaction():
            await self._report(conn, done, now)
            if time.monotonic() >= self._look:
                await self._tidy(conn, now)
            taken = await self._claim(conn, now)
        del self._done[: len(done)]
        for delivery in taken:
            task = asyncio.create_task(self._send(delivery, self._number))
            self._flying.add(task)
            task.add_done_callback(self._landed)

    async def _tidy(self, conn: Connection, now: dt.datetime) -> None:
        repeatable = [name for name, channel in self._channels.items() if channel.repeatable]
        values = {"repeatable": repeatable, "kind": _KIND, "now": now}
        revived = (await conn.execute(_sql.revive, values)).rowcount
        lapsed = (await conn.execute(_sql.lapse, {"now": now})).rowcount
        if revived or lapsed:
            _log.warning("left behind revived=%d lapsed=%d", revived, lapsed)
        self._look = time.monotonic() + self._poll

    async def _claim(self, conn: Connection, now: dt.datetime) -> list[Delivery]:
        free = self._workers - len(self._flying)
        if free <= 0:
            return []
        values = {
            "now": now,
            "limit": free,
            "worker": self._number,
            "channels": list(self._channels),
        }
        async with conn.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(_sql.in_order)
            await cursor.execute(_sql.claim, values)
            return [msgspec.convert(row, Delivery) for row in await cursor.fetchall()]

    async def _send(self, delivery: Delivery, worker: int) -> None:
        channel = self._channels[delivery.channel]
        try:
            receipt = await channel.send(delivery, now=self._clock.now())
        except ChannelError as error:
            receipt = Receipt(delivery=delivery.id, state="failed", problem=str(error))
        except asyncio.CancelledError:
            receipt = self._unknown(channel, delivery, "the worker was told to end")
        except Exception as error:  # noqa: BLE001 - a fault in one channel must not stop the others
            _log.exception("channel broke channel=%s delivery=%s", channel.name, delivery.id)
            receipt = self._unknown(channel, delivery, repr(error))
        self._done.append((worker, delivery, receipt))

    def _unknown(self, channel: Channel, delivery: Delivery, problem: str) -> Receipt:
        state: State = "queued" if channel.repeatable else "uncertain"
        return Receipt(delivery=delivery.id, state=state, problem=problem)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._flying.discard(task)
        self._wake.set()

    async def _report(
        self, conn: Connection, done: list[tuple[int, Delivery, Receipt]], now: dt.datetime
    ) -> None:
        if not done:
            return
        rows = [
            (worker, *self._result(delivery, receipt, now)) for worker, delivery, receipt in done
        ]
        workers, ids, states, providers, problems, dues = (
            list(column) for column in zip(*rows, strict=True)
        )
        await conn.execute(
            _sql.report,
            {
                "workers": workers,
                "ids": ids,
                "states": states,
                "providers": providers,
                "problems": problems,
                "dues": dues,
                "now": now,
            },
        )

    def _result(self, delivery: Delivery, receipt: Receipt, now: dt.datetime) -> tuple[Any, ...]:
        """Give a row of the report; one that may be tried again is due after a pause."""
        state, due = receipt.state, None
        if state == "queued" and delivery.attempts >= ATTEMPTS:
            state = "failed"
        elif state == "queued":
            longest = min(2.0 ** (delivery.attempts - 1), LONGEST_PAUSE)
            due = now + dt.timedelta(seconds=self._random.uniform(longest / 2, longest))
        return delivery.id, state, receipt.provider, receipt.problem, due

    async def _finish(self) -> None:
        """Let what is under way end, and write it down."""
        if self._turning is not None:
            await asyncio.wait([self._turning], timeout=GRACE)
        if self._flying:
            _, late = await asyncio.wait(self._flying, timeout=GRACE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        with contextlib.suppress(psycopg.OperationalError):
            async with self._connect() as conn, conn.transaction():
                await self._report(conn, self._done, self._clock.now())
            self._done.clear()
