"""Kalman filter for many stations: a level, and a trend that fades.

The state of a station is its level and the trend of it per hour. Between readings the trend
fades exponentially and is stirred by noise (an Ornstein-Uhlenbeck process), the level follows
its integral and wanders besides. Both are solved exactly for any time step, so irregular
stations and missing values need no special case.

Sources: A. C. Harvey, Forecasting, Structural Time Series Models and the Kalman Filter (1989),
chapters 4 and 9 (local linear trend; continuous time); E. S. Gardner and E. McKenzie, Management
Science 31, 1237 (1985), doi 10.1287/mnsc.31.10.1237 (damped trend); D. S. Johnson et al., Ecology
89, 1208 (2008), doi 10.1890/07-1032.1 (the integrated Ornstein-Uhlenbeck process as a filter).
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_UNSEEN = np.iinfo(np.int64).min // 4
_SMALLEST = 1.0
"""Below it the logarithm of a value is not taken: it is less than any instrument resolves."""


@dataclass(frozen=True, slots=True)
class Model:
    """The numbers of one element; ``expectation.toml`` explains them."""

    scale: Literal["plain", "sqrt", "log"]
    noise: float
    level: float
    trend: float
    memory: float

    def scaled(self, value: Floats) -> Floats:
        """Give values on the scale of the filter."""
        match self.scale:
            case "sqrt":
                return np.sqrt(np.maximum(value, 0.0))
            case "log":
                return np.log(np.maximum(value, _SMALLEST))
            case _:
                return value

    def unscaled(self, value: Floats) -> Floats:
        """Give the values themselves."""
        match self.scale:
            case "sqrt":
                return np.square(np.maximum(value, 0.0))
            case "log":
                return np.exp(value)
            case _:
                return value


class State(NamedTuple):
    """Level, trend (per hour) and their covariance, on the scale of the filter, per station."""

    level: Floats
    trend: Floats
    p00: Floats
    p01: Floats
    p11: Floats


class Kalman:
    """The filters of one element at all stations; ``time`` is that of the last reading."""

    def __init__(self, *, model: Model, stations: int) -> None:
        self.model = model
        self.time = np.full(stations, _UNSEEN, np.int64)
        self._state = State(*(np.zeros(stations) for _ in State._fields))

    def reset(self, stations: NDArray[np.bool_]) -> None:
        """Forget everything about some stations."""
        self.time[stations] = _UNSEEN

    def update(self, *, station: Ints, time: Ints, value: Floats) -> Floats:
        """Take one reading of each station named, every one later than its last.

        Give the innovations in standard deviations; nan at a first reading. A missing value
        (nan) changes nothing. Raises ValueError for a reading that is not later, or a station
        named twice.
        """
        if len(np.unique(station)) < len(station):
            raise ValueError("a station is named twice")
        if (time <= self.time[station]).any():
            raise ValueError("readings must come in the order of their time")
        innovations = np.full(len(station), np.nan)
        present = ~np.isnan(value)
        new = present & (self.time[station] == _UNSEEN)
        old = present & ~new
        z = self.model.scaled(value)
        self._begin(station[new], z[new])
        if old.any():
            innovations[old] = self._correct(station[old], time[old], z[old])
        self.time[station[present]] = time[present]
        return innovations

    def forecast(self, *, at: int | Ints) -> tuple[Floats, Floats]:
        """Give mean and standard deviation of a reading at a time, per station.

        Both are on the scale of the filter; nan before the first reading.
        """
        seen = self.time != _UNSEEN
        ahead = np.where(seen, np.maximum(at - self.time, 0), 0) / 3_600
        state = self._predict(self._state, ahead)
        spread = np.sqrt(state.p00 + self.model.noise**2)
        return np.where(seen, state.level, np.nan), np.where(seen, spread, np.nan)

    def above(self, threshold: float, *, at: int | Ints) -> Floats:
        """Give the probability that a reading at a time exceeds a threshold (element's unit)."""
        mean, spread = self.forecast(at=at)
        limit = self.model.scaled(np.asarray(threshold, np.float64))
        return normal((mean - limit) / spread)

    def _begin(self, station: Ints, z: Floats) -> None:
        level, trend, p00, p01, p11 = self._state
        level[station] = z
        trend[station] = 0.0
        p00[station] = self.model.noise**2
        p01[station] = 0.0
        p11[station] = self.model.trend**2

    def _correct(self, station: Ints, time: Ints, z: Floats) -> Floats:
        step = (time - self.time[station]) / 3_600
        level, trend, p00, p01, p11 = self._predict(State(*(a[station] for a in self._state)), step)
        surprise = z - level
        variance = p00 + self.model.noise**2
        gain, turn = p00 / variance, p01 / variance
        corrected = State(
            level=level + gain * surprise,
            trend=trend + turn * surprise,
            p00=p00 * (1 - gain),
            p01=p01 * (1 - gain),
            p11=p11 - turn * p01,
        )
        for kept, new in zip(self._state, corrected, strict=True):
            kept[station] = new
        innovations: Floats = surprise / np.sqrt(variance)
        return innovations

    def _predict(self, state: State, step: Floats) -> State:
        """Move on by ``step`` hours: exact for the integrated Ornstein-Uhlenbeck process."""
        memory = self.model.memory / 3_600
        stir = 2 * self.model.trend**2 / memory
        fade = np.exp(-step / memory)
        reach = memory * (1 - fade)
        q11 = self.model.trend**2 * (1 - fade**2)
        q01 = stir * reach**2 / 2
        q00 = stir * memory**2 * (step - 2 * reach + memory * (1 - fade**2) / 2)
        q00 = np.maximum(q00, 0.0) + self.model.level**2 * step
        return State(
            level=state.level + reach * state.trend,
            trend=fade * state.trend,
            p00=state.p00 + 2 * reach * state.p01 + reach**2 * state.p11 + q00,
            p01=fade * (state.p01 + reach * state.p11) + q01,
            p11=fade**2 * state.p11 + q11,
        )


def normal(z: Floats) -> Floats:
    """Give the standard normal distribution function.

    M. Abramowitz and I. Stegun, Handbook of Mathematical Functions, 26.2.17; error < 7.5e-8.
    """
    t = 1 / (1 + 0.2316419 * np.abs(z))
    series = t * (
        0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429)))
    )
    tail = np.exp(-z * z / 2) / np.sqrt(2 * np.pi) * series
    result: Floats = np.where(z > 0, 1 - tail, tail)
    return result
