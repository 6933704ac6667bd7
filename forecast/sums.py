"""What readings of one element add up to at every station, each measure found once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Numbers: TypeAlias = NDArray[Any]

NEVER: Final = np.iinfo(np.int64).min // 4
"""The time of a reading that does not exist."""

ALWAYS: Final = -NEVER

Measure: TypeAlias = Literal["count", "covered", "total", "weighted", "low", "high"]
MEASURES: Final[tuple[Measure, ...]] = ("count", "covered", "total", "weighted", "low", "high")

_START: Final[Mapping[Measure, float]] = {
    "count": 0,
    "covered": 0,
    "total": 0.0,
    "weighted": 0.0,
    "low": np.inf,
    "high": -np.inf,
}
_JOIN: Final[Mapping[Measure, np.ufunc]] = {
    "count": np.add,
    "covered": np.add,
    "total": np.add,
    "weighted": np.add,
    "low": np.minimum,
    "high": np.maximum,
}


@dataclass(frozen=True, slots=True)
class Rows:
    """Readings of one element that have a value, sorted by station and time."""

    station: Ints
    time: Ints
    interval: Ints
    value: Floats

    def __getitem__(self, rows: Bools | Ints) -> "Rows":
        return Rows(self.station[rows], self.time[rows], self.interval[rows], self.value[rows])

    def __len__(self) -> int:
        return len(self.station)

    @property
    def begin(self) -> Ints:
        """Where each begins; a moment begins a second before itself, so that (start, end] holds."""
        return self.time - np.maximum(self.interval, 1)

    def ends(self) -> Ints:
        """Give the last row of each station."""
        changes = np.flatnonzero(self.station[1:] != self.station[:-1])
        return np.append(changes, len(self.station) - 1)


@dataclass(frozen=True, slots=True)
class Last:
    """The last value of each station: nan and `NEVER` where there is none."""

    value: Floats
    time: Ints
    interval: Ints


def blank(measure: Measure, stations: int) -> Numbers:
    """Give what no readings add up to."""
    kind = np.int64 if measure in ("count", "covered") else np.float64
    return np.full(stations, _START[measure], kind)


def join(measure: Measure, into: Numbers, more: Numbers, *, where: Bools | Literal[True]) -> None:
    """Add to ``into`` what other readings add up to."""
    _JOIN[measure](into, more, out=into, where=where)


def spread(measure: Measure, rows: Rows, stations: int) -> Numbers:
    """Add rows up per station."""
    value: Numbers
    match measure:
        case "count":
            value = np.ones(len(rows), np.int64)
        case "covered":
            value = rows.interval
        case "weighted":
            value = rows.value * rows.interval
        case _:
            value = rows.value
    if len(rows) == stations and rows.station[0] == 0 and (np.diff(rows.station) == 1).all():
        return value  # one row of every station
    found = blank(measure, stations)
    if not len(rows):
        return found
    ends = rows.ends()
    if len(ends) < len(rows):
        begins = np.append(0, ends[:-1] + 1)
        value = _JOIN[measure].reduceat(value, begins)
    found[rows.station[ends]] = value
    return found


class Sums:
    """What the readings of one element in a page add up to, each measure found once."""

    def __init__(self, rows: Rows, stations: int) -> None:
        self.rows = rows
        self._stations = stations
        self._known: dict[Measure, Numbers] = {}
        self._last: Last | None = None

    def of(self, measure: Measure) -> Numbers:
        """Give one measure per station; nobody may change it."""
        if measure not in self._known:
            self._known[measure] = spread(measure, self.rows, self._stations)
        return self._known[measure]

    @property
    def last(self) -> Last:
        """The last value of each station."""
        if self._last is None:
            self._last = last(self.rows, self._stations)
        return self._last


def last(rows: Rows, stations: int) -> Last:
    """Give the last value of each station."""
    if len(rows) == stations and (np.diff(rows.station) == 1).all():
        return Last(rows.value, rows.time, rows.interval)
    found = Last(
        np.full(stations, np.nan), np.full(stations, NEVER, np.int64), np.zeros(stations, np.int64)
    )
    if len(rows):
        rows = rows[rows.ends()]
        found.value[rows.station] = rows.value
        found.time[rows.station] = rows.time
        found.interval[rows.station] = rows.interval
    return found


@dataclass(slots=True)
class Joined:
    """The sums of several pages, each measure found once."""

    parts: Sequence[Sums]
    known: dict[Measure, Numbers] = field(default_factory=dict)

    def of(self, measure: Measure) -> Numbers:
        """Give one measure per station; nobody may change it."""
        if measure not in self.known:
            parts = [part.of(measure) for part in self.parts]
            self.known[measure] = reduce(_JOIN[measure], parts)
        return self.known[measure]
