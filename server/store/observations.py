"""Reading the observations, as columns."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from agent.elements import BY_ID, ELEMENTS
from alerts.queries import Queries
from server.store.columns import Array, fetch, number, value
from server.store.connection import Connection
from server.store.pairs import Pairs

_queries = Queries("server.store", "observations.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Readings: row ``i`` of every array is one of them, sorted by time, then station.

    station: id in the catalogue.
    time: end of the interval, seconds since 1970 UTC.
    interval: seconds that the values cover.
    values: by element name, in its unit; nan where there is none.
    """

    station: NDArray[np.int64]
    time: NDArray[np.int64]
    interval: NDArray[np.int64]
    values: Mapping[str, NDArray[np.float64]]

    def __len__(self) -> int:
        return len(self.station)

    def where(self, rows: NDArray[np.bool_]) -> "Columns":
        """Give some of them."""
        return Columns(
            station=self.station[rows],
            time=self.time[rows],
            interval=self.interval[rows],
            values={name: column[rows] for name, column in self.values.items()},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Readings of one station by time, with the quality code of each value (0: not checked)."""

    time: NDArray[np.int64]
    interval: NDArray[np.int64]
    values: Mapping[str, NDArray[np.float64]]
    quality: Mapping[str, NDArray[np.int64]]


async def window(
    connection: Connection,
    *,
    start: dt.datetime,
    end: dt.datetime | None,
    elements: Collection[str],
    stations: Sequence[int] | None = None,
    passed: bool = True,
) -> Columns:
    """Give the readings with start < time <= end (None: open) of some or all stations.

    With ``passed``, a value that failed a check is nan like one that is missing.
    """
    parameters = {
        "start": start,
        "end": end or dt.datetime.max.replace(tzinfo=dt.UTC),
        "stations": None if stations is None else list(stations),
    }
    return await _columns(connection, elements, "window", parameters, passed=passed)


async def readings(
    connection: Connection,
    pairs: Pairs | Collection[tuple[int, dt.datetime]],
    elements: Collection[str],
    *,
    passed: bool = True,
) -> Columns:
    """Give the readings of these pairs of station and time, as the log of arrivals names them."""
    if not isinstance(pairs, Pairs):
        pairs = Pairs.of(pairs)
    parameters = {
        "stations": pairs.stations.tolist(),
        "times": pairs.times.tolist(),
        "first": int(pairs.times.min(initial=2**40)),
        "last": int(pairs.times.max(initial=0)),
    }
    return await _columns(connection, elements, "readings", parameters, passed=passed)


async def judged(
    connection: Connection,
    *,
    start: dt.datetime,
    elements: Collection[str],
) -> tuple[Columns, dict[str, NDArray[np.int16]]]:
    """Give the readings with time > start as they were measured, and the code of each value.

    Codes only of elements with a column of their own; 0: not checked.
    """
    parameters = {
        "start": start,
        "end": dt.datetime.max.replace(tzinfo=dt.UTC),
        "stations": None,
    }
    columns = await _columns(connection, elements, "window", parameters, passed=False)
    wide = [name for name in elements if ELEMENTS[name].wide]
    fields = {
        "station": ("i4", number("o.station")),
        "time": ("time", number("o.time")),
        **{
            name: ("i2", sql.SQL("coalesce({}, 0::smallint)").format(_column(f"{name}_q")))
            for name in wide
        },
    }
    found = await fetch(connection, fields, _source("window"), parameters)
    # Both are read in one snapshot or not: what came in between is simply not judged yet.
    key = _key(found)
    order = np.argsort(key, kind="stable")
    mine = (columns.time << 31) | columns.station
    place = np.minimum(np.searchsorted(key[order], mine), max(len(key) - 1, 0))
    codes = {name: np.zeros(len(columns), np.int16) for name in wide}
    if len(key):
        there = key[order][place] == mine
        for name in wide:
            codes[name][there] = found[name][order][place[there]]
    return columns, codes


async def newest(
    connection: Connection, *, elements: Collection[str], passed: bool = True
) -> Columns:
    """Give the newest reading of each station that has one."""
    return await _columns(connection, elements, "newest", {}, passed=passed)


async def series(
    connection: Connection,
    *,
    station: int,
    elements: Collection[str],
    start: dt.datetime,
    end: dt.datetime,
) -> Series:
    """Give the readings of one station with start < time <= end, as they were measured."""
    parameters = {"start": start, "end": end, "stations": [station]}
    wide = [name for name in elements if ELEMENTS[name].wide]
    qualities = {
        f"{name}_q": ("i2", sql.SQL("coalesce({}, 0::smallint)").format(_column(f"{name}_q")))
        for name in wide
    }
    fields = {**_base(wide, passed=False), **qualities}
    found = await fetch(connection, fields, _source("window"), parameters)
    order = np.argsort(found["time"], kind="stable")
    table = {name: column[order] for name, column in found.items()}
    values = {name: table[name] for name in wide}
    quality = {name: table[f"{name}_q"] for name in wide}
    rare = [name for name in elements if not ELEMENTS[name].wide]
    if rare:
        narrow = await _narrow(connection, rare, "window", parameters)
        for name in rare:
            mine = narrow["element"] == ELEMENTS[name].id
            row = np.searchsorted(table["time"], narrow["time"][mine])
            values[name] = np.full(len(order), np.nan)
            values[name][row] = narrow["value"][mine]
            quality[name] = np.zeros(len(order), np.int64)
            quality[name][row] = narrow["quality"][mine]
    return Series(
        time=table["time"],
        interval=table["interval"],
        values={name: values[name] for name in elements},
        quality={name: quality[name] for name in elements},
    )


async def _columns(
    connection: Connection,
    elements: Collection[str],
    query: str,
    parameters: Mapping[str, object],
    *,
    passed: bool,
) -> Columns:
    wide = [name for name in elements if ELEMENTS[name].wide]
    found = await fetch(connection, _base(wide, passed=passed), _source(query), parameters)
    order = np.lexsort((found["station"], found["time"]))
    table = {name: column[order] for name, column in found.items()}
    values = {name: table[name] for name in wide}
    rare = [name for name in elements if not ELEMENTS[name].wide]
    if rare:
        narrow = await _narrow(connection, rare, query, parameters)
        keep = (narrow["quality"] & 255 == 0) | (not passed)
        values |= _scatter(table, {name: column[keep] for name, column in narrow.items()}, rare)
    return Columns(
        station=table["station"],
        time=table["time"],
        interval=table["interval"],
        values={name: values[name] for name in elements},
    )


async def _narrow(
    connection: Connection,
    elements: Sequence[str],
    query: str,
    parameters: Mapping[str, object],
) -> dict[str, Array]:
    """Give the rare values of the same readings."""
    fields = {
        "station": ("i4", number("o.station")),
        "time": ("time", number("o.time")),
        "element": ("i2", number("o.element")),
        "value": ("f4", number("o.value")),
        "quality": ("i2", number("coalesce(o.quality, 0::smallint)")),
    }
    named = {**parameters, "elements": [ELEMENTS[name].id for name in elements]}
    source = sql.SQL("{} AND o.element = ANY (%(elements)s::smallint[])").format(
        _source(query, "observation_rare")
    )
    return await fetch(connection, fields, source, named)


def _scatter(
    table: Mapping[str, Array], narrow: Mapping[str, Array], elements: Sequence[str]
) -> dict[str, NDArray[np.float64]]:
    """Put narrow values into columns beside the wide ones; the table is sorted by its key."""
    values = {name: np.full(len(table["time"]), np.nan) for name in elements}
    key = _key(table)
    row = np.searchsorted(key, _key(narrow))
    known = row < len(key)
    known[known] = key[row[known]] == _key(narrow)[known]
    for number_ in np.unique(narrow["element"]):
        mine = known & (narrow["element"] == number_)
        values[BY_ID[int(number_)].name][row[mine]] = narrow["value"][mine]
    return values


def _key(table: Mapping[str, Array]) -> NDArray[np.int64]:
    """Give one number for time and station that sorts as they do."""
    key: NDArray[np.int64] = (table["time"] << 31) | table["station"]
    return key


def _base(wide: Sequence[str], *, passed: bool) -> dict[str, tuple[str, sql.Composable]]:
    return {
        "station": ("i4", number("o.station")),
        "time": ("time", number("o.time")),
        "interval": ("i4", number("o.interval")),
        **{name: ("f4", value("o", name, passed=passed)) for name in wide},
    }


def _column(name: str) -> sql.Composable:
    return sql.Identifier("o", name)


def _source(query: str, table: str = "observation") -> sql.Composable:
    return sql.SQL(getattr(_queries, query)).format(table=sql.Identifier(table))
