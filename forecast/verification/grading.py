"""From a record to the report card."""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecast.criteria import DAY, Level, Signal
from forecast.verification import counting, scoring
from forecast.verification.card import (
    Card,
    Cases,
    Chances,
    Class,
    Comparison,
    Graded,
    HazardCard,
    LevelCard,
    Met,
    Range,
    Rules,
    Score,
)
from forecast.verification.counting import Tally, local_day, local_month
from forecast.verification.events import Matched, match, running, soon
from forecast.verification.record import EXPECTED, MET, OBSERVED, PERSISTED, Grade, Marks, Record

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_HOURS = 24


@dataclass(frozen=True, slots=True)
class _Found:
    """One level, counted: what is pooled over the levels of a hazard."""

    card: LevelCard
    events: Tally
    rule: Tally
    persistence: Tally | None
    crossings: int
    early: int

    @property
    def counts(self) -> bool:
        """It occurred or was announced: what never did would only dilute the others."""
        return bool(len(self.events.table) or len(self.rule.table))


def grade(
    record: Record,
    *,
    names: Sequence[str],
    regions: Mapping[str, Sequence[int]] | None = None,
    rules: Rules | None = None,
) -> Card:
    """Score a record. names: of the stations; regions: the stations (numbers) of each.

    Raises `forecast.verification.scoring.ScoresMissingError` without the extra [verify].
    """
    rules = rules or Rules()
    grader = _Grader(record, names, regions or {}, rules)
    times = record.times
    hazards = tuple(grader.hazard(signal) for signal in record.criteria.signals)
    return Card(
        begin=_iso(times[0]) if len(times) else "",
        end=_iso(times[-1]) if len(times) else "",
        days=grader.days,
        moments=len(times),
        stations=tuple(names),
        rules=rules,
        hazards=hazards,
    )


