"""The readings around a reading: what stands before and after it, found in the windows at once."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecast.readings import Readings
from forecast.windows import Windows

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NONE = -1
"""The number of a row that does not exist."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Readings by their place: an array of any shape, whose columns are fetched when asked for."""

    shape: tuple[int, ...]
    parts: tuple[tuple[Readings, Ints, Ints], ...]
    """Of each page: itself, where its rows stand in the flat array, and which rows they are."""

    def value(self, element: str) -> Floats:
        """Give the values of an element; nan where there is no row or no value."""
        found = np.full(int(np.prod(self.shape)), np.nan)
        for page, where, rows in self.parts:
            if element in page.values:
                found[where] = page.values[element][rows]
        return found.reshape(self.shape)

    def time(self) -> Floats:
        """Give the times (s), as floats: nan where there is no row."""
        found = np.full(int(np.prod(self.shape)), np.nan)
        for page, where, rows in self.parts:
            found[where] = page.time[rows]
        return found.reshape(self.shape)

    def interval(self) -> Ints:
        """Give the seconds covered; 0 where there is no row."""
        found = np.zeros(int(np.prod(self.shape)), np.int64)
        for page, where, rows in self.parts:
            found[where] = page.interval[rows]
        return found.reshape(self.shape)


class History:
    """The pages of windows between two times, to be searched for many rows together.

    Rows are numbered through all pages, in their order.
    """

    def __init__(self, windows: Windows, *, since: int, until: int) -> None:
        """Look at the times in (since, until]."""
        pages = list(windows.pages(since=since, until=until))
        self._pages = [page.readings for page in pages]
        self._begin = np.cumsum([0, *map(len, pages)])
        self._first = np.array([page.first for page in pages], np.int64)
        self._last = np.array([page.latest for page in pages], np.int64)

    def rows(self, numbers: Ints) -> Rows:
        """Make rows of their numbers; `NONE` for none."""
        flat = numbers.ravel()
        page = np.searchsorted(self._begin, flat, side="right") - 1
        parts = []
        for number, where in _groups(page):
            parts.append((self._pages[number], where, flat[where] - self._begin[number]))
        return Rows(numbers.shape, tuple(parts))

    def newest(self, station: Ints, time: Ints, *, back: int | Ints) -> Ints:
        """Give each station's newest row with a time in (time - back, time]; `NONE`: there is none.

        back: seconds, one number or one a query.
        """
        found = np.full(len(station), NONE, np.int64)
        since = time - back
        page = np.searchsorted(self._first, time, side="right") - 1
        while len(wanted := self._reaching(page, since)):
            for number, some in _groups(page[wanted]):
                rows, readings = wanted[some], self._pages[number]
                low, end = _places(readings, station[rows], time[rows])
                there = end > low
                there[there] = readings.time[end[there] - 1] > since[rows[there]]
                found[rows[there]] = self._begin[number] + end[there] - 1
            page[wanted] -= 1
            page[found != NONE] = NONE
        return found

    def around(self, station: Ints, time: Ints, *, count: int, within: int) -> Ints:
        """Give for each (station, time) the rows before, itself, and after: (n, 2 * count + 1).

        They stand in the order of time, the row itself in the middle; `NONE`: there is none that
        is less than ``within`` seconds away.
        """
        found = np.full((len(station), 2 * count + 1), NONE, np.int64)
        self._before(found, station, time, count, time - within)
        self._after(found, station, time, count, time + within)
        return found

    def _before(self, found: Ints, station: Ints, time: Ints, count: int, since: Ints) -> None:
        slot = np.zeros(len(station), np.int64)
        page = np.searchsorted(self._first, time, side="right") - 1
        while len(wanted := self._reaching(page, since)):
            for number, some in _groups(page[wanted]):
                rows, readings = wanted[some], self._pages[number]
                low, end = _places(readings, station[rows], time[rows])
                # A row at another time than asked for does not stand in the middle.
                exact = end > low
                exact[exact] = readings.time[end[exact] - 1] == time[rows[exact]]
                place = np.where((slot[rows] == 0) & ~exact, 1, slot[rows])
                for step in range(count + 1):
                    row = end - 1 - step
                    valid = (row >= low) & (place + step <= count)
                    valid[valid] = readings.time[row[valid]] > since[rows[valid]]
                    found[rows[valid], count - (place + step)[valid]] = (
                        self._begin[number] + row[valid]
                    )
                slot[rows] = place + end - low
            page[wanted] -= 1
            page[slot > count] = NONE

    def _after(self, found: Ints, station: Ints, time: Ints, count: int, until: Ints) -> None:
        slot = np.zeros(len(station), np.int64)
        page = np.searchsorted(self._last, time, side="right")
        beyond = len(self._pages)
        while len(wanted := self._reached(page, until)):
            for number, some in _groups(page[wanted]):
                rows, readings = wanted[some], self._pages[number]
                _, begin = _places(readings, station[rows], time[rows])
                high = np.searchsorted(readings.station, station[rows], side="right")
                for step in range(count):
                    row, place = begin + step, slot[rows] + step
                    valid = (row < high) & (place < count)
                    valid[valid] = readings.time[row[valid]] < until[rows[valid]]
                    found[rows[valid], count + 1 + place[valid]] = self._begin[number] + row[valid]
                slot[rows] += high - begin
            page[wanted] += 1
            page[slot >= count] = beyond

    def _reaching(self, page: Ints, since: Ints) -> Ints:
        """Give the queries whose page exists and holds something later."""
        there = np.flatnonzero(page >= 0)
        wanted: Ints = there[self._last[page[there]] > since[there]]
        return wanted

    def _reached(self, page: Ints, until: Ints) -> Ints:
        """Give the queries whose page exists and holds something earlier."""
        there = np.flatnonzero(page < len(self._pages))
        wanted: Ints = there[self._first[page[there]] < until[there]]
        return wanted

    def between(self, station: Ints, start: Ints, end: Ints) -> tuple[Ints, Ints]:
        """Give all rows in (start, end] of each query: the number of the query, and the row.

        Sorted by query and time.
        """
        queries, rows = [], []
        if len(station):
            chosen = (self._first <= end.max()) & (self._last > start.min())
        for number in np.flatnonzero(chosen).tolist() if len(station) else ():
            page = self._pages[number]
            wanted = np.flatnonzero((end >= self._first[number]) & (start < self._last[number]))
            _, low = _places(page, station[wanted], start[wanted])
            _, high = _places(page, station[wanted], end[wanted])
            length = np.maximum(high - low, 0)
            begins = np.cumsum(length) - length
            within = np.arange(int(length.sum())) - np.repeat(begins, length)
            queries.append(np.repeat(wanted, length))
            rows.append(self._begin[number] + np.repeat(low, length) + within)
        if not rows:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        query, row = np.concatenate(queries), np.concatenate(rows)
        order = np.argsort(query, kind="stable")
        return query[order], row[order]

    def whose(self, numbers: Ints) -> tuple[Ints, Ints]:
        """Give station and time of rows that exist."""
        station, time = np.zeros(len(numbers), np.int64), np.zeros(len(numbers), np.int64)
        for page, where, rows in self.rows(numbers).parts:
            station[where], time[where] = page.station[rows], page.time[rows]
        return station, time


def _groups(page: Ints) -> Iterator[tuple[int, Ints]]:
    """Give each page number that occurs (`NONE` left out), and where; the earliest first."""
    present = np.flatnonzero(np.bincount(page[page >= 0].ravel())) if len(page) else page
    if len(present) == 1 and (page >= 0).all():
        yield int(present[0]), np.arange(len(page))
        return
    for number in present.tolist():
        yield number, np.flatnonzero(page == number)


def _places(page: Readings, station: Ints, time: Ints) -> tuple[Ints, Ints]:
    """Give where the station begins in a page, and where its rows up to a time end."""
    low = np.searchsorted(page.station, station, side="left")
    high = np.searchsorted(page.station, station, side="right")
    begin = low.copy()
    busy = np.flatnonzero(low < high)
    while len(busy):
        middle = (low[busy] + high[busy]) >> 1
        later = page.time[middle] > time[busy]
        high[busy[later]] = middle[later]
        low[busy[~later]] = middle[~later] + 1
        busy = busy[low[busy] < high[busy]]
    return begin, low
