"""Spatial check: a value far from what all its neighbours say at nearly the same time.

The neighbours' median is the expectation and their median absolute deviation the spread, both
blind to a minority of wrong ones (P. J. Huber, Robust Statistics, 1981, chapter 5; the buddy check
of C. Lussana et al., titanlib, works with mean and standard deviation). Rain and wind are compared
on a root scale, pressure on the logarithm, temperature brought to one height.
"""

import numpy as np
from numpy.typing import NDArray

from forecast.quality.checks import Spatial

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_MAD = 1.4826
"""Standard deviation of a normal distribution, of which the median deviation is 1."""


def distances(
    value: Floats, others: Floats, above: Floats, *, spatial: Spatial, least: int
) -> tuple[Bools, Floats, Bools]:
    """Give where the check is made, the signed distance on the scale, and where it is too large.

    value: (n,). others: (n, neighbours), nan: none. above: m of the others over it. Made with
    ``least`` others or more.
    """
    own, known = scaled(value, spatial), scaled(others, spatial)
    if spatial.gradient is not None:
        known = known - spatial.gradient * above  # nan where a height is unknown
    median, count = _median(known)
    deviation, _ = _median(np.abs(known - median[:, None]))
    made = (count >= least) & ~np.isnan(own)
    spread = np.maximum(_MAD * deviation, spatial.spread)
    distance = np.where(made, own - median, 0.0)
    return made, distance, np.abs(distance) > spatial.limit * spread


def scaled(value: Floats, spatial: Spatial) -> Floats:
    """Give values on the scale on which they are compared."""
    match spatial.scale:
        case "sqrt":
            return np.sqrt(np.maximum(value, 0.0))
        case "log":
            return np.log(np.maximum(value, 1e-6))
        case _:
            return value


def _median(rows: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Give the median of each row's values, and how many there are; nan where there are none."""
    count = (~np.isnan(rows)).sum(axis=1)
    order = np.sort(rows, axis=1)  # nan comes last
    row = np.arange(len(rows))
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, rows.shape[1] - 1)
    median: Floats = (order[row, low] + order[row, high]) / 2
    return median, count
