"""The vectorised filter against a plain one with matrices, and its own laws."""

import math
from typing import Literal, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from forecast.expectation import Expectation
from forecast.kalman import Kalman, Model, Place, crossing, normal, tide

Floats: TypeAlias = NDArray[np.float64]

MODEL = Model("plain", noise=0.3, level=0.2, trend=0.5, memory=5_400)


def _textbook(
    model: Model, times: list[int], values: list[float], at: int, pieces: int = 1
) -> tuple[float, float]:
    """One station, matrices, one reading after the other; a step may be cut into pieces."""
    memory = model.memory / 3_600
    x = np.array([values[0], 0.0])
    p = np.diag([model.noise**2, model.trend**2])
    h = np.array([[1.0, 0.0]])

    def move(x: Floats, p: Floats, seconds: float) -> tuple[Floats, Floats]:
        for _ in range(pieces):
            d = seconds / 3_600 / pieces
            e = math.exp(-d / memory)
            f = np.array([[1.0, memory * (1 - e)], [0.0, e]])
            s = 2 * model.trend**2 / memory
            q = np.array(
                [
                    [
                        s * memory**2 * (d - 2 * memory * (1 - e) + memory * (1 - e * e) / 2)
                        + model.level**2 * d,
                        s * memory**2 * (1 - e) ** 2 / 2,
                    ],
                    [s * memory**2 * (1 - e) ** 2 / 2, s * memory / 2 * (1 - e * e)],
                ]
            )
            x, p = f @ x, f @ p @ f.T + q
        return x, p

    last = times[0]
    for time, value in zip(times[1:], values[1:], strict=True):
        if math.isnan(value):
            continue
        x, p = move(x, p, time - last)
        gain = p @ h.T / (h @ p @ h.T + model.noise**2)
        x = x + gain[:, 0] * (value - x[0])
        p = (np.eye(2) - gain @ h) @ p
        last = time
    x, p = move(x, p, at - last)
    return float(x[0]), math.sqrt(p[0, 0] + model.noise**2)


@pytest.mark.parametrize("pieces", [1, 7])
def test_against_a_textbook_filter(pieces: int) -> None:
    rng = np.random.default_rng(7)
    stations = 5
    kalman = Kalman(model=MODEL, stations=stations)
    times: list[list[int]] = [[] for _ in range(stations)]
    values: list[list[float]] = [[] for _ in range(stations)]
    clock = np.zeros(stations, np.int64)
    for turn in range(30):
        clock += rng.choice([60, 600, 3_600, 7_000], stations)
        z = 10 + np.cumsum(rng.normal(size=stations))
        if turn:
            z[rng.random(stations) < 0.2] = np.nan
        kalman.update(station=np.arange(stations), time=clock, value=z)
        for s in range(stations):
            times[s].append(int(clock[s]))
            values[s].append(float(z[s]))
    at = int(clock.max()) + 3_000
    mean, spread = kalman.forecast(at=at)
    for s in range(stations):
        # A long step is the same as many short ones: the solution is exact.
        expected = _textbook(MODEL, times[s], values[s], at, pieces)
        assert (mean[s], spread[s]) == pytest.approx(expected, rel=1e-9)


def test_only_some_stations_and_missing_values() -> None:
    kalman = Kalman(model=MODEL, stations=3)
    some = np.array([2, 0])
    first = kalman.update(station=some, time=np.array([60, 60]), value=np.array([5.0, np.nan]))
    assert np.isnan(first).all()
    mean, spread = kalman.forecast(at=660)
    assert np.isnan(mean[:2]).all()
    assert mean[2] == 5.0
    assert kalman.forecast(at=3_600)[1][2] > spread[2] > MODEL.noise
    kalman.reset(np.array([False, False, True]))
    assert np.isnan(kalman.forecast(at=660)[0]).all()


@pytest.mark.parametrize(
    ("station", "time", "problem"),
    [([0, 0], [120, 180], "twice"), ([0], [60], "order"), ([0], [30], "order")],
)
def test_order_is_demanded(station: list[int], time: list[int], problem: str) -> None:
    kalman = Kalman(model=MODEL, stations=1)
    kalman.update(station=np.array([0]), time=np.array([60]), value=np.array([1.0]))
    with pytest.raises(ValueError, match=problem):
        kalman.update(station=np.array(station), time=np.array(time), value=np.zeros(len(station)))


