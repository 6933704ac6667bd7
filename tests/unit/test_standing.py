"""What bad and lone readings make of findings, step by step as from scratch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.elements import ELEMENTS
from forecast.criteria import Criteria
from forecast.finding import Door, Evidence, Finding, Standing
from forecast.nowcast import Nowcast
from forecast.proposal import Proposal, propose
from forecast.quality import FAILED, Checks, Judge
from tests.unit.test_nowcast import AIR, GUST, HOUR, NOON, RAIN, WIND, Row, readings

CRITERIA = Criteria.load(units={name: element.unit for name, element in ELEMENTS.items()})
NEAR = ((116.0, 40.0), (116.05, 40.0), (116.0, 40.05), (116.05, 40.05), (116.1, 40.0))
FAR = tuple((80.0 + 5 * n, 30.0) for n in range(5))
TEN = 600


def judged(places: tuple[tuple[float, float], ...] = FAR) -> Nowcast:
    east, north = (np.array(column) for column in zip(*places, strict=True))
    judge = Judge(
        Checks.load(),
        stations=len(places),
        longitude=east,
        latitude=north,
        elevation=np.zeros(len(places)),
    )
    return Nowcast(criteria=CRITERIA, stations=len(places), judge=judge, collect=True)


def wind(station: int, gusts: list[float], *, end: int = NOON) -> list[Row]:
    """Readings of ten minutes, the last one at ``end``; the mean wind is half the gust."""
    first = end - TEN * (len(gusts) - 1)
    return [
        (station, first + TEN * n, TEN, {GUST: gust, WIND: gust / 2, AIR: 10.0 + n % 3 / 10})
        for n, gust in enumerate(gusts)
    ]


def gales(findings: list[Finding], station: int = 0) -> list[tuple[str, str, str]]:
    return [
        (f.level, f.door, f.standing)
        for f in findings
        if f.hazard == "gale" and f.station == station and f.door == "observed"
    ]


def test_one_reading_of_a_station_without_neighbours_is_lone_until_the_next() -> None:
    nowcast = judged()
    calm = [9.0, 10.0, 9.5, 11.0, 10.0, 12.0, 11.5, 12.5]
    nowcast.put(readings(*wind(0, [*calm, 14.5])))
    assert gales(nowcast.evaluate(NOON)) == [("blue", "observed", "lone")]
    nowcast.put(readings(*wind(0, [14.2], end=NOON + TEN)))
    assert gales(nowcast.evaluate(NOON + TEN)) == [("blue", "observed", "sound")]


def test_where_neighbours_were_looked_at_one_reading_is_enough() -> None:
    nowcast = judged(NEAR)
    for station in range(5):
        last = 14.5 if station == 0 else 13.0
        nowcast.put(readings(*wind(station, [9.0, 10.0, 9.5, 11.0, 10.0, 12.0, 12.5, last])))
    assert gales(nowcast.evaluate(NOON)) == [("blue", "observed", "sound")]


@pytest.mark.parametrize(
    ("hours", "standing"), [([0.0, 0.0, 55.0], "lone"), ([5.0, 25.0, 25.0], "sound")]
)
def test_a_sum_is_lone_where_one_reading_brought_most_of_it(
    hours: list[float], standing: str
) -> None:
    nowcast = judged()
    nowcast.put(
        readings(*((0, NOON - (2 - n) * HOUR, HOUR, {RAIN: v}) for n, v in enumerate(hours)))
    )
    found = [f for f in nowcast.evaluate(NOON) if f.door == "observed"]
    assert {f.standing for f in found} == {standing}


def test_a_value_that_failed_opens_nothing_but_is_told() -> None:
    nowcast = judged()
    nowcast.put(readings(*wind(0, [9.0, 10.0, 9.5, 11.0, 10.0, 12.0])))
    nowcast.evaluate(NOON)
    absurd = readings((0, NOON + TEN, TEN, {GUST: 160.0, WIND: 6.0, AIR: 10.0}))
    nowcast.put(absurd)
    found = nowcast.evaluate(NOON + TEN)
    assert gales(found) == [("red", "observed", "doubtful")]
    (finding,) = [f for f in found if f.standing == "doubtful"]
    (item,) = finding.evidence
    assert item.value == 160.0
    assert item.quality & FAILED
    assert item.time == NOON + TEN
    nowcast.put(readings(*wind(0, [11.0], end=NOON + 2 * TEN)))
    assert gales(nowcast.evaluate(NOON + 2 * TEN)) == []


def test_a_bad_value_in_a_window_leaves_the_rest_of_it_standing() -> None:
    nowcast = judged()
    rain = (30.0, -5.0, 25.0)
    nowcast.put(
        readings(*((0, NOON - (2 - n) * HOUR, HOUR, {RAIN: v}) for n, v in enumerate(rain)))
    )
    found = [f for f in nowcast.evaluate(NOON) if f.door == "observed"]
    assert [(f.level, f.standing, f.evidence[0].value) for f in found] == [("orange", "sound", 55)]


def test_codes_are_given_once_and_the_same_reading_again_changes_nothing() -> None:
    nowcast = judged()
    rows = readings(*wind(0, [9.0, 10.0, 160.0, 10.0]))
    nowcast.put(rows)
    before = nowcast.evaluate(NOON)
    assert sum(len(each) for each in nowcast.codes()) >= 4
    nowcast.put(rows)
    assert nowcast.evaluate(NOON) == before
    assert sum(len(each) for each in nowcast.codes()) == 0


def test_a_new_one_that_is_given_the_codes_says_the_same() -> None:
    rows = [row for s in range(3) for row in wind(s, [9.0, 10.0, 160.0, 11.0, 13.0, 15.0 + s])]
    running = judged()
    running.put(readings(*rows))
    said = running.evaluate(NOON)
    known: dict[tuple[int, int], dict[str, int]] = {}
    for each in running.codes():
        for n in range(len(each)):
            key = (int(each.readings.station[n]), int(each.readings.time[n]))
            known[key] = {name: int(column[n]) for name, column in each.codes.items()}
    fresh = judged()
    every = readings(*rows)
    keys = list(zip(every.station.tolist(), every.time.tolist(), strict=True))
    names = next(iter(known.values()))
    codes = {name: np.array([known[key][name] for key in keys], np.int16) for name in names}
    fresh.restore(every, codes)
    assert fresh.evaluate(NOON) == said
    assert sum(len(each) for each in fresh.codes()) == 0


steps = st.lists(
    st.tuples(
        st.integers(0, 4),  # station
        st.integers(0, 17),  # which ten minutes
        st.one_of(st.floats(0, 30), st.sampled_from([-3.0, 160.0])),
        st.booleans(),  # comes in its time, or an hour later
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=15, deadline=None)
@given(steps=steps, near=st.booleans())
def test_step_by_step_is_as_from_scratch(
    steps: list[tuple[int, int, float, bool]], *, near: bool
) -> None:
    """Late readings, bad values, gaps: the end is the same as when all had been there at once."""
    start = NOON - 17 * TEN
    last: dict[tuple[int, int], Row] = {}
    for station, n, value, _ in steps:
        gust = round(value, 1)
        time = start + n * TEN
        last[station, n] = (station, time, TEN, {GUST: gust, WIND: gust / 2, RAIN: gust / 10})
    late = {(station, n) for station, n, _, on_time in steps if not on_time}
    running, fresh = (judged(NEAR if near else FAR) for _ in range(2))
    for n in range(18):
        now = [row for key, row in last.items() if key[1] == n and key not in late]
        now += [row for key, row in last.items() if key[1] == n - 6 and key in late]
        if now:
            running.put(readings(*now))
        running.evaluate(start + n * TEN)
    rest = [row for key, row in last.items() if key in late and key[1] > 11]
    for nowcast, rows in ((running, rest), (fresh, list(last.values()))):
        if rows:
            nowcast.put(readings(*rows))
        nowcast.evaluate(NOON + 60)
    at = NOON + 120  # by then every neighbour was heard
    ours, theirs = ([_sure(f) for f in each.evaluate(at)] for each in (running, fresh))
    assert ours == theirs


def _sure(finding: Finding) -> tuple[object, ...]:
    """Leave out the last digits of chances: a filter that ran again adds up in another order."""
    numbers = tuple(
        (e.element, e.value, e.time, e.quality, e.probability and round(e.probability, 6))
        for e in finding.evidence
    )
    return (finding.station, finding.hazard, finding.level, finding.door, finding.standing, numbers)


# Gathered by region.


def finding(
    station: int,
    level: str,
    standing: Standing = "sound",
    *,
    door: Door = "observed",
    fading: bool = False,
    lead: int = 0,
) -> Finding:
    chance = None if door == "observed" else 0.7
    evidence = Evidence(station, GUST, "value", 0, 30.0, 13.9, ">=", chance, 600)
    return Finding(
        station, "gale", level, door, (evidence,), 600, standing, lead=lead, fading=fading
    )


CASES = [
    ([finding(0, "blue", "lone")], ("blue", "lone", None)),
    ([finding(0, "blue", "lone"), finding(1, "blue", "lone")], ("blue", "sound", None)),
    ([finding(0, "blue", "lone"), finding(1, "yellow")], ("yellow", "sound", None)),
    ([finding(0, "blue"), finding(0, "red", "doubtful")], ("blue", "sound", "red")),
    ([finding(0, "red", "doubtful"), finding(1, "red", "doubtful")], ("red", "doubtful", None)),
    ([finding(0, "orange", "lone"), finding(1, "red", "doubtful")], ("orange", "lone", None)),
    ([finding(0, "blue"), finding(1, "orange", "lone")], ("blue", "sound", "orange")),
    ([finding(0, "blue"), finding(0, "orange", door="expected", fading=True)],
     ("blue", "sound", "orange")),
]  # fmt: skip


@pytest.mark.parametrize(("findings", "expected"), CASES)
def test_standing_of_a_region(
    findings: list[Finding], expected: tuple[str, str, str | None]
) -> None:
    for order in (findings, findings[::-1]):
        (proposal,) = propose(order, [[0, 1]])
        unsure: Proposal | None = proposal.unsure
        assert (proposal.level, proposal.standing, unsure and unsure.level) == expected


def test_the_lead_is_that_of_the_first_station() -> None:
    ahead = [finding(n, "blue", door="expected", lead=600 * (n + 1)) for n in range(2)]
    (proposal,) = propose(ahead, [[0, 1]])
    assert (proposal.lead, proposal.probability) == (600, 0.7)
    assert proposal.stations == {0, 1}


def test_what_is_expected_says_when() -> None:
    nowcast = Nowcast(criteria=CRITERIA, stations=1)
    rain = (3.0, 3.0, 4.2, 20.4)
    nowcast.put(
        readings(*((0, NOON - (3 - n) * HOUR, HOUR, {RAIN: v}) for n, v in enumerate(rain)))
    )
    expected = [f for f in nowcast.evaluate(NOON) if f.door == "expected"]
    assert expected
    # 50 mm less the 27.6 mm of three hours, at 20.4 mm an hour.
    assert expected[-1].lead == pytest.approx(HOUR * (50 - 27.6) / 20.4, abs=1)
