"""Telling: the role that sends what the ledger holds, through the channels in use."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import psycopg

from alerts.channels.display import Display
from alerts.channels.exercise import ExercisePhone
from alerts.channels.port import Channel
from alerts.people.sealing import Seal
from alerts.sending import dispatch
from alerts.sending.lane import Connect
from server import postbox, sealed
from server.channels import build
from server.clock import Clock, SystemClock
from server.processes import ready
from server.settings import Settings
from server.store.connection import Connection
from server.store.database import Database
from server.store.errors import StoreError
from server.vitals import Vitals

EACH, OTHERS = 2, 4
"""Connections for each channel, so that none waits for another's, and for everything else."""


async def serve(settings: Settings, *, clock: Clock) -> None:
    """Send until cancelled.

    Raises SettingsError for a channel that lacks what it needs, SealError for a key that is none.
    """
    async with contextlib.AsyncExitStack() as stack:
        channels: list[Channel] = [ExercisePhone(workers=settings.alerts.workers)]
        for name in settings.alerts.channels:
            channel = build(name, settings)
            stack.push_async_callback(channel.close)
            channels.append(channel)
        seal = Seal.load(settings.key)
        database = await Database.open(
            settings.store.url, name="fenghuo alert", size=EACH * len(channels) + OTHERS
        )
        stack.push_async_callback(database.close)
        await sealed.prepare(database, seal)
        ready("alert")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(Vitals().publish(database, "alert", SystemClock()))
            tasks.create_task(postbox.run(database, channels, seal=seal))
            for channel in channels:
                if isinstance(channel, Display):
                    tasks.create_task(channel.run())
            tasks.create_task(
                dispatch.run(
                    _lender(database),
                    channels,
                    clock=clock,
                    seal=seal,
                    public=settings.web.public_url,
                    fallback=settings.alerts.fallback,
                )
            )


def _lender(database: Database) -> Connect:
    """Give what lends a connection, and says as psycopg does that there is none."""

    @contextlib.asynccontextmanager
    async def lend() -> AsyncIterator[Connection]:
        try:
            async with database.connection() as conn:
                yield conn
        except StoreError as error:
            raise psycopg.OperationalError(str(error)) from error

    return lend
