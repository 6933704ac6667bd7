"""Quality codes beside the readings, as the watch finds them; a value itself is never touched."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from agent.elements import WIDE
from alerts.queries import Queries
from server.store.connection import Connection

_queries = Queries("server.store", "codes.sql")
_WIDE = frozenset(WIDE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """Row ``i`` of every array belongs to one reading.

    station: id in the catalogue. time: s since 1970 UTC. codes: by element; 0: not checked.
    """

    station: NDArray[np.int64]
    time: NDArray[np.int64]
    codes: Mapping[str, NDArray[np.int16]]

    def __len__(self) -> int:
        return len(self.station)


@dataclass(frozen=True, slots=True)
class Written:
    """How many readings got other codes, and of how many other checks failed than before."""

    changed: int
    failed: int


async def write(connection: Connection, found: Codes, *, stored: dt.datetime) -> Written:
    """Write codes of elements that have a column of their own; each reading named once.

    Readings that are not stored are left out, and where nothing differs nothing is written, so
    whoever reads the log of commits and judges again comes to an end. The caller owns the
    transaction.
    """
    names = tuple(name for name in found.codes if name in _WIDE)
    if not len(found) or not names:
        return Written(0, 0)
    parameters: dict[str, object] = {
        "station": found.station.tolist(),
        "time": found.time.tolist(),
        "first": int(found.time.min()),
        "last": int(found.time.max()),
        "stored": stored,
        **{name: found.codes[name].tolist() for name in names},
    }
    row = await (await connection.execute(_statement(names), parameters)).fetchone()
    return Written(row[0], row[1]) if row else Written(0, 0)


@lru_cache(16)
def _statement(names: tuple[str, ...]) -> bytes:
    """Give the statement for these elements."""
    columns = [sql.Identifier(f"{name}_q") for name in names]
    given = [
        sql.SQL("nullif({}, 0::smallint)").format(sql.Identifier("given", name)) for name in names
    ]
    comma = sql.SQL(", ")
    failed = [
        sql.SQL("(coalesce(o.{}, 0::smallint) & 255) <> (given.{} & 255)").format(
            column, sql.Identifier(name)
        )
        for column, name in zip(columns, names, strict=True)
    ]
    return (
        sql.SQL(_queries.write)
        .format(
            names=comma.join(map(sql.Identifier, names)),
            arrays=comma.join(
                sql.SQL("{}::smallint[]").format(sql.Placeholder(name)) for name in names
            ),
            stored=comma.join(sql.SQL("o.{}").format(column) for column in columns),
            wanted=comma.join(given),
            failed=sql.SQL(" OR ").join(failed),
            assignments=comma.join(
                sql.SQL("{} = nullif(d.{}, 0::smallint)").format(column, sql.Identifier(name))
                for column, name in zip(columns, names, strict=True)
            ),
        )
        .as_bytes()
    )
