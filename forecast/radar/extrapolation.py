"""Carrying a field along the motion: backward, semi-Lagrangian.

Each point asks where its air was (A. Staniforth and J. Côté, Mon. Wea. Rev. 119, 2206, 1991;
U. Germann and I. Zawadzki, Mon. Wea. Rev. 130, 2859, 2002) and takes the value there, linear
between four cells. A value one of whose four is not seen is not seen: nothing is invented.
"""

from collections.abc import Iterable
from typing import Final

import numpy as np

from forecast.radar.frames import Floats
from forecast.radar.image import CELL, places, spread, take
from forecast.radar.motion import Motion

STEP: Final = 5.0
"""Longest time step along a path, minutes."""


def paths(motion: Motion, leads: Iterable[float], *, steering: float = np.inf) -> list[Floats]:
    """Give, for each lead (minutes, rising), from how far the air comes, in grid cells.

    As (2, rows, columns) on the coarse grid: along x, along y. steering: minutes after which
    the motion is no longer trusted, see ``law.toml``.
    """
    rows, columns = places(motion.velocity.shape[1:])
    gone = np.zeros_like(motion.velocity)
    found: list[Floats] = []
    now = 0.0
    for lead in leads:
        steps = max(1, int(np.ceil((lead - now) / STEP)))
        minutes = np.float32((lead - now) / steps)
        for _ in range(steps):
            gone = gone - _step(motion.velocity * minutes, gone, rows, columns)
        now = lead
        found.append(gone * np.float32(np.exp(-((lead / steering) ** 2))))
    return found


def carry(field: Floats, path: Floats, *, outside: float = np.nan, rim: bool = False) -> Floats:
    """Give the field at the end of the paths; ``outside`` the grid, or the value at its rim."""
    rows, columns = places(field.shape)
    return take(
        field,
        rows + spread(path[1], field.shape),
        columns + spread(path[0], field.shape),
        edge="rim" if rim else "nothing",
        outside=outside,
    )


def _step(moving: Floats, gone: Floats, rows: Floats, columns: Floats) -> Floats:
    """Give one step by the motion in its middle, found by iteration."""
    middle = gone / CELL
    step = np.zeros_like(gone)
    for _ in range(2):
        at = middle - step / (2 * CELL)
        step = np.stack([take(part, rows + at[1], columns + at[0], edge="rim") for part in moving])
    return step
