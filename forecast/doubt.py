"""How far findings can be trusted: by what failed a check, and by what stands alone.

A finding is doubtful where it depends on values that failed a check: with them, another level
would be met than without. It is lone where it rests on one reading that no neighbour could check:
a number that the reading before did not reach, or a sum of which this reading alone brought half.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forecast.chances import Chances
from forecast.criteria import DAY, Condition, Signal
from forecast.expectation import Expectation
from forecast.finding import Evidence, Finding, Look
from forecast.moment import PATIENCE, Moment, compare
from forecast.quality import Check, Judged
from forecast.windows import NEVER, Windows

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Codes = NDArray[np.int16]

HALF: Final = 0.5
"""Part of a threshold that the earlier readings of a sum must have brought."""

_BESIDE: Final = 1 << (8 + Check.SPATIAL)
"""The bit that says that neighbours were looked at."""


class Doubt:
    """The newest codes of every station, and what they mean for findings."""

    def __init__(self, conditions: Iterable[Condition], *, stations: int) -> None:
        """Know the conditions that are looked at, and how many stations there are."""
        self._reach: dict[str, int] = {}
        for each in conditions:
            reach = each.reach + (DAY if each.statistic == "days" else 0)
            self._reach[each.element] = max(self._reach.get(each.element, 0), reach)
        self._stations = stations
        self._time: dict[str, Ints] = {}
        self._code: dict[str, Codes] = {}

    @property
    def codes(self) -> Mapping[str, Codes]:
        """By element: the code of each station's newest value."""
        return self._code

    def note(self, judged: Judged) -> None:
        """Remember the codes of what is newest."""
        station, time = judged.readings.station, judged.readings.time
        for element in self._reach:
            code = judged.codes.get(element)
            if code is None:
                continue
            if element not in self._time:
                self._time[element] = np.full(self._stations, NEVER, np.int64)
                self._code[element] = np.zeros(self._stations, np.int16)
            newest = self._time[element]
            there = np.flatnonzero((code != 0) & (time >= newest[station]))
            if len(there) > 1:
                there = there[np.argsort(time[there], kind="stable")]  # the last one stays
            newest[station[there]] = time[there]
            self._code[element][station[there]] = code[there]

    def suspects(self, look: Look, *, back: int) -> tuple[Ints, int]:
        """Give the stations where a value that failed could change what is met; and since when.

        back: seconds; what covers more is no basis for anything.
        """
        windows, at = look.moment.windows, look.moment.at
        found: list[Ints] = []
        since = at
        for element, reach in self._reach.items():
            start = at - (reach + back)
            for rows in windows.failed(element, since=start, until=at):
                if reach:
                    mine = np.ones(len(rows), np.bool_)
                else:  # only the newest value counts
                    mine = rows.time > look.moment.newest(element).time[rows.station]
                    mine &= at - rows.time < np.maximum(rows.interval, PATIENCE)
                if mine.any():
                    found.append(rows.station[mine])
                    since = min(since, start)
        stations = np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)
        return stations, since

    def weigh(
        self,
        signal: Signal,
        look: Look,
        findings: list[Finding],
        raw: "Raw | None",
        *,
        among: Bools | None = None,
    ) -> list[Finding]:
        """Give the findings of a signal with their standing, and those that bad values make."""
        findings = self._lone(findings, look.moment.windows)
        if raw is None:
            return findings
        good, bad = look.observed(signal)[raw.stations], raw.look.observed(signal)
        doubted = set(raw.stations[bad < good].tolist())
        if doubted:
            findings = [
                replace(each, standing="doubtful")
                if each.door == "observed" and each.station in doubted
                else each
                for each in findings
            ]
        more = bad > good
        return findings + raw.findings(
            signal, more if among is None else more & among[raw.stations]
        )

    def _lone(self, findings: list[Finding], windows: Windows) -> list[Finding]:
        """Mark what rests on one reading that nobody beside it could check."""
        asked: dict[tuple[str, str, str, float], dict[int, tuple[int, Evidence]]] = defaultdict(
            dict
        )
        for number, finding in enumerate(findings):
            if finding.door != "observed" or finding.standing != "sound":
                continue
            for item in finding.evidence:
                if item.statistic in ("value", "sum") and not item.quality & _BESIDE:
                    key = (item.element, item.statistic, item.comparison, item.threshold)
                    asked[key][item.station] = (number, item)
        lone: set[int] = set()
        for (element, statistic, _, _), items in asked.items():
            station = np.array(list(items), np.int64)
            time = np.array([item.time for _, item in items.values()], np.int64)
            value = np.array([item.value for _, item in items.values()])
            first = next(iter(items.values()))[1]
            if statistic == "value":
                before = windows.before(element, station=station, time=time, back=DAY // 2)
                alone = ~compare(before.value, _condition(first))
            else:
                newest = windows.before(element, station=station, time=time + 1, back=DAY // 2)
                alone = value - newest.value < HALF * first.threshold
            numbers = np.array([number for number, _ in items.values()])
            lone |= set(numbers[alone].tolist())
        return [
            replace(finding, standing="lone") if number in lone else finding
            for number, finding in enumerate(findings)
        ]


class Raw:
    """What a few stations show when values that failed a check count like the others."""

    def __init__(
        self, look: Look, *, stations: Ints, since: int, codes: Mapping[str, Codes]
    ) -> None:
        """Look again at these stations, with the readings since then."""
        self.stations = stations
        windows = look.moment.windows.raw.part(stations, since=since)
        moment: Moment = look.moment.over(windows)
        self.look = Look(
            moment,
            Chances(moment, {}, Expectation(rain={}, kalman={})),
            {name: code[stations] for name, code in codes.items()},
        )

    def findings(self, signal: Signal, where: Bools) -> list[Finding]:
        """Give what some of them meet, as doubtful findings."""
        if not where.any():
            return []
        return [
            replace(
                each,
                station=int(self.stations[each.station]),
                evidence=tuple(
                    replace(item, station=int(self.stations[item.station]))
                    for item in each.evidence
                ),
                standing="doubtful",
            )
            for each in self.look.findings(signal, among=where)
            if each.door == "observed"
        ]


def _condition(item: Evidence) -> Condition:
    return Condition(item.element, "value", item.comparison, item.threshold)
