"""The report card on cases that can be counted by hand."""

import datetime as dt
import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.elements import ELEMENTS
from forecast.criteria import Criteria
from forecast.nowcast import Nowcast
from forecast.readings import Readings
from forecast.verification import counting, scoring, warned
from forecast.verification.card import Card, HazardCard, Rules
from forecast.verification.events import Stretches, match, soon, stretches
from forecast.verification.grading import grade
from forecast.verification.lanes import Lanes, Sites
from forecast.verification.record import EXPECTED, MET, OBSERVED, Grade, Record, Recorder
from forecast.verification.run import run, usable

HOUR = 3_600
DAY = 24 * HOUR
UNITS = {name: element.unit for name, element in ELEMENTS.items()}
NATIONAL = Criteria.load(units=UNITS)
START = int(dt.datetime(2016, 7, 19, 16, tzinfo=dt.UTC).timestamp())  # midnight in Beijing


def marks(text: str) -> NDArray[np.bool_]:
    """Give [time, place] of lines for places, with an x where it is true."""
    rows = [[c == "x" for c in line] for line in text.split()]
    return np.array(rows, np.bool_).T


def hours(count: int) -> NDArray[np.int64]:
    return START + HOUR * np.arange(1, count + 1)


@pytest.mark.parametrize(
    ("line", "gap", "found"),
    [
        ("........", 6, []),
        ("..xx....", 6, [(3, 4)]),
        ("x......x", 6, [(1, 1), (8, 8)]),  # seven hours lie between
        ("x.....x.", 6, [(1, 7)]),
        ("x.x.x..x", 2, [(1, 5), (8, 8)]),
    ],
)
def test_stretches_end_after_a_gap(line: str, gap: int, found: list[tuple[int, int]]) -> None:
    result = stretches(marks(line), hours(len(line)), gap=gap * HOUR)
    pairs = zip((result.first - START) // HOUR, (result.last - START) // HOUR, strict=True)
    assert [(int(a), int(b)) for a, b in pairs] == found


@pytest.mark.parametrize(
    ("met", "said", "leads", "alarms"),
    [
        # Met at the sixth hour, said one and two hours before: the earlier word counts.
        (".....x..", "...xx...", [2], [True]),
        # Said five hours before and never again: too soon, so it warned of nothing.
        ("......x.", ".x......", [0], [False]),
        # Said all the time: only the three hours before count.
        ("........x.", "xxxxxxxx..", [3], [True]),
        # Not said, and said when it is met: no lead.
        (".....x..", ".....x..", [0], []),
        # Said and it never came.
        ("........", "..x.....", [], [False]),
        # Words during the event, where it pauses, are no alarm.
        (".....x.x.", "...x..x..", [2], [True]),
        # Two alarms, hours apart, one of them true.
        (".........x..", ".x......x...", [1], [False, True]),
    ],
)
def test_words_are_matched_with_what_came(
    met: str, said: str, leads: list[int], alarms: list[bool]
) -> None:
    times = hours(len(met))
    found = match(
        met=marks(met), said=marks(said), times=times, ahead=3 * HOUR, gap=6 * HOUR,
        hold=2 * HOUR, since=START,
    )  # fmt: skip
    assert (found.lead // HOUR).tolist() == leads
    assert found.true.tolist() == alarms


def test_what_began_before_the_record_is_not_counted() -> None:
    found = match(
        met=marks("xx..x..."), said=marks("x......."), times=hours(8), ahead=3 * HOUR,
        gap=2 * HOUR, hold=HOUR, since=START + HOUR,
    )  # fmt: skip
    assert ((found.events.first - START) // HOUR).tolist() == [5]
    assert not len(found.alarms)


def test_places_do_not_mix() -> None:
    found = match(
        met=marks("..x. ...."), said=marks(".... .x.."), times=hours(4), ahead=3 * HOUR,
        gap=HOUR, hold=HOUR, since=START,
    )  # fmt: skip
    assert found.lead.tolist() == [0]
    assert found.true.tolist() == [False]


def test_soon_looks_ahead_and_not_at_now() -> None:
    coming = soon(marks("x....x.."), hours(8), ahead=3 * HOUR)
    assert coming[:, 0].tolist() == [False, False, True, True, True, False, False, False]


def test_a_moment_that_is_missing_does_not_shorten_the_time_ahead() -> None:
    times = hours(6)[[0, 4, 5]]
    assert soon(marks("..x"), times, ahead=3 * HOUR)[:, 0].tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("counts", "pod", "far", "csi"),
    [
        ((3, 1, 2), 0.75, 0.4, 0.5),
        ((0, 4, 0), 0.0, math.nan, 0.0),
        ((0, 0, 5), math.nan, 1.0, 0.0),
        ((0, 0, 0), math.nan, math.nan, math.nan),
        ((7, 0, 0), 1.0, 0.0, 1.0),
    ],
)
def test_rates(counts: tuple[int, int, int], pod: float, far: float, csi: float) -> None:
    hits, misses, false = counts
    found = scoring.rates(hits=hits, misses=misses, false_alarms=false)
    wanted = {"pod": pod, "far": far, "csi": csi}
    assert {key: float(value) for key, value in found.items()} == pytest.approx(wanted, nan_ok=True)


def spans(*rows: tuple[int, int, int]) -> Stretches:
    """Give stretches of place, first and last hour."""
    table = np.array(rows, np.int64).reshape(-1, 3)
    return Stretches(table[:, 0], table[:, 1] * HOUR, table[:, 2] * HOUR)


@pytest.mark.parametrize(
    ("events", "warnings", "since", "lead", "true"),
    [
        # It stands when the event begins, since two hours; or it began while the event lasted.
        ([(0, 10, 14)], [(0, 8, 12)], [8], [2], [True]),
        ([(0, 10, 14)], [(0, 11, 16)], [11], [0], [True]),
        # It was over, but looks six hours ahead; and seven hours are too many.
        ([(0, 10, 14)], [(0, 5, 6)], [5], [5], [True]),
        ([(0, 13, 14)], [(0, 5, 6)], [-1], [0], [False]),
        # After it, or elsewhere.
        ([(0, 10, 14)], [(0, 15, 18), (1, 8, 12)], [-1], [0], [False, False]),
        # The earlier of two counts; one warning may serve two events.
        ([(0, 10, 14)], [(0, 9, 12), (0, 6, 8)], [6], [4], [True, True]),
        ([(0, 10, 11), (0, 20, 21)], [(0, 9, 22)], [9, 9], [1, 11], [True]),
        ([], [(0, 1, 2)], [], [], [False]),
    ],
)
def test_warnings_beside_events(
    events: list[tuple[int, int, int]],
    warnings: list[tuple[int, int, int]],
    since: list[int],
    lead: list[int],
    true: list[bool],
) -> None:
    found = warned.judge(spans(*events), spans(*warnings), ahead=6 * HOUR)
    assert [s // HOUR if s >= 0 else -1 for s in found.since.tolist()] == since
    assert (found.lead // HOUR).tolist() == lead
    assert found.true.tolist() == true


def test_the_centre_counts_as_scores_does() -> None:
    events = spans((0, 10, 14), (0, 30, 31), (1, 10, 12), (2, 10, 12))
    warnings = spans((0, 8, 12), (1, 11, 13), (2, 40, 41))
    found = warned.Tally.of(warned.judge(events, warnings, ahead=6 * HOUR))
    assert (found.events, found.before, found.during, found.warnings) == (4, 1, 1, 3)
    assert found.false_alarms == 1
    assert found.minutes == 120 / 4
    rates = scoring.rates(hits=found.before, misses=3, false_alarms=found.false_alarms)
    assert found.pod == pytest.approx(float(rates["pod"]))
    assert found.csi == pytest.approx(float(rates["csi"]))
    twice = found + found
    assert twice.pod == found.pod
    assert warned.Tally(0, 0, 0, 0, 0, 0).pod is None


def test_firm_by_hand() -> None:
    # Blue missed (0.7 x 1), yellow said for blue (0.3 x 2), right, orange for nothing.
    found = scoring.firm(np.array([0, 2, 3, 3]), np.array([1, 1, 3, 0]))
    assert found.under == pytest.approx(0.7 * 1 / 4)
    assert found.over == pytest.approx(0.3 * (2 + (1 + 2 + 3)) / 4)
    assert found.score == pytest.approx(found.under + found.over)


@pytest.mark.parametrize(
    ("ranks", "index"),
    [([0, 0, 1, 1], 0.0), ([0, 1, 0, 1], 1.0), ([0, 2, 0, 0], 1.0), ([0, 3, 3, 3], 0.0)],
)
def test_flip_flop_by_hand(ranks: list[int], index: float) -> None:
    assert scoring.flip_flop(np.array([ranks])) == pytest.approx(index)


def test_reliability_by_hand() -> None:
    chance = np.array([0.0, 0.0, 0.25, 0.25, 0.75, 0.75])
    came = np.array([False, False, True, False, True, True])
    found = scoring.reliability(chance, came)
    assert found.brier == pytest.approx((0.75**2 + 0.25**2 + 2 * 0.25**2) / 6)
    assert found.uncertainty == pytest.approx(0.25)
    # Said 0, 1/4 and 3/4, came 0, 1/2 and 1: that is what recalibration makes of them.
    assert found.brier - found.miscalibration == pytest.approx(2 * 0.25 / 6)
    parts = found.miscalibration - found.discrimination + found.uncertainty
    assert found.brier == pytest.approx(parts)
    filled = np.flatnonzero(found.counts).tolist()
    assert [scoring.EDGES[number] for number in filled] == [0.0, 0.2, 0.7]
    assert found.came[filled].tolist() == [0.0, 0.5, 1.0]


def test_without_any_probability_there_is_no_score() -> None:
    assert math.isnan(scoring.reliability(np.zeros(0), np.zeros(0, np.bool_)).brier)


def test_days_are_drawn_whole() -> None:
    # One day with all hits and one with all false alarms, of a hundred: FAR is 0 or 1 often.
    tally = counting.Tally(np.array([5, 9]), np.array([[4, 0, 0, 4, 0], [0, 0, 3, 0, 0]]))
    drawn = tally.samples(days=100, count=4_000, seed=7)
    assert set(drawn["hits"] % 4) == {0.0}
    assert set(drawn["false_alarms"] % 3) == {0.0}
    assert drawn["hits"].mean() == pytest.approx(4, rel=0.1)
    assert (drawn["hits"] == 0).mean() == pytest.approx(0.99**100, abs=0.04)
    again = tally.samples(days=100, count=4_000, seed=7)
    assert (again["hits"] == drawn["hits"]).all()


def test_the_levels_of_a_day_are_one_block() -> None:
    one = counting.Tally(np.array([1, 3]), np.array([[1, 0, 0, 1, 60], [0, 1, 0, 0, 0]]))
    two = counting.Tally(np.array([3, 4]), np.array([[2, 0, 0, 0, 90], [0, 0, 5, 0, 0]]))
    found = counting.pooled([one, two])
    assert found.days.tolist() == [1, 3, 4]
    assert found.table[1].tolist() == [2, 1, 0, 0, 90]
    assert found.total == {"hits": 3, "misses": 1, "false_alarms": 5, "early": 1, "lead": 150}


@pytest.mark.parametrize(("hour", "day"), [(0, -1), (1, 0), (24, 0), (25, 1)])
def test_midnight_belongs_to_the_day_that_ends(hour: int, day: int) -> None:
    first = (START + 8 * HOUR) // DAY
    found = counting.local_day(np.array([START + hour * HOUR]), 8 * HOUR)
    assert int(found[0]) - first == day


def record(*, met: str, said: str, hazard: str = "rainstorm", level: str = "blue") -> Record:
    """Give a record of one level, with lines for stations; what is met goes on."""
    criteria = replace(
        NATIONAL,
        signals=tuple(
            replace(s, levels=tuple(x for x in s.working if x.name == level))
            for s in NATIONAL.signals
            if s.hazard == hazard
        ),
    )
    true, words = marks(met), marks(said)
    times = hours(len(true))
    recorder = Recorder(criteria=criteria, stations=true.shape[1])
    recorder.decided(times)
    for station in range(true.shape[1]):
        bits = np.where(true[:, station], MET | OBSERVED, 0) | np.where(
            words[:, station], EXPECTED, 0
        )
        where = np.full(len(times), station)
        recorder.known(hazard, time=times, station=where)
        chance = np.where(words[:, station], 0.7, 0.0)
        recorder.mark(Grade(hazard, level), times, where, bits.astype(np.uint8), chance)
    return recorder.record()


def hazard_of(card: Card) -> HazardCard:
    (found,) = card.hazards
    return found


def test_a_card_by_hand() -> None:
    found = record(
        met="......xxx........... ..........x......... ....................",
        said="....x............... .x......x........... ..............x.....",
    )
    card = grade(found, names=["a", "b", "c"], regions={"north": [0, 1], "south": [2]})
    hazard = hazard_of(card)
    (level,) = hazard.levels
    score = level.score
    assert (score.events, score.hits, score.misses, score.false_alarms) == (2, 2, 0, 2)
    assert score.pod.value == 1.0
    assert score.far.value == 0.5
    assert score.csi.value == 0.5
    assert score.lead.value == 120.0  # two hours both
    assert score.early.value == 1.0
    assert level.days == 1
    assert level.stations == 2
    assert level.opened == 3
    # b's first word comes while a speaks of its own: for both together it is one more alarm.
    network = level.network
    assert (network.events, network.hits, network.misses) == (1, 1, 0)
    assert set(level.by_station) == {"a", "b", "c"}
    assert level.by_station["c"].false_alarms == 1
    assert level.by_station["c"].pod.value is None
    assert level.by_region["south"].false_alarms == 1
    assert list(level.months) == ["7"]
    # Moments: of a two hits at hour 5, of b one at hour 9 and a false one at 2, of c a false one.
    cases = level.cases.rule
    assert (cases.hits, cases.false_alarms) == (2, 2)
    assert cases.misses == 3 + 3 - 2
    assert (level.cases.crossings, level.cases.crossings_early) == (2, 2)
    assert hazard.firm.score is not None
    assert hazard.score.events == 2
    assert card.days == 1


def test_an_event_without_a_word_has_no_lead() -> None:
    found = record(met="....x....... ......x.....", said="..x......... ............")
    score = hazard_of(grade(found, names=["a", "b"])).score
    assert score.lead.value == 60.0
    assert score.lead_announced.value == 120.0
    assert score.pod.value == 0.5


def test_persistence_has_a_say_only_in_sums() -> None:
    rain = hazard_of(grade(record(met="..x", said="..."), names=["a"]))
    assert rain.cases.persistence is not None
    gale = hazard_of(grade(record(met="..x", said="...", hazard="gale"), names=["a"]))
    assert gale.cases.persistence is None


def test_an_empty_record_makes_an_empty_card() -> None:
    empty = run([], criteria=usable(NATIONAL, ["wind_speed"]), stations=2)
    card = grade(empty, names=["a", "b"])
    assert card.moments == 0
    assert [hazard.hazard for hazard in card.hazards] == ["gale"]
    assert grade(run([], criteria=usable(NATIONAL, []), stations=1), names=["a"]).hazards == ()


def test_what_an_archive_does_not_have_is_left_out() -> None:
    there = {"precipitation_amount", "wind_speed", "air_temperature"}
    found = usable(NATIONAL, there)
    assert {c.element for c in found.conditions} <= there
    gale = found.signal("gale")
    assert [len(level.alternatives) for level in gale.levels] == [1, 1, 1, 1]
    assert "haze" not in {signal.hazard for signal in found.signals}


def storm(days: int, stations: int, seed: int = 3) -> Readings:
    """Make weeks of hours with bursts of rain and wind, with gaps, by time."""
    rng = np.random.default_rng(seed)
    count = days * 24
    time = np.tile(START + HOUR * np.arange(1, count + 1), stations)
    station = np.repeat(np.arange(stations), count)
    burst = np.repeat(rng.random((stations, days * 4)) < 0.12, 6, axis=1)
    rain = np.where(burst, rng.gamma(1.2, 9, (stations, count)), 0.0).round(1)
    wind = (6 + 3.5 * np.sin(np.arange(count) / 17) + rng.gamma(2, 0.9, (stations, count))).round(1)
    rain[rng.random(rain.shape) < 0.03] = np.nan
    there = rng.random(len(time)) > 0.02
    found = Readings(
        station, time, np.full(len(time), HOUR),
        {"precipitation_amount": rain.ravel(), "wind_speed": wind.ravel()},
    ).where(there)  # fmt: skip
    return found.where(np.argsort(found.time, kind="stable"))


SMALL = usable(
    replace(
        NATIONAL, signals=tuple(s for s in NATIONAL.signals if s.hazard in {"rainstorm", "gale"})
    ),
    ["precipitation_amount", "wind_speed"],
)


def same(one: Record, other: Record) -> None:
    assert (one.times == other.times).all()
    for hazard, known in one.known.items():
        assert (known == other.known[hazard]).all()
    for level in one.marks:
        first, second = one.dense(level), other.dense(level)
        assert (first.bits == second.bits).all(), level
        assert np.abs(first.chance - second.chance).max(initial=0) < 1e-4
    assert one.places.keys() == other.places.keys()
    assert all((one.places[c] == other.places[c]).all() for c in one.places)


def test_pieces_side_by_side_say_the_same_as_step_by_step() -> None:
    readings = storm(10, 3)
    plain = run([readings], criteria=SMALL, stations=3, side_by_side=False)
    assert any((bits & EXPECTED).any() for _, _, bits, _ in plain.marks.values())
    same(plain, run([readings], criteria=SMALL, stations=3))
    # In small passes as well, each with the end of the one before.
    cut = START + 4 * DAY + 7 * HOUR
    batches = [readings.where(readings.time <= cut), readings.where(readings.time > cut)]
    same(plain, run(batches, criteria=SMALL, stations=3, rows=1))


def test_the_record_is_what_the_nowcast_says() -> None:
    readings = storm(8, 2, seed=5)
    found = run([readings], criteria=SMALL, stations=2)
    nowcast = Nowcast(criteria=SMALL, stations=2)
    for row, time in enumerate(found.times.tolist()):
        nowcast.put(readings.where(readings.time == time))
        said = {(f.hazard, f.level, f.door, f.station) for f in nowcast.evaluate(time)}
        for hazard, level, door, station in said:
            bits = found.dense(Grade(hazard, level)).bits[row, station]
            assert bits & (OBSERVED if door == "observed" else EXPECTED)


def test_readings_before_the_beginning_only_fill_the_windows() -> None:
    readings = storm(6, 2)
    since = START + 3 * DAY
    late = run([readings], criteria=SMALL, stations=2, since=since)
    whole = run([readings], criteria=SMALL, stations=2)
    rows = whole.times > since
    assert (late.times == whole.times[rows]).all()
    blue = Grade("rainstorm", "blue")
    assert (late.dense(blue).bits == whole.dense(blue).bits[rows]).all()


def test_pieces_stand_where_they_do_not_see_each_other() -> None:
    sites = Sites(np.array([116.0, 116.6]), np.array([40.0, 40.3]), np.array([np.nan, 50.0]))
    lanes = Lanes.over(begin=0, end=700 * DAY, stations=2, warm=4 * DAY, sites=sites)
    assert 20 < lanes.count < 360
    turned = lanes.sites(sites)
    assert len(turned.longitude) == lanes.width
    assert sites.turned(360 / lanes.count).nearest(sites) > 100
    # Round the pole everybody is near: no pieces at all.
    pole = Sites(np.array([0.0]), np.array([89.9]), np.array([0.0]))
    assert Lanes.over(begin=0, end=700 * DAY, stations=1, warm=DAY, sites=pole).count == 1


def test_quality_control_by_pieces_is_the_same() -> None:
    readings = storm(7, 5)
    sites = Sites(116 + 0.1 * np.arange(5), 40 + 0.05 * np.arange(5), np.full(5, 50.0))
    plain = run([readings], criteria=SMALL, stations=5, sites=sites, side_by_side=False)
    same(plain, run([readings], criteria=SMALL, stations=5, sites=sites))


def test_months_of_a_signal_are_those_of_the_true_time() -> None:
    criteria = usable(NATIONAL, ["surface_temperature"])
    assert [s.hazard for s in criteria.signals] == ["frost"]
    time = START - 150 * DAY + HOUR * np.arange(1, 61 * 24)  # from February into April
    cold = Readings(
        np.zeros(len(time), np.int64), time, np.full(len(time), HOUR),
        {"surface_temperature": np.full(len(time), -6.0)},
    )  # fmt: skip
    found = run([cold], criteria=criteria, stations=1)
    met = found.dense(Grade("frost", "orange")).has(MET)[:, 0]
    month = counting.local_month(found.times + 1, criteria.offset)
    assert (met == (month >= 3)).all()
    assert met.any()
    assert not met.all()


def test_rules_are_told() -> None:
    rules = Rules(ahead=HOUR)
    card = grade(record(met="....x...", said=".x......"), names=["a"], rules=rules)
    assert card.rules.ahead == HOUR
    assert hazard_of(card).score.hits == 0
