"""Rolling windows over the readings' own time, for many stations of any rhythm side by side.

A window is half open, (start, end]. A reading belongs to it when the whole interval that the
reading covers lies inside, so an hourly sum never adds rain from before the window; what the
readings do not cover is a gap, is never filled, and shows as missing coverage.

Readings lie in pages of ``resolution`` seconds, sorted by station and time. A page adds itself
up once per element and is added up anew only when a reading in it changes, so a window costs
one addition per page and station; the pages at its two edges are read row by row, which keeps
every window exact to the second whatever the resolution. A page that grows beyond `FULL` is cut
in two by time, so that stations which report every second do not make each reading dear. A
repeated reading replaces itself, a corrected one its predecessor: nothing counts twice. A reading
takes 24 bytes and 8 more for each element, a page 96 for each station and element in it; both
until `forget`.

A station is expected to report an element in one rhythm: a minute value and an hourly sum of
the same rain both count.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecast.readings import Readings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

FULL = 120
"""Readings of each station in a page, on average, above which it is cut; at least `FEW` in all."""

FEW = 100_000

NEVER = np.iinfo(np.int64).min // 4
"""The time of a reading that does not exist."""


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest value of each station: value (nan: none), its time (`NEVER`) and interval (s)."""

    value: Floats
    time: Ints
    interval: Ints


@dataclass(frozen=True, slots=True)
class Fold:
    """What readings add up to, per station.

    count: readings. covered: seconds they cover. total: sum. weighted: sum of value times
    seconds. low, high: extremes, nan without readings.
    """

    count: Ints
    covered: Ints
    total: Floats
    weighted: Floats
    low: Floats
    high: Floats

    @property
    def mean(self) -> Floats:
        """The mean, weighted by the time each reading covers; nan without any."""
        seconds = np.where(self.covered > 0, self.covered, 1)
        mean: Floats = np.where(self.covered > 0, self.weighted / seconds, np.nan)
        return mean


@dataclass(frozen=True, slots=True)
class _Rows:
    """Readings of one element that have a value, sorted by station and time."""

    station: Ints
    time: Ints
    interval: Ints
    value: Floats

    def __getitem__(self, rows: Bools | Ints) -> "_Rows":
        return _Rows(self.station[rows], self.time[rows], self.interval[rows], self.value[rows])


@dataclass(frozen=True, slots=True)
class _Sums:
    """The same added up, and the last of them: one row for each station that has any."""

    begin: Ints
    fold: Fold
    last: _Rows

    @classmethod
    def of(cls, rows: _Rows) -> "_Sums":
        changes = np.flatnonzero(np.diff(rows.station)) + 1
        first = np.concatenate(([0], changes)).astype(np.int64)
        last = np.concatenate((changes, [len(rows.station)])).astype(np.int64) - 1
        fold = Fold(
            count=last - first + 1,
            covered=np.add.reduceat(rows.interval, first),
            total=np.add.reduceat(rows.value, first),
            weighted=np.add.reduceat(rows.value * rows.interval, first),
            low=np.minimum.reduceat(rows.value, first),
            high=np.maximum.reduceat(rows.value, first),
        )
        begin = np.minimum.reduceat(rows.time - rows.interval, first)
        return cls(begin, fold, rows[last])


