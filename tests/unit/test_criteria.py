"""The national file against the facts of Order No. 16, and what the reader refuses."""

import copy
import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.elements import ELEMENTS
from forecast.criteria import HAZARDS, LEVELS, Book, Condition, Criteria, CriteriaError

UNITS = {name: element.unit for name, element in ELEMENTS.items()}
NATIONAL = Path(__file__).parents[2] / "forecast/criteria/national.toml"
ORDER = Path(__file__).parents[3] / "shared/reference/order16_signals.json"
HOUR = 3_600
RAIN, SNOW, AIR = "precipitation_amount", "lwe_thickness_of_snowfall_amount", "air_temperature"
WIND, GUST, VIEW = "wind_speed", "wind_speed_of_gust", "visibility_in_air"
HUMID, GROUND, ROAD = "relative_humidity", "surface_temperature", "road_surface_temperature"
DUST = "mass_concentration_of_pm2p5_ambient_aerosol_particles_in_air"


def _wind(mean: float, gust: float) -> list[list[tuple[Any, ...]]]:
    return [[(WIND, "value", 0, ">=", mean)], [(GUST, "value", 0, ">=", gust)]]


def _cold(hours: int, drop: float, low: float, mean: float) -> list[list[tuple[Any, ...]]]:
    return [
        [
            (AIR, "drop", hours * HOUR, ">=", drop),
            (AIR, "min", 24 * HOUR, "<=", low),
            (WIND, "max", 24 * HOUR, ">=", mean),
        ]
    ]


def _thunder(mean: float, gust: float) -> list[list[tuple[Any, ...]]]:
    thunder = [("present_weather", "value", 0, ">=", 90), ("present_weather", "value", 0, "<=", 96)]
    return [[*group, *thunder] for group in _wind(mean, gust)]


def _fog(below: float) -> list[list[tuple[Any, ...]]]:
    return [[(VIEW, "value", 0, "<", below), (HUMID, "value", 0, ">=", 90)]]


def _haze(view: float, low: float, high: float, top: float | None) -> list[list[tuple[Any, ...]]]:
    last: list[tuple[Any, ...]] = [
        (VIEW, "value", 0, "<", 5_000),
        (DUST, "value", 0, ">", high),
    ]
    return [
        [(VIEW, "value", 0, "<", view), (HUMID, "value", 0, "<", 80)],
        [
            (VIEW, "value", 0, "<", view),
            (HUMID, "value", 0, ">=", 80),
            (DUST, "value", 0, ">", low),
            (DUST, "value", 0, "<=", high),
        ],
        last if top is None else [*last, (DUST, "value", 0, "<=", top)],
    ]


