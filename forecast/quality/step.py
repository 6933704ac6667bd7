"""Step check: a value that changes faster than the air does.

The limits of one minute are those of I. Zahumensky, Guidelines on Quality Control Procedures for
Data from Automatic Weather Stations (WMO, 2004); those of an hour MADIS' tolerances where it has
any. Between them the limit grows with the power of the time that joins the two. A value is
compared with the four readings before it and fails as a jump only if it is far from all, so the
return from a spike is no jump. A spike is far from a reading before and from one after, on the
same side, and lasts for three readings at most (the spike test of the Argo quality control
manual, doi 10.13155/33951, for any spacing).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecast.quality.checks import GAP, Step

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LENGTH = 3
"""Readings that a spike lasts at most."""

COUNT = LENGTH + 1
"""Readings before, and after, with which one is compared: one of them is no part of a spike."""

_MINUTE, _HOUR = 60.0, 3_600.0


@dataclass(frozen=True, slots=True)
class Change:
    """What the check says: made, and where it is a jump or a spike, nobody asked so far.

    size: signed change from the readings before, in parts of the limit of a jump. quick: the
    reading before it is so near that nothing real comes and goes.
    """

    made: Bools
    jump: Bools
    spike: Bools
    size: Floats
    before: Bools
    """(n, COUNT): the readings before it that may be a spike because of this one."""


def weight(time: Floats) -> Floats:
    """Give how far from a minute (0) to an hour (1) readings are from the middle one, in log.

    time: (n, 2 * COUNT + 1) s, nan where there is none. Gives (n, 2 * COUNT): the middle left
    out; nan beyond `GAP`.
    """
    apart = np.abs(np.delete(time, COUNT, axis=1) - time[:, COUNT : COUNT + 1])
    found = between(apart)
    found[apart > GAP] = np.nan
    return found


def between(seconds: Floats) -> Floats:
    """Give where between a minute (0) and an hour (1) a time lies, in its logarithm."""
    part: Floats = np.log(np.clip(seconds, _MINUTE, _HOUR) / _MINUTE) / np.log(_HOUR / _MINUTE)
    return part


def allowed(pair: tuple[float, float], weight: Floats) -> Floats:
    """Give the limit for readings so far apart."""
    minute, hour = pair
    if minute == hour:
        return weight * 0 + minute
    limit: Floats = minute * np.exp(weight * np.log(hour / minute))
    return limit


def changes(value: Floats, weight: Floats, step: Step) -> Change:
    """Look for jumps and spikes. value: (n, 2 * COUNT + 1), weight: as `weight` gives it."""
    middle = value[:, COUNT : COUNT + 1]
    apart = middle - np.delete(value, COUNT, axis=1)
    ratio = apart / allowed(step.jump, weight)
    before = ratio[:, :COUNT]
    size = np.full(len(value), np.inf)
    sign = np.zeros(len(value))
    for column in range(COUNT)[::-1]:
        distance = np.abs(before[:, column])
        nearer = distance < size
        size[nearer], sign[nearer] = distance[nearer], np.sign(before[nearer, column])
    made = np.isfinite(size)
    size = np.where(made, size, 0.0) * sign
    spike, suspects = np.zeros(len(value), np.bool_), np.zeros((len(value), COUNT), np.bool_)
    if step.spike is not None:
        ratio = apart / allowed(step.spike, weight)
        far = np.abs(ratio) > 1
        suspects = far[:, :COUNT]
        rows = np.flatnonzero(far[:, :COUNT].any(axis=1) & far[:, COUNT:].any(axis=1))
        spike[rows] = _returns(ratio[rows])
    return Change(made, np.abs(size) > 1, spike, size, suspects)


def _returns(ratio: Floats) -> Bools:
    """Tell where a reading before and one after, `LENGTH` between them, lie on the same side."""
    found = np.zeros(len(ratio), np.bool_)
    for before in range(1, LENGTH + 1):
        for after in range(1, LENGTH + 2 - before):
            left, right = ratio[:, COUNT - before], ratio[:, COUNT + after - 1]
            found |= ((left > 1) & (right > 1)) | ((left < -1) & (right < -1))
    return found
