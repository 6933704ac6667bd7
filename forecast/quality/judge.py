"""The judge: gives every value its code, and another one when late data say otherwise.

The code of a value depends on what the windows hold around it and on nothing else: on no other
code and on no order of arrival (the innovation apart, which the filter finds). So the same
readings have the same codes in the end. A reading is judged when it comes, and again when
something came that it depends on: at once after late data of its own station, ``wait`` seconds
later after data of its neighbours, which come one by one.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from forecast.quality.case import Case
from forecast.quality.checks import GAP, Checks
from forecast.quality.codes import Check, code
from forecast.quality.history import History
from forecast.quality.judged import Judged
from forecast.quality.memory import Memory
from forecast.quality.neighbours import Neighbours
from forecast.quality.verdict import Verdict, alone, innovations
from forecast.quality.waiting import Doubts, Waiting, keys
from forecast.readings import Readings
from forecast.windows import NEVER, Windows

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Codes = NDArray[np.int16]

_INNOVATION = np.int16(code(Check.INNOVATION, failed=True))
_ASKS = np.int16(1 << Check.STEP | 1 << Check.SPATIAL)
"""The failures about which neighbours are asked."""

PORTION = 100_000
"""Readings that are judged together at most."""

MOST = 5_000
"""Readings that are judged again at a time, the newest first: a flood of late data can wait."""


class Judge:
    """Judges the readings of some stations, and remembers the codes it gave."""

    def __init__(
        self,
        checks: Checks,
        *,
        stations: int,
        longitude: Floats,
        latitude: Floats,
        elevation: Floats,
    ) -> None:
        """Know the places: degrees east and north, m; nan where unknown.

        Raises ValueError where the arrays are not as long as there are stations.
        """
        if not longitude.shape == latitude.shape == elevation.shape == (stations,):
            raise ValueError(f"places must be known, or nan, for {stations} stations")
        self.checks = checks
        self._stations = stations
        self._neighbours = Neighbours.of(
            checks.network, longitude=longitude, latitude=latitude, elevation=elevation
        )
        self._names = tuple(checks.pipelines)
        self._memory = Memory(stations, len(self._names))
        self._waiting = Waiting(stations=stations)
        self._newest = np.full(stations, NEVER, np.int64)
        self._doubts = Doubts(stations=stations)

    def judge(
        self,
        windows: Windows,
        fresh: Readings,
        *,
        at: int,
        innovation: Mapping[str, Floats] | None = None,
    ) -> Judged:
        """Judge what is new, and again what depends on it; ``windows`` hold it already.

        at: the present (s since 1970). innovation: by element, the normalised innovation of
        each fresh row, nan where there is none. Values that fail stay in the windows.
        """
        since = at - self.checks.late
        rows = _last(fresh, self._stations)
        young = rows[fresh.time[rows] > since]
        old = fresh.where(rows[fresh.time[rows] <= since])
        surprises = {name: values[young] for name, values in (innovation or {}).items()}
        parts = [self._alone(windows, old)]
        parts += self._fresh(windows, fresh.where(young), since=since, at=at, surprises=surprises)
        parts += self._again(windows, *self._waiting.take(at=at, most=MOST), since=since)
        self._memory.forget(since)
        self._doubts.forget(since)
        return Judged.joined(parts)

    def remember(self, readings: Readings, codes: Mapping[str, Codes]) -> None:
        """Take codes that were given before a restart, so that nothing is judged twice."""
        table = np.zeros((len(readings), len(self._names)), np.int16)
        for column, name in enumerate(self._names):
            if name in codes:
                table[:, column] = codes[name]
        self._keep(readings.station, readings.time, table)

    def _alone(self, windows: Windows, readings: Readings) -> Judged:
        """Judge what is too old for its neighbourhood to be known."""
        missing = np.full(len(readings), np.nan)
        values = {n: readings.values.get(n, missing) for n in self._elements(windows)}
        readings = Readings(readings.station, readings.time, readings.interval, values)
        return Judged(readings, alone(self.checks, readings), np.ones(len(readings), np.bool_))

    def _fresh(
        self,
        windows: Windows,
        fresh: Readings,
        *,
        since: int,
        at: int,
        surprises: Mapping[str, Floats],
    ) -> list[Judged]:
        """Judge what is new, and what its own station has told before and after."""
        if not len(fresh):
            return []
        reach, around = self.checks.reach, self.checks.witness.around
        first, final = int(fresh.time.min()), int(fresh.time.max())
        history = History(
            windows, since=first - 2 * GAP - around - reach, until=final + 2 * GAP + reach
        )
        replaced, _ = self._memory.get(fresh.station, fresh.time)
        late = replaced | (self._newest[fresh.station] >= fresh.time)
        rows = np.flatnonzero(late)
        who, start, end = self._hull(
            fresh.station[rows], fresh.time[rows] - GAP - 1, fresh.time[rows] + reach
        )
        station, time = history.whose(history.between(who, start, end)[1])
        own = keys(fresh.station, fresh.time, self._stations)
        others = (time > since) & ~np.isin(keys(station, time, self._stations), own)
        self._waiting.put(station[others], time[others], due=at)
        self._ask_neighbours(history, fresh, late, at)
        found: list[Judged] = []
        for begin in range(0, len(fresh), PORTION):
            part = slice(begin, begin + PORTION)
            case = self._case(history, fresh.station[part], fresh.time[part])
            some = {name: values[part] for name, values in surprises.items()}
            verdict = Verdict(case)
            table = self._table(windows, case, verdict)
            for name, codes in innovations(case, verdict, some).items():
                table[:, self._names.index(name)] |= codes
            for name in self._elements(windows):
                pipeline = self.checks.pipelines[name]
                if pipeline.step is not None and pipeline.step.spike is not None:
                    suspects = case.before_rows(verdict.changes(name, pipeline).before)
                    self._waiting.put(*history.whose(suspects), due=at)
            found.append(self._judged(windows, case, table, fresh=True))
            self._keep(case.station, case.time, table)
        return found

    def _again(self, windows: Windows, station: Ints, time: Ints, *, since: int) -> list[Judged]:
        """Judge readings once more; what did not change is not told."""
        known, before = self._memory.get(station, time)
        wanted = known & (time > since)
        station, time, before = station[wanted], time[wanted], before[wanted]
        if not len(station):
            return []
        reach, around = self.checks.reach, self.checks.witness.around
        history = History(
            windows,
            since=int(time.min()) - GAP - around - reach,
            until=int(time.max()) + GAP + around,
        )
        found: list[Judged] = []
        for begin in range(0, len(station), PORTION):
            part = slice(begin, begin + PORTION)
            case = self._case(history, station[part], time[part])
            table = self._table(windows, case, Verdict(case))
            table |= before[part] & _INNOVATION
            changed = np.flatnonzero((table != before[part]).any(axis=1) & case.there)
            self._keep(case.station[changed], case.time[changed], table[changed])
            found.append(self._judged(windows, case, table, fresh=False).where(changed))
        return found

    def _ask_neighbours(self, history: History, fresh: Readings, late: Bools, at: int) -> None:
        """Let wait what neighbours have told, where it may look different now."""
        network, around = self.checks.network, self.checks.witness.around
        order = np.argsort(fresh.station, kind="stable")
        begins = np.flatnonzero(np.diff(fresh.station[order], prepend=-1))
        station = fresh.station[order][begins]
        first = np.minimum.reduceat(fresh.time[order], begins)
        final = np.maximum.reduceat(fresh.time[order], begins)
        revised = np.logical_or.reduceat(late[order], begins)
        place, other = self._neighbours.whose(station)
        start = np.where(revised, first - around - GAP, first)[place]
        end = np.where(revised, final + around + GAP, final)[place] + network.seconds
        asked = np.flatnonzero(self._newest[other] >= start)
        who, start, end = self._hull(other[asked], start[asked] - 1, end[asked])
        due = at + self.checks.wait
        self._waiting.put(*history.whose(history.between(who, start, end)[1]), due=due)
        low = np.full(self._stations, -NEVER, np.int64)
        high = np.full(self._stations, NEVER, np.int64)
        if len(self._doubts):
            for who, which in ((station, slice(None)), (other, place)):
                np.minimum.at(low, who, first[which] - around)
                np.maximum.at(high, who, final[which] + around)
            self._waiting.put(*self._doubts.between(low, high, at=at, due=due), due=due)

    def _hull(self, station: Ints, start: Ints, end: Ints) -> tuple[Ints, Ints, Ints]:
        """Give each station once, with all that lies between its earliest start and latest end."""
        low = np.full(self._stations, -NEVER, np.int64)
        high = np.full(self._stations, NEVER, np.int64)
        np.minimum.at(low, station, start)
        np.maximum.at(high, station, end)
        who = np.flatnonzero(high >= low)
        return who, low[who], high[who]

    def _case(self, history: History, station: Ints, time: Ints) -> Case:
        return Case(self.checks, history, self._neighbours, station=station, time=time)

    def _elements(self, windows: Windows) -> list[str]:
        return [name for name in self._names if name in windows.elements]

    def _table(self, windows: Windows, case: Case, verdict: Verdict) -> Codes:
        """Give the codes of all checks but the innovation: (n, elements)."""
        table = np.zeros((len(case), len(self._names)), np.int16)
        readings = case.readings(self._elements(windows))
        for name, codes in alone(self.checks, readings).items():
            column = self._names.index(name)
            table[:, column] = codes | verdict.of(name, self.checks.pipelines[name])
        return table

    def _judged(self, windows: Windows, case: Case, table: Codes, *, fresh: bool) -> Judged:
        names = self._elements(windows)
        return Judged(
            case.readings(names),
            {name: table[:, self._names.index(name)] for name in names},
            np.full(len(case), fresh),
        )

    def _keep(self, station: Ints, time: Ints, table: Codes) -> None:
        self._memory.put(station, time, table)
        np.maximum.at(self._newest, station, time)
        self._doubts.put(station, time, doubted=((table & _ASKS) != 0).any(axis=1))


def _last(readings: Readings, stations: int) -> Ints:
    """Give the rows without those that a later one of the same station and time replaces."""
    key = keys(readings.station, readings.time, stations)
    _, first = np.unique(key[::-1], return_index=True)
    rows: Ints = np.sort(len(key) - 1 - first)
    return rows
