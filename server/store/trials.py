"""Trials of criteria in the store: one runs at a time, its progress and result are kept."""

import datetime as dt
from typing import Any

import msgspec
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from alerts.queries import Queries
from server.clock import aware
from server.store import criteria
from server.store.connection import Connection
from server.store.criteria import CriteriaRefusedError

_queries = Queries("server.store", "trials.sql")

KEEP = 100
"""Trials whose result is kept."""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A trial. version: None for a text that is no version; beside: what was in force then.

    step: s between two decisions at least, None: as the time allows. state: running, done or
    failed; problem: a key of ``criteria.trial`` where it failed. asked, ended: by the real clock.
    """

    id: int
    version: int | None
    digest: str
    beside: int | None
    author: str
    start: dt.datetime
    end: dt.datetime
    step: int | None
    state: str
    progress: float
    problem: str
    asked: dt.datetime
    ended: dt.datetime | None
    result: dict[str, Any] | None


async def begin(
    connection: Connection,
    *,
    version: int | None,
    digest: str,
    beside: int | None,
    author: str,
    start: dt.datetime,
    end: dt.datetime,
    step: int | None,
    now: dt.datetime,
) -> int:
    """Begin a trial and give its number; it runs as long as this connection is open.

    Raises CriteriaRefusedError where another one runs, or where nobody signs it.
    """
    criteria.signed(author)
    held = await (await connection.execute(_queries.lock)).fetchone()
    if not (held and held[0]):
        row = await (await connection.execute(_queries.running)).fetchone()
        raise CriteriaRefusedError("busy", trial=row[0] if row else None)
    await connection.execute(_queries.bury, {"at": aware(now)})
    row = await (
        await connection.execute(
            _queries.begin,
            {
                "version": version,
                "digest": digest,
                "beside": beside,
                "author": author,
                "start": aware(start),
                "end": aware(end),
                "step": step,
                "asked": aware(now),
            },
        )
    ).fetchone()
    return int(row[0]) if row else 0


async def progress(connection: Connection, number: int, share: float) -> None:
    """Say how far it is, from 0 to 1."""
    await connection.execute(_queries.progress, {"id": number, "progress": share})


async def finish(
    connection: Connection,
    number: int,
    *,
    now: dt.datetime,
    result: dict[str, Any] | None = None,
    problem: str = "",
) -> None:
    """End a trial with its result, or with the problem that ended it."""
    values = {
        "id": number,
        "state": "failed" if problem else "done",
        "problem": problem,
        "result": None if result is None else Jsonb(result),
        "ended": aware(now),
    }
    async with connection.transaction():
        await connection.execute(_queries.finish, values)
        await connection.execute(_queries.forget, {"keep": KEEP})
        trial = await one(connection, number)
        version = None
        if trial is not None and trial.state == "done" and trial.version is not None:
            version = await criteria.one(connection, trial.version)
        if trial is not None and version is not None:
            await criteria.record(
                connection, "tried", version, author=trial.author, note="", now=now, trial=number
            )


async def one(connection: Connection, number: int) -> Trial | None:
    """Give a trial."""
    async with connection.cursor(row_factory=class_row(Trial)) as cursor:
        await cursor.execute(_queries.trial, {"id": number})
        return await cursor.fetchone()
