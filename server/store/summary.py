"""Summing up the readings of an hour or a day, by the element's own way. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.elements import Aggregate

_CALM = 1e-9
"""Below this length a mean wind vector has no direction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One element, summed up per group: position ``i`` of every array is one group.

    readings: how many readings went in. seconds: what their intervals cover together.
    value: as the element aggregates. minimum, maximum: of the single readings; for a direction,
    whose smallest and largest say nothing, the value itself.
    """

    group: NDArray[np.int64]
    readings: NDArray[np.int64]
    seconds: NDArray[np.int64]
    value: NDArray[np.float64]
    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]


def summarise(
    *,
    group: NDArray[np.int64],
    interval: NDArray[np.int64],
    value: NDArray[np.float64],
    aggregate: Aggregate,
    speed: NDArray[np.float64] | None = None,
) -> Summary:
    """Sum up the values of each group; rows must be sorted by group, then time.

    nan is left out, and a group with nothing else does not appear. A mean weighs each reading by
    the seconds of its interval, so that minutes and hours can be mixed. A direction (degrees) is
    the one of the mean vector, each reading weighed by ``speed`` too; readings without a speed are
    left out, and a group without wind has no direction.
    """
    known = ~np.isnan(value)
    weight = interval.astype(np.float64)
    if aggregate == "vector":
        if speed is None:
            raise ValueError("a direction needs the speed that it is weighed by")
        known &= ~np.isnan(speed)
        weight = weight * speed
    group, interval, value, weight = group[known], interval[known], value[known], weight[known]
    start = np.flatnonzero(np.diff(group, prepend=-1))
    readings = np.diff(start, append=len(group))
    if not len(group):
        return Summary(
            group=group,
            readings=readings,
            seconds=interval,
            value=value,
            minimum=value,
            maximum=value,
        )
    seconds = np.add.reduceat(interval, start)
    minimum, maximum = np.minimum.reduceat(value, start), np.maximum.reduceat(value, start)
    found = np.ones(len(start), bool)
    match aggregate:
        case "sum":
            result = np.add.reduceat(value, start)
        case "max":
            result = maximum
        case "min":
            result = minimum
        case "last":
            result = value[start + readings - 1]
        case "mean":
            result = np.add.reduceat(value * weight, start) / seconds
        case "vector":
            angle = np.radians(value)
            east = np.add.reduceat(np.sin(angle) * weight, start) / seconds
            north = np.add.reduceat(np.cos(angle) * weight, start) / seconds
            found = np.hypot(east, north) > _CALM
            result = minimum = maximum = np.degrees(np.arctan2(east, north)) % 360
    return Summary(
        group=group[start][found],
        readings=readings[found],
        seconds=seconds[found],
        value=result[found],
        minimum=minimum[found],
        maximum=maximum[found],
    )
