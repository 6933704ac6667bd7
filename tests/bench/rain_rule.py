"""Score and fit the rain rule of forecast/expectation.toml: python -m tests.bench.rain_rule FOLDER.

FOLDER holds the hourly files of the Beijing Multi-Site Air-Quality Data (UCI, CC BY 4.0). For
every station-hour at which a threshold is not yet met the question is "will it be met within
three hours". Beside the rule stands persistence: what fell in the last hour falls in each of the
next three. Intervals of 90 % come of drawing whole days with replacement.

With --fit the numbers are found on the first year alone: ``proven``, which decides what is said,
as that with the highest CSI (blue to orange) of those that announce 70 % of the events an hour
ahead or more; and ``spread``, which only says how sure, by the logarithmic score.
"""

import csv
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from forecast.expectation import HOUR, Expectation, Rain

AHEAD = 3
LEVELS = {"blue": (12, 50.0), "yellow": (6, 50.0), "orange": (3, 50.0), "red": (3, 100.0)}
POOLED = ("blue", "yellow", "orange")
FIRST, SECOND = "2015-03 to 2016-02", "2016-03 to 2017-02"
YEARS = {FIRST: slice(0, 366 * 24), SECOND: slice(366 * 24, None)}
PERSISTENCE = Rain(proven=0, ceiling=1e9, wet=0.05, hours=AHEAD, persistence=0.6, spread=0.4)
ANNOUNCED = 0.7
DRAWS = 1_000
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
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

    def __add__(self, other: "Score") -> "Score":
        """Pool two scores."""
        return Score(
            *(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True))
        )

    @property
    def pod(self) -> float:
        """The part of what came that was said."""
        return self.hits / max(self.hits + self.misses, 1)

    @property
    def far(self) -> float:
        """The part of what was said that did not come."""
        return self.false / max(self.hits + self.false, 1)

    @property
    def csi(self) -> float:
        """Hits in parts of hits, misses and false alarms."""
        return self.hits / max(self.hits + self.misses + self.false, 1)

    @property
    def share(self) -> float:
        """The part of the events that was announced an hour ahead or more."""
        return self.announced / max(self.events, 1)

    def __str__(self) -> str:
        """Give a line of a table."""
        lead = self.minutes / max(self.events, 1)
        return (
            f"POD {self.pod:.2f}  FAR {self.far:.2f}  CSI {self.csi:.3f}"
            f"  alarms {self.hits + self.false:4d}  events {self.events:2d},"
            f" an hour ahead {self.announced:2d}, mean lead {lead:.0f} min"
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
        self._known: dict[tuple[int, int], Floats] = {}

    def fallen(self, since: int, until: int) -> Floats:
        """Give what fell between so many seconds before each hour's end, flat."""
        if (since, until) not in self._known:
            hours = self._shape[1]
            end = np.arange(1, hours + 1)
            first, last = (np.clip(end - back // HOUR, 0, hours) for back in (since, until))
            total = np.round(self._sums[:, last] - self._sums[:, first], 6)
            self._known[since, until] = total.ravel()
        return self._known[since, until]

    def met(self, hours: int, threshold: float) -> Bools:
        """Tell where the sum over the last hours reaches the threshold: [station, hour]."""
        return (self.fallen(hours * HOUR, 0) >= threshold).reshape(self._shape)

    def chance(self, rule: Rain, hours: int, threshold: float) -> Floats:
        """Give the rule's chance: [station, hour]."""
        chance = rule.probability(fallen=self.fallen, window=hours * HOUR, threshold=threshold)
        return chance.reshape(self._shape)

    def said(self, rule: Rain, hours: int, threshold: float) -> Bools:
        """Tell where the rule expects it."""
        chance = self.chance(rule, hours, threshold)
        said: Bools = np.round(chance, 6) >= rule.persistence / 2
        return said


def soon(met: Bools) -> Bools:
    """Tell where it is met within the next hours."""
    found = np.zeros_like(met)
    for ahead in range(1, AHEAD + 1):
        found[:, :-ahead] |= met[:, ahead:]
    return found


def score(said: Bools, met: Bools, year: slice) -> Score:
    """Count; a lead counts to the first of the three hours before the event that says it."""
    open_ = ~met[:, year]
    said, ahead, met = said[:, year] & open_, soon(met)[:, year] & open_, met[:, year]
    result = Score(
        int((said & ahead).sum()), int((~said & ahead).sum()), int((said & ~ahead).sum())
    )
    for station, hour in _begins(met):
        lead = max(
            (k for k in range(1, AHEAD + 1) if hour >= k and said[station, hour - k]), default=0
        )
        result.events += 1
        result.announced += lead > 0
        result.minutes += lead * 60
    return result


def scores(archive: Archive, rule: Rain, year: slice) -> dict[str, Score]:
    """Give the score of every level, and of blue to orange together as "pooled"."""
    found = {
        level: score(archive.said(rule, *LEVELS[level]), archive.met(*LEVELS[level]), year)
        for level in LEVELS
    }
    found["pooled"] = sum((found[level] for level in POOLED), Score())
    return found


def intervals(
    archive: Archive, rules: Mapping[str, Rain], year: slice, draws: int = DRAWS
) -> dict[tuple[str, str], tuple[float, float]]:
    """Give the 90 % interval of each figure by rule, drawing whole days with replacement.

    Figures: pod, far, csi and share (of all levels together), csi of each level, and ``gain``, by
    how much CSI lies above that of the last rule.
    """
    counts = {name: _daily(archive, rule, year) for name, rule in rules.items()}
    days = next(iter(counts.values())).shape[1]
    rng = np.random.default_rng(1)
    drawn: dict[tuple[str, str], list[float]] = {}
    for _ in range(draws):
        day = rng.integers(0, days, days)
        csi = {}
        for name, count in counts.items():
            levels = [Score(*count[i, day].sum(axis=0).tolist()) for i in range(len(POOLED))]
            pooled = sum(levels, Score())
            csi[name] = pooled.csi
            for figure in ("pod", "far", "csi", "share"):
                drawn.setdefault((name, figure), []).append(getattr(pooled, figure))
            for level, each in zip(POOLED, levels, strict=True):
                drawn.setdefault((name, level), []).append(each.csi)
        last = list(csi.values())[-1]
        for name, value in csi.items():
            drawn.setdefault((name, "gain"), []).append(value - last)
    return {
        key: (float(np.quantile(values, 0.05)), float(np.quantile(values, 0.95)))
        for key, values in drawn.items()
    }


def _daily(archive: Archive, rule: Rain, year: slice) -> Ints:
    """Give the counts of `Score` by [level, day, count]; an event belongs to the day it begins."""
    found = []
    for level in POOLED:
        met, said = archive.met(*LEVELS[level]), archive.said(rule, *LEVELS[level])
        open_ = ~met[:, year]
        said, ahead, met = said[:, year] & open_, soon(met)[:, year] & open_, met[:, year]
        hours = np.zeros((met.shape[1] + 24, 6), np.int64)
        hours[: met.shape[1], 0] = (said & ahead).sum(axis=0)
        hours[: met.shape[1], 1] = (~said & ahead).sum(axis=0)
        hours[: met.shape[1], 2] = (said & ~ahead).sum(axis=0)
        for station, hour in _begins(met):
            early = [k for k in range(1, AHEAD + 1) if hour >= k and said[station, hour - k]]
            hours[hour, 3:] += (1, bool(early), max(early, default=0) * 60)
        days = met.shape[1] // 24
        found.append(hours[: days * 24].reshape(days, 24, 6).sum(axis=1))
    return np.array(found)


def _begins(met: Bools) -> Iterator[tuple[int, int]]:
    for station, hour in np.argwhere(met[:, 1:] & ~met[:, :-1]).tolist():
        yield station, hour + 1


def fit(archive: Archive, rule: Rain, year: slice) -> Rain:
    """Find ``proven``, of equally good ones the middle, and then ``spread``."""
    tried = {}
    for proven in np.arange(0, 20.5, 0.5).tolist():
        made = msgspec.structs.replace(rule, proven=proven)
        pooled = scores(archive, made, year)["pooled"]
        if pooled.share >= ANNOUNCED:
            tried[proven] = round(pooled.csi, 6)
    best = [proven for proven, csi in tried.items() if csi == max(tried.values())]
    found = msgspec.structs.replace(rule, proven=best[len(best) // 2])
    spreads = [msgspec.structs.replace(found, spread=s) for s in (0.2, 0.3, 0.4, 0.6, 0.8, 1.0)]
    return min(spreads, key=lambda made: _surprise(archive, made, year))


def _surprise(archive: Archive, rule: Rain, year: slice) -> float:
    """Give the mean logarithmic score where the rule speaks, chances kept off 0 and 1."""
    total: list[Floats] = []
    sure = msgspec.structs.replace(rule, spread=10.0)  # speaks wherever it rains on
    for level in POOLED:
        met = archive.met(*LEVELS[level])
        speaks = (archive.chance(sure, *LEVELS[level]) > 0) & ~met
        asked = speaks[:, year]
        chance = np.clip(archive.chance(rule, *LEVELS[level])[:, year][asked], 1e-3, 1 - 1e-3)
        came = soon(met)[:, year][asked]
        total.append(-np.log(np.where(came, chance, 1 - chance)))
    return float(np.concatenate(total).mean())


def main(folder: Path, *, fitted: bool) -> None:
    """Print a table for each year."""
    archive = Archive(rain(folder))
    rule = Expectation.load().rain["precipitation_amount"]
    if fitted:
        rule = fit(archive, rule, YEARS[FIRST])
        print(f"proven = {rule.proven:.1f}, spread = {rule.spread:.1f}, fitted on {FIRST}")
    rules = {"rule": rule, "persistence": PERSISTENCE}
    for name, year in YEARS.items():
        inside = intervals(archive, rules, year)
        for title, used in rules.items():
            print(f"{name}, {title}")
            for level, found in scores(archive, used, year).items():
                print(f"  {level:7s}{found}")
            print(
                "  90 %:",
                ", ".join(
                    f"{figure} {low:.2f}–{high:.2f}"
                    for (which, figure), (low, high) in inside.items()
                    if which == title
                ),
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]), fitted="--fit" in sys.argv)
