"""The chance that conditions are met in the next hours, per station.

Three sources meet here: the station's own readings (a Kalman filter for each element, a rule for
rain), the model's point forecasts, corrected, and the radar's ensemble. Where two speak of the
same element, each counts by the inverse of its error variance at that lead time (C. W. Granger
and R. Ramanathan, Journal of Forecasting 3, 197 (1984), doi 10.1002/for.3980030207).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forecast.correction import ModelOutlook
from forecast.criteria import Condition
from forecast.expectation import HOUR, LEADS, Expectation, Rain
from forecast.kalman import Kalman, Model, crossing, normal
from forecast.moment import Moment
from forecast.radar.outlook import RainOutlook
from forecast.rainfall import outlook

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

STALE: Final = 1_800
"""Seconds after which a radar picture says nothing about the next hours."""

_RISING: Final = (">=", ">")
_FAR: Final = 3.3
"""Spreads beyond which a chance is taken as none: it is less than 1 in 1,000."""

_BETWEEN: Final = 0.5826
"""By how many of its steps a value seen at intervals stays below the highest it comes to between
them: M. Broadie, P. Glasserman and S. Kou, Mathematical Finance 7, 325 (1997), doi
10.1111/1467-9965.00035."""


@dataclass(frozen=True, slots=True)
class _Ahead:
    """On the filter's scale: mean and spread at the lead times [lead, station].

    near: how many lead times the station's own readings speak of; the others are the model's.
    now: mean now; missed: by how much readings stay below what comes between them; both per
    station.
    """

    near: int
    now: Floats
    missed: Floats
    mean: Floats
    spread: Floats


class Chances:
    """The probability of conditions in the next hours, each found once: [station]."""

    def __init__(
        self,
        moment: Moment,
        filters: Mapping[str, Kalman],
        expectation: Expectation,
        *,
        model: ModelOutlook | None = None,
        radar: RainOutlook | None = None,
    ) -> None:
        """Look ahead from a moment. model, radar: their outlook at the same stations."""
        self._moment = moment
        self._filters = filters
        self._expectation = expectation
        self._model = model
        late = radar is not None and not 0 <= moment.at - radar.time <= STALE
        self._radar = None if late else radar
        self._ahead: dict[tuple[str, int], _Ahead] = {}
        self._bounds: dict[tuple[str, int], tuple[Floats, Floats]] = {}
        self._rain: dict[Condition, Floats] = {}
        self._known: dict[Condition, Floats | None] = {}
        self._together: dict[tuple[tuple[Condition, ...], int], Floats | None] = {}

    def of(self, condition: Condition) -> Floats | None:
        """Give the probability that one is met until each of `LEADS`: [lead, station].

        None where nothing can be expected of it.
        """
        if condition not in self._known:
            self._known[condition] = self._alone(condition)
        return self._known[condition]

    def together(self, group: Sequence[Condition], *, within: int = LEADS[-1]) -> Floats | None:
        """Give the probability that a group is met, or None where nothing can be expected of it.

        One condition alone: that it is met at any time within the lead times. Several: that all
        are met at the best lead time, as if independent; one of which nothing can be expected
        counts as it stands now. within: seconds, at least the first of `LEADS`; beyond the last of
        them only the model's forecasts are followed. A sum of rain looks as far as its rule does.
        """
        key = (tuple(group), within if self._model else min(within, LEADS[-1]))
        if key not in self._together:
            self._together[key] = self._combine(*key)
        return self._together[key]

    def _alone(self, condition: Condition) -> Floats | None:
        if self._rule(condition) is not None:
            chance = self._rainfall(condition)
            return np.broadcast_to(chance, (len(LEADS), len(chance)))
        if not self._filtered(condition):
            return None
        likely = self._likely(condition, LEADS[-1])
        chance = np.zeros((len(LEADS), len(likely)))
        some = np.flatnonzero(likely)
        chance[:, some] = self._at(condition, some, LEADS[-1], alone=True)
        return chance

    def _combine(self, group: tuple[Condition, ...], within: int) -> Floats | None:
        rainy = [c for c in group if self._rule(c) is not None]
        filtered = [c for c in group if self._filtered(c)]
        if not rainy and not filtered:
            return None
        stations = len(self._moment.newest(group[0].element).value)
        likely = np.ones(stations, np.bool_)
        for condition in group:
            if condition in filtered:
                likely &= self._likely(condition, within)
            elif condition not in rainy:
                likely &= self._moment.met(condition)
        chance = np.zeros(stations)
        some = np.flatnonzero(likely)
        if not len(some):
            return chance
        product: Floats = np.ones((1, len(some)))
        for condition in filtered:
            product = product * self._at(condition, some, within, alone=len(group) == 1)
        for condition in rainy:
            product = product * self._rainfall(condition)[some]
        chance[some] = product.max(axis=0)
        return chance

    def _filtered(self, condition: Condition) -> bool:
        return condition.element in self._filters and condition.statistic in ("value", "days")

    def _rule(self, condition: Condition) -> Rain | None:
        rising = condition.comparison in _RISING
        known = self._expectation.rain.get(condition.element)
        return known if condition.statistic == "sum" and rising else None

    def _likely(self, condition: Condition, within: int) -> Bools:
        """Tell where the threshold can be reached at all, without a look at the chance."""
        key = (condition.element, within)
        if key not in self._bounds:
            ahead = self._look(*key)
            self._bounds[key] = (
                np.fmin(ahead.now, np.fmin.reduce(ahead.mean - _FAR * ahead.spread)),
                np.fmax(ahead.now, np.fmax.reduce(ahead.mean + _FAR * ahead.spread)),
            )
        low, high = self._bounds[key]
        limit = self._limit(condition)
        likely: Bools = high >= limit if condition.comparison in _RISING else low <= limit
        if condition.statistic == "days":
            likely = likely & self._moment.days_before(condition)
        return likely

    def _at(self, condition: Condition, some: Ints, within: int, *, alone: bool) -> Floats:
        """Give the chance at each lead time: of a crossing until then, or of being beyond then."""
        ahead = self._look(condition.element, within)
        mean, spread = ahead.mean[:, some], ahead.spread[:, some]
        way = 1 if condition.comparison in _RISING else -1
        limit = self._limit(condition)
        if not alone:
            return np.nan_to_num(normal(way * (mean - limit) / spread))
        near, far = slice(0, ahead.near), slice(ahead.near, None)
        now = ahead.now[some]
        until = crossing(
            gap=way * (limit - now) + ahead.missed[some],
            drift=way * (mean[near] - now),
            spread=spread[near],
        )
        # A model's hours do not wander from one to the next; each is looked at for itself.
        beyond = normal(way * (mean[far] - limit) / spread[far])
        return np.nan_to_num(np.concatenate((until, beyond)))

    def _limit(self, condition: Condition) -> Floats:
        model = self._filters[condition.element].model
        return model.scaled(np.asarray(condition.threshold, np.float64))

    def _look(self, element: str, within: int) -> _Ahead:
        """Carry an element on; nan where it was not measured of late."""
        if (element, within) not in self._ahead:
            kalman, at = self._filters[element], self._moment.at
            own_leads = [lead for lead in LEADS if lead <= max(within, LEADS[0])]
            leads = [*own_leads, *range(LEADS[-1] + HOUR, within + 1, HOUR)]
            mean, spread = np.full((2, len(leads), len(kalman.time)), np.nan)
            for row, lead in enumerate(own_leads):
                mean[row], spread[row] = kalman.forecast(at=at + lead)
            if self._model is not None:
                for row, lead in enumerate(leads):
                    forecast = self._model.forecast(element, at + lead)
                    own = mean[row], spread[row]
                    near = row < len(own_leads)
                    mean[row], spread[row] = _blend(kalman.model, own, forecast, near=near)
            newest = self._moment.newest(element)
            silent = np.isnan(newest.value)
            now, _ = kalman.forecast(at=at)
            now[silent] = np.nan
            mean[:, silent] = np.nan
            step = _BETWEEN * kalman.wandered(newest.interval)
            self._ahead[element, within] = _Ahead(len(own_leads), now, step, mean, spread)
        return self._ahead[element, within]

    def _rainfall(self, condition: Condition) -> Floats:
        if condition not in self._rain:
            rule = self._expectation.rain[condition.element]
            chance = self._ruled(rule, condition, first=1)
            if self._radar is not None:
                seen = outlook(self._radar, self._moment, condition)
                later = self._ruled(rule, condition, first=self._radar.until // HOUR + 1)
                later = np.where(seen.still >= rule.wet, later, 0.0)
                chance = np.where(np.isnan(seen.chance), chance, np.fmax(seen.chance, later))
            self._rain[condition] = chance
        return self._rain[condition]

    def _ruled(self, rule: Rain, condition: Condition, *, first: int) -> Floats:
        end = self._moment.newest(condition.element).time

        def fallen(since: int, until: int) -> Floats:
            return self._moment.amount(condition.element, end - since, end - until)

        return rule.probability(
            fallen=fallen, window=condition.window, threshold=condition.threshold, first=first
        )


def _blend(
    model: Model, own: tuple[Floats, Floats], forecast: tuple[Floats, Floats] | None, *, near: bool
) -> tuple[Floats, Floats]:
    """Weigh two forecasts by the inverse of their error variance, on the filter's scale.

    forecast: mean and spread in the element's unit, nan where there is none. near: the station's
    own readings still tell something of this lead time.
    """
    if forecast is None:
        return own
    value, error = forecast
    mean = model.scaled(value)
    spread = np.maximum((model.scaled(value + error) - model.scaled(value - error)) / 2, 1e-6)
    if not near:
        return mean, spread
    weight = np.square(own[1]) / (np.square(own[1]) + np.square(spread))
    weight = np.where(np.isnan(weight), 0.0, weight)
    both = np.where(weight > 0, own[0] + weight * (np.nan_to_num(mean) - own[0]), own[0])
    return both, own[1] * np.sqrt(1 - weight)
