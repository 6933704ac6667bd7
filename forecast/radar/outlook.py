"""What a radar forecast brings to stations: amounts of rain over any stretch of its leads.

Needs numpy alone: whoever blends radar into a chance needs neither grids nor scipy.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_HOUR = 3_600


class Amount(NamedTuple):
    """Rain in mm: the mean per station, and (member, station); nan where radar does not see."""

    mean: Floats
    members: Floats


class RainOutlook(Protocol):
    """What the next hour or two bring to stations."""

    @property
    def time(self) -> int:
        """Seconds since the epoch of the newest radar frame it is made from: lead 0."""

    @property
    def until(self) -> int:
        """Seconds of lead it covers."""

    def amount(self, stations: Ints, start: int, end: int) -> Amount:
        """Give the rain that falls from lead ``start`` to lead ``end`` (s), at the stations.

        Leads beyond ``until`` are not covered: nan. Raises ValueError for a lead below zero or
        an end before the start.
        """


@dataclass(frozen=True, slots=True)
class SampledOutlook:
    """An ensemble sampled at the stations, added up over lead once.

    time: s since the epoch; edges: leads (s), rising from 0; fallen: mm since lead 0, as
    (member, edge, station), nan where it is not known.
    """

    time: int
    edges: Ints
    fallen: Floats

    @classmethod
    def of(cls, rates: NDArray[np.floating], *, time: int, step: int) -> "SampledOutlook":
        """Make it from rates in mm/h as (member, step of ``step`` s, station).

        A rate holds for the whole step that ends at its lead. A station that any step of any
        member does not see (nan) is not known from there on. Raises ValueError for another
        shape.
        """
        if rates.ndim != 3:
            raise ValueError("rates are (member, step, station)")
        members, steps, stations = rates.shape
        fallen = np.zeros((members, steps + 1, stations))
        np.cumsum(rates.astype(np.float64) * (step / _HOUR), axis=1, out=fallen[:, 1:])
        return cls(time, np.arange(steps + 1, dtype=np.int64) * step, fallen)

    @property
    def until(self) -> int:
        """Seconds of lead it covers."""
        return int(self.edges[-1])

    def amount(self, stations: Ints, start: int, end: int) -> Amount:
        """Give the rain from lead ``start`` to ``end`` (s); see `RainOutlook`."""
        if not 0 <= start <= end:
            raise ValueError("leads begin at 0 and end after they start")
        members = self._since(stations, end) - self._since(stations, start)
        return Amount(members.mean(axis=0), members)

    def _since(self, stations: Ints, lead: int) -> Floats:
        """Give mm from lead 0 to a lead, (member, station), linear between two edges."""
        if lead > self.until:
            return np.full((len(self.fallen), len(stations)), np.nan)
        right = min(int(np.searchsorted(self.edges, lead, side="right")), len(self.edges) - 1)
        left, ends = right - 1, self.edges
        part = (lead - int(ends[left])) / (int(ends[right]) - int(ends[left]))
        before = self.fallen[:, left, stations]
        if part == 0:
            return before
        since: Floats = before + part * (self.fallen[:, right, stations] - before)
        return since
