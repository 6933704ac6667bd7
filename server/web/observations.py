"""Interfaces to what was measured: stations, elements, series, and what was refused."""

import asyncio
import datetime as dt
from typing import Annotated, Any

import msgspec
import numpy as np
from fastapi import APIRouter, Query
from psycopg.rows import dict_row
from starlette.responses import Response

from agent.elements import ELEMENTS
from alerts.queries import Queries
from server.ingest import clocks
from server.store import observations, stations
from server.web.answers import Json, moment
from server.web.context import Context
from server.web.problems import Problem

_sql = Queries("server.web", "queries.sql")

SPAN = dt.timedelta(days=366)
"""Longest time that one answer covers."""

DEFAULT = ("air_temperature", "relative_humidity", "wind_speed", "precipitation_amount")


def router(context: Context) -> APIRouter:
    """Give the routes."""
    api = APIRouter(prefix="/api/v1", tags=["observations"])

    @api.get("/elements")
    async def elements() -> Response:
        """Give every element: its name, its unit (also in UCUM), its labels, how it aggregates."""
        return Json({"elements": [msgspec.to_builtins(item) for item in ELEMENTS.values()]})

    @api.get("/stations")
    async def station_list() -> Response:
        """Give every station of the catalogue, and how far its clock is off, where that is known.

        clock_offset: seconds that its readings' times lie behind ours; below zero it is fast.
        """
        async with context.database.connection() as conn:
            places = await stations.every(conn)
            known = await clocks.read(conn)
        return Json({"stations": [_place(p) | _clock(known.get(p.id)) for p in places]})

    @api.get("/stations/{name}/series")
    async def series(
        name: str,
        elements: Annotated[str | None, Query(description="names, with commas")] = None,
        start: Annotated[str | None, Query(description="ISO 8601 with zone; exclusive")] = None,
        end: Annotated[str | None, Query(description="ISO 8601 with zone; inclusive")] = None,
    ) -> Response:
        """Give the readings of a station: columns of equal length, null where nothing was measured.

        Where readings do not touch there is a gap; nothing stands in for what is missing.
        """
        wanted = _elements(elements)
        until = moment(end, name="end", default=context.live.now)
        since = moment(start, name="start", default=until - dt.timedelta(days=1))
        if since >= until:
            raise Problem(400, "start: must be before end", parameter="start")
        if until - since > SPAN:
            raise Problem(400, f"start: at most {SPAN.days} days at a time", parameter="start")
        async with context.database.connection() as conn:
            place = await stations.by_name(conn, name)
            if place is None:
                raise Problem(404, f"no station {name!r}; /api/v1/stations lists them")
            found = await observations.series(
                conn, station=place.id, elements=wanted, start=since, end=until
            )
        return Json(await asyncio.to_thread(_series, _place(place), found, wanted))

    @api.get("/quarantine")
    async def quarantine(
        since: Annotated[str | None, Query(description="ISO 8601 with zone")] = None,
        reason: Annotated[str | None, Query(max_length=40)] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 20,
    ) -> Response:
        """Count what was refused, by reason, and show the newest of it."""
        month = context.wall.now() - dt.timedelta(days=30)
        begin = moment(since, name="since", default=month)
        values = {"since": begin, "reason": reason, "limit": limit}
        async with context.database.connection() as conn:
            counts = await (await conn.execute(_sql.refused, values)).fetchall()
            async with conn.cursor(row_factory=dict_row) as cursor:
                newest = await (await cursor.execute(_sql.refused_newest, values)).fetchall()
        return Json(
            {
                "since": begin,
                "total": sum(number for _, number, _ in counts),
                "reasons": [
                    {"reason": code, "count": number, "newest": last}
                    for code, number, last in counts
                ],
                "newest": [_refused(row) for row in newest],
            }
        )

    return api


def _place(place: stations.Station) -> dict[str, Any]:
    return {
        "name": place.name,
        "zh": place.zh,
        "en": place.en,
        "longitude": place.longitude,
        "latitude": place.latitude,
        "elevation": place.elevation,
    }


def _clock(reading: clocks.Reading | None) -> dict[str, Any]:
    return {
        "clock_offset": None if reading is None else round(reading.offset, 1),
        "clock_suspect": None if reading is None else reading.suspect,
    }


def _elements(text: str | None) -> tuple[str, ...]:
    if text is None:
        return DEFAULT
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not names:
        raise Problem(400, "elements: name at least one", parameter="elements")
    unknown = [name for name in names if name not in ELEMENTS]
    if unknown:
        detail = f"elements: unknown {', '.join(unknown[:5])}; /api/v1/elements lists them"
        raise Problem(400, detail, parameter="elements")
    return names


def _series(
    place: dict[str, Any], found: observations.Series, wanted: tuple[str, ...]
) -> dict[str, Any]:
    times = found.time.astype("datetime64[s]")
    return {
        "station": place,
        "elements": {
            name: {"unit": ELEMENTS[name].unit, "ucum": ELEMENTS[name].ucum} for name in wanted
        },
        "times": [f"{text}Z" for text in np.datetime_as_string(times)],
        "intervals": found.interval.tolist(),
        "values": {name: _column(found.values[name].round(3)) for name in wanted},
        "quality": {name: _column(found.quality[name]) for name in wanted},
    }


def _column(values: Any) -> list[float | None]:
    return [None if value != value else value for value in values.tolist()]  # noqa: PLR0124 - nan


def _refused(row: dict[str, Any]) -> dict[str, Any]:
    row["head"] = bytes(row["head"]).decode("utf-8", "replace")
    return row
