"""Pieces of a long record side by side, so that one pass over hours goes through years.

A nowcast looks back over its ``span`` and no further, and one step of it costs about the same
for ten stations and for a thousand. So an archive is cut into pieces of whole days, each with
the readings of one span before it, and the pieces run as if they were other stations at the same
time: piece ``k`` of station ``s`` is station ``k * stations + s``, ``k`` lengths earlier. Whole
days keep the local days where they are; nothing else of a nowcast knows the date but the months
of a signal, which are looked at afterwards. For the quality control, which looks at neighbours,
each piece stands at longitudes of its own, out of sight of the others.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forecast.criteria import DAY
from forecast.readings import Readings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

WIDTH: Final = 2_000
"""Stations of a pass: beyond it a step costs as much more as there are more of them."""

SIGHT: Final = 100.0
"""Kilometres between the stations of two pieces at least: no neighbour is looked for so far off."""

EARTH: Final = 6_371.0
"""Mean radius, km."""


@dataclass(frozen=True, slots=True)
class Sites:
    """Where the stations are: degrees east and north, m; nan where unknown."""

    longitude: Floats
    latitude: Floats
    elevation: Floats

    def turned(self, degrees: float) -> "Sites":
        """Give the same, so many degrees further east: all distances stay."""
        return Sites(self.longitude + degrees, self.latitude, self.elevation)

    def nearest(self, other: "Sites") -> float:
        """Give the shortest distance to one of the others, km; infinite where none is known."""
        mine, theirs = self.points(), other.points()
        apart = np.sqrt(np.square(mine[:, None] - theirs[None]).sum(axis=2))
        return float(np.nanmin(apart, initial=np.inf)) if apart.size else np.inf

    def points(self) -> Floats:
        """Give the places that are known, in space, km."""
        x, y = np.radians(self.longitude), np.radians(self.latitude)
        place = np.stack([np.cos(y) * np.cos(x), np.cos(y) * np.sin(x), np.sin(y)], axis=1)
        known: Floats = EARTH * place[~np.isnan(place).any(axis=1)]
        return known


@dataclass(frozen=True, slots=True)
class Lanes:
    """How a stretch of time is cut: (begin, begin + count * length] into ``count`` pieces.

    stations: of the record. length: seconds, whole days. warm: seconds that each piece looks
    back before it begins.
    """

    stations: int
    begin: int
    length: int
    count: int
    warm: int

    @classmethod
    def over(
        cls, *, begin: int, end: int, stations: int, warm: int, sites: Sites | None = None
    ) -> "Lanes":
        """Cut (begin, end] so that a pass is short and no piece is mostly looking back.

        With sites, no more pieces than can stand side by side on the Earth.
        """
        whole = max(end - begin, 1)
        most = max(1, min(WIDTH // max(stations, 1), whole // max(warm, 1)))
        while True:
            days = -(-whole // (most * DAY))
            count = -(-whole // (days * DAY))
            if count == 1 or sites is None or _apart(sites, count):
                return cls(stations, begin, days * DAY, count, warm)
            most //= 2

    def sites(self, sites: Sites) -> Sites:
        """Give the places of the stations of the pass."""
        pieces = [sites.turned(piece * 360 / self.count) for piece in range(self.count)]
        return Sites(
            np.concatenate([piece.longitude for piece in pieces]),
            np.concatenate([piece.latitude for piece in pieces]),
            np.concatenate([piece.elevation for piece in pieces]),
        )

    @property
    def width(self) -> int:
        """Stations of the pass."""
        return self.stations * self.count

    def fold(self, readings: Readings) -> Readings:
        """Put readings where they belong in the pass, sorted by time; some stand there twice."""
        piece = (readings.time - self.begin - 1) // self.length
        parts = [
            self._moved(readings, piece + later) for later in range(self.warm // self.length + 2)
        ]
        folded = Readings.joined(parts)
        return folded.where(np.argsort(folded.time, kind="stable"))

    def unfold(self, time: int, station: Ints) -> tuple[Ints, Ints]:
        """Give the true time and station of stations of the pass at one of its times."""
        piece = station // self.stations
        return time + piece * self.length, station % self.stations

    def _moved(self, readings: Readings, piece: Ints) -> Readings:
        time = readings.time - piece * self.length
        mine = (piece >= 0) & (piece < self.count) & (time > self.begin - self.warm)
        moved = readings.where(mine)
        station = moved.station + piece[mine] * self.stations
        return Readings(station, time[mine], moved.interval, moved.values)


def _apart(sites: Sites, count: int) -> bool:
    """Tell whether no piece sees another one; they stand in a ring."""
    turns = (sites.turned(piece * 360 / count) for piece in range(1, count // 2 + 1))
    return all(sites.nearest(turned) > SIGHT for turned in turns)
