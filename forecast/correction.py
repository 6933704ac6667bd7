"""Correction of a model's point forecasts by what stations measured: a Kalman filter per station.

What is estimated is the model's error as a function of the lead time. A run is taken apart into
its mean over the first day and its course about the mean; the error is a level, a daily and a
half-daily wave of the local hour, and a part of the model's own course:

    observed = forecast + level + waves(hour) + slope * (forecast - mean of the run) + noise

All lead times of a run share these six numbers, so that an hour's error speaks for the next hours
as well as for the same hour tomorrow, and a course the model draws wrongly is replaced by the
one that is measured. The level drifts from day to day; the waves drift slowly. An observation is
used once it is taken and not before, so the forecast of a moment knows only what was known then.
Every run has an error of its own, which is not known before its first hours are over: the level
jumps from run to run besides.

Sources: M. Homleid, Weather and Forecasting 10, 689 (1995), doi
10.1175/1520-0434(1995)010<0689:DCOSTT>2.0.CO;2 (Kalman filter of the daily course); G. Galanis and
M. Anadranistakis, Meteorological Applications 9, 437 (2002), doi 10.1017/S1350482702004061 (error
as a function of the forecast); R. K. Mehra (1972), see `forecast.kalman` (spread).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DAY: Final = 86_400

EVERY: Final = 3_300
"""Seconds between two readings of a station that count: nearer ones say the same again."""

KEPT: Final = 4
"""Runs that are kept, the newest: an older one is read where no newer one reaches."""

_SIZE: Final = 6
_STARTLED: Final = 9.0
_NARROW, _WIDE = 0.1, 10.0
_NEVER = np.iinfo(np.int64).min // 4


class Numbers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The numbers of one element; ``expectation.toml`` explains them."""

    level: float
    wave: float
    slope: float
    jump: float
    drift: float
    wander: float
    noise: float
    steady: float


@dataclass(frozen=True, slots=True)
class Run:
    """A model's forecast at the stations: one value of each lead time.

    issued: s since 1970. leads: s after it, rising. values: [lead, station] in the element's
    unit, nan where there is none. Raises ValueError for another shape.
    """

    issued: int
    leads: Ints
    values: Floats

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.shape[0] != len(self.leads) or not len(self.leads):
            raise ValueError("values are (lead, station)")
        if (np.diff(self.leads) <= 0).any():
            raise ValueError("leads rise")

    @property
    def mean(self) -> Floats:
        """The mean over the first day, per station; nan where the model says nothing."""
        first = self.values[self.leads < max(DAY, int(self.leads[0]) + 1)]
        count = (~np.isnan(first)).sum(axis=0)
        total = np.nansum(first, axis=0)
        mean: Floats = np.where(count > 0, total / np.maximum(count, 1), np.nan)
        return mean

    def reaches(self, time: int) -> bool:
        """Tell whether a time lies within the lead times."""
        return bool(self.leads[0] <= time - self.issued <= self.leads[-1])

    def at(self, time: int) -> Floats:
        """Give the value at a time (s since 1970) within the leads, linear between two of them."""
        lead = time - self.issued
        right = int(np.searchsorted(self.leads, lead))
        if self.leads[right] == lead:
            value: Floats = self.values[right]
            return value
        before, after = int(self.leads[right - 1]), int(self.leads[right])
        share = (lead - before) / (after - before)
        found: Floats = (1 - share) * self.values[right - 1] + share * self.values[right]
        return found


