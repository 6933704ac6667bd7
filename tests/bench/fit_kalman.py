"""Fit the Kalman filters of forecast/expectation.toml: python -m tests.bench.fit_kalman FOLDER.

FOLDER holds KNMI 10-minute files (netCDF). The first half of each series is fitted, the second is
scored against persistence at 10, 30 and 60 minutes. What is fitted is the continuous ranked
probability score (M. Zamo and P. Naveau, Math. Geosci. 50, 209 (2018), doi
10.1007/s11004-017-9709-7) of the Gaussian forecast, so mean and spread together, each lead time
in parts of persistence's error; and, but for the pressure, that the mean absolute error is not
above persistence's. With --score the numbers of the file are scored and nothing is fitted.
"""

import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from forecast.expectation import Expectation
from forecast.kalman import Kalman, Model, Place, normal

STEPS = (1, 3, 6)
SETTLED = 6
"""Steps of a filter's start that are not scored."""

NEAR = 8
"""Neighbours of a station whose trends count."""

PENALTY = dict.fromkeys(("air_temperature", "relative_humidity", "wind_speed"), 100.0)
"""What an error above persistence's costs more than it is: no forecast of these may be worse."""

MILD = 10.0
"""The same of the others, but for the pressure, which is far below it."""

QUIETEST = 0.001
"""A filter without any noise would be sure of what it has read."""

STEADY = 14_400.0
ELEMENTS = {
    "air_temperature": ("ta", Model("plain", 0.01, 0.4, 0.3, 1_800, steady=STEADY, step=0.1)),
    "relative_humidity": ("rh", Model("plain", 0.03, 2.0, 1.5, 1_800, steady=STEADY, step=1)),
    "air_pressure_at_mean_sea_level": (
        "pp",
        Model("plain", 0.05, 0.12, 0.5, 7_200, pool=0.8, tide=True, steady=STEADY),
    ),
    "wind_speed": ("ff", Model("sqrt", 0.02, 0.3, 0.01, 1_800, steady=STEADY, step=0.01)),
    "wind_speed_of_gust": ("gff", Model("sqrt", 0.1, 0.3, 0.01, 1_800, steady=STEADY)),
    "visibility_in_air": ("zm", Model("log", 0.07, 0.6, 0.01, 1_800, steady=STEADY)),
    "surface_temperature": ("tgn", Model("plain", 0.01, 0.3, 0.3, 1_800, steady=STEADY, step=0.1)),
}
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Archive:
    """Values [time, station] every ten minutes from ``begin`` (s since 1970), and the places."""

    values: Floats
    begin: int
    place: Place

    def part(self, first: int, last: int | None = None) -> "Archive":
        """Give some of the rows."""
        return Archive(self.values[first:last], self.begin + first * 600, self.place)


@dataclass(frozen=True, slots=True)
class Errors:
    """At one lead time: error and spread on the filter's scale, and errors of the values."""

    error: Floats
    spread: Floats
    held: Floats
    own: Floats
    persistence: Floats

    @property
    def crps(self) -> float:
        """The mean score, in parts of persistence's absolute error on the filter's scale."""
        z = self.error / self.spread
        density = np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
        score = self.spread * (z * (2 * normal(z) - 1) + 2 * density - 1 / np.sqrt(np.pi))
        return float(score.mean() / self.held.mean())

    @property
    def ratio(self) -> float:
        """The mean absolute error in parts of persistence's."""
        return float(self.own.mean() / self.persistence.mean())

    def inside(self, quantile: float) -> float:
        """Give the part of the readings within so many spreads."""
        return float(np.mean(np.abs(self.error) <= quantile * self.spread))


def archive(folder: Path, variable: str) -> Archive:
    """Read one variable of all files in the folder, in order; stations without it are left out."""
    parts, begins = [], []
    for file in sorted(folder.glob("*.nc")):
        with xr.open_dataset(file, engine="h5netcdf", decode_timedelta=False) as data:
            parts.append(data[variable].transpose("time", "station").to_numpy())
            begins.append(int(data["time"].to_numpy().astype("M8[s]").astype(np.int64)[0]))
            longitude, latitude = (
                data[name].transpose("time", "station").max("time").to_numpy()
                for name in ("lon", "lat")
            )
    values = np.concatenate(parts).astype(np.float64)
    kept = ~np.isnan(values).all(axis=0)
    longitude, latitude = longitude[kept], latitude[kept]
    return Archive(values[:, kept], begins[0], place(longitude, latitude))