# hazard, level, hours in which it is expected, alternatives: Order No. 16, forces of the Beaufort
# scale as their lower bounds (6: 10.8, 7: 13.9, 8: 17.2, 9: 20.8, 10: 24.5, 11: 28.5, 12: 32.7,
# 13: 37.0, 14: 41.5 m/s); haze as revised in 2013.
FACTS: list[tuple[str, str, int, list[list[tuple[Any, ...]]]]] = [
    ("typhoon", "blue", 24, _wind(10.8, 17.2)),
    ("typhoon", "yellow", 24, _wind(17.2, 24.5)),
    ("typhoon", "orange", 12, _wind(24.5, 32.7)),
    ("typhoon", "red", 6, _wind(32.7, 41.5)),
    ("rainstorm", "blue", 12, [[(RAIN, "sum", 12 * HOUR, ">=", 50)]]),
    ("rainstorm", "yellow", 6, [[(RAIN, "sum", 6 * HOUR, ">=", 50)]]),
    ("rainstorm", "orange", 3, [[(RAIN, "sum", 3 * HOUR, ">=", 50)]]),
    ("rainstorm", "red", 3, [[(RAIN, "sum", 3 * HOUR, ">=", 100)]]),
    ("snowstorm", "blue", 12, [[(SNOW, "sum", 12 * HOUR, ">=", 4)]]),
    ("snowstorm", "yellow", 12, [[(SNOW, "sum", 12 * HOUR, ">=", 6)]]),
    ("snowstorm", "orange", 6, [[(SNOW, "sum", 6 * HOUR, ">=", 10)]]),
    ("snowstorm", "red", 6, [[(SNOW, "sum", 6 * HOUR, ">=", 15)]]),
    ("cold_wave", "blue", 48, _cold(48, 8, 4, 8.0)),
    ("cold_wave", "yellow", 24, _cold(24, 10, 4, 10.8)),
    ("cold_wave", "orange", 24, _cold(24, 12, 0, 10.8)),
    ("cold_wave", "red", 24, _cold(24, 16, 0, 10.8)),
    ("gale", "blue", 24, _wind(10.8, 13.9)),
    ("gale", "yellow", 12, _wind(17.2, 20.8)),
    ("gale", "orange", 6, _wind(24.5, 28.5)),
    ("gale", "red", 6, _wind(32.7, 37.0)),
    ("sandstorm", "yellow", 12, [[(VIEW, "value", 0, "<", 1_000)]]),
    ("sandstorm", "orange", 6, [[(VIEW, "value", 0, "<", 500)]]),
    ("sandstorm", "red", 6, [[(VIEW, "value", 0, "<", 50)]]),
    ("high_temperature", "yellow", 24, [[(AIR, "days", 3, ">=", 35)]]),
    ("high_temperature", "orange", 24, [[(AIR, "days", 1, ">=", 37)]]),
    ("high_temperature", "red", 24, [[(AIR, "days", 1, ">=", 40)]]),
    ("drought", "orange", 168, []),
    ("drought", "red", 168, []),
    ("lightning", "yellow", 6, []),
    ("lightning", "orange", 2, []),
    ("lightning", "red", 2, []),
    ("hail", "orange", 6, []),
    ("hail", "red", 2, []),
    ("frost", "blue", 48, [[(GROUND, "value", 0, "<", 0)]]),
    ("frost", "yellow", 24, [[(GROUND, "value", 0, "<", -3)]]),
    ("frost", "orange", 24, [[(GROUND, "value", 0, "<", -5)]]),
    ("heavy_fog", "yellow", 12, _fog(500)),
    ("heavy_fog", "orange", 6, _fog(200)),
    ("heavy_fog", "red", 2, _fog(50)),
    ("haze", "yellow", 24, _haze(3_000, 115, 150, 250)),
    ("haze", "orange", 24, _haze(2_000, 150, 250, 500)),
    ("haze", "red", 24, _haze(1_000, 250, 500, None)),
    *(
        (
            "road_icing",
            level,
            hours,
            [[(ROAD, "value", 0, "<", 0), (RAIN, "sum", HOUR, ">=", 0.1)]],
        )
        for level, hours in (("yellow", 12), ("orange", 6), ("red", 2))
    ),
    ("thunderstorm_gale", "blue", 6, _thunder(10.8, 13.9)),
    ("thunderstorm_gale", "yellow", 6, _thunder(17.2, 20.8)),
    ("thunderstorm_gale", "orange", 2, _thunder(24.5, 28.5)),
    ("thunderstorm_gale", "red", 2, _thunder(32.7, 37.0)),
]
CODES = {
    "typhoon": "11B01",
    "rainstorm": "11B03",
    "snowstorm": "11B04",
    "cold_wave": "11B05",
    "gale": "11B06",
    "sandstorm": "11B07",
    "high_temperature": "11B09",
    "lightning": "11B14",
    "hail": "11B15",
    "frost": "11B16",
    "heavy_fog": "11B17",
    "haze": "11B19",
    "thunderstorm_gale": "11B20",
    "road_icing": "11B21",
    "drought": "11B22",
}
LIVE = {
    "rainstorm",
    "snowstorm",
    "cold_wave",
    "gale",
    "high_temperature",
    "frost",
    "heavy_fog",
    "haze",
    "road_icing",
}