def test_a_trend_fades() -> None:
    kalman = Kalman(model=Model("plain", 0.01, 0.01, 2.0, 1_800), stations=1)
    for turn in range(20):
        kalman.update(
            station=np.array([0]), time=np.array([600 * turn + 600]), value=np.array([0.5 * turn])
        )
    now = 600 * 20
    soon, later, much = (kalman.forecast(at=now + lead)[0][0] for lead in (600, 3_600, 36_000))
    assert 9.5 < soon < 10.0
    assert soon < later < much < 9.5 + 3.0 * 0.5  # three steps of trend in half an hour


@pytest.mark.parametrize("scale", ["plain", "sqrt", "log"])
def test_probability_rises_to_the_threshold(scale: Literal["plain", "sqrt", "log"]) -> None:
    model = Model(scale, 0.1, 0.1, 0.01, 600)
    kalman = Kalman(model=model, stations=1)
    kalman.update(station=np.array([0]), time=np.array([600]), value=np.array([20.0]))
    below, at, above = (float(kalman.above(x, at=600)[0]) for x in (15.0, 20.0, 26.0))
    assert below > 0.9
    assert at == pytest.approx(0.5, abs=1e-6)
    assert above < 0.1
    assert model.unscaled(model.scaled(np.array([20.0]))) == pytest.approx([20.0])


def test_normal_distribution() -> None:
    z = np.linspace(-6, 6, 241)
    exact = [0.5 * math.erfc(-value / math.sqrt(2)) for value in z]
    assert np.abs(normal(z) - exact).max() < 7.5e-8


def test_shipped_numbers_load() -> None:
    assert {"air_temperature", "wind_speed", "relative_humidity", "air_pressure"} <= set(
        Expectation.load().kalman
    )


def _ramps(kalman: Kalman, rates: list[float], *, begin: int = 0) -> int:
    """Feed readings that change at these rates per hour; give the time of the last one."""
    stations = np.arange(len(rates))
    for turn in range(1, 25):
        time = np.full(len(rates), begin + turn * 600)
        kalman.update(station=stations, time=time, value=1000 + np.array(rates) * turn / 6)
    return begin + 24 * 600


def test_the_innovation_of_the_last_reading_is_kept() -> None:
    kalman = Kalman(model=MODEL, stations=3)
    assert np.isnan(kalman.innovation).all()
    _ramps(kalman, [0.0, 0.0, 0.0])
    given = kalman.update(
        station=np.array([2, 0]), time=np.array([15_000] * 2), value=np.array([1000.0, 1004.0])
    )
    assert kalman.innovation[[2, 0]].tolist() == given.tolist()
    assert kalman.innovation[0] > 5
    kalman.update(station=np.array([0]), time=np.array([15_600]), value=np.array([math.nan]))
    assert kalman.innovation[0] > 5  # a missing value is no reading
    kalman.reset(np.array([True, False, False]))
    assert np.isnan(kalman.innovation[0])


def test_neighbours_share_a_trend() -> None:
    model = Model("plain", 0.05, 0.1, 0.5, 7_200, pool=1.0)
    near = np.array([[1, 2], [0, 2], [0, 1], [-1, -1]])
    nowhere = np.full(4, math.nan)
    kalman = Kalman(model=model, stations=4, place=Place(near, nowhere, nowhere))
    alone = Kalman(model=model, stations=4)
    rates = [0.0, -2.0, -2.0, -2.0]
    at = _ramps(kalman, rates) + 3_600
    _ramps(alone, rates)
    change, own = (
        each.forecast(at=at)[0] - each.forecast(at=at - 3_600)[0] for each in (kalman, alone)
    )
    assert change[0] < -1.0  # falls because it falls around
    assert own[0] == pytest.approx(0, abs=0.05)
    assert change[1] == pytest.approx(own[1] / 2, rel=0.05)  # one of its two neighbours is steady
    assert change[3] == own[3]  # nobody near
    late = np.array([0]), np.array([at + 7_200]), np.array([1000.0])
    kalman.update(station=late[0], time=late[1], value=late[2])
    after, before = (kalman.forecast(at=at + 7_200 + more)[0][0] for more in (3_600, 0))
    assert after - before == pytest.approx(0, abs=0.2)  # the others have long been silent


