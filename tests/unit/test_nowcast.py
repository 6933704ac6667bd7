"""The two doors, by tables of readings."""

import itertools
import math
import tomllib
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import numpy as np
import pytest

from agent.elements import ELEMENTS
from forecast.criteria import Criteria
from forecast.expectation import Expectation
from forecast.kalman import Model
from forecast.nowcast import Finding, Nowcast
from forecast.readings import Readings

UNITS = {name: element.unit for name, element in ELEMENTS.items()}
HOUR = 3_600
NOON = 1_468_972_800
"""20 July 2016, 00 UTC: eight in the morning in Beijing."""
RAIN, SNOW, AIR = "precipitation_amount", "lwe_thickness_of_snowfall_amount", "air_temperature"
WIND, GUST, VIEW = "wind_speed", "wind_speed_of_gust", "visibility_in_air"
HUMID, GROUND, ROAD = "relative_humidity", "surface_temperature", "road_surface_temperature"
DUST = "mass_concentration_of_pm2p5_ambient_aerosol_particles_in_air"

Row = tuple[int, int, int, dict[str, float]]


def readings(*rows: Row) -> Readings:
    """Rows of station, time, interval, values."""
    names = sorted({name for row in rows for name in row[3]})
    return Readings(
        np.array([row[0] for row in rows], np.int64),
        np.array([row[1] for row in rows], np.int64),
        np.array([row[2] for row in rows], np.int64),
        {name: np.array([row[3].get(name, math.nan) for row in rows]) for name in names},
    )


def series(
    element: str, values: Sequence[float], *, end: int = NOON, step: int = HOUR, station: int = 0
) -> list[Row]:
    """Values whose last one is at ``end``; nan is a reading without it."""
    first = end - step * (len(values) - 1)
    return [(station, first + step * i, step, {element: v}) for i, v in enumerate(values)]


@pytest.fixture(scope="module")
def criteria() -> Criteria:
    return Criteria.load(units=UNITS)


def found(criteria: Criteria, *rows: Row, at: int = NOON, stations: int = 1) -> list[Finding]:
    nowcast = Nowcast(criteria=criteria, stations=stations)
    if rows:
        nowcast.put(readings(*rows))
    return nowcast.evaluate(at)


def short(findings: list[Finding]) -> list[tuple[str, str, str]]:
    return [(f.hazard, f.level, f.door) for f in findings]


NAN = math.nan
DRY = 0.0


@pytest.mark.parametrize(
    ("rain", "level"),
    [
        ([4.5] * 10 + [0.4, 4.5], None),  # 49.9 mm in 12 h
        ([4.5] * 10 + [0.5, 4.5], "blue"),  # 50.0
        ([0.1] * 2 + [5.0] * 9 + [4.8], "blue"),
        ([DRY] * 6 + [8.3] * 5 + [8.5], "yellow"),  # 50.0 in 6 h
        ([DRY] * 9 + [40.0, 9.9, 0.1], "orange"),  # 50.0 in 3 h
        ([DRY] * 9 + [40.0, 10.0, DRY], None),  # it has stopped
        ([DRY] * 9 + [40.0, 10.0, NAN], None),  # nothing is known of the last hour
        ([DRY] * 9 + [49.9, NAN, 50.0], "orange"),  # a gap is not filled
        ([DRY] * 9 + [49.9, 0.1, 50.0], "red"),  # constructed: 100 mm in 3 h
        ([50.0] + [DRY] * 11 + [0.1], None),  # left the window
    ],
)
def test_rain_met(criteria: Criteria, rain: list[float], level: str | None) -> None:
    result = [f for f in found(criteria, *series(RAIN, rain)) if f.door == "observed"]
    assert short(result) == ([] if level is None else [("rainstorm", level, "observed")])