@pytest.fixture(scope="module")
def national() -> Criteria:
    return Criteria.load(units=UNITS)


def _plain(condition: Condition) -> tuple[Any, ...]:
    return (
        condition.element,
        condition.statistic,
        condition.window or condition.days,
        condition.comparison,
        condition.threshold,
    )


@pytest.mark.parametrize(("hazard", "name", "hours", "alternatives"), FACTS)
def test_every_level(
    national: Criteria,
    hazard: str,
    name: str,
    hours: int,
    alternatives: list[list[tuple[Any, ...]]],
) -> None:
    level = next(level for level in national.signal(hazard).levels if level.name == name)
    assert level.within == hours * HOUR
    assert [[_plain(c) for c in group] for group in level.alternatives] == alternatives


FORCES = {
    5: 8.0, 6: 10.8, 7: 13.9, 8: 17.2, 9: 20.8, 10: 24.5, 11: 28.5, 12: 32.7, 13: 37.0, 14: 41.5,
}  # fmt: skip
LIMITS: dict[str, Callable[[Any, dict[str, Any]], tuple[Any, ...]]] = {
    "mean_bft": lambda force, row: (
        (WIND, "max", 24 * HOUR, ">=", FORCES[force])
        if "tmin_drop_c" in row
        else (WIND, "value", 0, ">=", FORCES[force])
    ),
    "gust_bft": lambda force, _: (GUST, "value", 0, ">=", FORCES[force]),
    "rain_mm": lambda mm, row: (RAIN, "sum", row["window_h"] * HOUR, ">=", mm),
    "snow_mm_we": lambda mm, row: (SNOW, "sum", row["window_h"] * HOUR, ">=", mm),
    "tmin_drop_c": lambda drop, row: (AIR, "drop", row["window_h"] * HOUR, ">=", drop),
    "tmin_le_c": lambda low, _: (AIR, "min", 24 * HOUR, "<=", low),
    "vis_lt_m": lambda view, _: (VIEW, "value", 0, "<", view),
    "tmax_c": lambda high, row: (AIR, "days", row.get("days", 1), ">=", high),
    "ground_tmin_c": lambda low, _: (GROUND, "value", 0, "<", low),
    "road_t_lt_c": lambda low, _: (ROAD, "value", 0, "<", low),
    "precip": lambda _, __: (RAIN, "sum", HOUR, ">=", 0.1),
}
WORDS = {
    "color",
    "window_h",
    "window_d",
    "days",
    "requires",
    "likelihood",
    "hail",
    "drought",
    "crop_pct",
}


@pytest.mark.skipif(not ORDER.is_file(), reason=f"the Order in numbers is not there: {ORDER}")
def test_the_order_of_2007(national: Criteria) -> None:
    """Every number of the Order, from the file of facts; haze is as revised in 2013."""
    signals = json.loads(ORDER.read_text("utf-8"))["signals"]
    assert (len(signals), sum(len(signal["levels"]) for signal in signals)) == (14, 44)
    for fact in signals:
        (signal,) = (s for s in national.signals if s.code == fact["code"])
        assert signal.zh == fact["zh"]
        names = {level["color"] for level in fact["levels"]}
        assert {level.name for level in signal.levels} == names | (
            {"red"} if signal.hazard == "haze" else set()
        )
        for row in fact["levels"]:
            (level,) = (each for each in signal.levels if each.name == row["color"])
            assert row.keys() - WORDS <= LIMITS.keys()
            wanted = {LIMITS[name](row[name], row) for name in row.keys() & LIMITS.keys()}
            found = {_plain(c) for group in level.alternatives for c in group}
            if signal.hazard == "haze":
                assert wanted < found
                assert level.within == 24 * HOUR
                continue
            if signal.hazard == "heavy_fog":
                found.remove((HUMID, "value", 0, ">=", 90))
            assert found == wanted, (signal.hazard, level.name)
            hours = row.get("window_h") or 24 * row.get("window_d", 1)
            assert level.within == hours * HOUR
            # Either wind is enough; of cold, wind and ice all are needed.
            assert len(level.alternatives) == (2 if "gust_bft" in row else bool(wanted))