def place(longitude: Floats, latitude: Floats) -> Place:
    """Give the places, each with its nearest within 300 km."""
    east, north = np.radians(longitude), np.radians(latitude)
    point = np.stack((np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)))
    apart = 6_371 * np.sqrt(np.square(point[:, :, None] - point[:, None, :]).sum(axis=0))
    np.fill_diagonal(apart, np.inf)
    near = np.argsort(apart, axis=1)[:, :NEAR]
    close = np.take_along_axis(apart, near, axis=1) <= 300
    return Place(np.where(close, near, -1), longitude, latitude)


def errors(model: Model, data: Archive, *, alone: bool = False) -> list[Errors]:
    """Run over an archive; alone: as if nobody had a neighbour or knew where it is."""
    values = data.values
    stations = np.arange(values.shape[1])
    kalman = Kalman(model=model, stations=len(stations), place=None if alone else data.place)
    found: list[list[list[Floats]]] = [[[], [], [], [], []] for _ in STEPS]
    for row, now in enumerate(values):
        time = data.begin + row * 600
        kalman.update(station=stations, time=np.full(len(stations), time), value=now)
        if row < SETTLED:
            continue
        for parts, step in zip(found, STEPS, strict=True):
            if row + step < len(values):
                mean, spread = kalman.forecast(at=time + step * 600)
                later = values[row + step]
                both = ~np.isnan(now) & ~np.isnan(later)
                parts[0].append((model.scaled(later) - mean)[both])
                parts[1].append(spread[both])
                parts[2].append(np.abs(model.scaled(later) - model.scaled(now))[both])
                parts[3].append(np.abs(model.point(mean) - later)[both])
                parts[4].append(np.abs(now - later)[both])
    return [Errors(*(np.concatenate(part) for part in parts)) for parts in found]


def loss(model: Model, data: Archive, *, penalty: float) -> float:
    """Give the score summed over the lead times; with neighbours and without, where it matters."""
    ways = (False, True) if model.pool else (True,)
    every = [each for alone in ways for each in errors(model, data, alone=alone)]
    dear = sum(max(0.0, each.ratio - 1) for each in every)
    return (sum(each.crps for each in every) + penalty * dear) / len(ways)


def fit(model: Model, data: Archive, names: Sequence[str], *, penalty: float) -> Model:
    """Search one number after the other by factors that become finer."""
    best = loss(model, data, penalty=penalty)
    for factor in (4.0, 2.5, 1.6, 1.25, 1.1):
        for _ in range(3):
            before = best
            for name, up in itertools.product(names, (factor, 1 / factor)):
                tried = replace(model, **{name: getattr(model, name) * up})
                possible = 600 <= tried.memory <= 21_600 and tried.noise >= QUIETEST
                if not possible or tried.pool > 1:
                    continue
                if (found := loss(tried, data, penalty=penalty)) < best:
                    model, best = tried, found
            if best > before - 1e-3:
                break
    return model


def describe(found: Sequence[Errors]) -> str:
    """Give errors and coverage at each lead time."""
    return ", ".join(
        f"{step * 10} min {each.own.mean():.3f}/{each.persistence.mean():.3f} = {each.ratio:.3f}"
        f" ({each.inside(0.6745):.0%} in 50 %, {each.inside(1.6449):.0%} in 90 %)"
        for step, each in zip(STEPS, found, strict=True)
    )


def main(folder: Path, *, score: bool) -> None:
    """Print the table for the file, and what it reaches on the second half."""
    known = Expectation.load().kalman
    for element, (variable, start) in ELEMENTS.items():
        data = archive(folder, variable)
        half = len(data.values) // 2
        names = ["noise", "level", "trend", "memory", *(["pool"] if start.pool else [])]
        model = known[element]
        if not score:
            penalty = 0.0 if start.pool else PENALTY.get(element, MILD)
            model = fit(start, data.part(0, half), names, penalty=penalty)
        print(f"[kalman.{element}]")
        for name in ("scale", *names):
            number = getattr(model, name)
            print(f"{name} = {number:.3g}" if isinstance(number, float | int) else f'"{number}"')
        for title, alone in (("", False), ("alone: ", True)) if start.pool else (("", True),):
            print(f"# {title}fitted:", describe(errors(model, data.part(0, half), alone=alone)))
            print(f"# {title}tested:", describe(errors(model, data.part(half), alone=alone)))
        print(flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), score="--score" in sys.argv)