class _Page:
    """The readings whose time lies in one stretch of time."""

    def __init__(self, readings: Readings) -> None:
        self._readings = _slim(readings)
        self._sums: dict[str, _Sums | None] = {}

    def __len__(self) -> int:
        return len(self._readings)

    def merge(self, newer: Readings) -> None:
        self._readings = _slim(_sorted(Readings.joined((self._readings, newer))))
        self._sums.clear()

    def cut(self) -> "tuple[int, _Page, _Page] | None":
        """Give a time, and the pages up to it and after it; None where all has one time."""
        time = self._readings.time
        middle = int(np.partition(time, len(time) // 2)[len(time) // 2])
        if middle == time.max():
            middle = int(time[time < middle].max(initial=NEVER))
        early = time <= middle
        if not early.any():
            return None
        return middle, _Page(self._readings.where(early)), _Page(self._readings.where(~early))

    def rows(self, element: str) -> _Rows:
        every = self._readings
        rows = _Rows(every.station, every.time, every.interval, every.values[element])
        present = ~np.isnan(rows.value)
        return rows if present.all() else rows[present]

    def sums(self, element: str) -> _Sums | None:
        if element not in self._sums:
            rows = self.rows(element)
            self._sums[element] = _Sums.of(rows) if len(rows.station) else None
        return self._sums[element]


class _Stretch:
    """The pages of one stretch of time, in order; the readings up to a cut lie before it."""

    def __init__(self, readings: Readings, *, full: int) -> None:
        self._full = full
        self._cuts: list[int] = []
        self.pages = [_Page(readings)]
        self._divide(0)

    def merge(self, newer: Readings) -> None:
        places = np.searchsorted(np.array(self._cuts, np.int64), newer.time, side="left")
        for place in np.unique(places)[::-1].tolist():  # from behind: a cut moves what follows
            self.pages[place].merge(newer.where(places == place))
            self._divide(place)

    def _divide(self, place: int) -> None:
        """Cut the page until none is too large."""
        if len(self.pages[place]) <= self._full:
            return
        found = self.pages[place].cut()
        if found is None:
            return
        cut, early, late = found
        self._cuts.insert(place, cut)
        self.pages[place : place + 1] = [early, late]
        self._divide(place + 1)
        self._divide(place)


class Windows:
    """The readings of the last while, and what they add up to.

    stations: how many; elements: the names that are kept; resolution: seconds of a page.
    """

    def __init__(self, *, stations: int, elements: Iterable[str], resolution: int = 3_600) -> None:
        self.stations = stations
        self.elements = tuple(sorted(set(elements)))
        self._resolution = resolution
        self._full = max(FULL * stations, FEW)
        self._stretches: dict[int, _Stretch] = {}

    def __len__(self) -> int:
        """Count the readings that are held."""
        return sum(len(page) for each in self._stretches.values() for page in each.pages)

    def put(self, readings: Readings) -> None:
        """Take readings in any order; one of the same station and time replaces the older one.

        Raises ValueError for a station that does not exist or an interval below zero.
        """
        if not len(readings):
            return
        if readings.station.min() < 0 or readings.station.max() >= self.stations:
            raise ValueError(f"stations are numbered from 0 to {self.stations - 1}")
        if readings.interval.min() < 0:
            raise ValueError("an interval is below zero")
        missing = np.full(len(readings), np.nan)
        kept = Readings(
            readings.station,
            readings.time,
            readings.interval,
            {name: readings.values.get(name, missing) for name in self.elements},
        )
        numbers = self._number(kept.time)
        for number in np.unique(numbers).tolist():
            part = _sorted(kept.where(numbers == number))
            if number in self._stretches:
                self._stretches[number].merge(part)
            else:
                self._stretches[number] = _Stretch(part, full=self._full)

    def forget(self, before: int) -> None:
        """Drop the stretches that end at ``before`` or earlier."""
        for number in [n for n in self._stretches if (n + 1) * self._resolution <= before]:
            del self._stretches[number]

    def newest(self, element: str, *, at: int, back: int) -> Newest:
        """Give each station's newest value with a time in (at - back, at]."""
        value = np.full(self.stations, np.nan)
        time = np.full(self.stations, NEVER, np.int64)
        interval = np.zeros(self.stations, np.int64)
        for page in self._between(at - back, at):
            sums = page.sums(element)
            if sums is None:
                continue
            rows = sums.last
            if rows.time.max() > at:
                rows = page.rows(element)
                rows = rows[rows.time <= at]
                if not len(rows.station):
                    continue
                rows = _Sums.of(rows).last
            rows = rows[rows.time > at - back]
            value[rows.station] = rows.value
            time[rows.station] = rows.time
            interval[rows.station] = rows.interval
        return Newest(value, time, interval)

    def fold(self, element: str, *, start: Ints, end: Ints) -> Fold:
        """Add up each station's readings that lie in (start, end], both per station (s)."""
        found = Fold(
            count=np.zeros(self.stations, np.int64),
            covered=np.zeros(self.stations, np.int64),
            total=np.zeros(self.stations),
            weighted=np.zeros(self.stations),
            low=np.full(self.stations, np.nan),
            high=np.full(self.stations, np.nan),
        )
        asked = end > start
        if not asked.any():
            return found
        for page in self._between(int(start[asked].min()), int(end[asked].max())):
            sums = page.sums(element)
            if sums is None:
                continue
            station, last = sums.last.station, sums.last.time
            since, until = start[station], end[station]
            whole = (sums.begin >= since) & (last <= until)
            _add(found, sums, whole)
            partly = ~whole & (last > since) & (sums.begin < until)
            if partly.any():
                chosen = np.zeros(self.stations, np.bool_)
                chosen[station[partly]] = True
                rows = page.rows(element)
                rows = rows[
                    chosen[rows.station]
                    & (rows.time - rows.interval >= start[rows.station])
                    & (rows.time <= end[rows.station])
                ]
                if len(rows.station):
                    edge = _Sums.of(rows)
                    _add(found, edge, np.ones(len(edge.begin), np.bool_))
        return found

    def history(self, element: str, *, of: Bools, since: int, until: int) -> Iterator[_Rows]:
        """Give the values of the stations in ``of`` with times in (since, until], by pages."""
        for page in self._between(since, until):
            rows = page.rows(element)
            rows = rows[of[rows.station] & (rows.time > since) & (rows.time <= until)]
            if len(rows.station):
                yield rows

    def _number(self, time: Ints) -> Ints:
        return (time - 1) // self._resolution

    def _between(self, start: int, end: int) -> Iterator[_Page]:
        """Give the pages that can hold times in (start, end], in order."""
        first, last = start // self._resolution, (end - 1) // self._resolution
        for number in sorted(n for n in self._stretches if first <= n <= last):
            yield from self._stretches[number].pages


def _add(found: Fold, sums: _Sums, chosen: Bools) -> None:
    station, fold = sums.last.station[chosen], sums.fold
    found.count[station] += fold.count[chosen]
    found.covered[station] += fold.covered[chosen]
    found.total[station] += fold.total[chosen]
    found.weighted[station] += fold.weighted[chosen]
    found.low[station] = np.fmin(found.low[station], fold.low[chosen])
    found.high[station] = np.fmax(found.high[station], fold.high[chosen])


def _slim(readings: Readings) -> Readings:
    """Let a column without any value take no memory."""
    nothing = np.broadcast_to(np.float64(np.nan), readings.station.shape)
    values = {n: nothing if np.isnan(v).all() else v for n, v in readings.values.items()}
    return Readings(readings.station, readings.time, readings.interval, values)


def _sorted(readings: Readings) -> Readings:
    """Sort by station and time; of equal ones only the last stays."""
    order = np.lexsort((readings.time, readings.station))
    station, time = readings.station[order], readings.time[order]
    again = (station[1:] == station[:-1]) & (time[1:] == time[:-1])
    return readings.where(order[np.append(~again, True)])