BEIJING: list[tuple[str, str, list[list[tuple[Any, ...]]]]] = [
    *(
        ("rainstorm", level, [[(RAIN, "sum", hours * HOUR, ">=", mm)] for hours, mm in limits])
        for level, limits in (
            ("blue", ((1, 20), (3, 30), (12, 50))),
            ("yellow", ((1, 30), (6, 50))),
            ("orange", ((1, 40), (3, 50))),
            ("red", ((1, 60), (3, 100))),
        )
    ),
    ("lightning", "yellow", []),
    ("lightning", "orange", [[(WIND, "value", 0, ">=", 10.8)]]),
    ("lightning", "red", [[(WIND, "value", 0, ">=", 17.2)]]),
    ("high_temperature", "blue", [[(AIR, "days", 2, ">=", 35)]]),
    ("high_temperature", "yellow", [[(AIR, "days", 3, ">=", 35)]]),
    ("high_temperature", "orange", [[(AIR, "days", 1, ">=", 37)]]),
    ("high_temperature", "red", [[(AIR, "days", 1, ">=", 40)]]),
    *(("hail", level, []) for level in LEVELS[1:]),
    ("low_temperature", "blue", [[(AIR, "days", 3, "<", -10)]]),
    ("low_temperature", "yellow", [[(AIR, "days", 3, "<", -12)]]),
    ("wire_icing", "yellow", []),
    ("wire_icing", "orange", []),
]