@pytest.mark.parametrize(
    ("rain", "expected"),
    [
        ([5.0, 5.0, 5.0, 8.7], []),  # 15 + 4 × 8.7 = 49.8 in 12 h
        ([5.0, 5.0, 5.0, 8.75], [("blue", "expected")]),
        ([5.0, 5.0, 5.0, 9.9], [("blue", "expected")]),  # 10 + 4 × 9.9 = 49.6 in 6 h
        ([5.0, 5.0, 5.0, 10.0], [("yellow", "expected")]),
        ([2.0, 2.0, 3.9, 20.0], []),  # not yet proved: 7.9 mm before the last hour
        ([2.0, 2.0, 4.0, 20.0], [("orange", "expected")]),
        ([DRY, DRY, DRY, 49.0], []),  # a burst
        ([20.0, 20.0, 10.0, DRY], []),  # over
        ([3.0, 10.0, 35.9, 44.0], [("orange", "observed")]),  # 79.9 and at most 20 in an hour
        ([3.0, 10.0, 36.0, 44.0], [("orange", "observed"), ("red", "expected")]),
    ],
)
def test_rain_expected(
    criteria: Criteria, rain: list[float], expected: list[tuple[str, str]]
) -> None:
    result = found(criteria, *series(RAIN, [DRY] * 9 + rain))
    assert [(f.level, f.door) for f in result] == expected


def test_ten_minutes_and_minutes_say_the_same(criteria: Criteria) -> None:
    hours = found(criteria, *series(RAIN, [3.0, 3.0, 4.2, 20.4]))
    tens = found(criteria, *series(RAIN, [0.5] * 12 + [0.7] * 6 + [3.4] * 6, step=600))
    minutes = found(criteria, *series(RAIN, [0.05] * 120 + [0.07] * 60 + [0.34] * 60, step=60))
    assert short(hours) == [("rainstorm", "orange", "expected")]
    assert hours == tens == minutes


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({WIND: 10.7, GUST: 13.8}, None),
        ({WIND: 10.8}, "blue"),
        ({GUST: 13.9}, "blue"),
        ({WIND: 17.2, GUST: 13.9}, "yellow"),
        ({WIND: 5.0, GUST: 20.8}, "yellow"),
        ({GUST: 28.4}, "yellow"),
        ({GUST: 28.5}, "orange"),
        ({WIND: 32.7}, "red"),
        ({WIND: NAN, GUST: NAN}, None),
    ],
)
def test_gale(criteria: Criteria, values: dict[str, float], expected: str | None) -> None:
    result = found(criteria, (0, NOON, 600, values))
    assert short([f for f in result if f.door == "observed"]) == (
        [] if expected is None else [("gale", expected, "observed")]
    )


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({VIEW: 499.0, HUMID: 95.0}, ("heavy_fog", "yellow")),
        ({VIEW: 500.0, HUMID: 95.0}, None),
        ({VIEW: 199.0, HUMID: 90.0}, ("heavy_fog", "orange")),
        ({VIEW: 49.0, HUMID: 99.0}, ("heavy_fog", "red")),
        ({VIEW: 499.0, HUMID: 89.0}, None),
        ({VIEW: 499.0}, None),
        ({VIEW: 2_999.0, HUMID: 79.0}, ("haze", "yellow")),
        ({VIEW: 3_000.0, HUMID: 79.0}, None),
        ({VIEW: 2_999.0, HUMID: 80.0}, None),
        ({VIEW: 2_999.0, HUMID: 80.0, DUST: 115.0}, None),
        ({VIEW: 2_999.0, HUMID: 80.0, DUST: 116.0}, ("haze", "yellow")),
        ({VIEW: 4_999.0, HUMID: 85.0, DUST: 151.0}, ("haze", "yellow")),
        ({VIEW: 4_999.0, DUST: 251.0}, ("haze", "orange")),
        ({VIEW: 4_999.0, DUST: 501.0}, ("haze", "red")),
        ({DUST: 501.0}, None),
        ({ROAD: -0.1, RAIN: 0.1}, ("road_icing", "yellow")),
        ({ROAD: 0.0, RAIN: 0.1}, None),
        ({ROAD: -5.0, RAIN: 0.0}, None),
        ({ROAD: -5.0}, None),
    ],
)
def test_several_elements(
    criteria: Criteria, values: dict[str, float], expected: tuple[str, str] | None
) -> None:
    result = [f for f in found(criteria, (0, NOON, HOUR, values)) if f.door == "observed"]
    assert [(f.hazard, f.level) for f in result] == ([] if expected is None else [expected])
    for finding in result:
        assert {e.element for e in finding.evidence} <= set(values)


