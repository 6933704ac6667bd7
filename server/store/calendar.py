"""Hours and days: to which of them a reading belongs. Pure.

A reading belongs where its interval ends: an hour or day is open at its start, closed at its end.
"""

import datetime as dt
import zoneinfo
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

HOUR = 3_600

Span: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Starts and ends, in seconds since 1970 UTC."""


def hours(times: NDArray[np.int64]) -> Span:
    """Give start and end of the hour of each time, all in seconds since 1970 UTC."""
    end = -(-times // HOUR) * HOUR
    return end - HOUR, end


def days(times: NDArray[np.int64], *, zone: str, ends: str) -> Span:
    """Give start and end of the day of each time; days end at the local time ``ends``.

    A day is 23 or 25 hours long where the zone's clocks change in it.
    """
    if not len(times):
        return times, times
    local = zoneinfo.ZoneInfo(zone)
    first = dt.datetime.fromtimestamp(int(times.min()), local).date() - dt.timedelta(days=2)
    last = dt.datetime.fromtimestamp(int(times.max()), local).date() + dt.timedelta(days=2)
    at = dt.time.fromisoformat(ends)
    bounds = np.array(
        [
            int(dt.datetime.combine(first + dt.timedelta(days=n), at, local).timestamp())
            for n in range((last - first).days + 1)
        ],
        np.int64,
    )
    index = np.searchsorted(bounds, times, side="left")
    return bounds[index - 1], bounds[index]


def distinct(stations: NDArray[np.int64], spans: Sequence[Span]) -> NDArray[np.int64]:
    """Give each (start, end, station) once, as rows, sorted; ``spans`` run along ``stations``."""
    rows = [np.column_stack((start, end, stations)) for start, end in spans]
    return np.unique(np.concatenate(rows), axis=0)
