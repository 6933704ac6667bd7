"""What a station meets or expects, and how far it can be trusted."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from forecast.chances import Chances
from forecast.criteria import DAY, Comparison, Condition, Level, Signal, Statistic
from forecast.expectation import HOUR, LEADS
from forecast.moment import Moment

Door: TypeAlias = Literal["observed", "expected"]
Standing: TypeAlias = Literal["sound", "lone", "doubtful"]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_NONE: Final = -1


@dataclass(frozen=True, slots=True)
class Evidence:
    """One number that speaks for a finding.

    window: seconds, of the days counted for ``days``. value: what was measured so far. time: of
    the newest reading in it. probability: that the level is reached, for the expected door.
    quality: code of the newest reading's value, see `forecast.quality`; 0: not checked.
    """

    station: int
    element: str
    statistic: Statistic
    window: int
    value: float
    threshold: float
    comparison: Comparison
    probability: float | None
    time: int
    quality: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """The highest level that a station meets, or expects, by one door.

    standing: ``sound``; ``lone``: it rests on a single reading that no neighbour could check;
    ``doubtful``: it depends on a value that failed a check. lead: seconds until it is expected to
    be met, from the moment of the look; 0 for the observed door. fading: it is not likely enough
    to open any more, but still to stay open. radar: time of the picture that was looked at.
    """

    station: int
    hazard: str
    level: str
    door: Door
    evidence: tuple[Evidence, ...]
    time: int
    standing: Standing = "sound"
    lead: int = 0
    fading: bool = False
    radar: int | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """What the stations show at one moment: the numbers, the chances, the newest codes."""

    moment: Moment
    chances: Chances
    codes: Mapping[str, NDArray[np.int16]] = field(default_factory=dict)
    radar: int | None = None
    _seen: dict[int, Ints] = field(default_factory=dict)

    def reached(self, level: Level) -> Bools:
        """Tell where the conditions of a level are met, whether it goes on or not."""
        groups = [
            np.logical_and.reduce([self.moment.met(condition) for condition in group])
            for group in level.alternatives
        ]
        reached: Bools = np.logical_or.reduce(groups)
        return reached

    def likelihood(self, level: Level) -> Floats | None:
        """Give the probability that a level will be met; None: nothing can be said of it."""
        groups = [self.chances.together(group) for group in level.alternatives]
        known = [chance for chance in groups if chance is not None]
        return np.max(known, axis=0) if known else None

    def observed(self, signal: Signal) -> Ints:
        """Give the number of the highest working level that each station meets; -1: none."""
        if id(signal) not in self._seen:
            going_on = None if signal.continues is None else self.moment.going_on(signal.continues)
            seen = np.full(self.moment.windows.stations, _NONE, np.int64)
            for number, level in enumerate(signal.working):
                reached = self.reached(level)
                seen[reached if going_on is None else reached & going_on] = number
            self._seen[id(signal)] = seen
        return self._seen[id(signal)]

    def findings(
        self, signal: Signal, *, among: Bools | None = None, keep: float = 1.0
    ) -> list[Finding]:
        """Give what the stations, or some of them, meet or expect of one signal, by station.

        At most two for each: the highest level met, and a higher one that is expected. With
        ``keep`` below 1 one more, a fading one, which is still so much of likely enough.
        """
        seen = self.observed(signal)
        ahead = self._ahead(signal, seen, signal.probability)
        parts: list[tuple[Door, Ints, bool]] = [
            ("observed", seen, False),
            ("expected", ahead, False),
        ]
        if keep < 1:
            fading = self._ahead(signal, seen, signal.probability * keep)
            fading[fading <= ahead] = _NONE
            parts.append(("expected", fading, True))
        found: list[Finding] = []
        for number, level in enumerate(signal.working):
            for door, levels, fades in parts:
                mine = levels == number
                stations = np.flatnonzero(mine if among is None else mine & among)
                if len(stations):
                    made = self._found(signal, level, door, stations)
                    found += [replace(each, fading=True) for each in made] if fades else made
        found.sort(key=lambda finding: finding.station)  # stable: the level met comes first
        return found

    def _ahead(self, signal: Signal, seen: Ints, probability: float) -> Ints:
        """Give the number of the highest level that is so likely and not met yet; -1: none."""
        ahead = np.full(len(seen), _NONE, np.int64)
        for number, level in enumerate(signal.working):
            chance = self.likelihood(level)
            if chance is not None:
                likely = np.round(chance, 6) >= np.round(probability, 6)
                ahead[likely & ~self.reached(level)] = number
        # What is lower than the level met is no news.
        ahead[ahead < seen] = _NONE
        return ahead

    def _found(self, signal: Signal, level: Level, door: Door, stations: Ints) -> Iterator[Finding]:
        """Name the alternative that speaks for the level: the first met, or the most likely."""
        speaks = [self._speaks(group, door, stations) for group in level.alternatives]
        chosen = np.argmax(speaks, axis=0)
        likelihood = self.likelihood(level) if door == "expected" else None
        for number, group in enumerate(level.alternatives):
            mine = stations[chosen == number]
            if not len(mine):
                continue
            chances = [None] * len(mine) if likelihood is None else likelihood[mine].tolist()
            columns = [self._evidence(condition, mine, chances) for condition in group]
            leads = [0] * len(mine)
            amounts = any(condition.statistic == "sum" for condition in group)
            radar = self.radar if door == "expected" and amounts else None
            if door == "expected":
                leads = self._leads(signal, level, group, mine).tolist()
            for station, lead, evidence in zip(
                mine.tolist(), leads, zip(*columns, strict=True), strict=True
            ):
                time = max(item.time for item in evidence)
                yield Finding(
                    station,
                    signal.hazard,
                    level.name,
                    door,
                    evidence,
                    time,
                    lead=lead,
                    radar=radar,
                )

    def _leads(
        self, signal: Signal, level: Level, group: tuple[Condition, ...], stations: Ints
    ) -> Ints:
        """Give in how many seconds a group is met: when it is likely enough, or full at this rate.

        An amount is full when what is missing has fallen at the rate of the last hour; a number
        is reached at the first of the lead times that is likely enough, at the last one if none.
        """
        leads = np.full(len(stations), LEADS[0], np.int64)
        for condition in group:
            if condition.statistic == "sum":
                newest = self.moment.newest(condition.element).time
                hour = self.moment.amount(condition.element, newest - HOUR, newest)[stations]
                missing = condition.threshold - self.moment.value(condition)[stations]
                seconds = HOUR * missing / np.maximum(hour, 0.1)
                whole = np.clip(np.nan_to_num(seconds), LEADS[0], level.within)
                leads = np.maximum(leads, whole.astype(np.int64))
                continue
            chance = self.chances.of(condition)
            if chance is not None and len(chance) == len(LEADS):
                likely = chance[:, stations] >= signal.probability
                first = np.where(likely.any(axis=0), likely.argmax(axis=0), len(LEADS) - 1)
                leads = np.maximum(leads, np.array(LEADS, np.int64)[first])
        return leads

    def _speaks(self, group: tuple[Condition, ...], door: Door, stations: Ints) -> Floats:
        if door == "observed":
            met: Floats = np.logical_and.reduce(
                [self.moment.met(c)[stations] for c in group]
            ).astype(np.float64)
            return met
        chance = self.chances.together(group)
        return np.zeros(len(stations)) if chance is None else chance[stations]

    def _evidence(
        self, condition: Condition, stations: Ints, chances: list[float | None]
    ) -> list[Evidence]:
        window = condition.window or condition.days * DAY
        values = self.moment.value(condition)[stations].tolist()
        times = self.moment.newest(condition.element).time[stations].tolist()
        codes = self.codes.get(condition.element)
        quality = [0] * len(stations) if codes is None else codes[stations].tolist()
        return [
            Evidence(
                station,
                condition.element,
                condition.statistic,
                window,
                value,
                condition.threshold,
                condition.comparison,
                chance,
                time,
                code,
            )
            for station, value, chance, time, code in zip(
                stations.tolist(), values, chances, times, quality, strict=True
            )
        ]