def test_frost_only_while_crops_grow(criteria: Criteria) -> None:
    october, january = 1_475_280_000, 1_483_228_800
    for at, expected in ((october, [("frost", "yellow", "observed")]), (january, [])):
        assert short(found(criteria, (0, at, 600, {GROUND: -3.1}), at=at)) == expected


@pytest.mark.parametrize(
    ("lows", "wind", "level"),
    [
        ([10.0, 2.1], 12.0, None),  # 7.9
        ([10.0, 2.0], 12.0, "blue"),
        ([10.0, 2.0], 7.9, None),  # no wind
        ([14.0, 4.1], 12.0, None),  # not cold
        ([14.0, 4.0], 12.0, "yellow"),
        ([14.0, 4.0], 9.0, "blue"),
        ([12.0, 0.0], 12.0, "orange"),
        ([12.0, -4.0], 12.0, "red"),
        ([10.0, 6.0, 2.0], 12.0, "blue"),  # 8 in 48 h, 4 in 24 h
        ([NAN, 2.0], 12.0, None),
    ],
)
def test_cold_wave(criteria: Criteria, lows: list[float], wind: float, level: str | None) -> None:
    air = [low + abs(hour - 12) / 2 for low in lows for hour in range(24)]
    rows = [*series(AIR, air), *series(WIND, [1.0] * 24)]
    merged: dict[int, dict[str, float]] = {}
    for _, time, _, values in rows:
        merged.setdefault(time, {}).update(values)
    merged[NOON - 5 * HOUR][WIND] = wind
    result = found(criteria, *((0, time, HOUR, values) for time, values in merged.items()))
    cold = [f for f in result if f.hazard == "cold_wave"]
    assert [f.level for f in cold] == ([] if level is None else [level])


def test_a_drop_needs_the_whole_day_before(criteria: Criteria) -> None:
    air = [10.0] * 24 + [0.0] * 24
    wind = series(WIND, [12.0])[0][3]
    rows = series(AIR, air)
    rows[-1] = (0, NOON, HOUR, {AIR: 0.0, **wind})
    assert [f.level for f in found(criteria, *rows) if f.hazard == "cold_wave"] == ["yellow"]
    assert [f for f in found(criteria, *rows[3:]) if f.hazard == "cold_wave"] == []


@pytest.mark.parametrize(
    ("highs", "level"),
    [
        ([35.0, 35.0, 35.0], "yellow"),
        ([35.0, 34.9, 35.0], None),
        ([NAN, 35.0, 35.0], None),
        ([20.0, 20.0, 36.9], None),
        ([20.0, 20.0, 37.0], "orange"),
        ([36.0, 36.0, 40.0], "red"),
    ],
)
def test_heat_by_days_that_end_at_20(
    criteria: Criteria, highs: list[float], level: str | None
) -> None:
    evening = NOON + 12 * HOUR  # 20:00 in Beijing ends the day
    rows = [
        row
        for back, high in enumerate(reversed(highs))
        for row in series(AIR, [high, 25.0], end=evening - back * 86_400 - 4 * HOUR)
    ]
    result = found(criteria, *rows, at=evening - 4 * HOUR)
    assert short(result) == ([] if level is None else [("high_temperature", level, "observed")])
    later = (0, evening + HOUR, HOUR, {AIR: 25.0})
    assert found(criteria, *rows, later, at=evening + HOUR) == []


