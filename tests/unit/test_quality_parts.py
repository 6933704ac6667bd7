"""The parts of the quality control against plain counting."""

import math
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.elements import ELEMENTS
from forecast.quality import LIMITS, LIMITS_PER_MINUTE, Checks
from forecast.quality.checks import Network, Spatial, Step
from forecast.quality.consistency import relative
from forecast.quality.history import NONE, History
from forecast.quality.memory import STRETCH, Memory
from forecast.quality.neighbours import EARTH, Neighbours
from forecast.quality.spatial import distances
from forecast.quality.step import COUNT, allowed, between, changes, weight
from forecast.quality.waiting import Doubts, Waiting
from forecast.readings import Readings
from forecast.windows import Windows

CHECKS = Checks.load()
T = "air_temperature"


def test_every_pipeline_is_of_a_known_element() -> None:
    assert set(CHECKS.pipelines) <= set(ELEMENTS)
    named = {name for rule in CHECKS.rules for name in (*rule.of, *rule.flags)}
    kinds = {name for kind in CHECKS.witness.kinds.values() for name in kind}
    assert named | kinds <= set(CHECKS.pipelines)


def test_the_ingest_has_the_same_limits() -> None:
    assert {n: p.range for n, p in CHECKS.pipelines.items() if p.range} == dict(LIMITS)
    rates = {n: p.per_minute for n, p in CHECKS.pipelines.items() if p.per_minute}
    assert rates == dict(LIMITS_PER_MINUTE)


def test_the_history_that_is_needed() -> None:
    assert CHECKS.span == CHECKS.late + CHECKS.reach
    bare = msgspec.structs.replace(CHECKS, pipelines={})
    assert 0 < bare.reach < CHECKS.span
    assert CHECKS.reach >= max(
        p.persistence.window for p in CHECKS.pipelines.values() if p.persistence
    )
    kinds = {name for kind in CHECKS.witness.kinds.values() for name in kind}
    assert CHECKS.basis(["precipitation_amount"]) >= kinds
    assert CHECKS.basis(["wind_gust_from_direction"]) == {"wind_gust_from_direction"}
    assert "wind_speed" in CHECKS.basis(["wind_from_direction"])
    assert CHECKS.basis(["battery_voltage"]) == frozenset()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[x]\nsource = ''\nrnage = [0, 1]", "unknown field"),
        ("[x]\nsource = ''\nrange = [0, 1]\nper_minute = [0, 1]", "not both"),
        ("[x]\nsource = ''\nclimatology = [[0, 1]]", "twelve"),
        ("[[consistency]]\nrule = 'calm'\nof = ['a']\ntolerance = 1\nflags = []", "wrong number"),
        ("[[consistency]]\nrule = 'magic'\nof = ['a']\ntolerance = 1\nflags = []", "Invalid enum"),
        ("[x]\nsource = ''\nspatial = { limit = 3 }", "spread"),
    ],
)
def test_a_file_that_makes_no_sense(tmp_path: Path, text: str, problem: str) -> None:
    head = Path("forecast/quality/checks.toml").read_text("utf-8").partition("[[consistency]]")[0]
    path = tmp_path / "checks.toml"
    path.write_text(f"{head}\n{text}\n", "utf-8")
    with pytest.raises(ValueError, match=problem):
        Checks.load(path)


rows = st.lists(
    st.tuples(st.integers(0, 3), st.integers(1, 120), st.integers(0, 99)), min_size=1, max_size=60
)


