"""Rolling windows over the readings' own time, for many stations of any rhythm side by side.

A window is half open, (start, end]. A reading belongs to it when the whole interval that the
reading covers lies inside, so an hourly sum never adds rain from before the window; what the
readings do not cover is a gap, is never filled, and shows as missing coverage.

Readings lie in stretches of ``resolution`` seconds. A stretch that lies wholly inside the window
of every station costs one addition of arrays, found anew only when a reading in it changes; the
stretches at the edges are looked at page by page, and the pages at the very edge row by row,
which keeps every window exact to the second. New readings go into a page of their own, which
grows by doubling up to `FULL`, so that stations that report every second do not make each
reading dear. A repeated reading replaces itself, a corrected one its predecessor: nothing counts
twice. A reading takes 24 bytes and 8 more for each element that it has; what it adds up to, 8 to
48 more for each station, element and stretch that a window lies over; all of it until `forget`.

A station is expected to report an element in one rhythm: a minute value and an hourly sum of
the same rain both count.
"""

import copy
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from forecast.pages import Page, Stretch, arranged
from forecast.readings import Readings
from forecast.sums import (
    MEASURES,
    NEVER,
    Joined,
    Last,
    Measure,
    Numbers,
    Rows,
    Sums,
    blank,
    join,
    last,
    spread,
)