@pytest.mark.parametrize(("amount", "level"), [(0.32, None), (0.34, "blue"), (0.5, "yellow")])
def test_snow(criteria: Criteria, amount: float, level: str | None) -> None:
    result = found(criteria, *series(SNOW, [amount] * 12))
    assert short(result) == ([] if level is None else [("snowstorm", level, "observed")])


def test_a_finding_tells_where_it_comes_from(criteria: Criteria) -> None:
    (finding,) = found(criteria, *series(RAIN, [20.0, 20.0, 20.0], end=NOON - 600))
    assert (finding.hazard, finding.level, finding.door) == ("rainstorm", "orange", "observed")
    assert finding.time == NOON - 600
    (evidence,) = finding.evidence
    assert (evidence.element, evidence.statistic, evidence.window) == (RAIN, "sum", 3 * HOUR)
    assert (evidence.value, evidence.comparison, evidence.threshold) == (60.0, ">=", 50)
    assert (evidence.station, evidence.time, evidence.probability) == (0, NOON - 600, None)


@pytest.mark.parametrize(
    ("age", "interval", "holds"),
    [(0, 60, True), (599, 60, True), (600, 60, False), (3_599, HOUR, True), (3_600, HOUR, False)],
)
def test_an_old_reading_says_nothing_about_now(
    criteria: Criteria, age: int, interval: int, *, holds: bool
) -> None:
    result = found(criteria, (0, NOON - age, interval, {GUST: 15.0}))
    assert bool(result) == holds


def test_wind_that_grows_is_expected(criteria: Criteria) -> None:
    expectation = Expectation(
        rain={},
        kalman={
            GUST: Model("plain", 0.05, 0.1, 0.8, 7_200),
        },
    )
    nowcast = Nowcast(criteria=criteria, stations=2, expectation=expectation)
    nowcast.put(readings(*series(GUST, [4.0 + 0.7 * i for i in range(14)], step=600)))
    nowcast.put(readings(*series(GUST, [13.1] * 14, step=600, station=1)))
    (finding,) = nowcast.evaluate(NOON)
    assert (finding.station, finding.hazard, finding.level) == (0, "gale", "blue")
    assert finding.door == "expected"
    assert finding.evidence[0].value == pytest.approx(13.1)
    assert finding.evidence[0].probability is not None
    assert finding.evidence[0].probability >= 0.6


def _storm() -> list[list[Row]]:
    """Three stations of different rhythm, an hour a batch."""
    rain = [2.0, 6.0, 11.0, 18.0, 25.0, 14.0]
    batches: list[list[Row]] = []
    for i, amount in enumerate(rain):
        end = NOON + i * HOUR
        hour: list[Row] = [(0, end, HOUR, {RAIN: amount, GUST: 10.0 + i, AIR: 25.0 - i})]
        for part in range(6):
            time = end - 3_000 + part * 600
            values = {RAIN: amount / 6, GUST: 11.0 + i + part / 10}
            hour.append((1, time, 600, values))
        hour += [
            (2, end - 3_420 + part * 180, 180, {RAIN: amount / 20, WIND: 9.0 + i})
            for part in range(20)
        ]
        batches.append(hour)
    return batches


def test_the_order_of_arrival_changes_nothing(criteria: Criteria) -> None:
    rows = [row for batch in _storm() for row in batch]
    rng = np.random.default_rng(3)
    end = NOON + 5 * HOUR
    results = []
    for turn in range(4):
        order = np.arange(len(rows)) if turn == 0 else rng.permutation(len(rows))
        nowcast = Nowcast(criteria=criteria, stations=3)
        for part in np.array_split(order, 1 + 3 * turn):
            nowcast.put(readings(*(rows[i] for i in part)))
        results.append(nowcast.evaluate(end))
    assert {f.hazard for f in results[0]} == {"rainstorm", "gale"}
    for result in results[1:]:
        assert result == results[0]


