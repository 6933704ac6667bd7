"""What the radar's ensemble says of a sum of rain that is still growing."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forecast.criteria import Condition
from forecast.moment import Moment
from forecast.radar.outlook import RainOutlook
from forecast.windows import NEVER

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STEP: Final = 1_800
"""Seconds between the ends of the windows that are looked at in the ensemble."""

_TRACE: Final = 0.1
"""mm: where the ensemble brings less, the sum stays what it is."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """chance: that the sum is reached while the radar sees ahead; still: mean rate at its end.

    Both per station, nan where the radar does not see; mm/h.
    """

    chance: Floats
    still: Floats


def outlook(radar: RainOutlook, moment: Moment, condition: Condition) -> Outlook:
    """Give the chance that what fell so far and what the ensemble brings reach a sum.

    The share of members in which the sum over the window, whose end moves on with the lead time,
    reaches the threshold at any of its ends. Rain between a station's newest reading and the
    radar's picture is taken to be what falls in the same time after the picture.
    """
    element, window = condition.element, condition.window
    newest = moment.newest(element).time
    every = np.arange(len(newest))
    edge = max(radar.until - STEP, 0)
    tail = radar.amount(every, edge, radar.until).mean
    still = tail / max(radar.until - edge, 1) * 3_600
    coming = radar.amount(every, 0, radar.until).mean
    known = ~np.isnan(coming) & (newest != NEVER)
    chance = np.where(known, 0.0, np.nan)
    wet = np.flatnonzero(known & (coming >= _TRACE))
    if not len(wet):
        return Outlook(chance, still)
    for begin in np.unique(newest[wet] - radar.time).tolist():
        # Stations whose newest reading has the same age add the same stretch of the ensemble.
        some = wet[newest[wet] - radar.time == begin]
        reached = np.zeros(0, np.bool_)
        for end in range(STEP, radar.until + 1, STEP):
            if end <= begin:
                continue
            members = radar.amount(some, max(begin, 0), end).members
            if begin < 0:
                members = members + radar.amount(some, 0, min(-begin, radar.until)).members
            so_far = _so_far(moment, condition, end - begin, window)[some]
            met = so_far + members >= condition.threshold - 1e-6
            reached = met if not reached.size else reached | met
        if reached.size:
            chance[some] = reached.mean(axis=0)
    return Outlook(chance, still)


def _so_far(moment: Moment, condition: Condition, ahead: int, window: int) -> Floats:
    """Give what a window that ends ``ahead`` seconds after the newest reading holds already."""
    end = moment.newest(condition.element).time
    return moment.amount(condition.element, np.minimum(end + ahead - window, end), end)