class _Grader:
    def __init__(
        self,
        record: Record,
        names: Sequence[str],
        regions: Mapping[str, Sequence[int]],
        rules: Rules,
    ) -> None:
        self._record = record
        self._names = names
        self._regions = regions
        self._rules = rules
        self._offset = record.criteria.offset
        self.days = len(np.unique(local_day(record.times, self._offset)))

    def hazard(self, signal: Signal) -> HazardCard:
        seen = self._record.seen(signal.hazard)
        marks = {
            level.name: self._record.dense(Grade(signal.hazard, level.name))
            for level in signal.levels
        }
        found = [self._level(signal, level, marks[level.name], seen) for level in signal.levels]
        counted = [item for item in found if item.counts]
        held = [item.persistence for item in counted if item.persistence is not None]
        return HazardCard(
            hazard=signal.hazard,
            moments=int(seen.any(axis=1).sum()),
            score=self._score(counting.pooled(item.events for item in counted)),
            cases=Comparison(
                rule=self._cases(counting.pooled(item.rule for item in counted)),
                persistence=self._cases(counting.pooled(held)) if held else None,
                crossings=sum(item.crossings for item in found),
                crossings_early=sum(item.early for item in found),
            ),
            firm=self._firm(signal, marks, seen),
            flip_flop=_number(self._flip_flop(signal, marks)),
            levels=tuple(item.card for item in found),
        )

    def _level(self, signal: Signal, level: Level, marks: Marks, seen: Bools) -> _Found:
        record, rules, offset = self._record, self._rules, self._offset
        times = record.times
        met, said = marks.has(MET), marks.has(EXPECTED)
        matched = self._matched(met, said)
        events = self._tally(matched)
        everywhere = record.dense(
            Grade(signal.hazard, level.name), members=[range(record.stations)]
        )
        network = self._matched(everywhere.has(MET), everywhere.has(EXPECTED))
        coming = soon(met, times, ahead=rules.ahead)
        asked = seen & ~met
        rule = counting.of_cases(said, coming, asked, times, offset=offset)
        persistence = None
        if _of_sums(level):
            persistence = counting.of_cases(
                marks.has(PERSISTED), coming, asked, times, offset=offset
            )
        crossings, early = self._crossings(met, said)
        card = LevelCard(
            level=level.name,
            days=len(np.unique(local_day(times[met.any(axis=1)], offset))),
            stations=int(met.any(axis=0).sum()),
            opened=int((marks.has(OBSERVED) | said).any(axis=0).sum()),
            conditions=_met(level, record),
            score=self._score(events),
            network=self._score(self._tally(network)),
            cases=Comparison(
                rule=self._cases(rule),
                persistence=None if persistence is None else self._cases(persistence),
                crossings=crossings,
                crossings_early=early,
            ),
            chances=_chances(marks.chance[asked], coming[asked]),
            months=self._months(matched),
            by_station=self._groups(matched, dict(enumerate(self._names))),
            by_region=self._by_region(signal, level),
        )
        return _Found(card, events, rule, persistence, crossings, early)

    def _matched(self, met: Bools, said: Bools) -> Matched:
        rules, times = self._rules, self._record.times
        return match(
            met=met,
            said=said & ~met,
            times=times,
            ahead=rules.ahead,
            gap=rules.gap,
            hold=rules.hold,
            since=int(times[0]) if len(times) else 0,
        )

    def _tally(self, matched: Matched) -> Tally:
        return counting.of_events(matched, offset=self._offset, early=self._rules.early)

    def _crossings(self, met: Bools, said: Bools) -> tuple[int, int]:
        """Count the times at which a station begins to meet it, and those announced early."""
        rules, times = self._rules, self._record.times
        row, place = np.nonzero(met[1:] & ~met[:-1])
        row = row + 1
        count = running(said)
        begin = np.searchsorted(times, times[row] - rules.ahead)
        end = np.searchsorted(times, times[row] - rules.early, side="right")
        return len(row), int((count[end, place] > count[begin, place]).sum())

    def _months(self, matched: Matched) -> dict[str, Score]:
        events = local_month(matched.events.first, self._offset)
        alarms = local_month(matched.alarms.first, self._offset)
        return {
            str(month): self._score(
                self._tally(_part(matched, events == month, alarms == month)), sure=False
            )
            for month in np.union1d(events, alarms).tolist()
        }

    def _groups(self, matched: Matched, names: Mapping[int, str]) -> dict[str, Score]:
        events, alarms = matched.events.place, matched.alarms.place
        return {
            names[place]: self._score(
                self._tally(_part(matched, events == place, alarms == place)), sure=False
            )
            for place in np.union1d(events, alarms).tolist()
        }

    def _by_region(self, signal: Signal, level: Level) -> dict[str, Score]:
        if not self._regions:
            return {}
        marks = self._record.dense(
            Grade(signal.hazard, level.name), members=list(self._regions.values())
        )
        matched = self._matched(marks.has(MET), marks.has(EXPECTED))
        return self._groups(matched, dict(enumerate(self._regions)))

    def _score(self, tally: Tally, *, sure: bool = True) -> Score:
        total = {name: np.array(float(value)) for name, value in tally.total.items()}
        plain = _figures(total)
        drawn: dict[str, Floats] = {}
        if sure and len(tally.table):
            drawn = _figures(self._samples(tally))
        ranges = {name: self._range(float(plain[name]), drawn.get(name)) for name in plain}
        hits, misses, false = (int(total[n]) for n in ("hits", "misses", "false_alarms"))
        return Score(
            events=hits + misses,
            hits=hits,
            misses=misses,
            false_alarms=false,
            pod=ranges["pod"],
            far=ranges["far"],
            csi=ranges["csi"],
            lead=ranges["lead"],
            lead_announced=ranges["lead_announced"],
            early=ranges["early"],
        )

    def _cases(self, tally: Tally) -> Cases:
        names = ("hits", "misses", "false_alarms")
        hits, misses, false = (tally.total[name] for name in names)
        plain = scoring.rates(hits=hits, misses=misses, false_alarms=false)
        drawn: Mapping[str, Floats] = {}
        if len(tally.table):
            samples = self._samples(tally)
            drawn = scoring.rates(**{name: samples[name] for name in names})
        ranges = {name: self._range(float(plain[name]), drawn.get(name)) for name in plain}
        return Cases(
            hits=hits,
            misses=misses,
            false_alarms=false,
            pod=ranges["pod"],
            far=ranges["far"],
            csi=ranges["csi"],
        )

    def _samples(self, tally: Tally) -> dict[str, Floats]:
        return tally.samples(days=self.days, count=self._rules.samples, seed=self._rules.seed)

    def _range(self, value: float, drawn: Floats | None) -> Range:
        if drawn is None or math.isnan(value) or np.isnan(drawn).all():
            return Range(_number(value), None, None)
        half = (1 - self._rules.confidence) / 2
        low, high = np.nanquantile(drawn, (half, 1 - half))
        return Range(_number(value), _number(low), _number(high))

    def _firm(self, signal: Signal, marks: Mapping[str, Marks], seen: Bools) -> Graded:
        shape = seen.shape
        said, came, now = (np.zeros(shape, np.int64) for _ in range(3))
        for level in signal.levels:
            rank = Grade(signal.hazard, level.name).rank
            bits = marks[level.name]
            met = bits.has(MET)
            said[bits.has(OBSERVED) | bits.has(EXPECTED)] = rank
            came[met | soon(met, self._record.times, ahead=self._rules.ahead)] = rank
            now[bits.has(OBSERVED)] = rank
        ours = scoring.firm(said[seen], came[seen])
        return Graded(
            score=_number(ours.score),
            under=_number(ours.under),
            over=_number(ours.over),
            observing=_number(scoring.firm(now[seen], came[seen]).score),
        )

    def _flip_flop(self, signal: Signal, marks: Mapping[str, Marks]) -> float:
        """Score the levels said in the hours of each local day on which any was said."""
        times = self._record.times
        hour = (times + self._offset - 1) // 3_600
        if not len(hour):
            return math.nan
        first = int(hour[0]) // _HOURS * _HOURS
        days = (int(hour[-1]) - first) // _HOURS + 1
        ranks = np.zeros((days * _HOURS, self._record.stations), np.int64)
        for level in signal.levels:
            bits = marks[level.name]
            row, place = np.nonzero(bits.has(OBSERVED) | bits.has(EXPECTED))
            ranks[hour[row] - first, place] = Grade(signal.hazard, level.name).rank
        daily = ranks.reshape(days, _HOURS, -1).transpose(0, 2, 1).reshape(-1, _HOURS)
        return scoring.flip_flop(daily[daily.any(axis=1)])


