"""The nowcast: readings in, and out comes what each station meets or expects now.

Readings wait until `Nowcast.evaluate` and are then taken in the order of their time, whatever
the order in which they came, so the same readings give the same findings. A reading that comes
late or is corrected after its time was decided enters the windows at its place; the filter of
its station is run again over the last hours.

With a judge, what is new is judged before anything is decided, and what failed a check opens
nothing: it stays in the windows as it was measured, but does not count. Where it would have
changed the outcome, that is a finding too, a doubtful one.
"""

from collections.abc import Mapping
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from forecast.chances import Chances
from forecast.correction import ModelOutlook
from forecast.criteria import DAY, Book, Criteria
from forecast.doubt import Doubt, Raw
from forecast.expectation import HOUR, Expectation
from forecast.finding import Door, Evidence, Finding, Look, Standing
from forecast.kalman import Kalman
from forecast.moment import Moment
from forecast.pages import arranged
from forecast.quality import Judge, Judged, good
from forecast.radar.outlook import RainOutlook
from forecast.readings import Readings
from forecast.windows import NEVER, Windows

__all__ = ["Door", "Evidence", "Finding", "Look", "Nowcast", "Standing"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Codes = NDArray[np.int16]
_Column: TypeAlias = tuple[Ints, Ints, Floats]
"""Stations, times and values."""

BACK: Final = 12 * HOUR
"""Readings that cover more than this are no basis for a nowcast."""

MEMORY: Final = 6 * HOUR
"""What a filter is run over when it starts anew."""


class Nowcast:
    """The readings of the last days at some stations, and what they mean."""

    def __init__(
        self,
        *,
        criteria: Criteria | Book,
        stations: int,
        expectation: Expectation | None = None,
        judge: Judge | None = None,
        collect: bool = False,
    ) -> None:
        """Know the criteria and how many stations there are; they are numbered from 0.

        criteria: of a book, every condition is prepared, and its base is what counts where
        `evaluate` is told nothing else. judge: without one, every value is good. collect: keep
        what was judged until `codes` is asked.
        """
        self._criteria = criteria.base if isinstance(criteria, Book) else criteria
        self._expectation = expectation or Expectation.load()
        self._judge = judge
        self._waiting: list[Readings] = []
        conditions = criteria.conditions
        judged = judge.checks.elements if judge else frozenset()
        self.elements: frozenset[str] = frozenset(c.element for c in conditions) | judged
        """What it needs of a reading."""
        rain = [rule.reach for rule in self._expectation.rain.values()]
        least = max(*rain, MEMORY + BACK, judge.checks.span if judge else 0)
        self._reach = dict.fromkeys(self.elements, least)
        for each in conditions:
            whole = each.reach + (DAY if each.statistic == "days" else 0) + BACK
            self._reach[each.element] = max(self._reach[each.element], whole)
        self.span: int = max(self._reach.values(), default=least)
        """Seconds of history that a new one needs to say the same."""
        self._windows = Windows(stations=stations, elements=self.elements)
        self._filters = {
            element: Kalman(model=model, stations=stations)
            for element, model in self._expectation.kalman.items()
            if element in self.elements
        }
        self._doubt = Doubt(conditions, stations=stations)
        self._newest = np.full(stations, NEVER, np.int64)
        self._restored: list[dict[str, _Column]] = []
        self._again: tuple[Look, Raw | None] | None = None
        self._collect = collect
        self._codes: list[Judged] = []

    @property
    def stations(self) -> int:
        """How many stations there are."""
        return self._windows.stations

    def put(self, readings: Readings) -> None:
        """Take readings in any order; a repeated or corrected one replaces its predecessor.

        Raises ValueError for a station that does not exist.
        """
        stations = self._windows.stations
        if len(readings) and not 0 <= readings.station.min() <= readings.station.max() < stations:
            raise ValueError(f"stations are numbered from 0 to {stations - 1}")
        missing = np.full(len(readings), np.nan)
        values = {name: readings.values.get(name, missing) for name in self.elements}
        kept = Readings(readings.station, readings.time, readings.interval, values)
        self._waiting.append(kept)

    def restore(self, readings: Readings, codes: Mapping[str, Codes]) -> None:
        """Take readings that were judged before a restart, each once, with their codes."""
        missing = np.full(len(readings), np.nan)
        values = {name: readings.values.get(name, missing) for name in self.elements}
        kept = Readings(readings.station, readings.time, readings.interval, values)
        self._windows.put(kept)
        np.maximum.at(self._newest, kept.station, kept.time)
        if self._judge is not None:
            self._judge.remember(kept, codes)
        judged = Judged(kept, codes, np.ones(len(kept), np.bool_))
        self._doubt.note(judged)
        columns = {name: (kept.station, kept.time, kept.values[name]) for name in self._filters}
        self._mark(judged, columns)
        self._restored.append(columns)

    def evaluate(
        self, at: int, *, criteria: Criteria | None = None, among: Bools | None = None
    ) -> list[Finding]:
        """Give what every station meets or expects at a moment (s since 1970), by its readings.

        criteria: one set of the book that this was made with; among: only these stations.
        At most two findings for a station and hazard: the highest level met, and a higher one
        that is expected; and one more where values that failed a check would have changed it.
        Readings with a later time wait.
        """
        return self.findings(self.look(at), criteria=criteria, among=among)

    def look(
        self, at: int, *, model: ModelOutlook | None = None, radar: RainOutlook | None = None
    ) -> Look:
        """Take what is new up to a moment and give what is seen then.

        model, radar: their outlook at the same stations.
        """
        self._take(at)
        moment = self._moment(self._windows, at)
        chances = Chances(moment, self._filters, self._expectation, model=model, radar=radar)
        seen = radar.time if radar is not None else None
        return Look(moment, chances, self._doubt.codes, seen)

    def findings(
        self,
        look: Look,
        *,
        criteria: Criteria | None = None,
        among: Bools | None = None,
        keep: float = 1.0,
    ) -> list[Finding]:
        """Give what follows from a look by one set of criteria; see `evaluate`.

        keep: below 1, also what is no longer likely enough to open, but so much of that.
        """
        chosen = criteria or self._criteria
        at = look.moment.at
        month = int(np.datetime64(at + chosen.offset, "s").astype("M8[M]").astype(int)) % 12 + 1
        raw = self._raw(look) if self._judge else None
        found: list[Finding] = []
        for signal in chosen.signals:
            if month in signal.months and signal.working:
                mine = look.findings(signal, among=among, keep=keep)
                if self._judge:
                    mine = self._doubt.weigh(signal, look, mine, raw, among=among)
                found += mine
        return found

    def codes(self) -> list[Judged]:
        """Give what was judged since this was last asked, in order."""
        found, self._codes = self._codes, []
        return found

    def _raw(self, look: Look) -> Raw | None:
        """Look again at the stations where values that failed could change something."""
        if self._again is None or self._again[0] is not look:
            stations, since = self._doubt.suspects(look, back=BACK)
            some = len(stations) > 0
            codes = self._doubt.codes
            raw = Raw(look, stations=stations, since=since, codes=codes) if some else None
            self._again = (look, raw)
        return self._again[1]

    def _moment(self, windows: Windows, at: int) -> Moment:
        criteria = self._criteria
        return Moment(
            windows=windows,
            at=at,
            offset=criteria.offset,
            day_ends=criteria.day_ends,
            back=BACK,
        )

    def _take(self, at: int) -> None:
        """Let in what is due, judge it, and bring the filters up to date."""
        due = self._due(at)
        fresh = {name: (due.station, due.time, due.values[name]) for name in self._filters}
        again: dict[str, Ints] = {}
        if self._judge is not None:
            judged = self._judge.judge(
                self._windows, due, at=at, innovation=self._surprises(self._judge, due)
            )
            if self._collect and len(judged):
                self._codes.append(judged)
            self._doubt.note(judged)
            again = self._mark(judged, fresh)
        for element, kalman in self._filters.items():
            for columns in self._restored:
                self._run(kalman, element, columns[element], None, at)
            self._run(kalman, element, fresh[element], again.get(element), at)
        self._restored.clear()
        sooner = {element: at - reach for element, reach in self._reach.items()}
        self._windows.forget(at - self.span, sooner=sooner)

    def _due(self, at: int) -> Readings:
        """Put what is not later than the moment into the windows, and give it, sorted by time."""
        if not self._waiting:
            nothing = np.zeros(0, np.int64)
            return Readings(nothing, nothing, nothing, dict.fromkeys(self.elements, np.zeros(0)))
        every = self._waiting[0] if len(self._waiting) == 1 else Readings.joined(self._waiting)
        later = every.time > at
        self._waiting = [every.where(later)] if later.any() else []
        due = arranged(every.where(~later) if later.any() else every)
        # What is known already changes nothing, whoever sends it again.
        old = np.flatnonzero(due.time <= self._newest[due.station])
        if len(old):
            known = np.zeros(len(due), np.bool_)
            known[old] = self._windows.holds(due.where(old))
            due = due.where(~known) if known.any() else due
        np.maximum.at(self._newest, due.station, due.time)
        self._windows.put(due)
        return due

    def _surprises(self, judge: Judge, due: Readings) -> dict[str, Floats]:
        """Give how far values lie from what the filters expected, in standard deviations.

        Only of each station's first reading that is new; nan for others.
        """
        found: dict[str, Floats] = {}
        first = np.append(True, due.station[1:] != due.station[:-1])[: len(due)]
        for element, kalman in self._filters.items():
            pipeline = judge.checks.pipelines.get(element)
            if pipeline is None or pipeline.innovation is None or not len(due):
                continue
            rows = np.flatnonzero(first & (due.time > kalman.time[due.station]))
            when = kalman.time.copy()
            when[due.station[rows]] = due.time[rows]
            mean, spread = (each[due.station[rows]] for each in kalman.forecast(at=when))
            surprise = np.full(len(due), np.nan)
            surprise[rows] = (kalman.model.scaled(due.values[element][rows]) - mean) / spread
            found[element] = surprise
        return found

    def _mark(self, judged: Judged, fresh: dict[str, _Column]) -> dict[str, Ints]:
        """Let failed values not count; give by element the stations where the past is new by that.

        fresh: what the filters get; the values that failed leave it.
        """
        again: dict[str, Ints] = {}
        station, time = judged.readings.station, judged.readings.time
        for element, codes in judged.codes.items():
            failed = ~good(codes)
            changed = self._windows.mark(element, station=station, time=time, failed=failed)
            if element in fresh:
                again[element] = station[changed & ~judged.fresh]
                value = np.where(failed, np.nan, judged.readings.values[element])
                new = judged.fresh
                fresh[element] = (station[new], time[new], value[new])
        return again

    def _run(
        self, kalman: Kalman, element: str, fresh: _Column, again: Ints | None, at: int
    ) -> None:
        """Bring a filter up to date; where the past has changed, from the windows."""
        young = fresh[1] > at - MEMORY  # no filter reaches further back
        station, time, value = fresh[0][young], fresh[1][young], fresh[2][young]
        back = np.zeros(self.stations, np.bool_)
        back[station[time <= kalman.time[station]]] = True
        if again is not None:
            back[again] = True
        if back.any():
            kalman.reset(back)
            parts = [*self._windows.history(element, of=back, since=at - MEMORY, until=at)]
            if parts:
                _feed(
                    kalman,
                    np.concatenate([part.station for part in parts]),
                    np.concatenate([part.time for part in parts]),
                    np.concatenate([part.value for part in parts]),
                )
        onward = ~back[station] & ~np.isnan(value)
        _feed(kalman, station[onward], time[onward], value[onward])


def _feed(kalman: Kalman, station: Ints, time: Ints, value: Floats) -> None:
    """Give a filter readings of some stations, each station's in the order of time."""
    if not len(station):
        return
    order = np.lexsort((time, station))
    station, time, value = station[order], time[order], value[order]
    turn = np.arange(len(station)) - np.searchsorted(station, station)
    if not turn.any():
        kalman.update(station=station, time=time, value=value)
        return
    rounds = np.argsort(turn, kind="stable")
    for rows in np.split(rounds, np.flatnonzero(np.diff(turn[rounds])) + 1):
        kalman.update(station=station[rows], time=time[rows], value=value[rows])
