"""Readings under judgement, and what stands around them: looked up once for all checks."""

from collections.abc import Iterable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from forecast.quality.checks import GAP, Checks
from forecast.quality.history import NONE, History, Rows
from forecast.quality.neighbours import Neighbours
from forecast.quality.step import COUNT, weight
from forecast.readings import Readings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_DENSE = 4
"""A table of all stations and times may be so many times larger than what is looked up."""


class Case:
    """Some readings that the history holds.

    station, time: (n,), each reading once.
    """

    def __init__(
        self,
        checks: Checks,
        history: History,
        neighbours: Neighbours,
        *,
        station: Ints,
        time: Ints,
    ) -> None:
        self.checks = checks
        self.history = history
        self.neighbours = neighbours
        self.station = station
        self.time = time
        self._lines: dict[str, Floats] = {}
        self._around = history.around(station, time, count=COUNT, within=GAP)

    def __len__(self) -> int:
        return len(self.station)

    @cached_property
    def _rows(self) -> Rows:
        return self.history.rows(self._around)

    @cached_property
    def _times(self) -> Floats:
        return self._rows.time()

    @cached_property
    def there(self) -> Bools:
        """Tell which of the readings the history holds."""
        there: Bools = self._around[:, COUNT] != NONE
        return there

    def readings(self, elements: Iterable[str]) -> Readings:
        """Give the readings under judgement themselves."""
        values = {name: self.value(name) for name in elements}
        return Readings(self.station, self.time, self.interval, values)

    def before_rows(self, chosen: Bools) -> Ints:
        """Give some of the rows before the readings, each once; chosen: (n, COUNT)."""
        rows = np.unique(self._around[:, :COUNT][chosen])
        found: Ints = rows[rows != NONE]
        return found

    @cached_property
    def weight(self) -> Floats:
        """How far apart the readings before and after are; see `step.weight`."""
        return weight(self._times)

    @cached_property
    def interval(self) -> Ints:
        """Seconds that each reading covers."""
        return self.history.rows(self._around[:, COUNT]).interval()

    @cached_property
    def spacing(self) -> Ints:
        """Seconds since the reading before, of its interval where there is none; at most `GAP`."""
        since = self.time - self._times[:, COUNT - 1]
        spacing = np.where(np.isnan(since), self.interval, since)
        seconds: Ints = np.clip(spacing, 0, GAP).astype(np.int64)
        return seconds

    def line(self, element: str) -> Floats:
        """Give the values before, the value, the values after: (n, 2 * COUNT + 1)."""
        if element not in self._lines:
            self._lines[element] = self._rows.value(element)
        return self._lines[element]

    def value(self, element: str) -> Floats:
        """Give the values under judgement."""
        return self.line(element)[:, COUNT]

    def before(self, seconds: Ints, back: Ints, rows: Ints) -> Rows:
        """Give for some of the readings the newest one so many seconds ago: (rows, seconds)."""
        shape = (len(rows), seconds.shape[-1])
        ago = np.broadcast_to(seconds, shape)
        found = self.history.newest(
            np.repeat(self.station[rows], shape[1]),
            (self.time[rows, None] - ago).ravel(),
            back=np.broadcast_to(back, shape).ravel(),
        )
        return self.history.rows(found.reshape(shape))

    @cached_property
    def placed(self) -> Ints:
        """Number the readings whose stations have neighbours enough."""
        least = self.checks.network.least
        placed: Ints = np.flatnonzero(self.neighbours.near[self.station, least - 1] != NONE)
        return placed

    @cached_property
    def _beside(self) -> tuple[Rows, Ints]:
        """The neighbours' newest readings: each once, and (placed, nearest) which of them."""
        near = self.neighbours.near[self.station[self.placed]]
        there = near != NONE
        stations = len(self.neighbours.near)
        moments, moment = np.unique(self.time[self.placed], return_inverse=True)
        key = moment[:, None] * stations + near
        which = np.full(near.shape, NONE, np.int64)
        if len(moments) * stations <= _DENSE * max(near.size, stations):
            wanted = np.zeros(len(moments) * stations, np.bool_)
            wanted[key[there]] = True
            unique = np.flatnonzero(wanted)
            place = np.zeros(len(wanted), np.int64)
            place[unique] = np.arange(len(unique))
            which[there] = place[key[there]]
        else:
            unique, which[there] = np.unique(key[there], return_inverse=True)
        seconds = self.checks.network.seconds
        found = self.history.newest(unique % stations, moments[unique // stations], back=seconds)
        return self.history.rows(found), which

    def others(self, element: str, *, same_interval: bool) -> Floats:
        """Give the neighbours' values of nearly the same time: (placed, nearest); nan: none."""
        rows, which = self._beside
        values = np.append(rows.value(element), np.nan)[which]
        if same_interval:
            interval = np.append(rows.interval(), NONE)[which]
            values = np.where(interval == self.interval[self.placed, None], values, np.nan)
        return values

    @cached_property
    def above(self) -> Floats:
        """How many m the neighbours lie above: (placed, nearest)."""
        return self.neighbours.above[self.station[self.placed]]

    def plausible(self, element: str, value: Floats) -> Bools:
        """Tell which values are there, and in the range of their element."""
        pipeline = self.checks.pipelines.get(element)
        found = ~np.isnan(value)
        if pipeline is not None and pipeline.range is not None:
            lowest, highest = pipeline.range
            found &= (value >= lowest) & (value <= highest)
        return found

    def is_sum(self, element: str) -> bool:
        """Tell whether values of the element add up over time."""
        pipeline = self.checks.pipelines.get(element)
        return pipeline is not None and pipeline.per_minute is not None
