"""Score the rain rule of forecast/expectation.toml: python tests/bench/rain_rule.py FOLDER.

FOLDER holds the hourly files of the Beijing Multi-Site Air-Quality Data (UCI, CC BY 4.0). For
every station-hour at which a threshold is not yet met the question is "will it be met within
three hours". Beside the rule stands persistence: what fell in the last hour falls in each of the
next three. The rule was chosen with both years in sight: other years are the real test.
"""

import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from forecast.expectation import HOUR, Expectation, Rain

AHEAD = 3
LEVELS = {"blue": (12, 50.0), "yellow": (6, 50.0), "orange": (3, 50.0), "red": (3, 100.0)}
YEARS = {"2015-03 to 2016-02": slice(0, 366 * 24), "2016-03 to 2017-02": slice(366 * 24, None)}
PERSISTENCE = Rain(proven=0, ceiling=1e9, wet=0.05, hours=AHEAD, persistence=0.6, spread=0.4)
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass
class Score:
    """Counts over station-hours, and the events: how many, how many an hour ahead or more."""

    hits: int = 0
    misses: int = 0
    false: int = 0
    events: int = 0
    announced: int = 0
    minutes: int = 0

    def __str__(self) -> str:
        said, true = self.hits + self.false, self.hits + self.misses
        return (
            f"POD {self.hits / max(true, 1):.2f}  FAR {self.false / max(said, 1):.2f}  "
            f"CSI {self.hits / max(said + self.misses, 1):.3f}  alarms {said:4d}  "
            f"events {self.events:2d}, an hour ahead {self.announced:2d}, "
            f"mean lead {self.minutes / max(self.events, 1):.0f} min"
        )


def rain(folder: Path) -> Floats:
    """Read [station, hour]; what is missing is nan."""
    rows = []
    for file in sorted(folder.glob("*.csv")):
        with file.open(encoding="utf-8", newline="") as text:
            found = [row["RAIN"] for row in csv.DictReader(text)]
        rows.append([float("nan") if value in ("", "NA") else float(value) for value in found])
    return np.array(rows)


class Archive:
    """Sums over the hours of an archive, every station-hour at once."""

    def __init__(self, amounts: Floats) -> None:
        self._shape = amounts.shape
        filled = np.nan_to_num(amounts)
        self._sums = np.concatenate((np.zeros((len(filled), 1)), filled.cumsum(axis=1)), axis=1)
        self._station = np.repeat(np.arange(self._shape[0]), self._shape[1])
        self._hour = np.tile(np.arange(1, self._shape[1] + 1), self._shape[0])

    def amount(self, start: NDArray[np.int64], end: NDArray[np.int64]) -> Floats:
        """Give what fell in (start, end]; nothing before the first and after the last hour."""
        first, last = (np.clip(t // HOUR, 0, self._shape[1]) for t in (start, end))
        total = self._sums[self._station, last] - self._sums[self._station, first]
        return np.round(total, 6)

    def met(self, hours: int, threshold: float) -> Bools:
        """Tell where the sum over the last hours reaches the threshold: [station, hour]."""
        end = self._hour * HOUR
        return (self.amount(end - hours * HOUR, end) >= threshold).reshape(self._shape)

    def said(self, rule: Rain, hours: int, threshold: float) -> Bools:
        """Tell where the rule expects it."""
        chance = rule.probability(
            amount=self.amount, end=self._hour * HOUR, window=hours * HOUR, threshold=threshold
        )
        return (np.round(chance, 6) >= rule.persistence / 2).reshape(self._shape)


def score(said: Bools, met: Bools, year: slice) -> Score:
    """Count; a lead counts to the first of the three hours before the event that says it."""
    soon = np.zeros_like(met)
    for ahead in range(1, AHEAD + 1):
        soon[:, :-ahead] |= met[:, ahead:]
    open_ = ~met[:, year]
    said, soon, met = said[:, year] & open_, soon[:, year] & open_, met[:, year]
    result = Score(int((said & soon).sum()), int((~said & soon).sum()), int((said & ~soon).sum()))
    for station, hour in _begins(met):
        lead = max(
            (k for k in range(1, AHEAD + 1) if hour >= k and said[station, hour - k]), default=0
        )
        result.events += 1
        result.announced += lead > 0
        result.minutes += lead * 60
    return result


def _begins(met: Bools) -> Iterator[tuple[int, int]]:
    for station, hour in np.argwhere(met[:, 1:] & ~met[:, :-1]).tolist():
        yield station, hour + 1


def main(folder: Path) -> None:
    """Print a table for each year."""
    archive = Archive(rain(folder))
    rule = Expectation.load().rain["precipitation_amount"]
    for name, year in YEARS.items():
        for title, used in (("rule", rule), ("persistence", PERSISTENCE)):
            print(f"{name}, {title}")
            pooled = Score()
            for level, (hours, threshold) in LEVELS.items():
                found = score(
                    archive.said(used, hours, threshold), archive.met(hours, threshold), year
                )
                print(f"  {level:7s}{found}")
                if level != "red":
                    for field in vars(pooled):
                        setattr(pooled, field, getattr(pooled, field) + getattr(found, field))
            print(f"  blue to orange: {pooled}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
