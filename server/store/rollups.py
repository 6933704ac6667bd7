"""Hours and days of each station, always as the raw readings say.

Whatever is committed, late readings and corrections too, names the hours and days it touches in
the log of arrivals; exactly those are computed anew from the raw rows. Hours and days are two
consumers of the log, so that the days, which cost more, can be looked at less often.
"""

import datetime as dt
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from agent.elements import ELEMENTS, WIDE
from alerts.queries import Queries
from server.store import arrivals, calendar
from server.store.columns import Array, fetch, number, value
from server.store.connection import Connection
from server.store.summary import Summary, summarise

HOURS = "rollup"
DAYS = "rollup_days"
"""Names of the two consumers."""
PART = {1: 4_000, 24: 200}
"""Hours or days of one station that are computed at once: bounds what lies in memory."""

_queries = Queries("server.store", "rollups.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollups:
    """Hours or days as columns: row ``i`` of every array is one, sorted by time, then station.

    time: end of the hour or day, seconds since 1970 UTC. seconds: what the readings cover.
    """

    station: NDArray[np.int64]
    time: NDArray[np.int64]
    readings: NDArray[np.int64]
    seconds: NDArray[np.int64]
    value: NDArray[np.float64]
    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]


async def roll_hours(
    connection: Connection, *, limit: int = 500, floor: dt.datetime | None = None
) -> int:
    """Compute the hours touched by the next commits; give the number of commits, 0 at the end.

    It commits by itself, in small steps. While another process does the same it gives 0.
    floor: where raw readings were dropped, up to when; hours and days that begin before it are
        left as they are.
    """
    return await _consume(
        connection, HOURS, lambda times: [calendar.hours(times)], hours=1, limit=limit, floor=floor
    )


async def roll_days(
    connection: Connection,
    *,
    zone: str,
    day_ends: Sequence[str],
    limit: int = 500,
    floor: dt.datetime | None = None,
) -> int:
    """Do the same for days, one for each of ``day_ends`` (local times)."""

    def each(times: NDArray[np.int64]) -> list[calendar.Span]:
        return [calendar.days(times, zone=zone, ends=ends) for ends in day_ends]

    return await _consume(connection, DAYS, each, hours=24, limit=limit, floor=floor)


async def window(
    connection: Connection,
    *,
    element: str,
    hours: int,
    start: dt.datetime,
    end: dt.datetime,
    stations: Collection[int] | None = None,
) -> Rollups:
    """Give the hours (1) or days (24) of an element with start < time <= end.

    Where days end at several times of the day, those of all are among them.
    """
    fields = {
        "station": ("i4", number("station")),
        "time": ("time", number("time")),
        "readings": ("i4", number("readings")),
        "seconds": ("i4", number("seconds")),
        "value": ("f4", number("value")),
        "minimum": ("f4", number("minimum")),
        "maximum": ("f4", number("maximum")),
    }
    parameters = {
        "element": ELEMENTS[element].id,
        "hours": hours,
        "start": start,
        "end": end,
        "stations": None if stations is None else list(stations),
    }
    found = await fetch(connection, fields, number(_queries.window), parameters)
    order = np.lexsort((found["station"], found["time"]))
    return Rollups(**{name: column[order] for name, column in found.items()})


async def _consume(
    connection: Connection,
    consumer: str,
    spans_of: Callable[[NDArray[np.int64]], list[calendar.Span]],
    *,
    hours: int,
    limit: int,
    floor: dt.datetime | None,
) -> int:
    """Read the log, compute, write, and move on in the log.

    A transaction that writes holds up every reader of the log, the watch among them. So nothing is
    written while the sums are computed, each part is committed by itself, and what keeps others
    out is an advisory lock, not a locked row. A crash in between only means doing it once more.
    """
    row = await (await connection.execute(_queries.lock, (consumer,))).fetchone()
    if not row or not row[0]:
        await connection.commit()
        return 0
    try:
        start = await arrivals.position(connection, consumer)
        await connection.commit()
        batch = await arrivals.after(connection, start, limit)
        if batch.size:
            spans = calendar.distinct(batch.pairs.stations, spans_of(batch.pairs.times))
            if floor is not None:
                spans = spans[spans[:, 0] >= int(floor.timestamp())]
            for first in range(0, len(spans), PART[hours]):
                part = spans[first : first + PART[hours]]
                found = await _compute(connection, part, hours=hours)
                await _write(connection, part, found, hours=hours)
                await connection.commit()
            await arrivals.advance(connection, consumer, batch.cursor)
        await connection.commit()
        return batch.size
    finally:
        if not connection.closed:  # otherwise the lock went with it
            await connection.rollback()
            await connection.execute(_queries.unlock, (consumer,))
            await connection.commit()


