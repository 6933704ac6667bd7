"""The judge: what must pass, what must fail, and that no order of arrival changes a code."""

import math
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast.quality import Check, Checks, Judge, Judged, failed, made
from forecast.quality.checks import Rule
from forecast.readings import Readings
from forecast.windows import Windows

CHECKS = Checks.load()
NOON = 1_400_000_400 // 3_600 * 3_600
T, P, RAIN = "air_temperature", "air_pressure", "precipitation_amount"
WIND, GUST, RH = "wind_speed", "wind_speed_of_gust", "relative_humidity"
Codes = dict[tuple[int, int], dict[str, int]]


def places(count: int, *, apart: float = 0.05) -> dict[str, np.ndarray]:
    """Stations on a line, some kilometres apart."""
    return {
        "longitude": 118 + apart * np.arange(count),
        "latitude": np.full(count, 39.6),
        "elevation": np.full(count, 30.0),
    }


def series(
    values: Mapping[str, Sequence[float]], *, station: int = 0, spacing: int = 60, end: int = NOON
) -> Readings:
    """Readings of a station, the last at ``end``."""
    count = len(next(iter(values.values())))
    time = end - spacing * np.arange(count)[::-1]
    columns = {name: np.array(column, np.float64) for name, column in values.items()}
    return Readings(np.full(count, station), time, np.full(count, spacing), columns)


def joined(parts: Sequence[Readings]) -> Readings:
    """Put readings of any elements one after the other."""
    names = sorted({name for part in parts for name in part.values})
    filled = [
        Readings(
            part.station,
            part.time,
            part.interval,
            {name: part.values.get(name, np.full(len(part), math.nan)) for name in names},
        )
        for part in parts
    ]
    return Readings.joined(filled)


class Court:
    """A judge with its windows, and all that it said."""

    def __init__(self, stations: int, checks: Checks = CHECKS, *, apart: float = 0.05) -> None:
        self.windows = Windows(stations=stations, elements=checks.elements)
        self.judge = Judge(checks, stations=stations, **places(stations, apart=apart))
        self.codes: Codes = {}

    def hear(self, *readings: Readings, at: int = NOON, **more: np.ndarray) -> Judged:
        """Take readings together."""
        every = joined(readings)
        self.windows.put(every)
        found = self.judge.judge(self.windows, every, at=at, innovation=more or None)
        rows = zip(found.readings.station.tolist(), found.readings.time.tolist(), strict=True)
        for row, key in enumerate(rows):
            self.codes[key] = {
                name: int(codes[row]) for name, codes in found.codes.items() if codes[row]
            }
        return found

    def fails(self, element: str, *, station: int = 0, end: int = NOON, spacing: int = 60) -> list:
        """Give, by readings before the end, the checks that failed."""
        return [
            (
                round((end - time) / spacing),
                *(check.name.lower() for check in failed(codes[element])),
            )
            for (who, time), codes in sorted(self.codes.items())
            if who == station and element in codes and failed(codes[element])
        ]


def steady(level: float, count: int = 40, *, wave: float = 0.3) -> np.ndarray:
    """A line that is never flat."""
    return level + wave * np.sin(np.arange(count) * 0.7)


def jump(level: float, size: float, *, at: int = 30, count: int = 40, ramp: int = 1) -> np.ndarray:
    """A line that goes to another level within ``ramp`` readings and stays there."""
    return steady(level, count) + size * np.clip((np.arange(count) - at + 1) / ramp, 0, 1)


def spike(
    level: float, size: float, *, at: int = 30, count: int = 40, length: int = 1
) -> np.ndarray:
    """A line that leaves its level for some readings."""
    line = steady(level, count)
    line[at : at + length] += size
    return line


