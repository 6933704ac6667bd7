"""Persistence check: a value that does not change as long as the air always would.

A flat line is looked for at `PROBES` moments, evenly spread over the window, besides the few
readings before: a sensor that is stuck shows the same at all of them, and the cost does not depend
on how often it reports. What is excused (calm, saturation, no rain) is not checked. A value
without decimals may come from a station that rounds to whole numbers, where a line is flat for
longer: the window is doubled.
"""

import numpy as np
from numpy.typing import NDArray

from forecast.quality.case import Case
from forecast.quality.checks import READINGS, ROUND, Persistence
from forecast.quality.step import COUNT

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

PROBES = 12
ENOUGH = 10
"""Probes that must have found a value, the earliest among them."""

_HAIR = 1e-6
"""Differences of decimal fractions are not exact."""


def flat(case: Case, element: str, persistence: Persistence) -> tuple[Bools, Bools]:
    """Tell where the check is made, and where nothing has changed."""
    line = case.line(element)
    value = line[:, COUNT]
    made = ~np.isnan(value)
    for name, (lowest, highest) in persistence.unless.items():
        other = case.value(name)
        made &= ~((other >= lowest) & (other <= highest))
    least = persistence.change - _HAIR
    apart = np.abs(line[:, :COUNT] - value[:, None])
    known = ~np.isnan(apart)
    suspect = made & known.any(axis=1) & ~(apart >= least).any(axis=1)
    made &= known.any(axis=1)
    found = np.zeros(len(case), np.bool_)
    rows = np.flatnonzero(suspect)
    if not len(rows):
        return made, found
    window = np.maximum(persistence.window, READINGS * case.spacing[rows])
    window = np.where(value[rows] == np.rint(value[rows]), ROUND * window, window)
    step = window // PROBES
    ago = step[:, None] * np.arange(1, PROBES + 1)
    back = np.maximum(step, case.spacing[rows])[:, None]
    probes = case.before(ago, back, rows).value(element)
    apart = np.abs(probes - value[rows, None])
    moved = (apart >= least).any(axis=1)
    known = ~np.isnan(probes)
    covered = (known.sum(axis=1) >= ENOUGH) & known[:, -1]
    made[rows] = moved | covered
    found[rows] = covered & ~moved
    return made, found