async def _compute(
    connection: Connection, spans: NDArray[np.int64], *, hours: int
) -> list[tuple[int, Summary]]:
    """Sum up the raw readings of each span (start, end, station); give element ids with them."""
    parameters: Mapping[str, object] = {
        "starts": spans[:, 0].tolist(),
        "ends": spans[:, 1].tolist(),
        "stations": spans[:, 2].tolist(),
        "first": int(spans[:, 0].min()),
        "last": int(spans[:, 1].max()),
        "longest": hours * calendar.HOUR,
    }
    base = {
        "group": ("i8", number("s.number")),
        "time": ("time", number("o.time")),
        "interval": ("i4", number("o.interval")),
    }
    wide = await fetch(
        connection,
        {**base, **{name: ("f4", value("o", name, passed=True)) for name in WIDE}},
        number(_queries.raw),
        parameters,
    )
    rare = await fetch(
        connection,
        {**base, "element": ("i2", number("r.element")), "value": ("f4", number("r.value"))},
        number(_queries.raw_rare),
        parameters,
    )
    wide, rare = _sorted(wide), _sorted(rare)
    found = [(ELEMENTS[name].id, _one(name, wide, wide[name], wide)) for name in WIDE]
    for element in np.unique(rare["element"]).tolist():
        name = _NAMES[element]
        mine = {key: column[rare["element"] == element] for key, column in rare.items()}
        found.append((element, _one(name, mine, mine["value"], _beside(name, mine, wide, rare))))
    return found


_NAMES: Mapping[int, str] = {element.id: name for name, element in ELEMENTS.items()}


def _one(
    name: str, rows: Mapping[str, Array], values: Array, others: Mapping[str, Array]
) -> Summary:
    element = ELEMENTS[name]
    return summarise(
        group=rows["group"],
        interval=rows["interval"],
        value=values,
        aggregate=element.aggregate,
        speed=others[element.speed] if element.speed else None,
    )


def _beside(
    name: str, rows: Mapping[str, Array], wide: Mapping[str, Array], rare: Mapping[str, Array]
) -> dict[str, Array]:
    """Give the speed that a rare direction is weighed by, on the rows of the direction."""
    speed = ELEMENTS[name].speed
    if speed is None:
        return {}
    if ELEMENTS[speed].wide:
        source, values = wide, wide[speed]
    else:
        mine = rare["element"] == ELEMENTS[speed].id
        source = {key: column[mine] for key, column in rare.items()}
        values = source["value"]
    given = dict(
        zip(
            zip(source["group"].tolist(), source["time"].tolist(), strict=True), values, strict=True
        )
    )
    keys = zip(rows["group"].tolist(), rows["time"].tolist(), strict=True)
    return {speed: np.array([given.get(key, np.nan) for key in keys], np.float64)}


def _sorted(rows: Mapping[str, Array]) -> dict[str, Array]:
    order = np.lexsort((rows["time"], rows["group"]))
    return {name: column[order] for name, column in rows.items()}


async def _write(
    connection: Connection,
    spans: NDArray[np.int64],
    found: Sequence[tuple[int, Summary]],
    *,
    hours: int,
) -> None:
    """Put the sums in place of what was there; rows that stay the same are not written."""
    group = np.concatenate([summary.group for _, summary in found]) - 1
    element = np.concatenate([np.full(len(summary.group), id_) for id_, summary in found])
    parameters = {
        "hours": hours,
        "span_stations": spans[:, 2].tolist(),
        "span_ends": spans[:, 1].tolist(),
        "elements": element.tolist(),
        "stations": spans[group, 2].tolist(),
        "ends": spans[group, 1].tolist(),
        **{
            name: np.concatenate([getattr(summary, name) for _, summary in found]).tolist()
            for name in ("readings", "seconds", "value", "minimum", "maximum")
        },
    }
    await connection.execute(sql.SQL(_queries.clear), parameters, prepare=False)
    await connection.execute(sql.SQL(_queries.write), parameters, prepare=False)
