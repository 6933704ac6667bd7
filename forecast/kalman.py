"""Kalman filter for many stations: a level, and a trend that fades.

The state of a station is its level and the trend of it per hour. Between readings the trend
fades exponentially and is stirred by noise (an Ornstein-Uhlenbeck process), the level follows
its integral and wanders besides. Both are solved exactly for any time step, so irregular
stations and missing values need no special case. Beside the state each station keeps how
surprising its readings are, which widens or narrows the spread of what it forecasts.

Sources: A. C. Harvey, Forecasting, Structural Time Series Models and the Kalman Filter (1989),
chapters 4 and 9 (local linear trend; continuous time); E. S. Gardner and E. McKenzie, Management
Science 31, 1237 (1985), doi 10.1287/mnsc.31.10.1237 (damped trend); D. S. Johnson et al., Ecology
89, 1208 (2008), doi 10.1890/07-1032.1 (the integrated Ornstein-Uhlenbeck process as a filter);
R. K. Mehra, IEEE Trans. Automatic Control 17, 693 (1972), doi 10.1109/TAC.1972.1100100 (spread
from innovations); S. Chapman and R. S. Lindzen, Atmospheric Tides (1970), chapter 2 (the tide).
"""

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

HOUR: Final = 3_600

_UNSEEN = np.iinfo(np.int64).min // 4
_SMALLEST = 1.0
"""Below it the logarithm of a value is not taken: it is less than any instrument resolves."""

_STARTLED: Final = 9.0
"""Square of the innovation, in variances, above which more does not widen the spread: a spike."""

_NARROW, _WIDE = 0.04, 25.0
"""What surprise may do to the variance."""

_HELD: Final = 7_200
"""Seconds after its last reading in which the trend of a neighbour still counts."""


@dataclass(frozen=True, slots=True)
class Model:
    """The numbers of one element; ``expectation.toml`` explains them."""

    scale: Literal["plain", "sqrt", "log"]
    noise: float
    level: float
    trend: float
    memory: float
    pool: float = 0.0
    tide: bool = False
    steady: float = 0.0
    step: float = 0.0

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

    def point(self, mean: Floats) -> Floats:
        """Give the one value to name for a mean on the filter's scale, as readings are rounded.

        Between two values that can be read none is ever right.
        """
        value = self.unscaled(mean)
        return np.round(value / self.step) * self.step if self.step else value


class State(NamedTuple):
    """Level, trend (per hour) and their covariance, on the scale of the filter, per station.

    surprise: mean square of the innovations in variances, of the last while.
    """

    level: Floats
    trend: Floats
    p00: Floats
    p01: Floats
    p11: Floats
    surprise: Floats


class Place(NamedTuple):
    """Where the stations are: near is [station, n], -1 for nobody; degrees, nan unknown."""

    near: Ints
    longitude: Floats
    latitude: Floats