def test_the_tide_is_taken_off_and_added() -> None:
    model = Model("plain", 0.05, 0.1, 0.5, 7_200, tide=True)
    place = Place(np.full((2, 1), -1), np.array([118.0, math.nan]), np.array([40.0, math.nan]))
    kalman = Kalman(model=model, stations=2, place=place)
    times = range(600, 6 * 3_600, 600)
    for time in times:
        half = tide(time=time, longitude=place.longitude, latitude=place.latitude)
        value = 1000 + np.nan_to_num(half)
        kalman.update(station=np.arange(2), time=np.full(2, time), value=value)
    later = times[-1] + 3 * 3_600
    mean, _ = kalman.forecast(at=later)
    expected = 1000 + tide(time=later, longitude=place.longitude, latitude=place.latitude)[0]
    assert mean[0] == pytest.approx(expected, abs=0.01)
    assert abs(mean[1] - expected) > 0.1  # whose place is not known goes on as it was


@pytest.mark.parametrize(
    ("hour", "sign"), [(3.75, -1), (9.75, 1), (15.75, -1), (21.75, 1)]
)  # the air is heaviest shortly before ten, morning and evening
def test_when_the_tide_is_high(hour: float, sign: int) -> None:
    high = tide(time=int(hour * 3_600), longitude=np.array([0.0]), latitude=np.array([0.0]))
    assert high[0] == pytest.approx(1.16 * sign, abs=0.02)


def test_surprising_readings_widen_the_spread_and_quiet_ones_narrow_it() -> None:
    model = Model("plain", 0.1, 0.5, 0.1, 3_600, steady=7_200)
    kalman = Kalman(model=model, stations=3)
    rng = np.random.default_rng(3)
    value = np.zeros(3)
    for turn in range(1, 61):
        value = value + rng.normal(size=3) * np.array([0.02, 0.2, 1.0])
        spike = np.array([0.0, 50.0 if turn == 58 else 0.0, 0.0])
        kalman.update(station=np.arange(3), time=np.full(3, turn * 600), value=value + spike)
    quiet, fair, wild = kalman.forecast(at=61 * 600)[1]
    assert quiet < 0.5 * fair < 0.5 * wild
    assert fair < 1.0  # one spike of 50 is no reason to expect another


@pytest.mark.parametrize(
    ("gap", "drift", "spread"),
    [(1.0, 0.0, 1.0), (1.0, 2.0, 1.0), (1.0, -0.5, 1.0), (0.2, 0.1, 2.0), (3.0, 2.5, 0.5)],
)
def test_crossing_against_paths(gap: float, drift: float, spread: float) -> None:
    rng = np.random.default_rng(11)
    steps = 400
    paths = rng.normal(drift / steps, spread / math.sqrt(steps), (4_000, steps)).cumsum(axis=1)
    # What is seen at steps stays below what comes between them.
    shift = 0.5826 * spread / math.sqrt(steps)
    share = float((paths.max(axis=1) >= gap - shift).mean())
    one = np.ones(1)
    chance = crossing(gap=gap * one, drift=drift * one, spread=spread * one)
    assert chance[0] == pytest.approx(share, abs=0.03)


def test_crossing_at_its_edges() -> None:
    gap = np.array([-1.0, 0.0, 5.0, 5.0, 2.0])
    drift = np.array([0.0, -9.0, 300.0, -300.0, 1.0])
    spread = np.array([1.0, 1.0, 0.01, 0.01, 1e-9])
    chance = crossing(gap=gap, drift=drift, spread=spread)
    assert chance.tolist() == [1.0, 1.0, 1.0, 0.0, 0.0]


def test_a_point_forecast_is_a_value_that_can_be_read() -> None:
    model = Model("plain", 0.1, 0.1, 0.1, 600, step=0.5)
    assert model.point(np.array([12.3, 12.2])).tolist() == [12.5, 12.0]
    assert Model("sqrt", 0.1, 0.1, 0.1, 600).point(np.array([3.0])).tolist() == [9.0]
