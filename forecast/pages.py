"""Pages: readings of one stretch of time, and what they add up to at every station.

A page keeps its readings sorted by station and time. What they add up to is an array as long as
there are stations, found when it is asked for and kept until a reading in the page changes: most
of a window is then a few additions of whole arrays. Values that failed a check stay where they
are; whether they count is said each time.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from forecast.readings import Readings
from forecast.sums import ALWAYS, NEVER, Joined, Rows, Sums

__all__ = ["NEVER", "Page", "Stretch", "arranged"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Page:
    """Readings whose time lies in one stretch of time, not empty.

    begin, last: per station, where its first reading begins and its last one ends; `ALWAYS` and
    `NEVER` where it has none. earliest, latest: of all.
    """

    def __init__(
        self, readings: Readings, stations: int, failed: Mapping[str, Bools] | None = None
    ) -> None:
        """Take readings sorted by station and time; failed: by element, which values failed."""
        self._stations = stations
        self._readings = _slim(readings)
        self._failed = {name: mask for name, mask in (failed or {}).items() if mask.any()}
        self._sums: dict[tuple[str, bool], Sums | None] = {}
        self._bad: dict[str, Rows] = {}
        self._edges: tuple[Ints, Ints] | None = None
        begin = readings.time - np.maximum(readings.interval, 1)
        self.earliest = int(begin.min())
        self.first = int(readings.time.min())
        self.latest = int(readings.time.max())

    def __len__(self) -> int:
        return len(self._readings)

    @property
    def readings(self) -> Readings:
        """The readings as they were measured, sorted by station and time."""
        return self._readings

    @property
    def marks(self) -> Mapping[str, Bools]:
        """By element: which values failed a check; only elements that have any."""
        return self._failed

    @property
    def edges(self) -> tuple[Ints, Ints]:
        """Where the readings of each station begin and end."""
        if self._edges is None:
            every = self._readings
            begin = np.full(self._stations, ALWAYS, np.int64)
            end = np.full(self._stations, NEVER, np.int64)
            rows = Rows(every.station, every.time, every.interval, np.zeros(len(every)))
            ends = rows.ends()
            begins = np.append(0, ends[:-1] + 1)
            begin[every.station[ends]] = np.minimum.reduceat(rows.begin, begins)
            end[every.station[ends]] = every.time[ends]
            self._edges = begin, end
        return self._edges

    def merged(self, newer: Readings) -> "Page":
        """Give a page with newer readings, sorted, in it; they replace those of the same time."""
        every = Readings.joined((self._readings, newer))
        failed = {
            name: np.append(mask, np.zeros(len(newer), np.bool_))
            for name, mask in self._failed.items()
        }
        return _page(every, failed, self._stations)

    @classmethod
    def joined(cls, pages: "Sequence[Page]", *, stations: int) -> "Page":
        """Put pages of different times into one."""
        every = Readings.joined([page.readings for page in pages])
        names = {name for page in pages for name in page.marks}
        failed = {
            name: np.concatenate(
                [page.marks.get(name, np.zeros(len(page), np.bool_)) for page in pages]
            )
            for name in names
        }
        return _page(every, failed, stations)

    def holds(self, readings: Readings) -> Bools:
        """Tell which readings are here already, with the same values."""
        every = self._readings
        inside = (readings.time >= self.first) & (readings.time <= self.latest)
        if not inside.any():
            return inside
        key = _keys(every.station, every.time, self.first)
        asked = _keys(readings.station, readings.time, self.first)
        row = np.minimum(np.searchsorted(key, asked), len(key) - 1)
        same: Bools = inside & (key[row] == asked) & (every.interval[row] == readings.interval)
        for name, column in every.values.items():
            mine, theirs = column[row], readings.values[name]
            same &= (mine == theirs) | (np.isnan(mine) & np.isnan(theirs))
        return same

    def cut(self) -> "tuple[int, Page, Page] | None":
        """Give a time, and the pages up to it and after it; None where all has one time."""
        time = self._readings.time
        middle = int(np.partition(time, len(time) // 2)[len(time) // 2])
        if middle == time.max():
            middle = int(time[time < middle].max(initial=NEVER))
        early = time <= middle
        return (middle, self._where(early), self._where(~early)) if early.any() else None

    def rows(self, element: str, *, raw: bool) -> Rows:
        """Give the values of an element; with ``raw``, those that failed a check too."""
        every = self._readings
        rows = Rows(every.station, every.time, every.interval, every.values[element])
        present = ~np.isnan(rows.value)
        if not raw and element in self._failed:
            present &= ~self._failed[element]
        return rows if present.all() else rows[present]

    def sums(self, element: str, *, raw: bool) -> Sums | None:
        """Give what they add up to; None where there is no value."""
        key = (element, raw and element in self._failed)
        if key not in self._sums:
            rows = self.rows(element, raw=raw)
            self._sums[key] = Sums(rows, self._stations) if len(rows) else None
        return self._sums[key]

    def failed(self, element: str) -> Rows | None:
        """Give the values of an element that failed a check."""
        mask = self._failed.get(element)
        if mask is None:
            return None
        if element not in self._bad:
            every = self._readings
            rows = np.flatnonzero(mask)
            self._bad[element] = Rows(
                every.station[rows],
                every.time[rows],
                every.interval[rows],
                every.values[element][rows],
            )
        return self._bad[element]

    def of(self, stations: Ints) -> Readings:
        """Give the readings of some stations, sorted, numbered by their place among these."""
        own = self._readings.station
        low = np.searchsorted(own, stations, side="left")
        count = np.searchsorted(own, stations, side="right") - low
        place = np.repeat(np.arange(len(stations)), count)
        rows = np.repeat(low - np.cumsum(count) + count, count) + np.arange(len(place))
        found = self._readings.where(rows)
        return Readings(place, found.time, found.interval, found.values)

    def mark(self, element: str, station: Ints, time: Ints, failed: Bools) -> Bools:
        """Note which values failed a check; tell of which that is new."""
        known = self._failed.get(element)
        if known is None and not failed.any():
            return np.zeros(len(failed), np.bool_)
        key = _keys(self._readings.station, self._readings.time, self.first)
        asked = _keys(station, time, self.first)
        row = np.minimum(np.searchsorted(key, asked), len(key) - 1)
        there = key[row] == asked
        before = np.zeros(len(key), np.bool_) if known is None else known
        changed: Bools = there & (before[row] != failed)
        if changed.any():
            mask = before.copy()
            mask[row[changed]] = failed[changed]
            self._failed.pop(element, None)
            if mask.any():
                self._failed[element] = mask
            self._clear(element)
        return changed

    def drop(self, element: str) -> None:
        """Forget the values of an element."""
        nothing = np.broadcast_to(np.float64(np.nan), self._readings.station.shape)
        values = {**self._readings.values, element: nothing}
        every = self._readings
        self._readings = Readings(every.station, every.time, every.interval, values)
        self._failed.pop(element, None)
        self._clear(element)

    def _clear(self, element: str) -> None:
        self._bad.pop(element, None)
        for raw in (False, True):
            self._sums.pop((element, raw), None)

    def _where(self, rows: Bools) -> "Page":
        failed = {name: mask[rows] for name, mask in self._failed.items()}
        return Page(self._readings.where(rows), self._stations, failed)


class Stretch:
    """The pages of one stretch of time, in order; the readings up to a cut lie before it."""

    def __init__(self, page: Page, *, full: int) -> None:
        """Begin with one page; it is cut where it holds more than ``full`` readings."""
        self._full = full
        self._cuts: list[int] = []
        self.pages = [page]
        self._joined: dict[tuple[str, bool], Joined | None] = {}
        self._dropped: set[str] = set()
        self._divide(0)

    @property
    def earliest(self) -> int:
        """Where the first reading begins."""
        return min(page.earliest for page in self.pages)

    @property
    def latest(self) -> int:
        """Where the last reading ends."""
        return max(page.latest for page in self.pages)

    def merge(self, newer: Readings, stations: int) -> None:
        """Take readings sorted by station and time."""
        self._joined.clear()
        self._dropped.clear()
        tail = self.pages[-1]
        if int(newer.time.min()) > tail.latest:
            self._append(Page(newer, stations), stations)
            return
        places = np.searchsorted(np.array(self._cuts, np.int64), newer.time, side="left")
        for place in np.unique(places)[::-1].tolist():  # from behind: a cut moves what follows
            part = newer if (places == place).all() else newer.where(places == place)
            self.pages[place] = self.pages[place].merged(part)
            self._divide(place)

    def sums(self, element: str, *, raw: bool) -> Joined | None:
        """Give what all of it adds up to; None where there is no value."""
        key = (element, raw)
        if key not in self._joined:
            parts = [page.sums(element, raw=raw) for page in self.pages]
            known = [part for part in parts if part is not None]
            self._joined[key] = Joined(known) if known else None
        return self._joined[key]

    def mark(self, element: str, station: Ints, time: Ints, failed: Bools) -> Bools:
        """Note which values failed a check; tell of which that is new."""
        changed = np.zeros(len(failed), np.bool_)
        for page in self.pages:
            inside = (time >= page.first) & (time <= page.latest)
            if inside.any():
                changed[inside] |= page.mark(element, station[inside], time[inside], failed[inside])
        if changed.any():
            for raw in (False, True):
                self._joined.pop((element, raw), None)
        return changed

    def drop(self, elements: Iterable[str]) -> None:
        """Forget the values of some elements."""
        for element in set(elements) - self._dropped:
            for page in self.pages:
                page.drop(element)
            for raw in (False, True):
                self._joined.pop((element, raw), None)
            self._dropped.add(element)

    def _append(self, page: Page, stations: int) -> None:
        """Put a page behind the last; pages of like size become one, so that few are small."""
        self._cuts.append(self.pages[-1].latest)
        self.pages.append(page)
        while len(self.pages) > 1:
            before, behind = self.pages[-2:]
            if len(before) > 2 * len(behind) or len(before) + len(behind) > self._full:
                break
            self.pages[-2:] = [Page.joined((before, behind), stations=stations)]
            self._cuts.pop()
        self._divide(len(self.pages) - 1)

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


def arranged(readings: Readings) -> Readings:
    """Sort by station and time; of equal ones only the last stays."""
    order = _order(readings)
    return readings if order is None else readings.where(order)


def _page(readings: Readings, failed: Mapping[str, Bools], stations: int) -> Page:
    order = _order(readings)
    if order is not None:
        readings = readings.where(order)
        failed = {name: mask[order] for name, mask in failed.items()}
    return Page(readings, stations, failed)


def _order(readings: Readings) -> Ints | None:
    """Give the rows in their order, without those that a later one replaces; None: as they are."""
    if not len(readings):
        return None
    key = _keys(readings.station, readings.time, int(readings.time.min()))
    if (key[1:] > key[:-1]).all():
        return None
    order = np.argsort(key, kind="stable")
    key = key[order]
    found: Ints = order[np.append(key[1:] != key[:-1], True)]
    return found


def _keys(station: Ints, time: Ints, first: int) -> Ints:
    """Give one number that sorts by station and time; the times lie within 500 years."""
    keys: Ints = (station << 34) + (time - first)
    return keys


def _slim(readings: Readings) -> Readings:
    """Let a column without any value take no memory."""
    nothing = np.broadcast_to(np.float64(np.nan), readings.station.shape)
    values = {n: nothing if np.isnan(v).all() else v for n, v in readings.values.items()}
    return Readings(readings.station, readings.time, readings.interval, values)
