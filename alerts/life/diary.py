"""Who did what with a warning and when, for good; and the row of one, held while it is decided on.

Runs in its caller's transaction, never commits.
"""

import datetime as dt
import uuid
from typing import Any

import msgspec
import psycopg
from psycopg.types.json import Jsonb

from alerts.life.warning import Step, Warning  # noqa: A004 - the domain's own word
from alerts.queries import Queries

_sql = Queries("alerts.life", "diary.sql")


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One act. from_state: None at the beginning; watch: no person did it; name: who signed in."""

    version: int
    act: str
    from_state: str | None
    to_state: str
    level: str
    watch: bool
    name: str
    note: str
    at: dt.datetime


async def write(conn: psycopg.AsyncConnection[Any], step: Step) -> None:
    """Write down what was done; what the watch merely noted is not."""
    if not step.changes:
        return
    warning, by = step.warning, step.by
    await conn.execute(
        _sql.write,
        {
            "warning": warning.id,
            "version": warning.version,
            "act": step.act,
            "from_state": step.before.state if step.before else None,
            "to_state": warning.state,
            "level": warning.level,
            "person": by.id if by else None,
            "name": by.name if by else "",
            "note": step.note,
            "at": warning.decided,
        },
    )


async def acts(conn: psycopg.AsyncConnection[Any], warning: uuid.UUID) -> list[Entry]:
    """Give what was done with a warning, the first first."""
    cursor = await conn.execute(_sql.acts, {"warning": warning})
    names = Entry.__struct_fields__
    return [Entry(**dict(zip(names, row, strict=True))) for row in await cursor.fetchall()]


async def hold(conn: psycopg.AsyncConnection[Any], warning: uuid.UUID) -> Warning | None:
    """Give a warning and keep others from deciding on it until the transaction ends."""
    row = await (await conn.execute(_sql.hold, {"id": warning})).fetchone()
    return None if row is None else msgspec.convert(row[0], Warning)


async def standing(
    conn: psycopg.AsyncConnection[Any], *, hazard: str, region: str, exercise: bool
) -> Warning | None:
    """Do the same with the event of a danger and place that has not ended."""
    values = {"hazard": hazard, "region": region, "exercise": exercise}
    row = await (await conn.execute(_sql.standing, values)).fetchone()
    return None if row is None else msgspec.convert(row[0], Warning)


def row(warning: Warning) -> dict[str, Any]:
    """Give the values of a warning by column."""
    plain = msgspec.to_builtins(
        {name: getattr(warning, name) for name in ("grounds", "suggestion", "text", "notices")}
    )
    kept = {name: None if value is None else Jsonb(value) for name, value in plain.items()}
    area = None if warning.area is None else Jsonb(warning.area)
    return {**msgspec.structs.asdict(warning), **kept, "area": area}