CASES: dict[str, tuple[dict[str, np.ndarray], str, list]] = {
    "nothing": ({T: steady(25)}, T, []),
    "spike": ({T: spike(25, 6)}, T, [(9, "step")]),
    "spike down": ({T: spike(25, -6)}, T, [(9, "step")]),
    "spike of three": ({T: spike(25, 6, length=3)}, T, [(9, "step"), (8, "step"), (7, "step")]),
    "small spike": ({T: spike(25, 1.2)}, T, []),
    "spike of humidity": ({RH: spike(60, 25)}, RH, [(9, "step")]),
    "spike of pressure": ({P: spike(1000, 3)}, P, [(9, "step")]),
    "lone jump": ({T: jump(25, -8)}, T, [(9, "step")]),
    "jump in calm": (
        {T: jump(25, -8), P: steady(1000, wave=0.1), WIND: steady(2), RAIN: steady(0, wave=0)},
        T,
        [(9, "step")],
    ),
    "jump with gust and pressure": (
        {T: jump(32, -8), P: jump(1000, 2, ramp=3, at=28), GUST: jump(6, 15, at=29)},
        T,
        [],
    ),
    "cold pool over ten minutes": (
        {T: jump(32, -8, ramp=10), P: jump(1000, 3, ramp=8), WIND: jump(3, 9, ramp=3)},
        T,
        [],
    ),
    "jump with rain and gust": (
        {T: jump(32, -8), RAIN: np.where(np.arange(40) > 28, 1.0, 0), GUST: jump(6, 15, at=29)},
        T,
        [],
    ),
    "jump with gust alone": (
        {T: jump(32, -8), P: steady(1000, wave=0.1), GUST: jump(6, 15, at=29)},
        T,
        [(9, "step")],
    ),
    "jump with the only witness": ({T: jump(32, -8), GUST: jump(6, 15, at=29)}, T, []),
    "everything spikes": (
        {T: spike(25, 9), P: spike(1000, 6), WIND: spike(3, 20)},
        T,
        [(9, "step")],
    ),
    "a gap": ({T: np.where(np.arange(40) % 9 == 4, math.nan, steady(25))}, T, []),
    "pressure nose": ({P: jump(1000, 2.5), T: jump(30, -5, ramp=3), WIND: jump(3, 9)}, P, []),
    "calm": ({WIND: np.zeros(40)}, WIND, []),
}


@pytest.mark.parametrize("name", CASES)
def test_lone_station(name: str) -> None:
    values, element, expected = CASES[name]
    court = Court(1)
    court.hear(series(values))
    assert court.fails(element) == expected


@pytest.mark.parametrize("name", CASES)
def test_one_by_one_says_the_same(name: str) -> None:
    values, element, expected = CASES[name]
    court = Court(1)
    every = series(values)
    for row in range(len(every)):
        court.hear(every.where(np.array([row])), at=int(every.time[row]))
    assert court.fails(element) == expected


def test_what_a_spike_is_shows_when_it_is_over() -> None:
    court = Court(1)
    every = series({T: spike(25, 2.5, at=30)})
    found = [court.hear(every.where(np.array([row]))) for row in range(len(every))]
    assert not court.fails(T)[1:]
    assert court.fails(T) == [(9, "step")]
    # It was no jump when it came: the next reading told that it was a spike.
    assert failed(int(found[30].codes[T][0])) == ()
    assert found[31].readings.time.tolist() == [NOON - 8 * 60, NOON - 9 * 60]
    assert found[31].fresh.tolist() == [True, False]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_front_that_comes_to_a_neighbour_too(order: tuple[int, int]) -> None:
    court = Court(2)
    lines = [
        series({T: jump(32, -8, at=30)}, station=0),
        series({T: jump(31, -6, at=20)}, station=1),
    ]
    for number in order:
        court.hear(lines[number])
    if order == (0, 1):
        assert court.fails(T) == [(9, "step")]  # nobody has seen it yet
    court.hear(lines[0].where(np.zeros(0, np.int64)), at=NOON + CHECKS.wait)
    assert court.fails(T) == court.fails(T, station=1) == []


def test_a_front_is_believed_when_it_has_come_on() -> None:
    """As it is live: one reading after the other, the second station ten minutes later."""
    court = Court(2)
    first, second = (
        series({T: jump(32, -8, at=20)}, station=0),
        series({T: jump(31, -7, at=30)}, station=1),
    )
    doubted = []
    for row in range(40):
        at = int(first.time[row])
        court.hear(first.where(np.array([row])), at=at)
        court.hear(second.where(np.array([row])), at=at)
        doubted.append((court.fails(T) != [], court.fails(T, station=1) != []))
    # The first station is doubted until the second has it too, and it lasts there.
    assert doubted.index((True, False)) == 20
    assert (True, True) not in doubted
    assert [pair[0] for pair in doubted[20:]].index(False) in (11, 12)
    assert court.fails(T) == []


def test_a_spike_at_a_neighbour_is_no_witness() -> None:
    court = Court(2)
    court.hear(series({T: jump(32, -8)}, station=0), series({T: spike(32, -8, at=25)}, station=1))
    assert court.fails(T) == [(9, "step")]
    assert court.fails(T, station=1) == [(14, "step")]


