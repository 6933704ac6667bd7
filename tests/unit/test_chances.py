"""What the next hours bring: filters, a model's outlook and a radar's, by tables."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from forecast.chances import Chances
from forecast.criteria import Condition
from forecast.expectation import LEADS, Expectation
from forecast.kalman import Kalman, Model, normal
from forecast.moment import Moment
from forecast.radar.outlook import SampledOutlook
from forecast.readings import Readings
from forecast.windows import Windows

HOUR = 3_600
NOON = 1_468_972_800
RAIN, AIR, GUST, VIEW, HUMID = (
    "precipitation_amount",
    "air_temperature",
    "wind_speed_of_gust",
    "visibility_in_air",
    "relative_humidity",
)
Floats = NDArray[np.float64]


def moment(series: Mapping[str, Sequence[Sequence[float]]], *, step: int = HOUR) -> Moment:
    """Look at NOON at readings: element -> station -> values, the last one at NOON."""
    stations = max(len(rows) for rows in series.values())
    windows = Windows(stations=stations, elements=series)
    for station in range(stations):
        columns = {name: np.array(rows[station], float) for name, rows in series.items()}
        count = len(next(iter(columns.values())))
        times = NOON - step * np.arange(count - 1, -1, -1)
        windows.put(Readings(np.full(count, station), times, np.full(count, step), columns))
    return Moment(windows=windows, at=NOON, offset=8 * HOUR, day_ends=20 * HOUR, back=12 * HOUR)


def filters(seen: Moment, element: str, model: Model) -> dict[str, Kalman]:
    """A filter that has taken the newest readings of the moment."""
    newest = seen.newest(element)
    kalman = Kalman(model=model, stations=len(newest.value))
    some = np.flatnonzero(~np.isnan(newest.value))
    kalman.update(station=some, time=newest.time[some], value=newest.value[some])
    return {element: kalman}


class Told:
    """A model that expects the same value, with the same spread, from some time on."""

    def __init__(
        self, element: str, value: Sequence[float], spread: float, *, since: int = 0
    ) -> None:
        self._element, self._value, self._spread = element, np.array(value), spread
        self._since = since

    def forecast(self, element: str, at: int) -> tuple[Floats, Floats] | None:
        if element != self._element or at < NOON + self._since:
            return None
        return self._value, np.full(len(self._value), self._spread)


WARM = Condition(AIR, "value", ">=", 37.0)
COLD = Condition(AIR, "value", "<", 0.0)
STEADY = Model("plain", 0.01, 0.5, 0.0, HOUR)


@pytest.mark.parametrize(
    ("condition", "values"),
    [(WARM, [30.0, 36.0, 36.9, 37.0, math.nan]), (COLD, [7.0, 1.0, 0.1, -0.1, math.nan])],
)
def test_the_nearer_the_likelier(condition: Condition, values: list[float]) -> None:
    seen = moment({AIR: [[value] for value in values]})
    chance = Chances(seen, filters(seen, AIR, STEADY), Expectation({}, {})).together((condition,))
    assert chance is not None
    far, near, close, met, unknown = chance.tolist()
    assert far == unknown == 0.0
    assert 0 < near < close < met <= 1.0


def test_a_chance_grows_with_the_lead_time() -> None:
    seen = moment({AIR: [[36.5], [20.0]]})
    chances = Chances(seen, filters(seen, AIR, STEADY), Expectation({}, {}))
    chance = chances.of(WARM)
    assert chance is not None
    assert chance.shape == (len(LEADS), 2)
    assert (np.diff(chance[:, 0]) > 0).all()
    assert not chance[:, 1].any()
    together = chances.together((WARM,))
    assert together is not None
    assert together[0] == chance[-1, 0]
    hour = Chances(seen, filters(seen, AIR, STEADY), Expectation({}, {})).together(
        (WARM,), within=HOUR
    )
    assert hour is not None
    assert hour[0] == chance[LEADS.index(HOUR), 0]
    # More than twice the chance at the last lead would be more than reflection gives.
    assert chance[-1, 0] <= 2 * float(normal(np.array(-0.5 / (0.5 * math.sqrt(2)))))


def test_seldom_readings_miss_the_peak_between_them() -> None:
    often, seldom = (moment({AIR: [[36.0]]}, step=step) for step in (60, HOUR))
    one, other = (
        Chances(seen, filters(seen, AIR, STEADY), Expectation({}, {})).together((WARM,))
        for seen in (often, seldom)
    )
    assert one is not None
    assert other is not None
    assert other[0] < 0.8 * one[0]


def test_several_must_be_met_at_once() -> None:
    seen = moment({VIEW: [[400.0], [400.0], [5_000.0]], HUMID: [[89.0], [60.0], [99.0]]})
    fog = (Condition(VIEW, "value", "<", 500.0), Condition(HUMID, "value", ">=", 90.0))
    known = filters(seen, VIEW, Model("log", 0.1, 0.3, 0.0, HOUR))
    half = Chances(seen, known, Expectation({}, {})).together(fog)
    assert half is not None
    assert half.tolist() == [0.0, 0.0, 0.0]  # of the humidity nothing is known: it counts as it is
    known |= filters(seen, HUMID, Model("plain", 0.1, 3.0, 0.0, HOUR))
    both = Chances(seen, known, Expectation({}, {})).together(fog)
    assert both is not None
    assert 0.2 < both[0] < 0.5  # two halves, and somewhat more for the visibility
    assert both[1] == both[2] == 0.0
    assert Chances(seen, {}, Expectation({}, {})).together(fog) is None


@pytest.mark.parametrize(
    ("value", "spread", "low", "high"),
    [
        (40.0, 0.2, 0.9, 1.0),  # sure of itself: it is believed
        (30.0, 0.2, 0.0, 0.1),
        (40.0, 50.0, 0.05, 0.1),  # knows nothing: nothing changes
        (30.0, 50.0, 0.05, 0.1),
    ],
)
def test_a_model_counts_by_its_error(value: float, spread: float, low: float, high: float) -> None:
    seen = moment({AIR: [[36.0], [36.0]]})
    told = Told(AIR, [value, math.nan], spread)
    known = filters(seen, AIR, STEADY)
    plain = Chances(seen, known, Expectation({}, {})).together((WARM,))
    chance = Chances(seen, known, Expectation({}, {}), model=told).together((WARM,))
    assert plain is not None
    assert chance is not None
    assert low <= chance[0] <= high
    assert chance[1] == plain[1]  # the model says nothing there


def test_only_a_model_sees_beyond_two_hours() -> None:
    seen = moment({AIR: [[20.0]]})
    told = Told(AIR, [39.0], 1.0, since=6 * HOUR)
    known = filters(seen, AIR, STEADY)
    alone = Chances(seen, known, Expectation({}, {})).together((WARM,), within=24 * HOUR)
    chances = Chances(seen, known, Expectation({}, {}), model=told)
    soon = chances.together((WARM,), within=5 * HOUR)
    later = chances.together((WARM,), within=24 * HOUR)
    assert alone is not None
    assert soon is not None
    assert later is not None
    assert alone[0] == soon[0] == 0.0
    assert later[0] == pytest.approx(float(normal(np.array(2.0))), abs=1e-6)


STORM = Condition(RAIN, "sum", ">=", 50.0, window=3 * HOUR)
RULE = Expectation({RAIN: Expectation.load().rain[RAIN]}, {})


def ensemble(*rates: Sequence[float], steps: int = 12, time: int = NOON) -> SampledOutlook:
    """Members with one rate (mm/h) at each station, an hour of five minutes each."""
    every = np.repeat(np.array(rates, float)[:, None, :], steps, axis=1)
    return SampledOutlook.of(every, time=time, step=300)


def test_radar_brings_what_is_missing() -> None:
    rain = [[0.0] * 9 + [0.0, 5.0, 20.0]] * 4
    seen = moment({RAIN: rain})
    # 45 mm are there when the oldest hour has gone; 25 mm must still fall within the hour.
    radar = ensemble([40, 26, 0, math.nan], [40, 24, 0, 40], [0, 26, 0, 40], [40, 26, 0, 40])
    chance = Chances(seen, {}, RULE, radar=radar).together((STORM,))
    ruled = Chances(seen, {}, RULE).together((STORM,))
    assert chance is not None
    assert ruled is not None
    assert chance[:3].tolist() == [0.75, 0.75, 0.0]
    assert chance[3] == ruled[3]  # not seen: the gauges' rule


def test_the_rule_speaks_where_the_radar_ends_and_it_still_rains() -> None:
    rain = [[0.0] * 8 + [3.0, 3.0, 4.0, 15.0]] * 2
    seen = moment({RAIN: rain})
    chance = Chances(seen, {}, RULE, radar=ensemble([12.0, 0.0])).together((STORM,))
    ruled = Chances(seen, {}, RULE).together((STORM,))
    assert chance is not None
    assert ruled is not None
    assert ruled[0] > 0.2
    assert chance[0] == ruled[0]  # 12 mm within the hour are too few, three hours are not
    assert chance[1] == 0.0  # it will have stopped


@pytest.mark.parametrize("age", [-HOUR, 2_000])
def test_an_old_picture_says_nothing(age: int) -> None:
    seen = moment({RAIN: [[0.0] * 9 + [0.0, 25.0, 20.0]]})
    late = ensemble([90.0], time=NOON - age)
    chance = Chances(seen, {}, RULE, radar=late).together((STORM,))
    fresh = Chances(seen, {}, RULE, radar=ensemble([90.0])).together((STORM,))
    assert chance is not None
    assert fresh is not None
    assert fresh[0] == 1.0
    assert chance[0] < 1.0


def test_a_gauge_that_is_late_is_carried_on_to_the_picture() -> None:
    rain = [[0.0] * 10 + [25.0]]
    windows = moment({RAIN: rain}).windows
    at = NOON + 1_500
    seen = Moment(windows=windows, at=at, offset=0, day_ends=0, back=12 * HOUR)
    # 20 mm in the hour that the radar sees, 8 more in the 25 minutes before it.
    chance = Chances(seen, {}, RULE, radar=ensemble([20.0], time=at)).together((STORM,))
    assert chance is not None
    assert chance.tolist() == [1.0]
    less = Chances(seen, {}, RULE, radar=ensemble([17.0], time=at)).together((STORM,))
    assert less is not None
    assert less.tolist() == [0.0]
