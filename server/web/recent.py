"""What each station measured last, and its rain of the last hours, ready for every new page.

The sums run over the readings' own times: an hour of rain is what fell in the hour that ends with
the station's newest reading. A sum that covers too little of its span is none.
"""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

SHOWN = (
    "air_temperature",
    "relative_humidity",
    "wind_speed",
    "wind_from_direction",
    "wind_speed_of_gust",
    "air_pressure",
    "visibility_in_air",
)
"""Elements of which the newest value is shown."""

RAIN = "precipitation_amount"
HOURS = (1, 3)
"""Spans over which rain is summed."""

FIELDS = ("time", "interval", *(f"{RAIN}_{hours}h" for hours in HOURS), *SHOWN)
"""What `Recent.rows` gives of a station, in this order; time in s since 1970, interval in s."""

ELEMENTS = (RAIN, *SHOWN)
"""Elements that the readings handed in should have."""

COVERED = 0.8
"""Share of a span that its readings must cover."""

_SLOTS = max(HOURS) * 60


class Readings(Protocol):
    """Readings in columns; nan where there is none."""

    @property
    def station(self) -> NDArray[np.integer]:
        """Number of the station in the store."""

    @property
    def time(self) -> NDArray[np.integer]:
        """End of the interval, s since 1970."""

    @property
    def interval(self) -> NDArray[np.integer]:
        """Length of the interval, s."""

    @property
    def values(self) -> Mapping[str, NDArray[np.float64]]:
        """Values by element."""


class Recent:
    """The newest state of many stations, in arrays that grow with them."""

    def __init__(self) -> None:
        self._index: dict[int, int] = {}
        self._time = np.zeros(0, np.int64)
        self._interval = np.zeros(0, np.int64)
        self._values = np.zeros((0, len(SHOWN)))
        # One slot per minute of the day's last hours; a slot says which time it holds.
        self._slot_time = np.zeros((0, _SLOTS), np.int64)
        self._slot_interval = np.zeros((0, _SLOTS), np.int32)
        self._slot_rain = np.zeros((0, _SLOTS), np.float32)

    @property
    def stations(self) -> list[int]:
        """Every station that has reported."""
        return list(self._index)

    @property
    def newest(self) -> int:
        """Time of the newest reading of all, s since 1970; 0 before any."""
        return int(self._time.max(initial=0))

    def put(self, readings: Readings) -> set[int]:
        """Take readings in any order, late and repeated ones too; give their stations."""
        if not len(readings.time):
            return set()
        order = np.argsort(readings.time, kind="stable")
        station = readings.station[order]
        time = readings.time[order].astype(np.int64)
        interval = readings.interval[order].astype(np.int64)
        known = {int(number) for number in np.unique(station)}
        self._grow(known)
        index = self._positions(station)
        self._put_newest(index, time, interval, readings, order)
        rain = readings.values.get(RAIN)
        if rain is not None:
            slot = (time // 60) % _SLOTS
            kept = time >= self._slot_time[index, slot]
            at = (index[kept], slot[kept])
            self._slot_time[at] = time[kept]
            self._slot_interval[at] = interval[kept]
            self._slot_rain[at] = rain[order][kept]
        return known

    def rows(self, stations: list[int]) -> list[list[float | int | None]]:
        """Give `FIELDS` of each station, which must be known."""
        if not stations:
            return []
        index = self._positions(np.asarray(stations))
        rain = [self._rain(index, hours * 3600) for hours in HOURS]
        numbers = np.column_stack([*rain, self._values[index]]).round(2)
        return [
            [int(time), int(interval), *(None if value != value else value for value in row)]  # noqa: PLR0124 - nan
            for time, interval, row in zip(
                self._time[index], self._interval[index], numbers.tolist(), strict=True
            )
        ]

    def _put_newest(
        self,
        index: NDArray[np.int64],
        time: NDArray[np.int64],
        interval: NDArray[np.int64],
        readings: Readings,
        order: NDArray[np.int64],
    ) -> None:
        # In rising time the last row of a station is its newest.
        stations, back = np.unique(index[::-1], return_index=True)
        row = len(index) - 1 - back
        newer = time[row] >= self._time[stations]
        stations, row = stations[newer], row[newer]
        self._time[stations] = time[row]
        self._interval[stations] = interval[row]
        for column, element in enumerate(SHOWN):
            values = readings.values.get(element)
            self._values[stations, column] = np.nan if values is None else values[order][row]

    def _rain(self, index: NDArray[np.int64], span: int) -> NDArray[np.float64]:
        end = self._time[index][:, None]
        time = self._slot_time[index]
        interval = self._slot_interval[index]
        rain = self._slot_rain[index]
        inside = (time <= end) & (time - interval >= end - span) & ~np.isnan(rain)
        covered = np.where(inside, interval, 0).sum(axis=1)
        total = np.where(inside, rain, 0.0).sum(axis=1, dtype=np.float64)
        return np.where(covered >= COVERED * span, total, np.nan)

    def _positions(self, stations: NDArray[np.integer]) -> NDArray[np.int64]:
        unique, inverse = np.unique(stations, return_inverse=True)
        found = np.array([self._index[int(number)] for number in unique], np.int64)
        return found[inverse]

    def _grow(self, stations: set[int]) -> None:
        new = stations - self._index.keys()
        for number in sorted(new):
            self._index[number] = len(self._index)
        more = len(self._index) - len(self._time)
        if more <= 0:
            return
        more = max(more, len(self._time) // 2)
        self._time = np.pad(self._time, (0, more))
        self._interval = np.pad(self._interval, (0, more))
        self._values = np.pad(self._values, ((0, more), (0, 0)), constant_values=np.nan)
        self._slot_time = np.pad(self._slot_time, ((0, more), (0, 0)))
        self._slot_interval = np.pad(self._slot_interval, ((0, more), (0, 0)))
        self._slot_rain = np.pad(self._slot_rain, ((0, more), (0, 0)), constant_values=np.nan)