def test_flat_lines() -> None:
    court = Court(3)
    count = 300
    stuck = steady(25, count)
    stuck[20:] = stuck[20]
    flat, fog = np.full(count, 25.4), np.full(count, 100.0)
    court.hear(
        series({T: stuck, RH: fog}, station=0),
        series({T: steady(25, count)}, station=1),
        series({T: flat[:100]}, station=2),  # too short to tell
        at=NOON,
    )
    hours = [before for before, *checks in court.fails(T) if checks == ["persistence"]]
    # A flat line is looked for every twenty minutes, so one may begin that much later.
    assert hours[-40:] == list(range(39, -1, -1))
    assert max(hours) < 60
    assert not court.fails(RH)
    assert not court.fails(T, station=1)
    assert not court.fails(T, station=2)
    assert Check.PERSISTENCE in made(court.codes[0, NOON][T])
    assert Check.PERSISTENCE not in made(court.codes[0, NOON][RH])  # saturated: excused
    assert Check.PERSISTENCE not in made(court.codes[2, NOON][T])


def test_whole_numbers_may_be_flat_for_longer() -> None:
    court = Court(2)
    court.hear(
        series({P: np.full(60, 1013.0)}, station=0, spacing=600),
        series({P: np.full(60, 1013.2)}, station=1, spacing=600),
    )
    assert len(court.fails(P, spacing=600)) == 60 - 8 * 6
    assert len(court.fails(P, station=1, spacing=600)) == CHECKS.late // 600


def test_far_from_the_neighbours() -> None:
    court = Court(7)
    lines = [series({T: steady(20 + 0.2 * n)}, station=n) for n in range(7)]
    lines[3] = series({T: steady(32)}, station=3)
    court.hear(*lines)
    assert {check for _, check in court.fails(T, station=3)} == {"spatial"}
    assert all(not court.fails(T, station=n) for n in (0, 1, 2, 4, 5, 6))
    assert Check.SPATIAL in made(court.codes[0, NOON][T])


def test_isolated_is_not_checked() -> None:
    court = Court(4)
    court.hear(*(series({T: steady(20 + 9 * n)}, station=n) for n in range(4)))
    assert all(Check.SPATIAL not in made(codes[T]) for codes in court.codes.values())


def test_a_cold_pool_over_one_station() -> None:
    court = Court(7)
    lines = [series({T: steady(32, 120), P: steady(1000, 120)}, station=n) for n in range(7)]
    count = 120
    lines[0] = series(
        {
            T: jump(32, -10, at=60, count=count, ramp=5),
            P: jump(1000, 3, at=60, count=count, ramp=5),
            GUST: jump(5, 16, at=58, count=count),
        },
        station=0,
    )
    court.hear(*lines)
    assert not court.fails(T)
    assert not court.fails(P)
    assert not court.fails(GUST)


