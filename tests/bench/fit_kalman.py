"""Fit the Kalman filters of forecast/expectation.toml: python tests/bench/fit_kalman.py FOLDER.

FOLDER holds KNMI 10-minute files (netCDF). The first half is fitted, the second half is scored
against persistence at 10, 30 and 60 minutes. The forecast is fitted by its absolute error, the
spread by the Gaussian log score.
"""

import itertools
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from forecast.kalman import Kalman, Model

STEPS = (1, 3, 6)
ELEMENTS = {
    "air_temperature": ("ta", Model("plain", 0.1, 0.3, 0.5, 3_600)),
    "relative_humidity": ("rh", Model("plain", 0.5, 2.0, 2.0, 3_600)),
    "air_pressure_at_mean_sea_level": ("pp", Model("plain", 0.05, 0.1, 0.5, 3_600)),
    "wind_speed": ("ff", Model("sqrt", 0.1, 0.1, 0.1, 3_600)),
    "wind_speed_of_gust": ("gff", Model("sqrt", 0.1, 0.1, 0.1, 3_600)),
    "visibility_in_air": ("zm", Model("log", 0.1, 0.3, 0.3, 3_600)),
    "surface_temperature": ("tgn", Model("plain", 0.1, 0.3, 0.5, 3_600)),
}


def series(folder: Path, variable: str) -> NDArray[np.float64]:
    """Read [time, station] of all files in the folder, in order."""
    parts = []
    for file in sorted(folder.glob("*.nc")):
        with xr.open_dataset(file, engine="h5netcdf", decode_timedelta=False) as data:
            parts.append(data[variable].transpose("time", "station").to_numpy())
    return np.concatenate(parts).astype(np.float64)


def errors(model: Model, data: NDArray[np.float64]) -> list[list[NDArray[np.float64]]]:
    """Give, per lead time: error, spread (both on the filter's scale), absolute errors."""
    stations = np.arange(data.shape[1])
    kalman = Kalman(model=model, stations=len(stations))
    found: list[list[list[NDArray[np.float64]]]] = [[[], [], [], []] for _ in STEPS]
    for row, values in enumerate(data):
        time = np.full(len(stations), (row + 1) * 600)
        kalman.update(station=stations, time=time, value=values)
        if row < 6:
            continue
        for place, step in zip(found, STEPS, strict=True):
            if row + step < len(data):
                mean, spread = kalman.forecast(at=(row + 1 + step) * 600)
                later = data[row + step]
                both = ~np.isnan(values) & ~np.isnan(later)
                place[0].append((model.scaled(later) - mean)[both])
                place[1].append(spread[both])
                place[2].append(np.abs(model.unscaled(mean) - later)[both])
                place[3].append(np.abs(values - later)[both])
    return [[np.concatenate(part) for part in place] for place in found]


def loss(model: Model, data: NDArray[np.float64]) -> float:
    """Give the mean absolute error as a part of persistence's, summed over the lead times."""
    return sum(float(own.mean() / held.mean()) for _, _, own, held in errors(model, data))


def surprise(model: Model, data: NDArray[np.float64]) -> float:
    """Give the mean negative log likelihood, errors capped at 5 sigma."""
    total = 0.0
    for error, spread, _, _ in errors(model, data):
        z = np.minimum(np.abs(error / spread), 5)
        total += float(np.mean(z * z / 2 + np.log(spread)))
    return total


def scaled(model: Model, factor: float) -> Model:
    """Widen every spread; the forecast itself stays the same."""
    return replace(
        model,
        noise=model.noise * factor,
        level=model.level * factor,
        trend=model.trend * factor,
    )


def fit(model: Model, data: NDArray[np.float64]) -> Model:
    """Search one number after the other by factors that become finer, then the spread."""
    best = loss(model, data)
    for factor in (4.0, 2.0, 1.4, 1.15):
        for _ in range(3):
            before = best
            for name, up in itertools.product(("noise", "trend", "memory"), (factor, 1 / factor)):
                tried = replace(model, **{name: getattr(model, name) * up})
                if not 600 <= tried.memory <= 21_600 or not 0.02 < tried.noise / tried.level < 10:
                    continue
                if (found := loss(tried, data)) < best:
                    model, best = tried, found
            if best > before - 1e-4:
                break
    factors = np.geomspace(0.1, 10, 41)
    return scaled(model, min(factors, key=lambda factor: surprise(scaled(model, factor), data)))


def main(folder: Path) -> None:
    """Print the table for the file, and what it reaches on the second half."""
    for element, (variable, start) in ELEMENTS.items():
        data = series(folder, variable)
        half = len(data) // 2
        model = fit(start, data[:half])
        print(f"[kalman.{element}]")
        print(f'scale = "{model.scale}"')
        for name in ("noise", "level", "trend"):
            print(f"{name} = {getattr(model, name):.4g}")
        print(f"memory = {model.memory:.0f}")
        marks = []
        for step, (error, spread, own, held) in zip(STEPS, errors(model, data[half:]), strict=True):
            inside = float(np.mean(np.abs(error) < 1.2816 * spread))
            marks.append(
                f"{step * 10} min {own.mean():.3f}/{held.mean():.3f} ({inside:.0%} in 80%)"
            )
        print("# MAE filter/persistence:", ", ".join(marks), flush=True)
        print()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
