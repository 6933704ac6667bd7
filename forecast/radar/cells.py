"""Cells: connected areas of hard rain, followed over frames, with the time they arrive.

A cell is what hangs together above a threshold (as in TITAN: M. Dixon and G. Wiener, J. Atmos.
Oceanic Technol. 10, 785, 1993); it is the cell of the frame before that its area, carried along
the motion, covers most.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forecast.radar.extrapolation import paths
from forecast.radar.frames import Bools, Floats, Recent
from forecast.radar.image import CELL, Labels, connected, places, spread, take
from forecast.radar.motion import Motion

Doubles = NDArray[np.float64]

HARD: Final = 10.0
"""mm/h."""

SMALLEST: Final = 4.0
"""km2."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the newest frame.

    row, column: its middle, weighted by rain. area: km2. peak: mm/h. speed: m/s. toward: degrees
    clockwise from the top of the grid, nan while it stands. track: (minutes before the newest
    frame, row, column), oldest first, ending with the newest.
    """

    row: float
    column: float
    area: float
    peak: float
    speed: float
    toward: float
    track: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of a frame; labels name them by place in the list plus one, 0 is none."""

    cells: tuple[Cell, ...]
    labels: Labels
    motion: Motion

    def arrivals(
        self,
        rows: NDArray[np.floating],
        columns: NDArray[np.floating],
        *,
        until: int = 60,
        steering: float = np.inf,
    ) -> Doubles:
        """Give the minutes until each cell reaches each point, (cell, point); nan: not by then.

        0 where it is there already. Points in grid cells, counted from 0.
        """
        found = np.full((len(self.cells), len(rows)), np.nan)
        ways = paths(self.motion, range(1, until + 1), steering=steering)
        still = np.zeros_like(self.motion.velocity)
        for minute, way in enumerate([still, *ways]):
            back = [at_points(part, rows, columns) for part in way]
            here = _labels_at(self.labels, rows + back[1], columns + back[0])
            for point in np.flatnonzero(here):
                cell = here[point] - 1
                if np.isnan(found[cell, point]):
                    found[cell, point] = minute
        return found


def find(
    recent: Recent, motion: Motion, *, threshold: float = HARD, smallest: float = SMALLEST
) -> Cells:
    """Find the cells of the newest frame and follow them back through the earlier ones."""
    labels, parts = _parts(recent.newest, threshold, smallest, recent.spacing)
    tracks = [[(0.0, row, column)] for row, column, _, _ in parts]
    ours: list[int | None] = list(range(1, len(parts) + 1))
    later = labels
    for place in range(len(recent.fields) - 2, -1, -1):
        minutes = float(recent.ages[place] - recent.ages[place + 1])
        before, earlier = _parts(recent.fields[place], threshold, smallest, recent.spacing)
        carried = _carried(before, paths(motion, [minutes])[0])
        for cell, label in enumerate(ours):
            if label is None:
                continue
            under = np.bincount(carried[later == label], minlength=len(earlier) + 1)[1:]
            ours[cell] = None
            if len(under) and under.max() > 0:
                ours[cell] = int(under.argmax()) + 1
                row, column, _, _ = earlier[int(under.argmax())]
                tracks[cell].insert(0, (float(recent.ages[place]), row, column))
        later = before
    cells = tuple(
        _cell(part, track, motion, recent.spacing)
        for part, track in zip(parts, tracks, strict=True)
    )
    return Cells(cells, labels, motion)


def at_points(field: Floats, rows: NDArray[np.floating], columns: NDArray[np.floating]) -> Floats:
    """Give a field of the motion grid at points of the full grid, linear."""
    y = ((rows + 0.5) / CELL - 0.5).astype(np.float32)[None, :]
    x = ((columns + 0.5) / CELL - 0.5).astype(np.float32)[None, :]
    return take(field, y, x, edge="rim").ravel()


def _parts(
    field: Floats, threshold: float, smallest: float, spacing: float
) -> tuple[Labels, list[tuple[float, float, float, float]]]:
    """Label the cells, largest first; give row, column, area and peak of each."""
    hard: Bools = np.nan_to_num(field) >= threshold
    found = connected(hard)
    sizes = np.bincount(found.ravel()).astype(np.float64)[1:] * spacing**2
    names = np.zeros(len(sizes) + 1, np.int32)
    parts = []
    for cell in np.argsort(-sizes, kind="stable").tolist():
        if sizes[cell] < smallest:
            break
        rows, columns = np.nonzero(found == cell + 1)
        rain = field[rows, columns].astype(np.float64)
        middle = (float(rain @ rows / rain.sum()), float(rain @ columns / rain.sum()))
        parts.append((*middle, float(sizes[cell]), float(rain.max())))
        names[cell + 1] = len(parts)
    return names[found], parts


def _cell(
    part: tuple[float, float, float, float],
    track: Sequence[tuple[float, float, float]],
    motion: Motion,
    spacing: float,
) -> Cell:
    row, column, area, peak = part
    at = (np.array([row]), np.array([column]))
    right, down = (float(at_points(speed, *at)[0]) for speed in motion.velocity)
    speed = float(np.hypot(right, down)) * spacing * 1000 / 60
    toward = float(np.degrees(np.arctan2(right, -down)) % 360) if speed > 0 else float("nan")
    return Cell(row, column, area, peak, speed, toward, tuple(track))


def _carried(labels: Labels, way: Floats) -> Labels:
    rows, columns = places(labels.shape)
    rows, columns = rows + spread(way[1], labels.shape), columns + spread(way[0], labels.shape)
    return _labels_at(labels, rows, columns)


def _labels_at(labels: Labels, rows: NDArray[np.floating], columns: NDArray[np.floating]) -> Labels:
    """Give the labels of the nearest cells, 0 outside."""
    r, c = np.rint(rows).astype(np.int64), np.rint(columns).astype(np.int64)
    inside = (r >= 0) & (r < labels.shape[0]) & (c >= 0) & (c < labels.shape[1])
    taken: Labels = np.where(inside, labels[np.where(inside, r, 0), np.where(inside, c, 0)], 0)
    return taken
