"""The correction of a model: what it learns, and that it knows nothing early."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from forecast.correction import DAY, Corrected, Correction, Numbers, Run

NUMBERS = Numbers(
    level=2.0, wave=2.0, slope=0.5, jump=0.5, drift=0.3, wander=0.03, noise=0.3, steady=5 * DAY
)
LEADS = np.arange(25, dtype=np.int64) * 3_600
HOURS = np.arange(25)
Floats = NDArray[np.float64]


def run(day: int, values: Floats) -> Run:
    """A run of 25 hours for one station, or several."""
    return Run(day * DAY, LEADS, values.reshape(25, -1))


def course(day: int) -> Floats:
    """What the air does: a daily wave and a level that differs from day to day."""
    return 5 * np.sin(2 * np.pi * (HOURS - 9) / 24) + (day % 3)


def taught(days: int, wrong: Floats, *, stations: int = 1) -> Correction:
    """A correction that has seen so many days of a model with this error."""
    correction = Correction(numbers=NUMBERS, stations=stations)
    every = np.arange(stations)
    for day in range(days):
        truth = course(day)
        correction.take(run(day, np.repeat((truth + wrong)[:, None], stations, axis=1)))
        for hour in range(24):
            value = np.full(stations, truth[hour])
            correction.learn(station=every, time=day * DAY + hour * 3_600, value=value)
    return correction


@pytest.mark.parametrize(
    "wrong",
    [
        np.full(25, 3.0),
        np.full(25, -3.0),
        2 * np.cos(2 * np.pi * HOURS / 24),
        1 + np.cos(4 * np.pi * HOURS / 24),
    ],
)
def test_an_error_that_repeats_is_learnt(wrong: Floats) -> None:
    correction = taught(6, wrong)
    correction.take(run(6, course(6) + wrong))
    for hour in (1, 7, 13, 22):
        found = correction.forecast(6 * DAY + hour * 3_600)
        assert found is not None
        assert found[0][0] == pytest.approx(course(6)[hour], abs=0.35)
        assert 0 < found[1][0] < 1.2


def test_a_course_the_model_draws_wrongly_is_given_up() -> None:
    rng = np.random.default_rng(5)
    correction = Correction(numbers=NUMBERS, stations=1)
    errors: dict[str, list[float]] = {"raw": [], "own": []}
    for day in range(30):
        truth = course(day)
        model = truth.mean() + rng.normal(0, 3, 25)  # its hours are noise
        correction.take(run(day, model))
        for hour in range(24):
            found = correction.forecast(day * DAY + hour * 3_600)
            assert found is not None
            if day >= 10:
                errors["raw"].append(abs(model[hour] - truth[hour]))
                errors["own"].append(abs(float(found[0][0]) - truth[hour]))
        for hour in range(24):
            time = day * DAY + hour * 3_600
            correction.learn(station=np.zeros(1, np.int64), time=time, value=truth[hour : hour + 1])
    assert np.mean(errors["own"]) < 0.3 * np.mean(errors["raw"])


def test_nothing_is_known_before_it_is_measured() -> None:
    wrong = np.full(25, 2.0)
    one, other = taught(4, wrong), taught(4, wrong)
    for each in (one, other):
        each.take(run(4, course(4) + wrong))
    early = one.forecast(4 * DAY + 6 * 3_600)
    other.learn(station=np.zeros(1, np.int64), time=4 * DAY + 3 * 3_600, value=np.array([40.0]))
    late = other.forecast(4 * DAY + 6 * 3_600)
    assert early is not None
    assert late is not None
    assert early[0][0] == pytest.approx(course(4)[6], abs=0.3)
    assert late[0][0] > early[0][0] + 0.3  # what was measured since is used at once
    # One reading, however absurd, moves it no further than one at three standard deviations.
    assert late[0][0] < early[0][0] + 5


def test_stations_do_not_disturb_each_other() -> None:
    single = taught(3, np.full(25, 1.5))
    several = taught(3, np.full(25, 1.5), stations=3)
    several.learn(station=np.array([1]), time=3 * DAY, value=np.array([math.nan]))
    at = 2 * DAY + 23 * 3_600 + 1_800
    one, three = single.forecast(at), several.forecast(at)
    assert one is not None
    assert three is not None
    assert three[0].tolist() == pytest.approx([float(one[0][0])] * 3)


def test_what_it_does_not_know() -> None:
    correction = Correction(numbers=NUMBERS, stations=2)
    assert correction.forecast(0) is None
    values = np.full((25, 2), 10.0)
    values[:, 1] = math.nan
    correction.take(Run(0, LEADS, values))
    correction.learn(station=np.arange(2), time=5 * DAY, value=np.full(2, 3.0))  # no run reaches it
    found = correction.forecast(1_800)
    assert found is not None
    assert found[0][0] == pytest.approx(10.0)
    assert np.isnan(found[0][1])
    assert np.isnan(found[1][1])
    assert correction.forecast(25 * 3_600) is None
    outlook = Corrected({"air_temperature": correction})
    assert outlook.forecast("wind_speed", 0) is None
    assert outlook.forecast("air_temperature", 0) is not None


def test_the_newest_run_counts_and_old_ones_are_dropped() -> None:
    correction = Correction(numbers=NUMBERS, stations=1)
    for number in (3, 1, 2, 5, 4, 5):
        correction.take(Run(number * 3_600, LEADS, np.full((25, 1), float(number))))
    found = correction.forecast(6 * 3_600)
    assert found is not None
    assert found[0].tolist() == [5.0]
    assert correction.forecast(3_600) is None  # the first one is gone


@pytest.mark.parametrize(
    ("leads", "shape", "problem"),
    [([0, 3_600], (3, 1), "lead, station"), ([3_600, 0], (2, 1), "rise"), ([], (0, 1), "lead")],
)
def test_a_run_of_another_shape(leads: list[int], shape: tuple[int, int], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Run(0, np.array(leads, np.int64), np.zeros(shape))
    with pytest.raises(ValueError, match="there are 2"):
        Correction(numbers=NUMBERS, stations=2).take(run(0, np.zeros(25)))