@settings(max_examples=100, deadline=None)
@given(
    batches=st.lists(rows, min_size=1, max_size=3),
    full=st.sampled_from([1, 5, 1_000]),
    asked=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 130)), min_size=1, max_size=8),
    back=st.integers(1, 60),
    count=st.integers(1, 4),
)
def test_history_against_a_list(
    batches: list[list[tuple[int, int, int]]],
    full: int,
    asked: list[tuple[int, int]],
    back: int,
    count: int,
) -> None:
    windows = Windows(stations=4, elements=[T], resolution=30)
    windows._full = full
    known: dict[tuple[int, int], float] = {}
    for batch in batches:
        station, time, value = (np.array(column, np.int64) for column in zip(*batch, strict=True))
        windows.put(Readings(station, time, time * 0 + 5, {T: value.astype(float)}))
        known |= {(s, t): float(v) for s, t, v in batch}
    history = History(windows, since=-1, until=200)
    station, time = (np.array(column, np.int64) for column in zip(*asked, strict=True))
    numbers = history.around(station, time, count=count, within=back)
    around = history.rows(numbers).value(T)
    newest = history.rows(history.newest(station, time, back=back)).value(T)
    query, found = history.between(station, time - back, time)
    inside = history.rows(found).value(T)
    for number, (who, when) in enumerate(asked):
        own = sorted((t, v) for (s, t), v in known.items() if s == who)
        before = [v for t, v in own if when - back < t < when][-count:]
        after = [v for t, v in own if when < t < when + back][:count]
        expected = [math.nan] * (count - len(before)) + before
        expected += [known.get((who, when), math.nan)]
        expected += after + [math.nan] * (count - len(after))
        assert np.array_equal(around[number], expected, equal_nan=True)
        recent = [v for t, v in own if when - back < t <= when]
        assert inside[query == number].tolist() == recent
        assert np.array_equal(newest[number], recent[-1] if recent else math.nan, equal_nan=True)
    who, when = history.whose(numbers[numbers != NONE])
    assert {(s, t) for s, t in zip(who.tolist(), when.tolist(), strict=True)} <= set(known)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("centre", [(118.0, 39.0), (180.0, 0.0), (0.0, 90.0)])
def test_neighbours_are_the_nearest(centre: tuple[float, float], seed: int) -> None:
    draw = np.random.default_rng(seed)
    count = 300
    longitude = centre[0] + draw.normal(0, 1.0, count)
    latitude = np.clip(centre[1] + draw.normal(0, 0.6, count), -90, 90)
    longitude[:60] = centre[0] + draw.normal(0, 0.01, 60)  # a town
    longitude = (longitude + 180) % 360 - 180
    elevation = draw.choice([0.0, 100.0, 600.0, math.nan], count)
    longitude[7] = math.nan
    network = Network(nearest=9, least=4, radius=40.0, height=300.0, seconds=900)
    found = Neighbours.of(network, longitude=longitude, latitude=latitude, elevation=elevation)
    x, y = np.radians(longitude), np.radians(latitude)
    point = EARTH * np.stack([np.cos(y) * np.cos(x), np.cos(y) * np.sin(x), np.sin(y)])
    for station in range(count):
        apart = np.sqrt(((point - point[:, station, None]) ** 2).sum(axis=0))
        near = apart <= 40.0
        near &= ~(np.abs(elevation - elevation[station]) > 300)
        near[station] = False
        order = np.flatnonzero(near)[np.argsort(apart[near], kind="stable")][:9]
        mine = found.near[station]
        assert np.allclose(apart[mine[mine >= 0]], apart[order])
        above = found.above[station, : len(order)]
        expected = elevation[mine[mine >= 0]] - elevation[station]
        assert np.array_equal(above, expected, equal_nan=True)
    place, other = found.whose(np.array([3, 4]))
    assert (
        sorted(other[place == 0].tolist()) == np.flatnonzero((found.near == 3).any(axis=1)).tolist()
    )


def test_distance_from_the_neighbours() -> None:
    spatial = Spatial(limit=5, spread=1.0, gradient=-0.0065)
    others = np.array([[20, 21, 22, 40, math.nan], [20, 21, math.nan, math.nan, math.nan]])
    above = np.array([[0, 0, 0, 0, 0], [0, 0, 0, 0, 0]], float)
    made, distance, far = distances(np.array([30.0, 30.0]), others, above, spatial=spatial, least=4)
    assert made.tolist() == [True, False]
    assert distance.tolist() == [30 - 21.5, 0]
    assert far.tolist() == [True, False]  # 1.4826 times the median of .5 .5 1.5 18.5 is 1.48
    high = np.full((1, 4), 1_000.0)
    _, distance, _ = distances(
        np.array([20.0]), np.full((1, 4), 13.5), high, spatial=spatial, least=4
    )
    assert distance.tolist() == [0.0]
    made, _, _ = distances(
        np.array([20.0]), np.full((1, 4), 9.0), high * math.nan, spatial=spatial, least=4
    )
    assert not made.any()


