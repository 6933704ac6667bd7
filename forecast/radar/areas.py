"""Amounts over regions: which cells of the grid a polygon covers, and what falls on them."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecast.radar.frames import Floats

Doubles = NDArray[np.float64]

FINE = 4
"""Points along a side of a grid cell by which a polygon's share of it is counted."""


@dataclass(frozen=True, slots=True)
class Area:
    """The cells a region covers, each with its share (0..1)."""

    row: NDArray[np.int64]
    column: NDArray[np.int64]
    share: Doubles

    def mean(self, fields: Floats) -> Doubles:
        """Give the mean over the area of fields (…, y, x); cells not seen are left out."""
        values = fields[..., self.row, self.column]
        weight = np.where(np.isfinite(values), self.share, 0.0)
        whole = weight.sum(axis=-1)
        total = (np.nan_to_num(values) * weight).sum(axis=-1)
        mean: Doubles = np.where(whole > 0, total / np.where(whole > 0, whole, 1), np.nan)
        return mean

    def seen(self, fields: Floats) -> Doubles:
        """Give the share of the area that is seen."""
        values = np.isfinite(fields[..., self.row, self.column])
        share: Doubles = (values * self.share).sum(axis=-1) / max(self.share.sum(), 1e-12)
        return share


def area(
    rings: Sequence[NDArray[np.floating]],
    *,
    x: NDArray[np.floating],
    y: NDArray[np.floating],
) -> Area:
    """Give the cells covered by a polygon: rings (point, [x, y]) in the grid's coordinates.

    All rings of a region together, by the even-odd rule: holes and islands need no order.
    Raises ValueError for a ring of fewer than three points.
    """
    if any(len(ring) < 3 for ring in rings):
        raise ValueError("a ring has three points or more")
    dx, dy = float(x[1] - x[0]), float(y[1] - y[0])
    within = (np.arange(FINE) + 0.5) / FINE - 0.5
    xs = (x[:, None] + within * dx).ravel()
    ys = (y[:, None] + within * dy).ravel()
    inside = np.zeros((len(ys), len(xs)), np.bool_)
    for ring in rings:
        closed = np.concatenate([ring, ring[:1]]).astype(np.float64)
        for (x0, y0), (x1, y1) in itertools.pairwise(closed):
            lines = np.flatnonzero((ys > min(y0, y1)) & (ys <= max(y0, y1)))
            if not len(lines):
                continue
            crossing = x0 + (ys[lines] - y0) * (x1 - x0) / (y1 - y0)
            inside[lines] ^= xs[None, :] < crossing[:, None]
    share = inside.reshape(len(y), FINE, len(x), FINE).mean(axis=(1, 3))
    rows, columns = np.nonzero(share)
    return Area(rows, columns, share[rows, columns])