def _figures(sums: Mapping[str, Floats]) -> dict[str, Floats]:
    """Give the rates and the leads (minutes) of sums of any shape."""
    found = dict(
        scoring.rates(hits=sums["hits"], misses=sums["misses"], false_alarms=sums["false_alarms"])
    )
    events = sums["hits"] + sums["misses"]
    with np.errstate(divide="ignore", invalid="ignore"):
        found["lead"] = sums["lead"] / 60 / events
        found["lead_announced"] = sums["lead"] / 60 / sums["hits"]
        found["early"] = sums["early"] / events
    return found


def _part(matched: Matched, events: Bools, alarms: Bools) -> Matched:
    return Matched(
        matched.events.where(events),
        matched.lead[events],
        matched.alarms.where(alarms),
        matched.true[alarms],
    )


def _chances(chance: NDArray[np.float32], came: Bools) -> Chances:
    found = scoring.reliability(chance.astype(np.float64), came)
    classes = tuple(
        Class(low, high, int(count), _number(mean), _number(often))
        for low, high, count, mean, often in zip(
            scoring.EDGES, scoring.EDGES[1:], found.counts, found.mean, found.came, strict=False
        )
    )
    return Chances(
        brier=_number(found.brier, 6),
        miscalibration=_number(found.miscalibration, 6),
        discrimination=_number(found.discrimination, 6),
        uncertainty=_number(found.uncertainty, 6),
        classes=classes,
    )


def _met(level: Level, record: Record) -> tuple[Met, ...]:
    conditions = dict.fromkeys(c for group in level.alternatives for c in group)
    return tuple(
        Met(
            element=condition.element,
            statistic=condition.statistic,
            window=condition.window or condition.days * DAY,
            comparison=condition.comparison,
            threshold=condition.threshold,
            stations=int(record.places[condition].sum()) if condition in record.places else 0,
        )
        for condition in conditions
    )


def _of_sums(level: Level) -> bool:
    """Tell whether persistence has a say: the amount of the last hour goes on."""
    return all(
        len(group) == 1 and group[0].statistic == "sum" and group[0].comparison in (">=", ">")
        for group in level.alternatives
    )


def _number(value: float, digits: int = 4) -> float | None:
    return round(float(value), digits) if math.isfinite(value) else None


def _iso(seconds: int) -> str:
    return dt.datetime.fromtimestamp(int(seconds), dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
