"""Query results as numpy arrays, without a Python object for each cell.

The server packs each column into one byte string; here it is read as an array. Measured on a
million cells this is four times faster than COPY BINARY, which arrives row by row.
"""

from collections.abc import Mapping, Sequence
from typing import Any, LiteralString, TypeAlias

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from server.store.connection import Connection

Array: TypeAlias = NDArray[Any]

_SEND = {"i2": "int2send", "i4": "int4send", "i8": "int8send", "f4": "float4send"}
_TIME = "time"
_SINCE_2000 = 946_684_800
"""Seconds from 1970 to 2000, where PostgreSQL's own count begins."""


async def fetch(
    connection: Connection,
    fields: Mapping[str, tuple[str, sql.Composable]],
    source: sql.Composable,
    parameters: Mapping[str, object] | Sequence[object] = (),
) -> dict[str, Array]:
    """Run ``SELECT fields source`` and give an array per field, all in the same order of rows.

    fields: name -> (type, expression); the type is i2, i4, i8, f4, or ``time`` (a timestamptz,
        given in whole seconds since 1970). Integers come as int64, floats as float64. An
        expression must not be null; give NaN where there is no value.
    source: the rest of the query, from FROM on. At most 128 million rows.
    """
    packed = sql.SQL(", ").join(
        sql.SQL("string_agg({}({}), ''::bytea)").format(_sender(kind), expression)
        for kind, expression in fields.values()
    )
    query = sql.SQL("SELECT {} {}").format(packed, source)
    async with connection.cursor(binary=True) as cursor:
        # Prepared plans forget the bounds of time, by which partitions are left out.
        await cursor.execute(query, parameters, prepare=False)
        row = await cursor.fetchone() or (None,) * len(fields)
    kinds = [kind for kind, _ in fields.values()]
    return {name: _array(kind, data) for name, kind, data in zip(fields, kinds, row, strict=True)}


def number(expression: LiteralString) -> sql.Composable:
    """Give an expression of our own SQL for `fetch`."""
    return sql.SQL(expression)


def value(table: str, element: str, *, passed: bool) -> sql.Composable:
    """Give a wide element as NaN where it is missing, or with ``passed`` where a check failed."""
    column = sql.Identifier(table, element)
    if not passed:
        return sql.SQL("coalesce({}, 'NaN')").format(column)
    quality = sql.Identifier(table, f"{element}_q")
    return sql.SQL(
        "CASE WHEN coalesce({} & 255, 0) = 0 THEN coalesce({}, 'NaN') ELSE 'NaN' END"
    ).format(quality, column)


def _sender(kind: str) -> sql.Composable:
    return sql.Identifier("timestamptz_send" if kind == _TIME else _SEND[kind])


def _array(kind: str, data: bytes | None) -> Array:
    raw = np.frombuffer(data or b"", dtype=">i8" if kind == _TIME else f">{kind}")
    if kind == _TIME:
        return raw.astype(np.int64) // 1_000_000 + _SINCE_2000
    return raw.astype(np.float64 if kind == "f4" else np.int64)
