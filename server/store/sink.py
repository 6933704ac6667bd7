"""Writing readings: a batch of columns becomes rows, each stored once, in one transaction.

COPY in binary form into a temporary table, then an upsert: three times faster than any INSERT of
values (measured; docs of the benchmark). The caller owns the transaction.
"""

import asyncio
import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from agent.elements import ELEMENTS, WIDE
from alerts.queries import Queries
from server.store.connection import Connection

EPOCH = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
"""Where PostgreSQL counts its time from."""

Key: TypeAlias = tuple[int, int]
"""Station id, and µs since `EPOCH`."""

_WIDE = frozenset(WIDE)
_FIRST = ("station", "time", "interval", "revision")
_PLACE = ("longitude", "latitude", "altitude")
_SAID = ("interval", *_PLACE, *WIDE)
_OTHERS = (*_SAID, "revision", *(f"{name}_q" for name in WIDE))
_SIGNATURE = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_END = b"\xff\xff"
_FORMS = {"station": ">i4", "time": ">i8", "interval": ">i4", "revision": ">i2"}
_queries = Queries("server.store", "sink.sql")


@dataclass(frozen=True, slots=True)
class Block:
    """Readings of one shape: n rows, k elements.

    names: the k elements.
    station (n) int32; moment (n) int64, µs since `EPOCH`; interval (n) int32, s;
    revision (n) int16; place (n, 3) longitude, latitude, altitude, or None;
    values (n, k) float64, none of them nan;
    quality (n, k) int16, an element's column either checked throughout or 0 throughout.
    """

    names: tuple[str, ...]
    station: NDArray[np.int32]
    moment: NDArray[np.int64]
    interval: NDArray[np.int32]
    revision: NDArray[np.int16]
    place: NDArray[np.float64] | None
    values: NDArray[np.float64]
    quality: NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Packed:
    """Blocks in PostgreSQL's binary form, ready to be sent.

    columns: of the wide rows.  span: first and last time.
    rare: values without a wide column, if any.  revised: some row has a revision above 0.
    """

    columns: tuple[str, ...]
    wide: bytes
    rare: bytes | None
    count: int
    span: tuple[dt.datetime, dt.datetime]
    revised: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a batch; ``conflicts`` are those stored already with other values."""

    inserted: int
    corrected: int
    duplicates: int
    conflicts: tuple[Key, ...] = ()


class Refused(msgspec.Struct, frozen=True):
    """A row of the quarantine; replies to the station may carry its ``reason``."""

    received: dt.datetime
    topic: str
    payload: bytes
    reason: str
    detail: str
    station: str = ""


def moment(time: dt.datetime) -> int:
    """Give µs since `EPOCH` of an aware time."""
    past = time - EPOCH
    return (past.days * 86_400 + past.seconds) * 1_000_000 + past.microseconds


async def prepare(connection: Connection) -> None:
    """Make the temporary tables that `store` needs on this connection."""
    async with connection.transaction():
        await connection.execute("SET LOCAL client_min_messages = warning")
        await connection.execute(_queries.staging)
        await connection.execute(_queries.staging_rare)


def pack(blocks: Sequence[Block]) -> Packed:
    """Put the blocks, at least one, into the form in which they are sent."""
    columns = columns_of(blocks)
    rare = any(name not in _WIDE for block in blocks for name in block.names)
    return Packed(
        columns=columns,
        wide=encode(blocks, columns),
        rare=encode_rare(blocks) if rare else None,
        count=sum(len(block.station) for block in blocks),
        span=_span(blocks),
        revised=any(bool(block.revision.any()) for block in blocks),
    )


async def store(connection: Connection, blocks: Sequence[Block], *, stored: dt.datetime) -> Outcome:
    """Write the blocks; a (station, time) must come once among them. See `write`."""
    return await write(connection, pack(blocks), stored=stored)


async def write(
    connection: Connection,
    packed: Packed,
    *,
    stored: dt.datetime,
    meanwhile: Callable[[], None] | None = None,
) -> Outcome:
    """Write packed blocks; ``meanwhile`` is called once while the server inserts.

    What is new is inserted, a higher revision replaces the stored row and its rare values, the
    rest changes nothing. The keys of inserted and changed rows are logged in ``arrival``.
    """
    cursor = connection.cursor()
    async with cursor.copy(_copy(packed.columns)) as copy:
        await copy.write(packed.wide)
    if packed.rare is not None:
        async with cursor.copy(_queries.copy_rare) as copy:
            await copy.write(packed.rare)
    if meanwhile is not None:
        # Its turn comes when the statement has been sent and the answer is waited for.
        asyncio.get_running_loop().call_soon(meanwhile)
    await cursor.execute(_insert(packed.columns), (stored,), prepare=True)
    inserted, arrival, _ = await cursor.fetchone() or (0, None, None)
    if packed.rare is not None and arrival is not None:
        await cursor.execute(_queries.insert_rare, (arrival,))
    if inserted == packed.count:
        return Outcome(inserted, 0, 0)
    # Before the correction, which would make the stored values ours.
    await cursor.execute(_contested(), packed.span)
    conflicts = tuple((station, moment(time)) for station, time in await cursor.fetchall())
    corrected = await _correct(connection, packed.span, stored) if packed.revised else 0
    duplicates = packed.count - inserted - corrected - len(conflicts)
    return Outcome(inserted, corrected, duplicates, conflicts)


async def refuse(connection: Connection, refused: Sequence[Refused]) -> None:
    """Write rows of the quarantine."""
    rows = [(r.received, r.station, r.topic, r.payload, r.reason, r.detail) for r in refused]
    await connection.execute(_queries.refuse, [list(column) for column in zip(*rows, strict=True)])


async def _correct(
    connection: Connection, span: tuple[dt.datetime, dt.datetime], stored: dt.datetime
) -> int:
    cursor = await connection.execute(_correction(), span)
    rows = await cursor.fetchall()
    if not rows:
        return 0
    keys = [list(column) for column in zip(*rows, strict=True)]
    await connection.execute(_queries.correct_rare_out, (*keys, *span))
    await connection.execute(_queries.correct_rare_in, keys)
    await connection.execute(_queries.log, (stored, *keys))
    return len(rows)


def encode(blocks: Sequence[Block], columns: tuple[str, ...]) -> bytes:
    """Give the wide rows in PostgreSQL's binary COPY format."""
    parts = [_SIGNATURE]
    for block in blocks:
        checked = _checked(block)
        shape, empty = _layout(columns, block.names, checked, placed=block.place is not None)
        rows = np.frombuffer(bytearray(empty * len(block.station)), shape)
        rows["station"] = block.station
        rows["time"] = block.moment
        rows["interval"] = block.interval
        rows["revision"] = block.revision
        if block.place is not None:
            for index, name in enumerate(_PLACE):
                rows[name] = block.place[:, index]
        for index, name in enumerate(block.names):
            if name in _WIDE:
                rows[name] = block.values[:, index]
                if name in checked:
                    rows[f"{name}_q"] = block.quality[:, index]
        parts.append(rows.tobytes())
    parts.append(_END)
    return b"".join(parts)