def test_dew_point_gust_humidity_and_calm() -> None:
    calm = Rule(
        rule="calm",
        of=(WIND, "wind_from_direction"),
        tolerance=1.0,
        flags=("wind_from_direction",),
    )
    court = Court(1, msgspec.structs.replace(CHECKS, rules=(*CHECKS.rules, calm)))
    court.hear(
        series(
            {
                T: [10.0, 10.0, 10.0],
                "dew_point_temperature": [12.0, 9.0, 10.5],
                RH: [100.0, 40.0, math.nan],
                WIND: [8.0, 3.0, 0.0],
                GUST: [6.0, 5.0, math.nan],
                "wind_from_direction": [0.0, 360.0, 270.0],
            }
        )
    )
    wrong = {
        (name, (NOON - time) // 60)
        for (_, time), codes in court.codes.items()
        for name, quality in codes.items()
        if Check.CONSISTENCY in failed(quality)
    }
    assert wrong == {
        (T, 2),
        ("dew_point_temperature", 2),
        (RH, 1),
        ("dew_point_temperature", 1),
        (WIND, 2),
        (GUST, 2),
        ("wind_from_direction", 2),
        ("wind_from_direction", 0),
    }


def test_climatology_of_the_month() -> None:
    limits = [(-30.0, 15.0)] * 4 + [(5.0, 42.0)] * 8  # NOON is in May
    pipelines = dict(CHECKS.pipelines)
    pipelines[T] = msgspec.structs.replace(pipelines[T], climatology=tuple(limits))
    court = Court(1, msgspec.structs.replace(CHECKS, pipelines=pipelines))
    court.hear(series({T: [20.0, 4.0]}))
    assert court.fails(T) == [(0, "step", "climatology")] or court.fails(T) == [(0, "climatology")]
    assert Check.CLIMATOLOGY not in made(Court(1).hear(series({T: [4.0]})).codes[T][0].item())


def test_innovation() -> None:
    court = Court(1)
    surprise = np.full(40, math.nan)
    surprise[[10, 20]] = 20.0, -3.0
    court.hear(series({T: steady(25)}), **{T: surprise})
    assert court.fails(T) == [(29, "innovation")]
    assert Check.INNOVATION in made(court.codes[0, NOON - 19 * 60][T])
    assert Check.INNOVATION not in made(court.codes[0, NOON][T])
    court.hear(series({T: steady(25)}, end=NOON - 40 * 60))  # judged again: the surprise stays
    assert court.fails(T) == [(29, "innovation")]


def test_late_data_revise() -> None:
    court = Court(1)
    every = series({T: jump(25, -8, at=30), P: steady(1000, wave=0.1), GUST: steady(5)})
    court.hear(every)
    assert court.fails(T) == [(9, "step")]
    seen = series({T: jump(25, -8, at=30), P: jump(1000, 2, at=28), GUST: jump(5, 14, at=29)})
    found = court.hear(seen.where(np.arange(25, 35)))  # a correction of what came
    assert not court.fails(T)
    assert found.fresh.sum() == 10
    assert len(court.judge.judge(court.windows, every.where(np.zeros(0, np.int64)), at=NOON)) == 0


def test_old_data_are_judged_by_themselves() -> None:
    court = Court(1)
    found = court.hear(series({T: spike(25, 60)}, end=NOON - CHECKS.late), at=NOON)
    assert len(found) == 40
    assert court.fails(T, end=NOON - CHECKS.late) == [(9, "range")]
    assert made(int(found.codes[T][0])) == (Check.RANGE,)


def test_a_judge_that_remembers() -> None:
    first, second = Court(1), Court(1)
    every = series({T: jump(25, -8), P: steady(1000)})
    found = first.hear(every)
    second.windows.put(every)
    second.judge.remember(found.readings, found.codes)
    again = second.judge.judge(second.windows, every.where(np.array([39])), at=NOON)
    assert again.codes[T].tolist() == found.codes[T][39:].tolist()


def test_memory_ends() -> None:
    court = Court(1)
    for hour in range(12):
        court.hear(series({T: steady(25, 60)}, end=NOON + hour * 3_600), at=NOON + hour * 3_600)
        assert len(court.judge._memory) <= CHECKS.late / 60 + 2
        assert not len(court.judge._waiting)


def test_good_leaves_out_what_failed() -> None:
    found = Court(1).hear(series({T: spike(25, 6)}))
    assert np.flatnonzero(np.isnan(found.good().values[T])).tolist() == [30]
    assert not np.isnan(found.readings.values[T]).any()


def test_places_must_be_as_many_as_stations() -> None:
    with pytest.raises(ValueError, match="3 stations"):
        Judge(CHECKS, stations=3, **places(2))


NAMES = (T, P, GUST, RAIN, WIND)
LEVELS = {
    T: (20, 28, 34),
    P: (1000, 1003, 990),
    GUST: (3, 12, 20),
    RAIN: (0, 5, 60),
    WIND: (0, 2, 9),
}
row = st.tuples(
    st.integers(0, 5),
    st.integers(0, 30),
    st.lists(st.one_of(st.none(), st.integers(0, 2)), min_size=5, max_size=5),
)


def batch(rows: Iterable[tuple[int, int, list[int | None]]]) -> Readings:
    """Readings of a network at ten-minute times."""
    rows = list(rows)
    values = {
        name: np.array(
            [math.nan if r[2][i] is None else LEVELS[name][r[2][i]] + 0.1 * r[1] for r in rows],
            float,
        )
        for i, name in enumerate(NAMES)
    }
    station, slot = (np.array([r[i] for r in rows], np.int64) for i in (0, 1))
    return Readings(station, NOON - 600 * slot, np.full(len(rows), 600), values)


@settings(max_examples=60, deadline=None)
@given(batches=st.lists(st.lists(row, min_size=1, max_size=25), min_size=1, max_size=6))
def test_order_of_arrival_does_not_matter(batches: list[list[tuple]]) -> None:
    checks = msgspec.structs.replace(CHECKS, late=40 * 600)
    court = Court(6, checks)
    final: dict[tuple[int, int], tuple] = {}
    for rows in batches:
        court.hear(batch(rows))
        final |= {(r[0], r[1]): r for r in rows}
    nothing = batch([])
    court.hear(nothing, at=NOON + checks.wait)
    court.hear(nothing, at=NOON + 2 * checks.wait)
    once = Court(6, checks)
    once.hear(batch(final.values()))
    assert court.codes == once.codes