def test_limits_grow_from_a_minute_to_an_hour() -> None:
    seconds = np.array([1.0, 60, 600, 3_600, 7_200])
    assert allowed((3.0, 19.4), between(seconds)) == pytest.approx(
        [3, 3, 8.57, 19.4, 19.4], abs=0.01
    )
    time = np.array([[math.nan, 0, 60, 120, 6_000, 6_060, math.nan, 9_000, 19_000]])
    assert np.isnan(weight(time)[0]).tolist() == [True, True, True, True, False, True, False, True]


def test_changes_name_who_may_be_a_spike() -> None:
    value = np.array([[20.0, 20, 20, 27, 20, 20, 20, 20, 20]])
    time = 60.0 * np.arange(2 * COUNT + 1)[None]
    found = changes(value, weight(time), Step(jump=(3, 19), spike=(2, 8)))
    assert found.before.tolist() == [[False, False, False, True]]
    assert not found.jump.any()
    assert not found.spike.any()


def test_humidity_of_a_dew_point() -> None:
    assert relative(np.array([20.0, 20.0]), np.array([20.0, 9.3])) == pytest.approx(
        [100, 50], abs=0.5
    )


def test_memory_and_what_waits() -> None:
    memory = Memory(10, 2)
    draw = np.random.default_rng(0)
    known: dict[tuple[int, int], list[int]] = {}
    for _ in range(30):
        keys = np.unique(draw.integers(0, 10 * 5 * STRETCH, 40))
        station, time = keys % 10, keys // 10
        codes = draw.integers(0, 99, (len(keys), 2)).astype(np.int16)
        memory.put(station, time, codes)
        known |= dict(
            zip(zip(station.tolist(), time.tolist(), strict=True), codes.tolist(), strict=True)
        )
    assert len(memory) == len(known)
    station, time = (np.array(column) for column in zip(*known, strict=True))
    there, codes = memory.get(station, time)
    assert there.all()
    assert codes.tolist() == list(known.values())
    memory.forget(2 * STRETCH + 1)
    there, codes = memory.get(station, time)
    assert there.tolist() == (time >= 2 * STRETCH).tolist()
    assert not codes[~there].any()
    waiting = Waiting(stations=10)
    waiting.put(np.array([3, 3]), np.array([7, 8]), due=5)
    waiting.put(np.array([3]), np.array([7]), due=4)
    waiting.put(np.array([4]), np.array([7]), due=9)
    assert [each.tolist() for each in waiting.take(at=5, most=1)] == [[3], [8]]
    assert [each.tolist() for each in waiting.take(at=5, most=1)] == [[3], [7]]
    assert [each.tolist() for each in waiting.take(at=5, most=1)] == [[], []]
    assert len(waiting) == 1
    waiting._full = 3
    for due in (20, 12):
        waiting.put(np.array([4, 5]), np.array([7, 7]), due=due)
    assert len(waiting) == 2
    assert [each.tolist() for each in waiting.take(at=9, most=9)] == [[4, 5], [7, 7]]
    doubts = Doubts(stations=10)
    doubts.put(np.array([1, 2]), np.array([50, 60]), doubted=np.array([True, True]))
    low, high = np.zeros(10, np.int64), np.full(10, 55)
    assert [each.tolist() for each in doubts.between(low, high, at=0, due=9)] == [[1], [50]]
    assert [each.tolist() for each in doubts.between(low, high, at=8, due=9)] == [[], []]
    doubts.put(np.array([1]), np.array([50]), doubted=np.array([False]))
    assert len(doubts) == 1
    doubts.forget(60)
    assert not len(doubts)
