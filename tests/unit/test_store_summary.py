"""Summing up: each aggregate against numbers worked out by hand."""

import numpy as np
import pytest

from agent.elements import Aggregate
from server.store.summary import summarise

NAN = float("nan")


@pytest.mark.parametrize(
    ("aggregate", "values", "intervals", "expected"),
    [
        ("sum", [1.5, NAN, 2.0], [60, 60, 60], 3.5),
        ("mean", [10.0, 20.0], [60, 60], 15.0),
        ("mean", [10.0, 20.0], [60, 180], 17.5),
        ("max", [3.0, NAN, 2.0], [60, 60, 60], 3.0),
        ("min", [3.0, NAN, 2.0], [60, 60, 60], 2.0),
        ("last", [3.0, 2.0, NAN], [60, 60, 60], 2.0),
    ],
)
def test_one_group(
    aggregate: Aggregate, values: list[float], intervals: list[int], expected: float
) -> None:
    found = summarise(
        group=np.zeros(len(values), np.int64),
        interval=np.array(intervals),
        value=np.array(values),
        aggregate=aggregate,
    )
    known = [value for value in values if value == value]  # noqa: PLR0124 - not nan
    assert found.value.tolist() == [pytest.approx(expected)]
    assert found.readings.tolist() == [len(known)]
    assert found.minimum.tolist() == [min(known)]
    assert found.maximum.tolist() == [max(known)]
    covered = [i for i, value in zip(intervals, values, strict=True) if value == value]  # noqa: PLR0124
    assert found.seconds.tolist() == [sum(covered)]


@pytest.mark.parametrize(
    ("directions", "speeds", "expected"),
    [
        ([350.0, 10.0], [5.0, 5.0], 0.0),
        ([0.0, 90.0], [1.0, 3.0], 71.565),
        ([0.0, 90.0], [1.0, NAN], 0.0),
        ([90.0, 270.0], [2.0, 2.0], None),
        ([90.0, 120.0], [0.0, 0.0], None),
    ],
)
def test_a_direction_is_that_of_the_mean_vector(
    directions: list[float], speeds: list[float], expected: float | None
) -> None:
    found = summarise(
        group=np.zeros(2, np.int64),
        interval=np.array([60, 60]),
        value=np.array(directions),
        aggregate="vector",
        speed=np.array(speeds),
    )
    if expected is None:
        assert found.value.size == 0
    else:
        assert (found.value[0] - expected + 180) % 360 - 180 == pytest.approx(0, abs=1e-3)


def test_groups_stay_apart_and_empty_ones_do_not_appear() -> None:
    found = summarise(
        group=np.array([0, 0, 1, 2]),
        interval=np.full(4, 60),
        value=np.array([1.0, 2.0, NAN, 4.0]),
        aggregate="sum",
    )
    assert found.group.tolist() == [0, 2]
    assert found.value.tolist() == [3.0, 4.0]


def test_nothing_gives_nothing() -> None:
    none = np.empty(0, np.int64)
    for aggregate in ("sum", "mean", "last"):
        found = summarise(group=none, interval=none, value=np.empty(0), aggregate=aggregate)
        assert found.group.size == found.value.size == 0


def test_a_direction_without_a_speed_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="speed"):
        summarise(
            group=np.zeros(1, np.int64),
            interval=np.ones(1, np.int64),
            value=np.ones(1),
            aggregate="vector",
        )
