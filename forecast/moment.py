"""What the stations' readings say at one moment: the numbers that conditions compare."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forecast.criteria import DAY, Condition
from forecast.sums import Measure
from forecast.windows import NEVER, Fold, Newest, Windows

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

PATIENCE: Final = 600
"""A reading speaks for the present until the next is due; of short intervals for so many seconds,
which is what slow lines take."""

ENOUGH: Final = 0.9
"""Part of a window that readings must cover where a gap could make a condition look met."""

_DIGITS: Final = 4
"""Numbers are rounded, so that five hundred times 0.1 mm is 50 mm, and 0.7 mm from a store that
keeps seven digits is 0.7 mm."""

_MEASURES: Final[Mapping[str, tuple[Measure, ...]]] = {
    "sum": ("count", "covered", "total"),
    "mean": ("covered", "weighted"),
    "max": ("covered", "high"),
    "min": ("covered", "low"),
}
"""What each statistic needs to be added up."""

_TOTAL: Final[tuple[Measure, ...]] = ("total",)


class Moment:
    """The numbers at one moment, each found once.

    A window of a station ends with the station's own newest reading, so that hourly stations
    are not judged by windows that they cannot fill. A newest reading older than its interval
    (and than `PATIENCE`) says nothing about the present: the station meets nothing.
    """

    def __init__(self, *, windows: Windows, at: int, offset: int, day_ends: int, back: int) -> None:
        """Look at the time ``at``; offset: local time minus UTC; day_ends: s of the local day."""
        self.at = at
        self._windows = windows
        self._offset, self._day_ends = offset, day_ends
        self._shift = offset - day_ends
        self._back = back
        self._newest: dict[str, Newest] = {}
        self._values: dict[Condition, Floats] = {}
        self._met: dict[Condition, Bools] = {}
        self._folds: dict[tuple[str, int, int, str], Fold] = {}
        self._days: dict[tuple[str, int, bool], Floats] = {}
        self._amounts: dict[tuple[str, int, int], Floats] = {}

    @property
    def windows(self) -> Windows:
        """The readings that it looks at."""
        return self._windows

    def over(self, windows: Windows) -> "Moment":
        """Look at other readings at the same moment."""
        return Moment(
            windows=windows,
            at=self.at,
            offset=self._offset,
            day_ends=self._day_ends,
            back=self._back,
        )

    def newest(self, element: str) -> Newest:
        """Give the newest values that still hold; nan and `NEVER` where there is none."""
        if element not in self._newest:
            found = self._windows.newest(element, at=self.at, back=self._back)
            held = self.at - found.time < np.maximum(found.interval, PATIENCE)
            self._newest[element] = Newest(
                np.where(held, found.value, np.nan),
                np.where(held, found.time, NEVER),
                np.where(held, found.interval, 0),
            )
        return self._newest[element]

    def amount(self, element: str, start: Ints, end: Ints) -> Floats:
        """Give what fell in (start, end] per station, rounded; gaps count as none."""
        newest = self.newest(element).time
        since, until = start - newest, end - newest
        # The same stretch before the newest reading everywhere is found once.
        same = bool(len(since)) and (since == since[0]).all() and (until == until[0]).all()
        key = (element, int(since[0]), int(until[0])) if same else None
        if key in self._amounts:
            return self._amounts[key]
        found = self._windows.fold(element, start=start, end=end, measures=_TOTAL)
        total: Floats = np.round(found.total, _DIGITS)
        if key is not None:
            self._amounts[key] = total
        return total

    def value(self, condition: Condition) -> Floats:
        """Give the number that the condition compares, per station; nan: there is none."""
        key = Condition(
            condition.element,
            condition.statistic,
            ">=" if condition.comparison in (">=", ">") else "<=",
            0.0,
            window=condition.window,
            days=condition.days,
        )
        if key not in self._values:
            self._values[key] = np.round(self._measure(key), _DIGITS)
        return self._values[key]

    def met(self, condition: Condition) -> Bools:
        """Tell where the condition is met."""
        if condition not in self._met:
            self._met[condition] = compare(self.value(condition), condition)
        return self._met[condition]

    def going_on(self, condition: Condition) -> Bools:
        """Tell where a danger goes on: the window is at least the newest reading's interval."""
        if condition.statistic != "sum":
            return self.met(condition)
        newest = self.newest(condition.element)
        window = np.maximum(condition.window, newest.interval)
        return compare(self.amount(condition.element, newest.time - window, newest.time), condition)

    def days_before(self, condition: Condition) -> Bools:
        """Tell where all days but today meet a condition of days."""
        met = np.ones(self._windows.stations, np.bool_)
        for back in range(1, condition.days):
            met &= compare(self._extreme(condition, back), condition)
        return met

    def _measure(self, condition: Condition) -> Floats:
        element = condition.element
        match condition.statistic:
            case "value":
                return self.newest(element).value
            case "days":
                days = [self._extreme(condition, back) for back in range(condition.days)]
                # Of maxima the least must reach the threshold, of minima the greatest.
                rising = condition.comparison == ">="
                weakest: Floats = np.min(days, axis=0) if rising else np.max(days, axis=0)
                return weakest
            case "drop":
                return self._drop(element, condition.window)
            case statistic:
                fold = self._fold(element, 0, condition.window, statistic)
                match statistic:
                    case "sum":
                        value = np.where(fold.count > 0, fold.total, np.nan)
                    case "mean":
                        value = fold.mean
                    case "max":
                        value = fold.high
                    case _:
                        value = fold.low
        rising = condition.comparison == ">="
        if (rising and statistic in ("sum", "max")) or (not rising and statistic == "min"):
            return value
        covered = fold.covered >= ENOUGH * condition.window
        return np.where(covered, value, np.nan)

    def _fold(self, element: str, since: int, window: int, statistic: str) -> Fold:
        """Add up the ``window`` seconds that end ``since`` seconds before the newest reading."""
        key = (element, since, window, statistic)
        if key not in self._folds:
            end = self.newest(element).time - since
            self._folds[key] = self._windows.fold(
                element, start=end - window, end=end, measures=_MEASURES[statistic]
            )
        return self._folds[key]

    def _drop(self, element: str, window: int) -> Floats:
        now = self._fold(element, 0, DAY, "min").low
        drop = np.full(len(now), np.nan)
        for day in range(1, window // DAY + 1):
            before = self._fold(element, day * DAY, DAY, "min")
            known = before.covered >= ENOUGH * DAY
            drop = np.fmax(drop, np.where(known, before.low - now, np.nan))
        return drop

    def _extreme(self, condition: Condition, back: int) -> Floats:
        """Give the maximum (for < the minimum) of the local day so many days before today.

        Today is the day of the newest reading; what a day's gaps hide can only go further.
        """
        element = condition.element
        rising = condition.comparison in (">=", ">")
        if (key := (element, back, rising)) in self._days:
            return self._days[key]
        newest = self.newest(element).time
        start = ((newest + self._shift - 1) // DAY - back) * DAY - self._shift
        end = np.minimum(start + DAY, newest)
        measure: Measure = "high" if rising else "low"
        fold = self._windows.fold(element, start=start, end=end, measures=(measure,))
        self._days[key] = fold.high if rising else fold.low
        return self._days[key]


def compare(value: Floats, condition: Condition) -> Bools:
    """Compare; nan meets nothing."""
    threshold = condition.threshold
    match condition.comparison:
        case ">=":
            return value >= threshold
        case ">":
            return value > threshold
        case "<":
            return value < threshold
        case "<=":
            return value <= threshold
