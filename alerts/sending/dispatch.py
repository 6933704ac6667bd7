"""Sending what is due: one process of any number, with a lane for each channel.

A worker holds an advisory lock of its own while it lives; what a dead one was sending is sent
again where that is harmless, and marked uncertain where it is not. `lane` sends, `receipts` asks
the providers about what is uncertain or silent and goes another way where one failed.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Iterable, Sequence

import psycopg

from alerts.channels.port import Channel
from alerts.people.opener import Opener
from alerts.people.sealing import Seal
from alerts.queries import Queries
from alerts.sending.lane import KIND, Clock, Connect, Connection, Lane
from alerts.sending.receipts import Inquirer

_log = logging.getLogger(__name__)
_sql = Queries("alerts.sending", "dispatch.sql")


async def run(
    connect: Connect,
    channels: Iterable[Channel],
    *,
    clock: Clock,
    seal: Seal,
    public: str = "",
    fallback: Sequence[str] = (),
    poll: float = 1.0,
) -> None:
    """Send what is due, until cancelled; any number of processes may do so at once.

    connect: lends a connection, one of which is kept. public: the address that links begin with.
    fallback: channels that are used where others failed, in this order. poll: seconds between
    looks at the ledger when no notification comes.
    """
    dispatcher = Dispatcher(
        connect, channels, clock=clock, seal=seal, public=public, fallback=fallback, poll=poll
    )
    while True:
        try:
            async with connect() as session:
                await dispatcher.serve(session)
        except psycopg.OperationalError as error:
            _log.warning("database away error=%s", error)
            await asyncio.sleep(poll)


class Dispatcher:
    """One worker: a lane and an inquirer for each channel, and the session that says it lives."""

    def __init__(
        self,
        connect: Connect,
        channels: Iterable[Channel],
        *,
        clock: Clock,
        seal: Seal,
        public: str = "",
        fallback: Sequence[str] = (),
        poll: float = 1.0,
    ) -> None:
        """Know the channels; see `run`."""
        chosen, opener = list(channels), Opener(seal, public=public)
        self._lanes = [
            Lane(channel, connect=connect, clock=clock, opener=opener, poll=poll)
            for channel in chosen
        ]
        self._inquirers = [
            Inquirer(
                channel, connect=connect, clock=clock, opener=opener, fallback=fallback, poll=poll
            )
            for channel in chosen
        ]

    async def serve(self, session: Connection) -> None:
        """Work until cancelled; then wait for what is under way.

        Raises psycopg.OperationalError when the session or the database is lost.
        """
        # A new one each time: what a lost transaction may have taken is left to be revived.
        worker = secrets.randbelow(2**31 - 1) + 1
        await session.set_autocommit(True)
        try:
            await session.execute(_sql.live, {"kind": KIND, "worker": worker})
            await session.execute("LISTEN fenghuo_delivery")
            async with asyncio.TaskGroup() as tasks:
                for lane in self._lanes:
                    tasks.create_task(lane.serve(worker))
                for inquirer in self._inquirers:
                    tasks.create_task(inquirer.serve())
                tasks.create_task(self._listen(session), name="fenghuo_delivery")
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        finally:
            with contextlib.suppress(psycopg.OperationalError):  # it may be what was lost
                await session.execute(_sql.leave)
                await session.set_autocommit(False)

    async def _listen(self, session: Connection) -> None:
        async for _ in session.notifies():
            for lane in self._lanes:
                lane.wake()
        raise psycopg.OperationalError("the session was closed")
