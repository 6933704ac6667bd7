"""Fit and score the correction of a model's forecasts: python -m tests.bench.fit_correction FOLDER.

FOLDER holds raw.txt (forecasts and observations, hourly, one run a day) and kf.txt (the same with
a reference filter), as the verif examples give them. The numbers are fitted by the continuous
ranked probability score of the first half of the days and scored on both halves. A forecast
knows what was measured before it was issued and nothing else: not even the reading at the moment
of issue. With --score the numbers of expectation.toml are scored and nothing is fitted.
"""

import itertools
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from forecast.correction import DAY, Correction, Numbers, Run
from forecast.expectation import Expectation
from forecast.kalman import normal

Floats = NDArray[np.float64]
START = Numbers(
    level=2.0, wave=2.0, slope=0.5, jump=0.5, drift=0.3, wander=0.05, noise=1.0, steady=5 * DAY
)
FITTED = ("jump", "drift", "wander", "noise")
"""The others say how little is known at the start; one site cannot tell."""


@dataclass(frozen=True, slots=True)
class Archive:
    """Forecasts and observations [day, lead hour], and the time of issue of each day."""

    issued: list[int]
    observed: Floats
    forecast: Floats

    @classmethod
    def read(cls, file: Path) -> "Archive":
        """Read a file of verif; every day must have the same lead times."""
        rows = [line.split() for line in file.read_text("utf-8").splitlines()]
        rows = [row for row in rows if row and not row[0].startswith("#")]
        head = rows[0]
        date, lead, observed, forecast = (
            head.index(name) for name in ("date", "leadtime", "obs", "fcst")
        )
        days = sorted({row[date] for row in rows[1:]})
        leads = sorted({int(float(row[lead])) for row in rows[1:]})
        table = np.full((2, len(days), len(leads)), np.nan)
        for row in rows[1:]:
            place = days.index(row[date]), leads.index(int(float(row[lead])))
            table[(0, *place)], table[(1, *place)] = float(row[observed]), float(row[forecast])
        issued = [
            int(np.datetime64(f"{day[:4]}-{day[4:6]}-{day[6:8]}", "s").astype(np.int64))
            for day in days
        ]
        return cls(issued, table[0], table[1])


def corrected(numbers: Numbers, archive: Archive) -> tuple[Floats, Floats]:
    """Give mean and spread [day, lead hour], each day's as it was at the moment of its issue."""
    correction = Correction(numbers=numbers, stations=1)
    leads = np.arange(archive.forecast.shape[1], dtype=np.int64) * 3_600
    mean, spread = np.empty_like(archive.forecast), np.empty_like(archive.forecast)
    one = np.zeros(1, np.int64)
    ends = [*archive.issued[1:], archive.issued[-1] + DAY]
    for day, (issued, end) in enumerate(zip(archive.issued, ends, strict=True)):
        correction.take(Run(issued, leads, archive.forecast[day][:, None]))
        for hour, lead in enumerate(leads.tolist()):
            found = correction.forecast(issued + lead)
            if found is not None:
                mean[day, hour], spread[day, hour] = found[0][0], found[1][0]
        for hour, lead in enumerate(leads.tolist()):
            if issued + lead < end:
                value = archive.observed[day, hour : hour + 1]
                correction.learn(station=one, time=issued + lead, value=value)
    return mean, spread


def error(archive: Archive, forecast: Floats, part: slice = slice(None)) -> float:
    """Give the mean absolute error over some of the days."""
    return float(np.nanmean(np.abs(archive.observed - forecast)[part]))


def crps(archive: Archive, numbers: Numbers, part: slice) -> float:
    """Give the score of the Gaussian forecast over some of the days."""
    mean, spread = corrected(numbers, archive)
    z = (archive.observed - mean) / spread
    density = np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    score = spread * (z * (2 * normal(z) - 1) + 2 * density - 1 / np.sqrt(np.pi))
    return float(np.nanmean(score[part]))


def fit(archive: Archive, part: slice) -> Numbers:
    """Search one number after the other by factors that become finer."""
    numbers = START
    best = crps(archive, numbers, part)
    for factor in (2.5, 1.5):
        for name, up in itertools.product(FITTED, (factor, 1 / factor)):
            tried = msgspec.structs.replace(numbers, **{name: getattr(numbers, name) * up})
            found = crps(archive, tried, part)
            if found < best - 1e-4:
                numbers, best = tried, found
    return numbers


def main(folder: Path, *, score: bool) -> None:
    """Print the numbers and the errors."""
    raw, reference = Archive.read(folder / "raw.txt"), Archive.read(folder / "kf.txt")
    half = len(raw.issued) // 2
    parts = {"all": slice(None), "first half": slice(half), "second half": slice(half, None)}
    known = Expectation.load().correction["air_temperature"]
    numbers = known if score else fit(raw, parts["first half"])
    for name in numbers.__struct_fields__:
        print(f"{name} = {getattr(numbers, name):.3g}")
    mean, spread = corrected(numbers, raw)
    for title, part in parts.items():
        z = np.abs(raw.observed - mean)[part] / spread[part]
        print(
            f"# {title}: raw {error(raw, raw.forecast, part):.3f}, reference filter"
            f" {error(reference, reference.forecast, part):.3f}, corrected"
            f" {error(raw, mean, part):.3f}; within the 50 % interval {np.mean(z < 0.6745):.0%},"
            f" the 90 % {np.mean(z < 1.6449):.0%}"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), score="--score" in sys.argv)