def test_the_local_set_of_beijing(national: Criteria) -> None:
    beijing = Book.shipped("beijing", units=UNITS).base
    changed = {hazard for hazard, *_ in BEIJING} | {"road_icing"}
    for signal in national.signals:
        if signal.hazard not in changed:
            assert beijing.signal(signal.hazard) == signal
    found = [
        (signal.hazard, level.name, [[_plain(c) for c in group] for group in level.alternatives])
        for signal in beijing.signals
        for level in signal.levels
        if signal.hazard in changed - {"road_icing"}
    ]
    assert sorted(found) == sorted(BEIJING)
    assert [level.within // HOUR for level in beijing.signal("road_icing").levels] == [24, 6, 2]
    live = {signal.hazard for signal in beijing.signals if signal.live}
    assert live == LIVE | {"low_temperature"}
    for signal in beijing.signals:
        assert signal.live or (signal.reason_zh and signal.reason_en)


def test_every_signal(national: Criteria) -> None:
    assert {s.hazard: s.code for s in national.signals} == CODES
    assert tuple(CODES) != HAZARDS
    assert set(HAZARDS) - set(CODES) == {"low_temperature", "wire_icing"}
    found = [(s.hazard, level.name) for s in national.signals for level in s.levels]
    assert sorted(found) == sorted((hazard, level) for hazard, level, *_ in FACTS)
    for signal in national.signals:
        names = [level.name for level in signal.levels]
        assert names == [name for name in LEVELS if name in names]


def test_what_is_not_live_says_why(national: Criteria) -> None:
    assert {s.hazard for s in national.signals if s.live} == LIVE
    for signal in national.signals:
        for thing in (signal, *signal.levels):
            assert thing.live or (thing.reason_zh and thing.reason_en)
    assert [level.name for level in national.signal("road_icing").working] == ["yellow"]
    assert national.signal("typhoon").working == ()


def test_what_it_needs(national: Criteria) -> None:
    assert {c.element for c in national.conditions} == {
        *(RAIN, SNOW, AIR, WIND, GUST, VIEW, HUMID, GROUND, ROAD, DUST)
    }
    assert max(c.reach for c in national.conditions) == 72 * HOUR
    assert (national.offset, national.day_ends) == (8 * HOUR, 20 * HOUR)


def _changed(path: str, value: object) -> dict[str, Any]:
    """Give the national file with one thing changed; None takes it away."""
    table: dict[str, Any] = copy.deepcopy(tomllib.loads(NATIONAL.read_text("utf-8")))
    *way, last = path.split("/")
    place: Any = table
    for step in way:
        place = place[int(step)] if isinstance(place, list) else place[step]
    if isinstance(place, list):
        place[int(last)] = value
    elif value is None:
        del place[last]
    else:
        place[last] = value
    return table


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("rain", {}, r"\[rain\]: no such signal; known are typhoon"),
        ("probability", None, "at the top of the file"),
        ("probability", "high", "at the top of the file"),
        ("utc_offset", "8", "utc_offset: write"),
        ("day_ends", "24:00", "day_ends: write"),
        ("gale/probability", 1.0, r"\[gale\] probability"),
        ("gale/months", [0], r"\[gale\] months"),
        ("gale/purple", {}, r"\[gale\].*purple"),
        ("gale/code", None, r"\[gale\].*code"),
        ("gale/blue/within", "soon", r"\[gale.blue\] within: write 10min, 12h or 7d"),
        ("gale/blue/any", [], r"\[gale.blue\]: has no condition"),
        ("gale/blue/all", [{}], r"\[gale.blue\]: has any and all"),
        ("gale/blue/when", [], r"\[gale.blue\].*when"),
        ("gale/blue/live", False, r"\[gale.blue\]: live = false needs"),
        ("gale/blue/any/0", {"all": []}, r"\[gale.blue\] any: write"),
        ("gale/blue/any/0/element", "wind", r"\[gale.blue\] wind value: no such element"),
        ("gale/blue/any/0/unit", "km/h", r"\[gale.blue\] wind_speed value: unit is 'km/h'.*'m/s'"),
        ("gale/blue/any/0/statistic", "mode", r"\[gale.blue\].*statistic"),
        ("gale/blue/any/0/comparison", "=", r"\[gale.blue\].*comparison"),
        ("gale/blue/any/0/threshold", "big", r"\[gale.blue\].*threshold"),
        ("gale/blue/any/0/window", "1h", r"has no window"),
        ("gale/blue/any/0/days", 2, r"days goes with"),
        ("rainstorm/blue/any/0/window", None, r"\[rainstorm.blue\].*needs a window"),
        ("rainstorm/continues/unit", "cm", r"\[rainstorm\] continues"),
        ("cold_wave/blue/all/0/window", "30h", r"write 24h or 48h"),
        ("high_temperature/yellow/any/0/days", 32, "looks back more than 31 days"),
        ("rainstorm/blue/any/0/threshold", float("inf"), "threshold: write a number"),
        ("typhoon/reason_en", None, r"\[typhoon\]: live = false needs"),
    ],
)
def test_refused(path: str, value: object, problem: str) -> None:
    with pytest.raises(CriteriaError, match=problem):
        Criteria.read(_changed(path, value), units=UNITS)


def test_a_file_is_named_in_its_errors(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    with pytest.raises(CriteriaError, match=r"mine\.toml"):
        Criteria.load(file, units=UNITS)
    file.write_text("probability = \n", "utf-8")
    with pytest.raises(CriteriaError, match=r"mine\.toml.*line 1"):
        Criteria.load(file, units=UNITS)
    file.write_text(NATIONAL.read_text("utf-8").replace("[gale]", "[gail]"), "utf-8")
    with pytest.raises(CriteriaError, match=r"mine\.toml.*"):
        Criteria.load(file, units=UNITS)