def test_repeats_change_nothing(criteria: Criteria) -> None:
    once, twice = (Nowcast(criteria=criteria, stations=3) for _ in range(2))
    for i, batch in enumerate(_storm()):
        once.put(readings(*batch))
        twice.put(readings(*batch))
        twice.put(readings(*batch[::-1]))
        assert twice.evaluate(NOON + i * HOUR) == once.evaluate(NOON + i * HOUR)


def test_a_restart_with_its_span_says_the_same(criteria: Criteria) -> None:
    running = Nowcast(criteria=criteria, stations=3)
    batches = _storm()
    for i, batch in enumerate(batches):
        running.put(readings(*batch))
        last = running.evaluate(NOON + i * HOUR)
    fresh = Nowcast(criteria=criteria, stations=3)
    at = NOON + (len(batches) - 1) * HOUR
    rows = [row for batch in batches for row in batch if row[1] > at - fresh.span]
    fresh.put(readings(*rows))
    assert short(fresh.evaluate(at)) == short(last)


def test_late_readings_and_corrections(criteria: Criteria) -> None:
    nowcast = Nowcast(criteria=criteria, stations=1)
    rows = series(RAIN, [20.0, 20.0, 20.0])
    nowcast.put(readings(rows[0], rows[2]))
    assert short(nowcast.evaluate(NOON)) == [("rainstorm", "orange", "expected")]
    nowcast.put(readings(rows[1]))
    assert short(nowcast.evaluate(NOON)) == [("rainstorm", "orange", "observed")]
    nowcast.put(readings((0, NOON - HOUR, HOUR, {RAIN: 2.0})))
    assert ("rainstorm", "orange", "observed") not in short(nowcast.evaluate(NOON))
    nowcast.put(readings((0, NOON, HOUR, {RAIN: NAN})))
    assert nowcast.evaluate(NOON) == []


def test_late_wind_runs_the_filter_again(criteria: Criteria) -> None:
    rows = series(GUST, [4.0 + 0.5 * i for i in range(18)], step=600)
    whole, late = (Nowcast(criteria=criteria, stations=1) for _ in range(2))
    whole.put(readings(*rows))
    whole.evaluate(NOON)
    late.put(readings(*rows[:5], *rows[7:]))
    late.evaluate(NOON)
    late.put(readings(*rows[5:7]))
    late.evaluate(NOON)
    for one, other in itertools.pairwise((whole, late)):
        for a, b in zip(
            one._filters[GUST].forecast(at=NOON + 600),
            other._filters[GUST].forecast(at=NOON + 600),
            strict=True,
        ):
            assert a.tolist() == b.tolist()


def test_later_readings_wait(criteria: Criteria) -> None:
    nowcast = Nowcast(criteria=criteria, stations=1)
    nowcast.put(readings((0, NOON + HOUR, HOUR, {GUST: 30.0})))
    assert nowcast.evaluate(NOON) == []
    assert short(nowcast.evaluate(NOON + HOUR)) == [("gale", "orange", "observed")]


def test_nothing_at_all(criteria: Criteria) -> None:
    assert found(criteria) == []
    assert found(criteria, stations=0) == []
    nowcast = Nowcast(criteria=criteria, stations=1)
    with pytest.raises(ValueError, match="numbered from 0 to 0"):
        nowcast.put(readings((1, NOON, 60, {GUST: 1.0})))
    assert nowcast.span >= 4 * 86_400
    assert RAIN in nowcast.elements


def test_only_live_signals_are_proposed() -> None:
    table: dict[str, Any] = tomllib.loads(
        files("forecast").joinpath("criteria/national.toml").read_text("utf-8")
    )
    table["gale"] |= {"live": False, "reason_zh": "无", "reason_en": "none"}
    criteria = Criteria.read(table, units=UNITS)
    assert found(criteria, (0, NOON, 600, {GUST: 40.0, WIND: 35.0})) == []