class Correction:
    """The filters of one element at all stations, and the runs they correct."""

    def __init__(self, *, numbers: Numbers, stations: int) -> None:
        """Know the numbers and how many stations there are; nothing is corrected yet."""
        self.numbers = numbers
        self.stations = stations
        self._runs: list[tuple[Run, Floats]] = []
        self._time = np.full(stations, _NEVER, np.int64)
        self._learned = np.full(stations, _NEVER, np.int64)  # the issue of the run of that time
        self._state = np.zeros((_SIZE, stations))
        start = np.square([numbers.level, *[numbers.wave] * 4, numbers.slope])
        self._cover = np.repeat(np.diag(start)[:, :, None], stations, axis=2)
        self._drift = np.square([numbers.drift, *[numbers.wander] * 4, 0.0]) / DAY
        self._surprise = np.ones(stations)

    def take(self, run: Run) -> None:
        """Take a run; one issued at the same time replaces it. Raises ValueError for its shape."""
        if run.values.shape[1] != self.stations:
            raise ValueError(f"a run has {run.values.shape[1]} stations, there are {self.stations}")
        others = [each for each in self._runs if each[0].issued != run.issued]
        everything = sorted([*others, (run, run.mean)], key=lambda each: each[0].issued)
        self._runs = everything[-KEPT:]

    def learn(self, *, station: Ints, time: int, value: Floats) -> None:
        """Take what some stations measured at a time (s since 1970), in the order of time.

        It is compared with the newest run that reaches the time. nan, a reading within `EVERY`
        seconds of the last one and one that no run reaches change nothing.
        """
        found = self._newest(time)
        if found is None:
            return
        run, mean = found
        forecast = run.at(time)[station]
        due = time - self._time[station] >= EVERY
        due &= ~np.isnan(value) & ~np.isnan(forecast) & ~np.isnan(mean[station])
        station, value, forecast = station[due], value[due], forecast[due]
        if not len(station):
            return
        basis = _basis(time, forecast - mean[station])
        self._move(station, time, run.issued)
        self._correct(station, basis, value - forecast)
        self._time[station], self._learned[station] = time, run.issued

    def forecast(self, at: int) -> tuple[Floats, Floats] | None:
        """Give mean and standard deviation of a reading at a time (s since 1970), per station.

        By the newest run that reaches it, None where none does; nan where it says nothing.
        """
        found = self._newest(at)
        if found is None:
            return None
        run, mean = found
        value = run.at(at)
        basis = _basis(at, np.nan_to_num(value - mean))
        known = self._time != _NEVER
        ahead = np.where(known, np.maximum(at - self._time, 0), 0)
        shift = np.einsum("is,is->s", basis, self._state)
        toward = np.einsum("ijs,js->is", self._cover, basis)
        variance = np.einsum("is,is->s", basis, toward)
        variance += (self._drift @ np.square(basis)) * ahead
        variance += np.where(known & (self._learned != run.issued), self.numbers.jump**2, 0.0)
        spread = np.sqrt(variance + self.numbers.noise**2 * self._surprise)
        return value + shift, np.where(np.isnan(value), np.nan, spread)

    def _newest(self, time: int) -> tuple[Run, Floats] | None:
        for run, mean in reversed(self._runs):
            if run.reaches(time):
                return run, mean
        return None

    def _move(self, station: Ints, time: int, issued: int) -> None:
        known = self._time[station] != _NEVER
        other = known & (self._learned[station] != issued)
        self._cover[0, 0, station] += np.where(other, self.numbers.jump**2, 0.0)
        step = np.where(known, time - self._time[station], 0)
        for i, drift in enumerate(self._drift.tolist()):
            self._cover[i, i, station] += drift * step

    def _correct(self, station: Ints, basis: Floats, error: Floats) -> None:
        cover, state = self._cover[:, :, station], self._state[:, station]
        innovation = error - np.einsum("is,is->s", basis, state)
        toward = np.einsum("ijs,js->is", cover, basis)
        surprise = self._surprise[station]
        variance = np.einsum("is,is->s", basis, toward) + self.numbers.noise**2 * surprise
        square = np.square(innovation) / variance
        # A reading far off moves the state as far as one at three standard deviations would.
        weight = 1 / (variance * np.sqrt(np.maximum(square / _STARTLED, 1.0)))
        self._state[:, station] = state + toward * (weight * innovation)
        self._cover[:, :, station] = cover - toward[:, None] * toward[None, :] * weight
        share = 1 - np.exp(-3_600 / self.numbers.steady)
        surprise = surprise * (1 + share * (np.minimum(square, _STARTLED) - 1))
        self._surprise[station] = np.clip(surprise, _NARROW, _WIDE)


class ModelOutlook(Protocol):
    """What a model expects at stations."""

    def forecast(self, element: str, at: int) -> tuple[Floats, Floats] | None:
        """Give mean and standard deviation at a time (s since 1970), in the element's unit.

        Per station, nan where it says nothing; None where it knows nothing of the element.
        """


@dataclass(frozen=True, slots=True)
class Corrected:
    """The model's forecasts of some elements, each corrected at the stations."""

    corrections: Mapping[str, Correction]

    def forecast(self, element: str, at: int) -> tuple[Floats, Floats] | None:
        """Give mean and standard deviation; see `ModelOutlook`."""
        correction = self.corrections.get(element)
        return None if correction is None else correction.forecast(at)


def _basis(time: int, course: Floats) -> Floats:
    """Give what the error is made of: [6, station]."""
    angle = 2 * np.pi * (time % DAY) / DAY
    waves = [1.0, np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)]
    basis = np.empty((_SIZE, len(course)))
    basis[:-1] = np.array(waves)[:, None]
    basis[-1] = course
    return basis
