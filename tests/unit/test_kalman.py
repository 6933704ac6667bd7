"""The vectorised filter against a plain one with matrices, and its own laws."""

import math
from typing import Literal, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from forecast.expectation import Expectation
from forecast.kalman import Kalman, Model, normal

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
