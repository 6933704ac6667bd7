"""Rolling windows against a brute-force count."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast.readings import Readings
from forecast.windows import NEVER, Windows

RAIN = "precipitation_amount"


def readings(*rows: tuple[int, int, int, float]) -> Readings:
    """Rows of station, time, interval, rain."""
    columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
    station, time, interval = (np.array(column, np.int64) for column in columns[:3])
    return Readings(station, time, interval, {RAIN: np.array(columns[3], np.float64)})


def fold(windows: Windows, start: int, end: int) -> list[tuple[int, int, float]]:
    every = np.full(windows.stations, 0)
    found = windows.fold(RAIN, start=every + start, end=every + end)
    return list(
        zip(found.count.tolist(), found.covered.tolist(), found.total.tolist(), strict=True)
    )


@pytest.mark.parametrize(
    ("time", "interval", "inside"),
    [
        (7_200, 3_600, True),  # ends with the window
        (7_201, 60, False),  # one second late
        (3_660, 60, True),  # begins with the window
        (3_659, 60, False),  # straddles its beginning
        (3_600, 60, False),  # ends where it begins
        (7_200, 3_601, False),  # longer than the window
        (7_200, 0, True),  # a moment
    ],
)
@pytest.mark.parametrize("resolution", [60, 600, 3_600, 100_000])
def test_a_window_is_half_open(time: int, interval: int, resolution: int, *, inside: bool) -> None:
    windows = Windows(stations=1, elements=[RAIN], resolution=resolution)
    windows.put(readings((0, time, interval, 2.0)))
    assert fold(windows, 3_600, 7_200) == [(1, interval, 2.0) if inside else (0, 0, 0.0)]


def test_rhythms_side_by_side_and_gaps() -> None:
    windows = Windows(stations=4, elements=[RAIN])
    minutes = [(0, 60 * i, 60, 0.1) for i in range(1, 181) if not 61 <= i <= 90]
    tens = [(1, 600 * i, 600, 1.0) for i in range(1, 19)]
    hours = [(2, 3_600 * i, 3_600, 6.0) for i in (1, 3)]
    windows.put(readings(*minutes, *tens, *hours))
    found = fold(windows, 0, 10_800)
    assert [(count, covered) for count, covered, _ in found] == [
        (150, 9_000),
        (18, 10_800),
        (2, 7_200),
        (0, 0),
    ]
    assert [total for _, _, total in found] == pytest.approx([15.0, 18.0, 12.0, 0.0])


def test_repeats_and_corrections_count_once() -> None:
    windows = Windows(stations=1, elements=[RAIN])
    first = readings((0, 3_600, 3_600, 5.0), (0, 7_200, 3_600, 7.0))
    windows.put(first)
    assert fold(windows, 0, 7_200) == [(2, 7_200, 12.0)]
    windows.put(first)
    assert fold(windows, 0, 7_200) == [(2, 7_200, 12.0)]
    windows.put(readings((0, 3_600, 3_600, 1.0)))
    assert fold(windows, 0, 7_200) == [(2, 7_200, 8.0)]
    windows.put(readings((0, 3_600, 3_600, math.nan)))
    assert fold(windows, 0, 7_200) == [(1, 3_600, 7.0)]
    windows.put(readings((0, 5_400, 1_800, 2.0), (0, 5_400, 1_800, 3.0)))
    assert len(windows) == 3


def test_newest_looks_neither_ahead_nor_too_far_back() -> None:
    windows = Windows(stations=3, elements=[RAIN])
    windows.put(readings((0, 3_000, 600, 1.0), (0, 3_600, 600, math.nan), (1, 7_300, 60, 2.0)))
    found = windows.newest(RAIN, at=7_200, back=7_200)
    assert found.value[0] == 1.0
    assert found.time.tolist() == [3_000, NEVER, NEVER]
    assert windows.newest(RAIN, at=7_200, back=4_200).time.tolist() == [NEVER] * 3
    assert windows.newest(RAIN, at=7_300, back=7_200).time.tolist() == [3_000, 7_300, NEVER]


def test_memory_is_bounded() -> None:
    windows = Windows(stations=1, elements=[RAIN], resolution=3_600)
    for hour in range(1, 100):
        windows.put(readings((0, hour * 3_600, 3_600, 1.0)))
        windows.forget(hour * 3_600 - 7_200)
        assert len(windows) <= 3
    assert fold(windows, 97 * 3_600, 99 * 3_600) == [(2, 7_200, 2.0)]


@pytest.mark.parametrize(
    ("row", "problem"), [((2, 60, 60, 1.0), "numbered"), ((0, 60, -1, 1.0), "below zero")]
)
def test_nonsense_is_refused(row: tuple[int, int, int, float], problem: str) -> None:
    windows = Windows(stations=2, elements=[RAIN])
    with pytest.raises(ValueError, match=problem):
        windows.put(readings(row))


def test_columns_must_be_as_long() -> None:
    with pytest.raises(ValueError, match="interval has the shape"):
        Readings(np.zeros(2, np.int64), np.zeros(2, np.int64), np.zeros(1, np.int64), {})


rows = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(1, 200),
        st.sampled_from([0, 1, 7, 60]),
        st.one_of(st.just(math.nan), st.integers(-5, 50).map(float)),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(
    batches=st.lists(rows, max_size=4),
    resolution=st.sampled_from([1, 10, 60, 1_000]),
    full=st.sampled_from([1, 4, 1_000]),
    starts=st.lists(st.integers(0, 200), min_size=3, max_size=3),
    width=st.integers(0, 150),
)
def test_against_brute_force(
    batches: list[list[tuple[int, int, int, float]]],
    resolution: int,
    full: int,
    starts: list[int],
    width: int,
) -> None:
    windows = Windows(stations=3, elements=[RAIN], resolution=resolution)
    windows._full = full  # readings in a page, above which it is cut
    known: dict[tuple[int, int], tuple[int, float]] = {}
    for batch in batches:
        windows.put(readings(*batch))
        known |= {(station, time): (interval, v) for station, time, interval, v in batch}
        start = np.array(starts)
        found = windows.fold(RAIN, start=start, end=start + width)
        newest = windows.newest(RAIN, at=150, back=100)
        for s in range(3):
            own = {t: iv for (station, t), iv in known.items() if station == s}
            own = {t: iv for t, iv in own.items() if not math.isnan(iv[1])}
            lo, hi = starts[s], starts[s] + width
            values = [
                (i, v) for t, (i, v) in own.items() if hi > lo and t - i >= lo and lo < t <= hi
            ]
            assert found.count[s] == len(values)
            assert found.covered[s] == sum(i for i, _ in values)
            assert found.total[s] == sum(v for _, v in values)
            assert found.weighted[s] == sum(i * v for i, v in values)
            if values:
                assert (found.low[s], found.high[s]) == (
                    min(v for _, v in values),
                    max(v for _, v in values),
                )
            else:
                assert np.isnan(found.low[s])
            last = max((t for t in own if 50 < t <= 150), default=None)
            assert newest.time[s] == (NEVER if last is None else last)


def test_order_of_arrival_does_not_matter() -> None:
    rows_ = [(0, 600, 600, 0.1), (0, 1_200, 600, 0.2), (1, 3_600, 3_600, 0.3), (0, 9_000, 60, 0.7)]
    results = set()
    for order in itertools.permutations(rows_):
        windows = Windows(stations=2, elements=[RAIN], resolution=600)
        for row in order:
            windows.put(readings(row))
        results.add(tuple(fold(windows, 0, 9_000)))
    assert len(results) == 1
