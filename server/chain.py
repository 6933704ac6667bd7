"""The whole chain on one machine: database, roles and, for an event, the stations that replay it.

`fenghuo run` and `fenghuo demo` are this; the difference is in what they show.
"""

import asyncio
import contextlib
import datetime as dt
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from alerts.queries import Queries
from server import exercise
from server.processes import Group, python, together
from server.settings import Settings, variables
from server.store.database import Database
from server.store.embedded import Embedded
from server.store.migrations import migrate

_log = logging.getLogger(__name__)
_sql = Queries("server", "exercise.sql")

ROLES = ("ingest", "watch", "alert", "keep", "web")
"""The roles of every centre, in the order of their start."""

LOOK = 0.01
"""Seconds between looks whether everything is decided."""

SETTLE_SECONDS = 120.0
"""Longest wait, after a step of the event, until it is decided and told."""


class StartError(Exception):
    """The chain cannot go on: a key of the catalogue's ``command.error``, and its values."""

    def __init__(self, key: str, **values: object) -> None:
        super().__init__(f"{key}: {values}")
        self.key = key
        self.values = values


def roles(settings: Settings) -> tuple[str, ...]:
    """Give the roles that these settings need: with a stream in between, a writer too."""
    return (*ROLES, "write") if settings.ingest.sink == "jetstream" else ROLES


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How far the replay is: every reading up to ``time`` is committed."""

    time: dt.datetime
    step: int
    steps: int
    sent: int


class Chain:
    """The running chain."""

    def __init__(self, *, settings: Settings, database: Database, group: Group) -> None:
        self.settings = settings
        self.database = database
        self._group = group
        self.ports: dict[str, int] = {}

    async def start(self, roles: Sequence[str]) -> None:
        """Start the roles; raises ChildError."""
        children = await asyncio.gather(
            *(
                self._group.start(
                    role, python("server.main", role), environment=variables(self.settings)
                )
                for role in roles
            )
        )
        for child in children:
            if port := child.ready.get("port"):
                self.ports[child.name] = port
                # After a restart it must be found where it was.
                child.environment[f"FENGHUO_{child.name.upper()}_PORT"] = str(port)
        self._children = children

    async def keep(self) -> None:
        """Restart what ends; raises ChildError when something ends too often."""
        await together(*(self._group.keep(child) for child in self._children))

    async def replay(
        self, folder: Path, *, pace: float, show: Callable[[Step], Awaitable[None]]
    ) -> int:
        """Replay the event to its end and give the number of readings sent.

        pace: event seconds per second; 0 for as fast as it goes.
        """
        sent = 0

        async def say(line: dict[str, Any]) -> None:
            nonlocal sent
            sent = line.get("sent", sent)
            if "time" in line:
                step = msgspec.convert(line, Step)
                async with self.database.connection() as conn:
                    await exercise.move(conn, step.time)
                await self.settle()
                await show(step)
                await child.tell("next")

        ingest = self.settings.ingest
        broker = (
            ingest.broker
            if ingest.source == "broker"
            else f"mqtt://{ingest.host}:{self.ports['ingest']}"
        )
        command = python(
            "agent.main", "replay", "--event", str(folder), "--broker", broker,
            "--state", str(self.settings.folder / "agents"), "--pace", f"{pace:g}", "--json",
            "--follow",
        )  # fmt: skip
        child = await self._group.start(
            "agents", command, environment={}, say=say, wait_ready=False
        )
        await self._group.keep(child, until_success=True)
        return sent

    async def settle(self) -> None:
        """Wait until the event's time is decided and told; raises StartError after a while."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):
                while True:
                    async with self.database.connection() as conn:
                        row = await (await conn.execute(_sql.settled)).fetchone()
                    if row and row[0]:
                        return
                    await asyncio.sleep(LOOK)
        raise StartError("settle", seconds=SETTLE_SECONDS)


@contextlib.asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Settings]:
    """Give the settings with a database URL that answers and a schema that is current.

    Raises StartError, EmbeddedError or DatabaseError.
    """
    async with contextlib.AsyncExitStack() as stack:
        if not settings.store.url:
            url = Embedded.url_if_running(settings.folder / "postgres")
            if url is None:
                # In the main thread: the server dies with the thread that started it.
                url = stack.enter_context(Embedded(settings.folder / "postgres")).url
            store = msgspec.structs.replace(settings.store, url=url)
            settings = msgspec.structs.replace(settings, store=store)
        await migrate(settings.store.url, chunk_days=settings.store.chunk_days)
        yield settings


@contextlib.asynccontextmanager
async def chain(settings: Settings) -> AsyncIterator[Chain]:
    """Bring up the database; the roles are started by `Chain.start` and end with the block."""
    async with contextlib.AsyncExitStack() as stack:
        settings = await stack.enter_async_context(opened(settings))
        database = await Database.open(settings.store.url, name="fenghuo")
        stack.push_async_callback(database.close)
        group = Group(settings.folder / "log")
        stack.push_async_callback(group.stop)
        yield Chain(settings=settings, database=database, group=group)


def free(port: int, *, host: str, what: str, variable: str) -> None:
    """Raise StartError when the port cannot be listened on; 0 is always free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise StartError("port", port=port, what=what, variable=variable) from error
