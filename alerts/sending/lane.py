"""One channel's way out of the ledger: what is due is taken, sent, and its outcome written down.

Nothing is sent inside a transaction: a delivery is marked as being sent and committed, sent, and
the outcome committed. Each turn is one transaction: what is done is written down, the next
deliveries are taken. A few are taken ahead, so that sending never waits for the database.
"""

import asyncio
import datetime as dt
import logging
import math
import secrets
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple, Protocol, TypeAlias

import psycopg

from alerts.channels.port import Channel, ChannelError, Delivery, Receipt, State, where
from alerts.people.opener import Opener
from alerts.queries import Queries

_log = logging.getLogger(__name__)
_sql = Queries("alerts.sending", "lane.sql")

Connection: TypeAlias = psycopg.AsyncConnection[Any]
Connect: TypeAlias = Callable[[], AbstractAsyncContextManager[Connection]]

ATTEMPTS = 10
"""Times that a delivery is tried, where trying again is safe."""

LONGEST_PAUSE = 300.0
"""Seconds between two of them at most."""

HOLD = dt.timedelta(seconds=30)
"""The public waits no longer than this for officials: three time-outs of a provider that hangs."""

SILENCE = 300.0
"""Seconds after which the provider is asked about what it took and never spoke of again."""

DOUBT = 15.0
"""Seconds after which it is asked about what it may have taken: its list may lag behind."""

GRACE = 5.0
"""Seconds that sending may still take when the dispatcher is told to end."""

AHEAD = 2
"""Times as many as are sent at once are taken ahead: a dead worker leaves no more than these."""

REST = 0.01
"""Seconds between two turns when nothing waits: what comes meanwhile is written down together."""

BURST = 0.25
"""Seconds of a route's rate that may be sent at once."""

KIND = 0x66656E67
"""The advisory locks of dispatchers."""

_NOTHING = "there is no address, it was erased or the key is another; or there are no words"


class Clock(Protocol):
    """What time it is."""

    def now(self) -> dt.datetime:
        """Give the present moment, aware."""
        ...


class _Done(NamedTuple):
    """A result to be written down; unsent: it was never tried."""

    worker: int
    delivery: Delivery
    receipt: Receipt
    unsent: bool = False