class Kalman:
    """The filters of one element at all stations.

    time: of the last reading (s since 1970), of a station without any far in the past.
    innovation: what was not expected of the last reading, in standard deviations; nan at the
    first.
    """

    def __init__(self, *, model: Model, stations: int, place: Place | None = None) -> None:
        """Know the numbers, how many stations there are and, where it matters, where they are."""
        self.model = model
        self.time = np.full(stations, _UNSEEN, np.int64)
        self.innovation = np.full(stations, np.nan)
        self._state = State(*(np.zeros(stations) for _ in State._fields))
        self._turn = np.zeros(stations, np.int64)
        self._place = place
        self._around: Floats | None = None

    def reset(self, stations: NDArray[np.bool_]) -> None:
        """Forget everything about some stations."""
        self.time[stations] = _UNSEEN
        self.innovation[stations] = np.nan
        self._around = None

    def update(self, *, station: Ints, time: Ints, value: Floats) -> Floats:
        """Take one reading of each station named, every one later than its last.

        Give the innovations in standard deviations; nan at a first reading. A missing value
        (nan) changes nothing. Raises ValueError for a reading that is not later, or a station
        named twice.
        """
        turns = np.arange(len(station))
        self._turn[station] = turns
        if (self._turn[station] != turns).any():
            raise ValueError("a station is named twice")
        if (time <= self.time[station]).any():
            raise ValueError("readings must come in the order of their time")
        innovations = np.full(len(station), np.nan)
        present = ~np.isnan(value)
        new = present & (self.time[station] == _UNSEEN)
        old = present & ~new
        z = self.model.scaled(value) - self._tide(time, station)
        self._begin(station[new], z[new])
        if old.any():
            innovations[old] = self._correct(station[old], time[old], z[old])
        self.time[station[present]] = time[present]
        self.innovation[station[present]] = innovations[present]
        self._around = None
        return innovations

    def forecast(self, *, at: int | Ints) -> tuple[Floats, Floats]:
        """Give mean and standard deviation of a reading at a time, per station.

        Both are on the scale of the filter; nan before the first reading.
        """
        seen = self.time != _UNSEEN
        ahead = np.where(seen, np.maximum(at - self.time, 0), 0) / HOUR
        state = self._predict(self._state._replace(trend=self._trend()), ahead)
        spread = np.sqrt((state.p00 + self.model.noise**2) * state.surprise)
        mean = state.level + self._tide(at)
        return np.where(seen, mean, np.nan), np.where(seen, spread, np.nan)

    def wandered(self, seconds: Ints) -> Floats:
        """Give by how much the level wanders in some time, as a standard deviation, per station."""
        part: Floats = np.sqrt(np.maximum(seconds, 0) / HOUR * self._state.surprise)
        return self.model.level * part

    def above(self, threshold: float, *, at: int | Ints) -> Floats:
        """Give the probability that a reading at a time exceeds a threshold (element's unit)."""
        mean, spread = self.forecast(at=at)
        limit = self.model.scaled(np.asarray(threshold, np.float64))
        return normal((mean - limit) / spread)

    def _begin(self, station: Ints, z: Floats) -> None:
        self._state.level[station] = z
        self._state.trend[station] = 0.0
        self._state.p00[station] = self.model.noise**2
        self._state.p01[station] = 0.0
        self._state.p11[station] = self.model.trend**2
        self._state.surprise[station] = 1.0

    def _correct(self, station: Ints, time: Ints, z: Floats) -> Floats:
        step = (time - self.time[station]) / HOUR
        state = self._predict(State(*(a[station] for a in self._state)), step)
        level, trend, p00, p01, p11, surprise = state
        error = z - level
        variance = p00 + self.model.noise**2
        gain, turn = p00 / variance, p01 / variance
        innovations: Floats = error / np.sqrt(variance * surprise)
        if self.model.steady:
            square = np.minimum(np.square(innovations), _STARTLED)
            surprise = surprise * (
                1 + (1 - np.exp(-step * HOUR / self.model.steady)) * (square - 1)
            )
            surprise = np.clip(surprise, _NARROW, _WIDE)
        corrected = State(
            level=level + gain * error,
            trend=trend + turn * error,
            p00=p00 * (1 - gain),
            p01=p01 * (1 - gain),
            p11=p11 - turn * p01,
            surprise=surprise,
        )
        for kept, new in zip(self._state, corrected, strict=True):
            kept[station] = new
        return innovations

    def _predict(self, state: State, step: Floats) -> State:
        """Move on by ``step`` hours: exact for the integrated Ornstein-Uhlenbeck process."""
        if len(step) and step.min() == step.max():
            step = step[:1]  # the same everywhere, as most often: exponentials are dear
        memory = self.model.memory / HOUR
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
            surprise=state.surprise,
        )

    def _trend(self) -> Floats:
        """Give each trend drawn towards those of the neighbours: one pressure falls for all."""
        own, share = self._state.trend, self.model.pool
        if not share or self._place is None:
            return own
        if self._around is None:
            near = self._place.near
            heard = (near >= 0) & (self.time[near] > self.time[:, None] - _HELD)
            total = np.where(heard, own[near], 0.0).sum(axis=1)
            count = heard.sum(axis=1)
            mean = np.where(count > 0, total / np.maximum(count, 1), own)
            self._around = share * mean + (1 - share) * own
        return self._around

    def _tide(self, time: int | Ints, station: Ints | slice = slice(None)) -> Floats:
        """Give the half-daily tide of the air in hPa; nothing where a place is not known."""
        if not self.model.tide or self._place is None:
            return np.zeros(1)
        longitude, latitude = self._place.longitude[station], self._place.latitude[station]
        return np.nan_to_num(tide(time=time, longitude=longitude, latitude=latitude))


def tide(*, time: int | Ints, longitude: Floats, latitude: Floats) -> Floats:
    """Give the migrating half-daily tide of the surface pressure, hPa.

    1.16 cos³(latitude) sin(2 t + 158°), t the local mean time as an angle: B. Haurwitz, as given
    by Chapman and Lindzen (1970). time: s since 1970 UTC; degrees.
    """
    local = (time % 86_400) / 240 + longitude
    size = 1.16 * np.cos(np.radians(latitude)) ** 3
    found: Floats = size * np.sin(np.radians(2 * local + 158))
    return found


def crossing(*, gap: Floats, drift: Floats, spread: Floats) -> Floats:
    """Give the chance that a wandering value crosses a line within a time.

    gap: how far the line lies above the value now; drift: how far the value is expected to rise
    in the time; spread: its standard deviation at the end. The maximum of a Brownian motion with
    drift, found by reflection: A. N. Borodin and P. Salminen, Handbook of Brownian Motion (2002),
    part II, chapter 2, 1.1.4. It is 1 where the value is beyond the line.
    """
    ahead, behind = (drift - gap) / spread, (drift + gap) / spread
    density = np.exp(-np.square(ahead) / 2) / np.sqrt(2 * np.pi)
    # exp(2 drift gap / spread²) times the density at `behind` is the density at `ahead`: so
    # nothing overflows where the value is expected to rise.
    with np.errstate(over="ignore"):
        falling = np.exp(np.minimum(2 * drift * gap / np.square(spread), 0)) * normal(-behind)
    reflected = np.where(behind >= 0, density * _mills(np.maximum(behind, 0.0)), falling)
    chance: Floats = np.where(gap <= 0, 1.0, np.minimum(normal(ahead) + reflected, 1.0))
    return chance


def normal(z: Floats) -> Floats:
    """Give the standard normal distribution function.

    M. Abramowitz and I. Stegun, Handbook of Mathematical Functions, 26.2.17; error < 7.5e-8.
    """
    tail = np.exp(-z * z / 2) / np.sqrt(2 * np.pi) * _mills(np.abs(z))
    result: Floats = np.where(z > 0, 1 - tail, tail)
    return result


def _mills(z: Floats) -> Floats:
    """Give the tail beyond z >= 0 in parts of the density there."""
    t = 1 / (1 + 0.2316419 * z)
    series: Floats = t * (
        0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429)))
    )
    return series
