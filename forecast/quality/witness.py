"""Who else has seen it: a gust front or a cold pool is no fault of a sensor.

A change is believed when other elements of the station have changed as such weather changes them
(wind, pressure, rain, temperature), or when a neighbour has made the same jump around that time. A
witness counts by what it measured, whatever its own codes say, so no code depends on a code.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from forecast.quality.case import Case
from forecast.quality.checks import GAP, Step
from forecast.quality.history import NONE, Rows
from forecast.quality.step import allowed, between

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


def own(case: Case, rows: Ints, element: str, *, window: int) -> Bools:
    """Tell for some readings whether enough other kinds of elements have changed before them."""
    witness = case.checks.witness
    length = np.maximum(window, 2 * case.spacing[rows])
    query, found = case.history.between(
        case.station[rows], case.time[rows] - length, case.time[rows]
    )
    past = case.history.rows(found)
    seen = np.zeros(len(rows), np.int64)
    asked = np.zeros(len(rows), np.int64)
    for kind in witness.kinds.values():
        if element in kind:
            continue
        speaks, agrees = np.zeros(len(rows), np.bool_), np.zeros(len(rows), np.bool_)
        for name, least in kind.items():
            can, does = _changed(case, past, query, len(rows), name=name, least=least)
            speaks |= can
            agrees |= does
        asked += speaks
        seen += agrees
    believed: Bools = (asked > 0) & (seen >= np.minimum(witness.needed, asked))
    return believed


def _changed(
    case: Case, past: Rows, query: Ints, count: int, *, name: str, least: float
) -> tuple[Bools, Bools]:
    """Tell where an element can bear witness, and where it does."""
    value = past.value(name)
    there = case.plausible(name, value)
    query, value = query[there], value[there]
    number = np.bincount(query, minlength=count)
    if case.is_sum(name):
        return number > 0, np.bincount(query, value, minlength=count) >= least
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(low, query, value)
    np.maximum.at(high, query, value)
    return number > 1, high - low >= least


def neighbour(case: Case, rows: Ints, element: str, *, step: Step, size: Floats) -> Bools:
    """Tell for some readings whether a neighbour has jumped the same way around their time.

    size: of the jumps, signed, in parts of the limit of the step check.
    """
    witness = case.checks.witness
    believed = np.zeros(len(rows), np.bool_)
    near = case.neighbours.near[case.station[rows]]
    row, column = np.nonzero(near != NONE)
    if not len(row):
        return believed
    time = case.time[rows[row]]
    query, found = case.history.between(
        near[row, column], time - witness.around - GAP, time + witness.around
    )
    past = case.history.rows(found)
    value = past.value(element)
    there = case.plausible(element, value)
    query, value, when = query[there], value[there], past.time()[there]
    if len(query) < 3:
        return believed
    # A jump that lasts: from the reading before to this one, and to the next one too.
    same = (query[2:] == query[1:-1]) & (query[1:-1] == query[:-2])
    inside = when[1:-1] > time[query[1:-1]] - witness.around
    apart = when[1:-1] - when[:-2]
    middle = np.flatnonzero(same & inside & (apart <= GAP)) + 1
    limit = allowed(step.jump, between(apart[middle - 1]))
    whose = row[query[middle]]
    sign = np.sign(size[whose])
    least = np.where(sign == 0, np.inf, witness.share * np.abs(size[whose]) * limit)
    agrees = (value[middle] - value[middle - 1]) * sign >= least
    agrees &= (value[middle + 1] - value[middle - 1]) * sign >= least
    # Back from a spike is no jump either: the value was there before.
    earlier = np.maximum(middle - 2, 0)
    known = (middle > 1) & (query[earlier] == query[middle])
    agrees &= ~known | ((value[middle] - value[earlier]) * sign >= least)
    believed[whose[agrees]] = True
    return believed


def moved(
    case: Case, rows: Ints, element: str, *, scale: Callable[[Floats], Floats], distance: Floats
) -> Bools:
    """Tell for some readings whether most of a distance is a change of their own.

    distance: from the neighbours, signed, on the scale that ``scale`` brings values to. What
    moved lately and took witnesses along is weather; what stands apart all the time is not.
    """
    witness = case.checks.witness
    time = case.time[rows]
    query, found = case.history.between(case.station[rows], time - witness.lasting, time)
    value = case.history.rows(found).value(element)
    there = case.plausible(element, value)
    query, value = query[there], scale(value[there])
    own_value = scale(case.value(element)[rows])
    change = (own_value[query] - value) * np.sign(distance[query])
    believed = np.zeros(len(rows), np.bool_)
    believed[query[change >= witness.share * np.abs(distance[query])]] = True
    rest = np.flatnonzero(believed)
    believed[rest] = own(case, rows[rest], element, window=witness.lasting)
    return believed
