"""A causal run of the nowcast over an archive, without a server: readings in, a record out."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forecast.criteria import Criteria, Level, Signal
from forecast.expectation import HOUR, Expectation
from forecast.moment import Moment
from forecast.nowcast import Finding, Look, Nowcast
from forecast.quality import Checks, Judge
from forecast.readings import Readings
from forecast.rerun import moments
from forecast.verification.lanes import Lanes, Sites
from forecast.verification.record import (
    EXPECTED,
    MET,
    OBSERVED,
    PERSISTED,
    SMALL,
    Grade,
    Record,
    Recorder,
)

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Bits = NDArray[np.uint8]
Floats = NDArray[np.float64]

ROWS: Final = 300_000
"""Readings of one pass, at least: what bounds the memory."""

SETTLE: Final = 48 * HOUR
"""Before a piece begins its filters run so long, until nothing is left of how they began."""

AHEAD: Final = 3 * HOUR
"""How far ahead persistence looks."""

_MONTHS: Final = frozenset(range(1, 13))


def usable(criteria: Criteria, elements: Iterable[str]) -> Criteria:
    """Leave out what needs elements that an archive does not have: nothing can open it."""
    there = frozenset(elements)
    signals = []
    for signal in criteria.signals:
        levels = tuple(
            replace(level, alternatives=alternatives)
            for level in signal.working
            if (
                alternatives := tuple(
                    group for group in level.alternatives if all(c.element in there for c in group)
                )
            )
        )
        if levels:
            signals.append(replace(signal, levels=levels))
    return replace(criteria, signals=tuple(signals))


def run(
    batches: Iterable[Readings],
    *,
    criteria: Criteria,
    stations: int,
    sites: Sites | None = None,
    since: int | None = None,
    rows: int = ROWS,
    side_by_side: bool = True,
) -> Record:
    """Decide every moment of an archive that has a reading, in order, on what was there by then.

    batches: by time; every reading of a batch is later than all of the batch before. criteria:
    best of `usable`. sites: with them the values are judged first, those that fail a check do not
    count. since: readings up to it (s since 1970) only fill the windows. rows: readings that are
    held at once, at least. side_by_side: several pieces in one pass, which gives the same and is
    faster.
    """
    criteria = usable(criteria, {condition.element for condition in criteria.conditions})
    way = _Way(criteria, stations, sites, side_by_side=side_by_side)
    if criteria.signals:
        for old, fresh in _passes(batches, warm=way.warm, since=since, rows=rows):
            way.go(old, fresh)
    return way.recorder.record()


def warm(criteria: Criteria, sites: Sites | None) -> int:
    """Give the seconds before the first decision of which the readings are needed; see `run`."""
    if not criteria.signals:
        return 0
    return _Way(criteria, 1, _NOWHERE if sites else None, side_by_side=False).warm


def _passes(
    batches: Iterable[Readings], *, warm: int, since: int | None, rows: int
) -> Iterator[tuple[Readings | None, Readings]]:
    """Give what fills the windows, and what is decided on, pass by pass."""
    old: Readings | None = None
    held: list[Readings] = []
    for batch in batches:
        late = np.ones(len(batch), np.bool_) if since is None else batch.time > since
        if not late.all():
            old = _tail(old, batch.where(~late), warm)
        if late.any():
            held.append(batch.where(late))
        if sum(map(len, held)) >= rows:
            fresh = Readings.joined(held)
            yield old, fresh
            old, held = _tail(old, fresh, warm), []
    if held:
        yield old, Readings.joined(held)


def _tail(old: Readings | None, fresh: Readings, warm: int) -> Readings:
    every = fresh if old is None else Readings.joined((old, fresh))
    return every.where(every.time > every.time.max(initial=0) - warm)


@dataclass(frozen=True, slots=True)
class _Listener:
    """Writes down what one pass says, at the true times and stations."""

    recorder: Recorder
    criteria: Criteria
    lanes: Lanes
    times: Ints

    def hear(self, truth: Look, look: Look, findings: list[Finding]) -> None:
        """Take one step. truth: by the values as they were measured, whatever the checks say."""
        at = truth.moment.at
        everyone = np.arange(self.lanes.width)
        time, station = self.lanes.unfold(at, everyone)
        real = np.isin(time, self.times)
        self.recorder.decided(np.unique(time[real]))
        month = (time + self.criteria.offset).astype("M8[s]").astype("M8[M]").astype(np.int64) % 12
        said = _said(findings, self.lanes.width)
        for signal in self.criteria.signals:
            on = real & np.isin(month + 1, list(signal.months))
            if not on.any():
                continue
            there = on & _there(signal, truth.moment)
            self.recorder.known(signal.hazard, time=time[there], station=station[there])
            for level in signal.levels:
                grade = Grade(signal.hazard, level.name)
                bits, chance = _level(grade, level, truth, look, said.get(signal.hazard, {}))
                rows = np.flatnonzero(on & ((bits != 0) | (chance >= SMALL)))
                if len(rows):
                    marked = (time[rows], station[rows], bits[rows], chance[rows])
                    self.recorder.mark(grade, *marked)
                for condition in {c for group in level.alternatives for c in group}:
                    met = on & truth.moment.met(condition)
                    self.recorder.reached(condition, station[met])


class _Way:
    """Goes through an archive, pass by pass."""

    def __init__(
        self, criteria: Criteria, stations: int, sites: Sites | None, *, side_by_side: bool
    ) -> None:
        self.recorder = Recorder(criteria=criteria, stations=stations)
        self._criteria = criteria
        # The months are looked at where the true time is known.
        self._always = replace(
            criteria, signals=tuple(replace(s, months=_MONTHS) for s in criteria.signals)
        )
        self._stations = stations
        self._sites = sites
        self._side_by_side = side_by_side
        self.warm = self._nowcast(1, _NOWHERE if sites else None).span + SETTLE

    def go(self, old: Readings | None, fresh: Readings) -> None:
        """Decide on what is fresh; what is old fills the windows."""
        times = np.unique(fresh.time)
        begin, end = int(times[0]) - 1, int(times[-1])
        if self._side_by_side:
            lanes = Lanes.over(
                begin=begin, end=end, stations=self._stations, warm=self.warm, sites=self._sites
            )
        else:
            lanes = Lanes(self._stations, begin, end - begin, 1, self.warm)
        folded = lanes.fold(fresh if old is None else Readings.joined((old, fresh)))
        if self._sites is None:
            plain = nowcast = self._nowcast(lanes.width, None)
        else:
            nowcast = self._nowcast(lanes.width, lanes.sites(self._sites))
            deaf = replace(Expectation.load(), kalman={})  # the truth expects nothing
            plain = Nowcast(criteria=self._always, stations=lanes.width, expectation=deaf)
        listener = _Listener(self.recorder, self._criteria, lanes, times)
        for at, part in moments(folded):
            nowcast.put(part)
            if nowcast is not plain:
                plain.put(part)
            if at <= begin - SETTLE:
                continue
            look = nowcast.look(at)
            nowcast.codes()  # nobody keeps them here
            if at > begin:
                truth = look if nowcast is plain else plain.look(at)
                listener.hear(truth, look, nowcast.findings(look))
        self.recorder.close()

    def _nowcast(self, stations: int, sites: Sites | None) -> Nowcast:
        judge = None
        if sites is not None:
            judge = Judge(
                Checks.load(),
                stations=stations,
                longitude=sites.longitude,
                latitude=sites.latitude,
                elevation=sites.elevation,
            )
        return Nowcast(criteria=self._always, stations=stations, judge=judge)


_NOWHERE: Final = Sites(np.full(1, np.nan), np.full(1, np.nan), np.full(1, np.nan))


def _level(
    grade: Grade, level: Level, truth: Look, look: Look, said: Mapping[str, Ints]
) -> tuple[Bits, Floats]:
    """Give what is true and what is said of a level, and its probability, per station."""
    met = truth.reached(level)
    bits = np.where(met, MET, 0).astype(np.uint8)
    if "observed" in said:
        bits[said["observed"] >= grade.rank] |= OBSERVED
    if "expected" in said:
        bits[(said["expected"] >= grade.rank) & ~met] |= EXPECTED
    held = _persisted(level, truth.moment)
    if held is not None:
        bits[held & ~met] |= PERSISTED
    chance = look.likelihood(level)
    return bits, np.zeros(len(met)) if chance is None else chance


def _said(findings: list[Finding], width: int) -> dict[str, dict[str, Ints]]:
    """Give the rank of the highest level said, by hazard and door, per station; 0: none."""
    said: dict[str, dict[str, Ints]] = {}
    for finding in findings:
        if finding.standing != "sound":
            continue  # it waits until something confirms it
        doors = said.setdefault(finding.hazard, {})
        ranks = doors.setdefault(finding.door, np.zeros(width, np.int64))
        rank = Grade(finding.hazard, finding.level).rank
        ranks[finding.station] = max(ranks[finding.station], rank)
    return said


def _there(signal: Signal, moment: Moment) -> Bools:
    """Tell where one of the elements is there now."""
    elements = {c.element for level in signal.levels for group in level.alternatives for c in group}
    there: Bools = np.any([~np.isnan(moment.newest(name).value) for name in elements], axis=0)
    return there


def _persisted(level: Level, moment: Moment) -> Bools | None:
    """Tell where sums reach their threshold if each coming hour brings what the last one did.

    None for a level that is not of sums alone: there persistence says that nothing changes.
    """
    if any(len(group) > 1 or group[0].statistic != "sum" for group in level.alternatives):
        return None
    found: list[Bools] = []
    for (condition,) in level.alternatives:
        if condition.comparison not in (">=", ">"):
            return None
        end = moment.newest(condition.element).time
        last = moment.amount(condition.element, end - HOUR, end)
        for hours in range(1, max(1, min(AHEAD, condition.window) // HOUR) + 1):
            fallen = moment.amount(condition.element, end + hours * HOUR - condition.window, end)
            coming = np.round(fallen + hours * last, 6)
            found.append((coming >= condition.threshold) & (last > 0))
    held: Bools = np.logical_or.reduce(found)
    return held