class Lane:
    """One channel in one dispatcher: what is under way, taken ahead, and not written down yet."""

    def __init__(
        self,
        channel: Channel,
        *,
        connect: Connect,
        clock: Clock,
        opener: Opener,
        poll: float = 1.0,
    ) -> None:
        """Send through a channel."""
        self._channel = channel
        self._connect = connect
        self._clock = clock
        self._opener = opener
        self._poll = poll
        self._worker = 0
        self._random = secrets.SystemRandom()
        self._ahead: deque[Delivery] = deque()
        self._flying: set[asyncio.Task[None]] = set()
        self._turning: asyncio.Task[None] | None = None
        self._done: list[_Done] = []
        self._woken = asyncio.Event()
        self._look = 0.0
        self._pause = poll
        self._ending = False
        self._full = False

    def wake(self) -> None:
        """Look at the ledger now."""
        self._woken.set()

    async def serve(self, worker: int) -> None:
        """Work under a worker's number until cancelled; then wait for what is under way.

        Raises psycopg.OperationalError when the database is away.
        """
        self._worker, self._ending = worker, False
        try:
            while True:
                self._woken.clear()
                # Shielded: what is marked as being sent must be sent, even when told to end.
                self._turning = asyncio.create_task(self._turn(), name=f"{self._channel.name} turn")
                await asyncio.shield(self._turning)
                if not self._full:
                    await asyncio.sleep(REST)
                try:
                    async with asyncio.timeout(self._pause):
                        await self._woken.wait()
                except TimeoutError:
                    continue
        finally:
            await self._finish()

    async def _turn(self) -> None:
        """Write down what is done, take what is due, and begin to send it."""
        now, done = self._clock.now(), list(self._done)
        async with self._connect() as conn, conn.transaction():
            await self._report(conn, done, now)
            if time.monotonic() >= self._look:
                await self._tidy(conn, now)
            taken = await self._claim(conn, now)
        del self._done[: len(done)]
        self._ahead.extend(taken)
        self._begin()

    async def _tidy(self, conn: Connection, now: dt.datetime) -> None:
        values = {
            "channel": self._channel.name,
            "repeatable": self._channel.repeatable,
            "kind": KIND,
            "now": now,
            "ask": now + self._spread(DOUBT),
        }
        revived = (await conn.execute(_sql.revive, values)).rowcount
        lapsed = (await conn.execute(_sql.lapse, values)).rowcount
        if revived or lapsed:
            name = self._channel.name
            _log.warning("left behind channel=%s revived=%d lapsed=%d", name, revived, lapsed)
        self._look = time.monotonic() + self._poll

    async def _claim(self, conn: Connection, now: dt.datetime) -> list[Delivery]:
        self._pause, self._full = self._poll, False
        room = (1 + AHEAD) * self._channel.workers
        free = room - len(self._flying) - len(self._ahead)
        if free <= 0:
            return []
        name = self._channel.name
        await conn.execute(_sql.in_order)
        cursor = await conn.execute(_sql.groups, {"channel": name, "now": now})
        groups = sorted(await cursor.fetchall(), key=lambda group: (group[0], group[2]))
        if not groups:
            return []
        limit = await self._allowed(conn, free)
        if limit <= 0:
            return []
        values = {
            "channel": name,
            "now": now,
            "limit": limit,
            "worker": self._worker,
            "priorities": [priority for priority, *_ in groups],
            "messages": [message for _, message, *_ in groups],
            "untils": [now - HOLD if held else now for *_, held in groups],
        }
        async with conn.cursor(binary=True) as rows:
            await rows.execute(_sql.claim, values)
            taken = [self._opened(row) for row in await rows.fetchall()]
        self._full = len(taken) == limit
        if self._channel.rate and taken:
            await conn.execute(_sql.spend, {"channel": name, "taken": len(taken)})
        return taken

    async def _allowed(self, conn: Connection, free: int) -> int:
        """Give how many may be taken by the route's rate; look again when there is one more."""
        rate = self._channel.rate
        if not rate:
            return free
        values = {"channel": self._channel.name, "rate": rate, "burst": max(1.0, rate * BURST)}
        row = await (await conn.execute(_sql.refill, values)).fetchone()
        tokens = float(row[0]) if row else 0.0
        self._pause = min(self._poll, max(REST, (1 - tokens % 1) / rate))
        return min(free, math.floor(tokens))

    def _opened(self, row: tuple[Any, ...]) -> Delivery:
        (
            identifier, way, exercise, sealed, subject, body, language, tier, expires, attempts,
            message, handed,
        ) = row  # fmt: skip
        return Delivery(
            id=identifier,
            channel=self._channel.name,
            way=way,
            exercise=exercise,
            # Without words there is nothing to send to anybody.
            address=self._opener.address(sealed, identifier) if body is not None else "",
            subject=subject or "",
            body=self._opener.text(body or "", identifier),
            language=language,
            tier=tier,
            expires=expires,
            attempts=attempts,
            message=message,
            handed=handed,
        )

    def _begin(self) -> None:
        """Send what was taken ahead, as far as there is room."""
        while self._ahead and len(self._flying) < self._channel.workers and not self._ending:
            task = asyncio.create_task(self._send(self._ahead.popleft(), self._worker))
            self._flying.add(task)
            task.add_done_callback(self._landed)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._flying.discard(task)
        self._begin()
        # The next ones come before these run out; at the end of the queue each result is written.
        if len(self._ahead) <= self._channel.workers:
            self._woken.set()

    async def _send(self, delivery: Delivery, worker: int) -> None:
        channel = self._channel
        try:
            receipt = (
                await channel.send(delivery, now=self._clock.now())
                if delivery.address
                else Receipt(delivery=delivery.id, state="failed", problem=_NOTHING)
            )
        except ChannelError as error:
            receipt = Receipt(delivery=delivery.id, state="failed", problem=str(error))
        except asyncio.CancelledError:
            receipt = self._unknown(delivery, "the worker was told to end")
        except Exception as error:  # noqa: BLE001 - a fault in one channel must not stop the others
            fault = where(error)
            _log.warning(
                "channel broke channel=%s delivery=%s fault=%s", channel.name, delivery.id, fault
            )
            receipt = self._unknown(delivery, fault)
        self._done.append(_Done(worker, delivery, receipt))

    def _unknown(self, delivery: Delivery, problem: str) -> Receipt:
        state: State = "queued" if self._channel.repeatable else "uncertain"
        return Receipt(delivery=delivery.id, state=state, problem=problem)

    async def _report(self, conn: Connection, done: list[_Done], now: dt.datetime) -> None:
        if not done:
            return
        rows = [(one.worker, *self._result(one, now), int(one.unsent)) for one in done]
        names = ("workers", "ids", "states", "providers", "problems", "dues", "asks", "unsent")
        columns = (list(column) for column in zip(*rows, strict=True))
        await conn.execute(_sql.report, {**dict(zip(names, columns, strict=True)), "now": now})

    def _result(self, one: _Done, now: dt.datetime) -> tuple[Any, ...]:
        """Give a row of the report; one that may be tried again is due after a pause."""
        delivery, receipt = one.delivery, one.receipt
        state: str = receipt.state
        due = ask = None
        if state == "queued" and not one.unsent and delivery.attempts >= ATTEMPTS:
            state = "failed"
        elif state == "queued" and not one.unsent:
            longest = min(2.0 ** (delivery.attempts - 1), LONGEST_PAUSE)
            due = now + dt.timedelta(seconds=self._random.uniform(longest / 2, longest))
        elif state in {"accepted", "uncertain"}:
            ask = now + self._spread(SILENCE if state == "accepted" else DOUBT)
        return delivery.id, state, receipt.provider, receipt.problem, due, ask

    def _spread(self, seconds: float) -> dt.timedelta:
        """Give about so long: not all questions at the same moment."""
        return dt.timedelta(seconds=self._random.uniform(seconds, 1.25 * seconds))

    async def _finish(self) -> None:
        """Let what is under way end, give back what was not begun, and write it down."""
        self._ending = True
        if self._turning is not None:
            await asyncio.wait([self._turning], timeout=GRACE)
        ahead, self._ahead = list(self._ahead), deque()
        self._done += [
            _Done(self._worker, one, Receipt(delivery=one.id, state="queued"), unsent=True)
            for one in ahead
        ]
        if self._flying:
            _, late = await asyncio.wait(self._flying, timeout=GRACE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        try:
            async with self._connect() as conn, conn.transaction():
                await self._report(conn, self._done, self._clock.now())
        except psycopg.OperationalError as error:
            _log.warning("results kept back channel=%s error=%s", self._channel.name, error)
        else:
            self._done.clear()
