"""Readings put straight into the store, as the ingest commits them."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from psycopg import sql

from agent.elements import ELEMENTS
from server.store.connection import Connection
from server.store.partitions import Partitions
from tests.support import eventually_async

STORED = dt.datetime(2016, 7, 20, 12, tzinfo=dt.UTC)


@dataclass(frozen=True, kw_only=True)
class Row:
    station: int
    time: dt.datetime
    values: Mapping[str, float]
    quality: Mapping[str, int] = field(default_factory=dict)
    interval: int = 60


async def commit(
    connection: Connection,
    partitions: Partitions,
    rows: Iterable[Row],
    *,
    stored: dt.datetime = STORED,
) -> None:
    """Write rows over those of the same station and time, and a row of the log; then commit."""
    rows = list(rows)
    await partitions.ensure(connection, [row.time for row in rows])
    async with connection.transaction():
        for row in rows:
            await _write(connection, row)
        await connection.execute(
            "INSERT INTO arrival (stored, stations, times) VALUES (%s, %s, %s)",
            (stored, [row.station for row in rows], [row.time for row in rows]),
        )


async def readable(connection: Connection) -> None:
    """Wait until nothing that writes elsewhere on the server holds back the log of commits."""

    async def caught_up() -> bool:
        cursor = await connection.execute(
            "SELECT coalesce(max(xid) < pg_snapshot_xmin(pg_current_snapshot()), true) FROM arrival"
        )
        row = await cursor.fetchone()
        await connection.commit()
        return bool(row and row[0])

    await eventually_async(caught_up)


async def _write(connection: Connection, row: Row) -> None:
    key = (row.station, row.time)
    for table in ("observation", "observation_rare"):
        await connection.execute(
            sql.SQL("DELETE FROM {} WHERE station = %s AND time = %s").format(
                sql.Identifier(table)
            ),
            key,
        )
    columns: dict[str, object] = {"station": row.station, "time": row.time}
    columns["interval"] = row.interval
    for name, value in row.values.items():
        if ELEMENTS[name].wide:
            columns |= {name: value, f"{name}_q": row.quality.get(name)}
        else:
            await connection.execute(
                "INSERT INTO observation_rare VALUES (%s, %s, %s, %s, %s)",
                (*key, ELEMENTS[name].id, value, row.quality.get(name)),
            )
    await connection.execute(
        sql.SQL("INSERT INTO observation ({}) VALUES ({})").format(
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.SQL(", ").join([sql.Placeholder()] * len(columns)),
        ),
        list(columns.values()),
    )
    await connection.execute(
        "INSERT INTO latest VALUES (%s, %s) ON CONFLICT (station) DO UPDATE"
        " SET time = greatest(latest.time, excluded.time)",
        key,
    )
