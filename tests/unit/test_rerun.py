"""What would have opened: pure readings, and the event that ships with Fenghuo."""

import numpy as np
import pytest

from agent.elements import ELEMENTS
from forecast.criteria import Book
from forecast.readings import Readings
from forecast.rerun import Opening, Rerun, moments, rerun
from tests.bundled import RAIN, event

UNITS = {name: element.unit for name, element in ELEMENTS.items()}
GUST = "wind_speed_of_gust"
START = 1_468_886_400  # 2016-07-19 00:00 UTC


def gusts(values: list[list[float]], *, every: int = 600) -> Readings:
    """Give gusts [time, station] from `START` on."""
    table = np.array(values, np.float64)
    times, stations = table.shape
    return Readings(
        np.tile(np.arange(stations), times),
        np.repeat(START + every * np.arange(times), stations),
        np.full(table.size, every),
        {GUST: table.ravel()},
    )


def brief(openings: list[Opening]) -> list[tuple[str, str, int, int]]:
    """Give level, region, and minutes of begin and end."""
    return [
        (o.level, o.region, (o.begin - START) // 60, (o.end - START) // 60)
        for o in openings
        if o.door == "observed"
    ]


ALONE = 'base = "national"\n[gale]\nprobability = 0.999\n'
BLUE = f'element = "{GUST}", statistic = "value", comparison = ">=", threshold = 18, unit = "m/s"'
HILLS = f"""{ALONE}
[[override]]
regions = ["hills"]
valid_from = 2016-07-01
source = "test"
[override.gale.blue]
any = [{{ {BLUE} }}]
"""


def test_a_level_stands_while_it_or_a_higher_one_does() -> None:
    readings = gusts([[5, 5], [15, 5], [22, 5], [15, 5], [5, 5], [15, 14], [5, 5]])
    found = rerun(
        [readings],
        book=Book(ALONE, units=UNITS),
        stations=2,
        membership={"hills": [0], "plain": [1], "empty": []},
        hold=0,
    )
    assert brief(found) == [
        ("blue", "hills", 10, 30),
        ("blue", "hills", 50, 50),
        ("yellow", "hills", 20, 20),
        ("blue", "plain", 50, 50),
    ]
    (evidence,) = found[0].evidence
    assert (evidence.station, evidence.value, evidence.threshold) == (0, 15, 13.9)


@pytest.mark.parametrize(("hold", "count"), [(0, 2), (1_199, 2), (1_200, 1), (7_200, 1)])
def test_what_comes_back_soon_never_ended(hold: int, count: int) -> None:
    readings = gusts([[15], [5], [15]])
    book = Book(ALONE, units=UNITS)
    found = rerun([readings], book=book, stations=1, membership={"a": [0]}, hold=hold)
    assert len(brief(found)) == count


def test_each_region_has_its_own_criteria() -> None:
    readings = gusts([[5, 5], [15, 15], [19, 19]])
    book = Book(HILLS, units=UNITS)
    membership = {"hills": [0], "plain": [1]}
    found = rerun([readings], book=book, stations=2, membership=membership)
    assert brief(found) == [("blue", "hills", 20, 20), ("blue", "plain", 10, 20)]


def test_parts_and_order_do_not_matter_steps_do() -> None:
    generator = np.random.default_rng(4)
    readings = gusts(generator.uniform(8, 25, (48, 3)).tolist())
    book = Book(ALONE, units=UNITS)
    membership = {"a": [0, 1], "b": [2]}

    def run(parts: list[Readings], step: int = 0) -> list[Opening]:
        return rerun(parts, book=book, stations=3, membership=membership, hold=600, step=step)

    whole = run([readings])
    assert brief(whole)
    mixed = readings.where(generator.permutation(len(readings)))
    assert run([mixed]) == whole
    cut = START + 600 * 17
    assert run([mixed.where(mixed.time <= cut), mixed.where(mixed.time > cut)]) == whole
    assert run([readings], step=600) == whole
    assert len(run([readings], step=7_200)) < len(whole)


def test_nothing_is_decided_before_it_begins_and_a_tick_ends_it() -> None:
    readings = gusts([[15], [15], [15]])
    told: list[int] = []
    run = Rerun(
        [Book(ALONE, units=UNITS)],
        stations=1,
        membership={"a": [0]},
        since=START,
        tick=told.append,
    )
    run.put(readings)
    assert brief(run.openings()[0]) == [("blue", "a", 10, 20)]
    assert told == [START + 600, START + 1_200]
    assert run.elements >= {GUST, RAIN}
    assert run.span >= 72 * 3_600

    def stop(_: int) -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        rerun(
            [readings],
            book=Book(ALONE, units=UNITS),
            stations=1,
            membership={"a": [0]},
            tick=stop,
        )


DAY = 86_400
COLD = [  # daily minimum of each station, °C
    [-11, -11, -13, -9],
    [-11, -10, -13, -13],
    [-11, -11, -13, -13],
    [-8, -11, -12.5, -13],
]


def test_three_cold_days() -> None:
    """Beijing's persistent low temperature: every night of three, and the third night counts."""
    table = np.repeat(np.array(COLD, np.float64), 24, axis=0)
    hour = np.tile(np.arange(24), len(COLD))
    table += np.where(hour == 22, 0, 6)[:, None]  # 06 local time, with days that end at 20
    times, stations = table.shape
    noon = START + 12 * 3_600  # 20 local time
    readings = Readings(
        np.tile(np.arange(stations), times),
        np.repeat(noon + 3_600 * (1 + np.arange(times)), stations),
        np.full(table.size, 3_600),
        {"air_temperature": table.ravel()},
    )
    found = rerun(
        [readings],
        book=Book.shipped("beijing", units=UNITS),
        stations=stations,
        membership={name: [n] for n, name in enumerate("abcd")},
    )
    met = {
        (o.level, o.region): (o.met - noon) / DAY
        for o in reversed(found)
        if o.hazard == "low_temperature" and o.met
    }
    third = (2 * DAY + 23 * 3_600) / DAY
    assert met == {
        ("blue", "a"): third,
        ("blue", "c"): third,
        ("yellow", "c"): third,
        ("blue", "d"): third + 1,
        ("yellow", "d"): third + 1,
    }


def test_moments_cut_by_time() -> None:
    readings = gusts([[1.0], [2.0], [3.0], [4.0]])
    assert [at - START for at, _ in moments(readings)] == [0, 600, 1_200, 1_800]
    cut = [(at - START, part.values[GUST].tolist()) for at, part in moments(readings, step=1_200)]
    assert cut == [(0, [1.0]), (1_200, [2.0, 3.0]), (1_800, [4.0])]
    assert list(moments(readings.where(readings.time < 0))) == []


SOONER = {"Huairou": 3_600, "Shunyi": 3_600}


def test_the_order_and_the_set_of_beijing() -> None:
    """The rain of 19 to 21 July 2016, which fell long rather than hard: no hour had 31 mm.

    Beijing's own 20 mm in one hour and 30 mm in three were met before the Order's 50 mm in
    twelve at Shunyi and Huairou alone; what else the two sets say is the same, and never red.
    """
    readings, names = event()
    stations = len(names)
    membership = {str(number): [number] for number in range(stations)}
    rain: dict[str, list[Opening]] = {}
    for name in ("national", "beijing"):
        found = rerun(
            [readings],
            book=Book.shipped(name, units=UNITS),
            stations=stations,
            membership=membership,
        )
        assert {o.hazard for o in found} == {"rainstorm"}
        assert {o.level for o in found} == {"blue", "yellow", "orange"}
        rain[name] = found
    assert rain["national"] != rain["beijing"]

    def met(name: str, level: str) -> dict[str, int]:
        return {
            o.region: o.met for o in reversed(rain[name]) if o.level == level and o.met is not None
        }

    order, beijing = met("national", "blue"), met("beijing", "blue")
    assert order.keys() == beijing.keys() == membership.keys()
    sooner = {names[int(region)]: order[region] - beijing[region] for region in membership}
    assert {name: seconds for name, seconds in sooner.items() if seconds} == SOONER
    assert met("national", "orange") == met("beijing", "orange")
