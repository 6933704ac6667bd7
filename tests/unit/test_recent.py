"""Newest values and rain sums over the readings' own times."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from server.web.recent import FIELDS, SHOWN, Recent

T = 1_468_886_400


@dataclass
class Batch:
    station: NDArray[np.int64]
    time: NDArray[np.int64]
    interval: NDArray[np.int64]
    values: dict[str, NDArray[np.float64]]


def batch(rows: list[tuple[int, int, int, float]]) -> Batch:
    """Rows of station, time, interval, rain; the temperature is the minute."""
    station, time, interval, rain = (np.array(column) for column in zip(*rows, strict=True))
    minute = (time - T) / 60.0
    return Batch(station, time, interval, {"precipitation_amount": rain, "air_temperature": minute})


def of(recent: Recent, station: int, field: str) -> float | None:
    return recent.rows([station])[0][FIELDS.index(field)]


def test_a_minute_station_sums_its_last_hour_and_three() -> None:
    recent = Recent()
    recent.put(batch([(7, T + 60 * minute, 60, 0.1) for minute in range(1, 301)]))
    assert of(recent, 7, "precipitation_amount_1h") == pytest.approx(6.0)
    assert of(recent, 7, "precipitation_amount_3h") == pytest.approx(18.0)
    assert of(recent, 7, "time") == T + 300 * 60
    assert of(recent, 7, "air_temperature") == 300.0
    assert of(recent, 7, "wind_speed") is None


@pytest.mark.parametrize(("known", "said"), [(30, None), (47, None), (48, 48.0), (60, 60.0)])
def test_a_sum_of_too_little_is_none(known: int, said: float | None) -> None:
    recent = Recent()
    recent.put(batch([(1, T + 60 * minute, 60, 1.0) for minute in range(60 - known, 60)]))
    assert of(recent, 1, "precipitation_amount_1h") == said


def test_order_repetition_and_corrections_do_not_matter() -> None:
    rows = [
        (station, T + 3600 * hour, 3600, 1.5 * hour) for hour in (1, 2, 3) for station in (4, 9)
    ]
    straight, mixed = Recent(), Recent()
    straight.put(batch(rows))
    for row in (*rows[::-1], *rows):
        mixed.put(batch([row]))
    assert mixed.rows([4, 9]) == straight.rows([4, 9])
    straight.put(batch([(4, T + 7200, 3600, 10.0)]))
    assert of(straight, 4, "precipitation_amount_3h") == pytest.approx(1.5 + 10 + 4.5)
    assert of(straight, 4, "air_temperature") == 180.0


def test_a_missing_value_is_missing_and_an_older_hour_is_forgotten() -> None:
    recent = Recent()
    recent.put(batch([(1, T, 3600, 50.0), (1, T + 4 * 3600, 3600, math.nan)]))
    assert of(recent, 1, "precipitation_amount_1h") is None
    assert of(recent, 1, "precipitation_amount_3h") is None


def test_many_stations_come_one_by_one() -> None:
    recent = Recent()
    for station in range(1, 40):
        assert recent.put(batch([(station, T + station, 60, 0.0)])) == {station}
    assert recent.stations == list(range(1, 40))
    assert [row[0] for row in recent.rows([39, 1])] == [T + 39, T + 1]
    assert recent.newest == T + 39
    assert Recent().newest == 0
    assert len(recent.rows([5])[0]) == len(SHOWN) + 4
