"""Being woken by the database: LISTEN with a fallback, for everybody who waits for commits."""

import asyncio
import contextlib
import logging
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql

from server.store.database import Database
from server.store.errors import StoreError

_log = logging.getLogger(__name__)

RECONNECT = 1.0


class Wakeup:
    """Hears notifications on its own connection; where that is lost, waiting still ends in time."""

    def __init__(self, database: Database, *channels: str) -> None:
        """Name the channels; listening begins with the ``async with`` block."""
        self._database = database
        self._channels = channels
        self._rung = asyncio.Event()

    async def wait(self, seconds: float) -> bool:
        """Wait for news since the last call, at most ``seconds``; say whether there was any."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        rung = self._rung.is_set()
        self._rung.clear()
        return rung

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._listen(), name="wakeup")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _listen(self) -> None:
        while True:
            try:
                conn = await self._database.listener(name="fenghuo wakeup")
                async with conn:
                    for channel in self._channels:
                        await conn.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
                    self._rung.set()  # what came before we listened
                    async for _ in conn.notifies():
                        self._rung.set()
            except (psycopg.Error, StoreError, OSError) as error:
                _log.warning("not listening error=%s", error)
            await asyncio.sleep(RECONNECT)
