"""The nowcast: readings in, and out comes what each station meets or expects now.

Readings wait until `Nowcast.evaluate` and are then taken in the order of their time, whatever
the order in which they came, so the same readings give the same findings. A reading that comes
late or is corrected after its time was decided enters the windows at its place; the filter of
its station is run again over the last hours.
"""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from forecast.criteria import DAY, LEVELS, Comparison, Condition, Criteria, Level, Signal, Statistic
from forecast.expectation import HOUR, LEADS, Expectation
from forecast.kalman import Kalman, normal
from forecast.moment import Moment
from forecast.readings import Readings
from forecast.windows import Windows

Door: TypeAlias = Literal["observed", "expected"]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

BACK: Final = 12 * HOUR
"""Readings that cover more than this are no basis for a nowcast."""

MEMORY: Final = 6 * HOUR
"""What a filter is run over when it starts anew."""

_RISING: Final = (">=", ">")


@dataclass(frozen=True, slots=True)
class Evidence:
    """One number that speaks for a finding.

    window: seconds, of the days counted for ``days``. value: what was measured so far. time: of
    the newest reading in it. probability: that the level is reached, for the expected door.
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


@dataclass(frozen=True, slots=True)
class Finding:
    """The highest level that a station meets, or expects, by one door."""

    station: int
    hazard: str
    level: str
    door: Door
    evidence: tuple[Evidence, ...]
    time: int


class Nowcast:
    """The readings of the last days at some stations, and what they mean."""

    def __init__(
        self, *, criteria: Criteria, stations: int, expectation: Expectation | None = None
    ) -> None:
        """Know the criteria and how many stations there are; they are numbered from 0."""
        self._criteria = criteria
        self._expectation = expectation or Expectation.load()
        self._waiting: list[Readings] = []
        conditions = criteria.conditions
        self.elements: frozenset[str] = frozenset(c.element for c in conditions)
        reaches = [c.reach + (DAY if c.statistic == "days" else 0) for c in conditions]
        rain = [rule.reach for rule in self._expectation.rain.values()]
        self.span: int = max(*reaches, *rain, MEMORY, BACK)
        """Seconds of history that a new one needs to say the same."""
        self._windows = Windows(stations=stations, elements=self.elements)
        self._filters = {
            element: Kalman(model=model, stations=stations)
            for element, model in self._expectation.kalman.items()
            if element in self.elements
        }

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

    def evaluate(self, at: int) -> list[Finding]:
        """Give what every station meets or expects at a moment (s since 1970), by its readings.

        At most two findings for a station and hazard: the highest level met, and a higher one
        that is expected. Readings with a later time wait.
        """
        self._take(at)
        moment = Moment(
            windows=self._windows,
            at=at,
            offset=self._criteria.offset,
            day_ends=self._criteria.day_ends,
            back=BACK,
        )
        month = int(np.datetime64(at + self._criteria.offset, "s").astype("M8[M]").astype(int)) % 12
        chances = _Chances(moment, self._filters, self._expectation)
        found: list[Finding] = []
        for signal in self._criteria.signals:
            if month + 1 in signal.months and signal.working:
                found += _judge(signal, moment, chances)
        return found

    def _take(self, at: int) -> None:
        if self._waiting:
            every = Readings.joined(self._waiting)
            later = every.time > at
            self._waiting = [every.where(later)] if later.any() else []
            due = every.where(~later)
            self._windows.put(due)
            for element, kalman in self._filters.items():
                self._run(element, kalman, due, at)
        self._windows.forget(at - self.span)

    def _run(self, element: str, kalman: Kalman, due: Readings, at: int) -> None:
        """Bring a filter up to date at the stations that have something new, from the windows."""
        stations = self._windows.stations
        due = due.where(due.time > at - MEMORY)  # no filter reaches further back
        earliest = np.full(stations, at + 1, np.int64)
        np.minimum.at(earliest, due.station, due.time)
        touched = earliest <= at
        if not touched.any():
            return
        kalman.reset(touched & (earliest <= kalman.time))
        since = np.maximum(kalman.time, at - MEMORY)
        first = int(since[touched].min())
        parts = list(self._windows.history(element, of=touched, since=first, until=at))
        if not parts:
            return
        station = np.concatenate([part.station for part in parts])
        time = np.concatenate([part.time for part in parts])
        value = np.concatenate([part.value for part in parts])
        new = time > since[station]
        station, time, value = station[new], time[new], value[new]
        order = np.argsort(station, kind="stable")
        station, time, value = station[order], time[order], value[order]
        starts = np.searchsorted(station, station)
        turn = np.arange(len(station)) - starts
        rounds = np.argsort(turn, kind="stable")
        for rows in np.split(rounds, np.flatnonzero(np.diff(turn[rounds])) + 1):
            kalman.update(station=station[rows], time=time[rows], value=value[rows])


class _Chances:
    """The probability of conditions at the lead times, each found once: [lead, station]."""

    def __init__(
        self, moment: Moment, filters: dict[str, Kalman], expectation: Expectation
    ) -> None:
        self._moment = moment
        self._filters = filters
        self._expectation = expectation
        self._known: dict[Condition, Floats | None] = {}
        # Mean and spread at the lead times, the same for all thresholds of an element.
        self._ahead: dict[str, tuple[Floats, Floats]] = {}
        self._together: dict[tuple[Condition, ...], Floats | None] = {}

    def of(self, condition: Condition) -> Floats | None:
        """Give the probability, or None where nothing can be expected of it."""
        if condition not in self._known:
            self._known[condition] = self._find(condition)
        return self._known[condition]

    def together(self, group: tuple[Condition, ...]) -> Floats | None:
        """Give the probability of all of a group, as if independent, at the best lead time.

        A condition of which nothing can be expected counts as it stands now.
        """
        if group not in self._together:
            self._together[group] = self._combine(group)
        return self._together[group]

    def _combine(self, group: tuple[Condition, ...]) -> Floats | None:
        parts = [self.of(condition) for condition in group]
        if all(part is None for part in parts):
            return None
        chance: Floats = np.ones((len(LEADS), 1))
        for condition, part in zip(group, parts, strict=True):
            chance = chance * (self._moment.met(condition) if part is None else part)
        best: Floats = chance.max(axis=0)
        return best

    def _find(self, condition: Condition) -> Floats | None:
        element, rising = condition.element, condition.comparison in _RISING
        rule = self._expectation.rain.get(element)
        if condition.statistic == "sum" and rule is not None and rising:
            end = self._moment.newest(element).time
            chance = rule.probability(
                amount=lambda start, end: self._moment.amount(element, start, end),
                end=end,
                window=condition.window,
                threshold=condition.threshold,
            )
            return np.broadcast_to(chance, (len(LEADS), len(chance)))
        kalman = self._filters.get(element)
        if kalman is None or condition.statistic not in ("value", "days"):
            return None
        if element not in self._ahead:
            at = [kalman.forecast(at=self._moment.at + lead) for lead in LEADS]
            self._ahead[element] = np.stack([m for m, _ in at]), np.stack([s for _, s in at])
        mean, spread = self._ahead[element]
        limit = kalman.model.scaled(np.asarray(condition.threshold, np.float64))
        above = normal((mean - limit) / spread)
        chance = above if rising else 1 - above
        chance = np.where(np.isnan(self._moment.newest(element).value), 0.0, chance)
        if condition.statistic == "days":
            chance = chance * self._moment.days_before(condition)
        return chance


def _judge(signal: Signal, moment: Moment, chances: _Chances) -> list[Finding]:
    """Find the stations that meet or expect a level of one signal."""
    going_on = None if signal.continues is None else moment.going_on(signal.continues)
    highest: dict[Door, dict[int, tuple[Level, Floats | None]]] = {"observed": {}, "expected": {}}
    for level in signal.working:
        reached = _reached(level, moment)
        met = reached if going_on is None else reached & going_on
        for station in np.flatnonzero(met).tolist():
            highest["observed"][station] = (level, None)
        chance = _chance(level, chances)
        if chance is not None:
            likely = (np.round(chance, 6) >= signal.probability) & ~reached
            for station in np.flatnonzero(likely).tolist():
                highest["expected"][station] = (level, chance)
    found: list[Finding] = []
    for station in sorted(highest["observed"] | highest["expected"]):
        seen = highest["observed"].get(station)
        ahead = highest["expected"].get(station)
        if seen and ahead and _rank(ahead[0]) < _rank(seen[0]):
            ahead = None
        found += [
            _finding(signal, level, station=station, moment=moment, chances=chances, chance=chance)
            for level, chance in filter(None, (seen, ahead))
        ]
    return found


def _rank(level: Level) -> int:
    return LEVELS.index(level.name)


def _reached(level: Level, moment: Moment) -> Bools:
    groups = [
        np.logical_and.reduce([moment.met(condition) for condition in group])
        for group in level.alternatives
    ]
    reached: Bools = np.logical_or.reduce(groups)
    return reached


def _chance(level: Level, chances: _Chances) -> Floats | None:
    parts = [part for group in level.alternatives if (part := chances.together(group)) is not None]
    return np.max(parts, axis=0) if parts else None


def _finding(
    signal: Signal,
    level: Level,
    *,
    station: int,
    moment: Moment,
    chances: _Chances,
    chance: Floats | None,
) -> Finding:
    """Name the alternative that speaks for the level: the first met, or the most likely."""
    if chance is None:
        group = next(
            group for group in level.alternatives if all(moment.met(c)[station] for c in group)
        )
    else:
        group = max(level.alternatives, key=lambda group: _at(chances.together(group), station))
    evidence = tuple(
        Evidence(
            station=station,
            element=condition.element,
            statistic=condition.statistic,
            window=condition.window or condition.days * DAY,
            value=float(moment.value(condition)[station]),
            threshold=condition.threshold,
            comparison=condition.comparison,
            probability=None if chance is None else float(chance[station]),
            time=int(moment.newest(condition.element).time[station]),
        )
        for condition in group
    )
    return Finding(
        station=station,
        hazard=signal.hazard,
        level=level.name,
        door="observed" if chance is None else "expected",
        evidence=evidence,
        time=max(item.time for item in evidence),
    )


def _at(chance: Floats | None, station: int) -> float:
    return 0.0 if chance is None else float(chance[station])