__all__ = ["NEVER", "Fold", "Newest", "Rows", "Windows"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

FULL = 20
"""Readings of each station in a page, on average, above which it is cut; at least `FEW` in all."""

FEW = 100_000

Newest = Last
"""The newest value of each station: value (nan: none), its time (`NEVER`) and interval (s)."""


@dataclass(frozen=True, slots=True)
class Fold:
    """What readings add up to, per station; what was not asked for is as without readings.

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


class Windows:
    """The readings of the last while, and what they add up to.

    stations: how many; elements: the names that are kept; resolution: seconds of a stretch.
    Values that `mark` says failed a check do not count; in the view `raw` they do.
    """

    def __init__(self, *, stations: int, elements: Iterable[str], resolution: int = 3_600) -> None:
        self.stations = stations
        self.elements = tuple(sorted(set(elements)))
        self._resolution = resolution
        self._full = max(FULL * stations, FEW)
        self._stretches: dict[int, Stretch] = {}
        self._raw = False
        self._marked: set[str] = set()

    def __len__(self) -> int:
        """Count the readings that are held."""
        return sum(len(page) for each in self._stretches.values() for page in each.pages)

    @property
    def raw(self) -> "Windows":
        """The same readings, where values that failed a check count like the others."""
        view = copy.copy(self)
        view._raw = True  # noqa: SLF001 - a copy of this one
        return view

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
        values = {name: readings.values.get(name, missing) for name in self.elements}
        kept = arranged(Readings(readings.station, readings.time, readings.interval, values))
        numbers = (kept.time - 1) // self._resolution
        first, final = int(numbers.min()), int(numbers.max())
        for number in [first] if first == final else np.unique(numbers).tolist():
            part = kept if first == final else kept.where(numbers == number)
            if number in self._stretches:
                self._stretches[number].merge(part, self.stations)
            else:
                page = Page(part, self.stations)
                self._stretches[number] = Stretch(page, full=self._full)

    def holds(self, readings: Readings) -> Bools:
        """Tell which readings are held already, with the same values."""
        found = np.zeros(len(readings), np.bool_)
        numbers = (readings.time - 1) // self._resolution
        for number in np.unique(numbers).tolist():
            if number in self._stretches:
                rows = np.flatnonzero(numbers == number)
                for page in self._stretches[number].pages:
                    found[rows] |= page.holds(readings.where(rows))
        return found

    def part(self, stations: Ints, *, since: int) -> "Windows":
        """Give the readings of some stations (sorted) after a time, numbered anew from 0."""
        found = Windows(stations=len(stations), elements=self.elements, resolution=self._resolution)
        found._raw = self._raw
        for number, stretch in self._stretches.items():
            if (number + 1) * self._resolution <= since:
                continue
            parts = [part for page in stretch.pages if len(part := page.of(stations))]
            if parts:
                found.put(Readings.joined(parts))
        return found

    def mark(self, element: str, *, station: Ints, time: Ints, failed: Bools) -> Bools:
        """Note which values failed a check, of readings that are held; tell of which it is new."""
        changed = np.zeros(len(failed), np.bool_)
        if element not in self._marked:
            if not failed.any():
                return changed
            self._marked.add(element)
        numbers = (time - 1) // self._resolution
        for number in np.unique(numbers).tolist():
            if number in self._stretches:
                mine = numbers == number
                changed[mine] = self._stretches[number].mark(
                    element, station[mine], time[mine], failed[mine]
                )
        return changed

    def pages(self, *, since: int, until: int) -> Iterator[Page]:
        """Give the pages that can hold times in (since, until], in order."""
        yield from self._between(since, until)

    def failed(self, element: str, *, since: int, until: int) -> Iterator[Rows]:
        """Give the values with times in (since, until] that failed a check, by pages."""
        for page in self._between(since, until):
            rows = page.failed(element)
            if rows is not None and (inside := (rows.time > since) & (rows.time <= until)).any():
                yield rows[inside]

    def forget(self, before: int, *, sooner: Mapping[str, int] | None = None) -> None:
        """Drop the stretches that end at ``before`` or earlier; ``sooner``: values by element."""
        for number in [n for n in self._stretches if (n + 1) * self._resolution <= before]:
            del self._stretches[number]
        for number, stretch in self._stretches.items() if sooner else ():
            end = (number + 1) * self._resolution
            gone = [name for name, limit in (sooner or {}).items() if end <= limit]
            if gone:
                stretch.drop(gone)

    def newest(self, element: str, *, at: int, back: int) -> Newest:
        """Give each station's newest value with a time in (at - back, at]."""
        found = Last(
            np.full(self.stations, np.nan),
            np.full(self.stations, NEVER, np.int64),
            np.zeros(self.stations, np.int64),
        )
        missing = self.stations
        for page in reversed(list(self._between(at - back, at))):
            sums = page.sums(element, raw=self._raw)
            if sums is None:
                continue
            newest = sums.last
            if page.latest > at:
                newest = last(sums.rows[sums.rows.time <= at], self.stations)
            wanted = (found.time == NEVER) & (newest.time > at - back)
            np.copyto(found.value, newest.value, where=wanted)
            np.copyto(found.time, newest.time, where=wanted)
            np.copyto(found.interval, newest.interval, where=wanted)
            missing -= int(np.count_nonzero(wanted))
            if not missing:
                break
        return found

    def before(self, element: str, *, station: Ints, time: Ints, back: int) -> Newest:
        """Give the last value of some stations before a time each, not more than ``back`` s.

        station: each at most once.
        """
        found = Last(
            np.full(len(station), np.nan),
            np.full(len(station), NEVER, np.int64),
            np.zeros(len(station), np.int64),
        )
        if not len(station):
            return found
        limit = np.full(self.stations, NEVER, np.int64)
        limit[station] = time
        place = np.zeros(self.stations, np.int64)
        place[station] = np.arange(len(station))
        for page in reversed(list(self._between(int(time.min()) - back, int(time.max())))):
            sums = page.sums(element, raw=self._raw)
            if sums is None:
                continue
            rows = sums.rows
            until = limit[rows.station]
            rows = rows[(rows.time < until) & (rows.time >= until - back)]
            if not len(rows):
                continue
            rows = rows[rows.ends()]
            at = place[rows.station]
            new = found.time[at] == NEVER
            found.value[at[new]] = rows.value[new]
            found.time[at[new]] = rows.time[new]
            found.interval[at[new]] = rows.interval[new]
            if (found.time != NEVER).all():
                break
        return found

    def fold(
        self, element: str, *, start: Ints, end: Ints, measures: Collection[Measure] = MEASURES
    ) -> Fold:
        """Add up each station's readings that lie in (start, end], both per station (s)."""
        found = {measure: blank(measure, self.stations) for measure in MEASURES}
        asked = (end > start) & (end > NEVER // 2)
        if asked.any():
            self._fold(element, start, end, asked, {m: found[m] for m in measures})
            if not asked.all():
                for measure in measures:
                    found[measure][~asked] = 0 if measure not in ("low", "high") else np.nan
        for measure in ("low", "high"):
            found[measure][np.isinf(found[measure])] = np.nan
        return Fold(**cast("dict[str, Numbers]", found))

    def _fold(
        self,
        element: str,
        start: Ints,
        end: Ints,
        asked: Bools,
        found: Mapping[Measure, Numbers],
    ) -> None:
        start = np.where(asked, start, NEVER)  # whoever is not asked is taken out afterwards
        end = np.where(asked, end, NEVER)
        latest_start, earliest_end = int(start[asked].max()), int(end[asked].min())
        for number in self._numbers(int(start[asked].min()), int(end[asked].max())):
            stretch = self._stretches[number]
            if stretch.earliest >= latest_start and stretch.latest <= earliest_end:
                _add(found, stretch.sums(element, raw=self._raw))
                continue
            for page in stretch.pages:
                sums = page.sums(element, raw=self._raw)
                if page.earliest >= latest_start and page.latest <= earliest_end:
                    _add(found, sums)
                elif sums is not None:
                    self._edge(found, page, sums, start, end)

    def _edge(
        self, found: Mapping[Measure, Numbers], page: Page, sums: Sums, start: Ints, end: Ints
    ) -> None:
        """Add what of a page lies inside the windows: of some stations all, of others some rows."""
        begin, until = page.edges
        inside = (begin >= start) & (until <= end)
        for measure, into in found.items():
            join(measure, into, sums.of(measure), where=inside)
        partly = ~inside & (until > start) & (begin < end)
        if not partly.any():
            return
        rows = sums.rows
        rows = rows[
            partly[rows.station]
            & (rows.begin >= start[rows.station])
            & (rows.time <= end[rows.station])
        ]
        if len(rows):
            for measure, into in found.items():
                join(measure, into, spread(measure, rows, self.stations), where=True)

    def history(self, element: str, *, of: Bools, since: int, until: int) -> Iterator[Rows]:
        """Give the values of the stations in ``of`` with times in (since, until], by pages."""
        for page in self._between(since, until):
            rows = page.rows(element, raw=self._raw)
            if not len(rows):
                continue
            rows = rows[of[rows.station] & (rows.time > since) & (rows.time <= until)]
            if len(rows):
                yield rows

    def _numbers(self, start: int, end: int) -> list[int]:
        first, final = start // self._resolution, (end - 1) // self._resolution
        return sorted(n for n in self._stretches if first <= n <= final)

    def _between(self, start: int, end: int) -> Iterator[Page]:
        """Give the pages that can hold times in (start, end], in order."""
        for number in self._numbers(start, end):
            yield from self._stretches[number].pages


def _add(found: Mapping[Measure, Numbers], sums: Sums | Joined | None) -> None:
    if sums is not None:
        for measure, into in found.items():
            join(measure, into, sums.of(measure), where=True)
