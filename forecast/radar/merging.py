"""Radar and gauges together: rain amounts with the radar's picture and the gauges' measure.

The radar's error is a factor that varies slowly in space. The logarithm of gauge over radar is
interpolated by kriging with a known mean, the median of all gauges (a mean-field bias: J. W. Wilson
and E. A. Brandes, Bull. Amer. Meteor. Soc. 60, 1048, 1979), and the radar is multiplied by it.
Ratios far from the others are drawn to them first, as one blocked gauge must not change a county.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forecast.radar.frames import Floats
from forecast.radar.image import CELL, coarse, spread

Doubles = NDArray[np.float64]

OFFSET: Final = 0.2
"""mm added to both before the ratio is taken, so that drizzle does not decide it."""

LEAST: Final = 0.5
"""mm that gauge and radar together need for a gauge to have a say."""

RANGE: Final = 40.0
"""km at which two gauges' ratios have little in common."""

NUGGET: Final = 0.25
"""Share of a ratio's variance that is the gauge's own: a point under a square kilometre."""

HIGHEST: Final = 5.0
"""Largest factor, and smallest its inverse."""


@dataclass(frozen=True, slots=True)
class Adjustment:
    """Factors of the radar.

    mean: the factor away from all gauges. row, column: of the gauges used, in grid cells.
    weight: what each adds to the log, times the covariance with it.
    """

    mean: float
    row: Doubles
    column: Doubles
    weight: Doubles
    spacing: float

    def at(self, row: NDArray[np.floating], column: NDArray[np.floating]) -> Doubles:
        """Give the factor at points, in grid cells."""
        apart = np.hypot(np.subtract.outer(row, self.row), np.subtract.outer(column, self.column))
        local = np.exp(-apart * self.spacing / RANGE) @ self.weight
        factor: Doubles = np.exp(
            np.clip(np.log(self.mean) + local, -np.log(HIGHEST), np.log(HIGHEST))
        )
        return factor

    def apply(self, radar: Floats) -> Floats:
        """Give the adjusted field (mm); nan stays nan."""
        rows, columns = coarse(radar.shape)
        y, x = np.mgrid[0:rows, 0:columns]
        factor = self.at((y.ravel() + 0.5) * CELL - 0.5, (x.ravel() + 0.5) * CELL - 0.5)
        field = factor.reshape(rows, columns).astype(np.float32)
        return radar * spread(field, radar.shape)


def adjustment(
    radar: Floats,
    gauge: NDArray[np.floating],
    row: NDArray[np.floating],
    column: NDArray[np.floating],
    *,
    spacing: float = 1.0,
) -> Adjustment:
    """Find the factors from gauges (mm, at rows and columns of the grid) and radar (mm).

    spacing: km. Gauges outside the grid, under nan, or where both are all but dry have no say;
    with none the factor is 1.
    """
    under = sample(radar, row, column)
    used = np.isfinite(under) & np.isfinite(gauge) & (under + gauge >= LEAST)
    if not used.any():
        nothing = np.zeros(0)
        return Adjustment(1.0, nothing, nothing, nothing, spacing)
    rows, columns = np.asarray(row, float)[used], np.asarray(column, float)[used]
    ratio = np.log((gauge[used] + OFFSET) / (under[used] + OFFSET))
    mean = float(np.median(ratio))
    # Drawn in at 2.5 robust standard deviations (1.4826 times the median deviation).
    wide = 2.5 * max(1.4826 * float(np.median(np.abs(ratio - mean))), 0.1)
    rest = np.clip(ratio - mean, -wide, wide)
    apart = np.hypot(np.subtract.outer(rows, rows), np.subtract.outer(columns, columns))
    covariance = np.exp(-apart * spacing / RANGE) + NUGGET * np.eye(len(rest))
    shrunk = len(rest) / (len(rest) + 3)  # a median of three gauges is half a guess
    return Adjustment(
        float(np.exp(mean * shrunk)), rows, columns, np.linalg.solve(covariance, rest), spacing
    )


def sample(field: Floats, row: NDArray[np.floating], column: NDArray[np.floating]) -> Doubles:
    """Give the field in the grid cells of points, nan outside."""
    r, c = np.rint(row).astype(np.int64), np.rint(column).astype(np.int64)
    inside = (r >= 0) & (r < field.shape[0]) & (c >= 0) & (c < field.shape[1])
    taken = field[np.where(inside, r, 0), np.where(inside, c, 0)].astype(np.float64)
    return np.where(inside, taken, np.nan)


def left_out(
    radar: Floats,
    gauge: NDArray[np.floating],
    row: NDArray[np.floating],
    column: NDArray[np.floating],
    *,
    spacing: float = 1.0,
) -> Doubles:
    """Give at each gauge what the others make of it (mm): leave-one-out cross-validation."""
    under = sample(radar, row, column)
    found = np.empty(len(gauge))
    for out in range(len(gauge)):
        others = np.arange(len(gauge)) != out
        factors = adjustment(radar, gauge[others], row[others], column[others], spacing=spacing)
        found[out] = under[out] * factors.at(row[out : out + 1], column[out : out + 1])[0]
    return found