def encode_rare(blocks: Sequence[Block]) -> bytes:
    """Give the values without a wide column, one row each, in the binary COPY format."""
    parts = [_SIGNATURE]
    for block in blocks:
        checked = _checked(block)
        for index, name in enumerate(block.names):
            if name in _WIDE:
                continue
            shape, empty = _rare(checked=name in checked)
            rows = np.frombuffer(bytearray(empty * len(block.station)), shape)
            rows["station"] = block.station
            rows["time"] = block.moment
            rows["element"] = ELEMENTS[name].id
            rows["value"] = block.values[:, index]
            if name in checked:
                rows["quality"] = block.quality[:, index]
            parts.append(rows.tobytes())
    parts.append(_END)
    return b"".join(parts)


def columns_of(blocks: Sequence[Block]) -> tuple[str, ...]:
    """Give the columns that the blocks fill, in the order of the table."""
    used: set[str] = set()
    for block in blocks:
        used.update(block.names)
        used.update(f"{name}_q" for name in _checked(block))
        if block.place is not None:
            used.update(_PLACE)
    return (*_FIRST, *(name for name in _OTHERS if name in used))


def _checked(block: Block) -> frozenset[str]:
    return frozenset(
        name for name, code in zip(block.names, block.quality[0].tolist(), strict=True) if code
    )


@lru_cache(256)
def _layout(
    columns: tuple[str, ...], names: tuple[str, ...], checked: frozenset[str], *, placed: bool
) -> tuple[np.dtype[np.void], bytes]:
    """Give the form of one COPY row, and such a row with everything but the values."""
    filled = {*_FIRST, *names, *(f"{name}_q" for name in checked), *(_PLACE if placed else ())}
    forms = {name: ">i2" if name.endswith("_q") else ">f4" for name in columns} | _FORMS
    return _row([(name, forms[name] if name in filled else None) for name in columns])


@lru_cache(2)
def _rare(*, checked: bool) -> tuple[np.dtype[np.void], bytes]:
    quality = ">i2" if checked else None
    return _row(
        [
            ("station", ">i4"),
            ("time", ">i8"),
            ("element", ">i2"),
            ("value", ">f4"),
            ("quality", quality),
        ]
    )


def _row(columns: list[tuple[str, str | None]]) -> tuple[np.dtype[np.void], bytes]:
    """Give the form of a row of these columns; a column of form None is null."""
    fields = [("n", ">i2")]
    for name, form in columns:
        fields.append((f"{name} length", ">i4"))
        if form:
            fields.append((name, form))
    row = np.zeros(1, np.dtype(fields))
    row["n"] = len(columns)
    for name, form in columns:
        row[f"{name} length"] = np.dtype(form).itemsize if form else -1
    return row.dtype, row.tobytes()


def _span(blocks: Sequence[Block]) -> tuple[dt.datetime, dt.datetime]:
    """Give first and last time, so that only the partitions between are looked at."""
    first = min(int(block.moment.min()) for block in blocks)
    last = max(int(block.moment.max()) for block in blocks)
    return EPOCH + dt.timedelta(microseconds=first), EPOCH + dt.timedelta(microseconds=last)


def _names(columns: Sequence[str], table: str = "") -> sql.Composed:
    before = (table,) if table else ()
    return sql.SQL(", ").join(sql.Identifier(*before, name) for name in columns)


@lru_cache(256)
def _copy(columns: tuple[str, ...]) -> bytes:
    return sql.SQL(_queries.copy).format(columns=_names(columns)).as_bytes()


@lru_cache(256)
def _insert(columns: tuple[str, ...]) -> bytes:
    return sql.SQL(_queries.insert).format(columns=_names(columns)).as_bytes()


@lru_cache(1)
def _contested() -> bytes:
    query = sql.SQL(_queries.contested)
    return query.format(ours=_names(_SAID, "i"), theirs=_names(_SAID, "o")).as_bytes()


@lru_cache(1)
def _correction() -> bytes:
    assignments = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Identifier("i", name))
        for name in _OTHERS
    )
    return sql.SQL(_queries.correct).format(assignments=assignments).as_bytes()
