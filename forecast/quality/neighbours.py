"""Who is whose neighbour: the nearest stations within a radius and a height, found once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecast.quality.checks import Network

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

NOBODY = -1
EARTH = 6_371.0
"""Mean radius, km."""

_PAIRS = 2_000_000
"""Pairs of stations that are looked at together."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The neighbours of every station.

    near: (stations, nearest), the nearest first, `NOBODY` where there are no more. above: m that
    a neighbour lies above the station, nan where one height is unknown.
    """

    near: Ints
    above: Floats
    _owner: Ints
    _begin: Ints

    @classmethod
    def of(
        cls, network: Network, *, longitude: Floats, latitude: Floats, elevation: Floats
    ) -> "Neighbours":
        """Find them; a place that is unknown (nan) has none and is nobody's."""
        near = _nearest(network, _points(longitude, latitude), elevation)
        padded = np.append(elevation, np.nan)
        above = padded[near] - elevation[:, None]
        there = near >= 0
        station = np.broadcast_to(np.arange(len(near))[:, None], near.shape)[there]
        order = np.argsort(near[there], kind="stable")
        begin = np.searchsorted(near[there][order], np.arange(len(near) + 1))
        return cls(near, above, station[order], begin)

    def whose(self, station: Ints) -> tuple[Ints, Ints]:
        """Give who has these stations as a neighbour: place in ``station``, and the other one."""
        length = self._begin[station + 1] - self._begin[station]
        begins = np.cumsum(length) - length
        within = np.arange(int(length.sum())) - np.repeat(begins, length)
        place = np.repeat(np.arange(len(station)), length)
        return place, self._owner[np.repeat(self._begin[station], length) + within]


def _points(longitude: Floats, latitude: Floats) -> Floats:
    """Give places in space (km), so that neither a pole nor a date line is anything special."""
    x, y = np.radians(longitude), np.radians(latitude)
    return EARTH * np.stack([np.cos(y) * np.cos(x), np.cos(y) * np.sin(x), np.sin(y)], axis=1)


def _nearest(network: Network, point: Floats, elevation: Floats) -> Ints:
    """Find the nearest within growing distances: in a town an eighth of the radius is enough."""
    near = np.full((len(point), network.nearest), NOBODY, np.int64)
    wanted = known = np.flatnonzero(~np.isnan(point).any(axis=1))
    for part in (8, 4, 2, 1):
        radius = network.radius / part
        grid = _Grid(point, known, radius)
        missing = []
        for some in grid.portions(wanted):
            first, second = grid.pairs(some)
            apart = np.sqrt(np.square(point[first] - point[second]).sum(axis=1))
            high = np.abs(elevation[first] - elevation[second]) > network.height
            kept = (apart <= radius) & (first != second) & ~high
            first, second, apart = first[kept], second[kept], apart[kept]
            order = np.lexsort((second, apart, first))
            first, second = first[order], second[order]
            rank = np.arange(len(first)) - np.searchsorted(first, first)
            kept = rank < network.nearest
            near[first[kept], rank[kept]] = second[kept]
            missing.append(some[near[some, -1] == NOBODY])
        wanted = np.concatenate([np.zeros(0, np.int64), *missing])
    return near


class _Grid:
    """Stations in cells as wide as a radius: what is nearer lies in a cell beside."""

    _BESIDE = np.array([(x, y, z) for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1)])

    def __init__(self, point: Floats, known: Ints, radius: float) -> None:
        cell = np.full(point.shape, 0, np.int64)
        cell[known] = np.floor((point[known] + EARTH) / radius).astype(np.int64) + 1
        self._wide = int(2 * EARTH / radius) + 4
        self._cell = cell
        number = self._number(cell[known])
        order = np.argsort(number, kind="stable")
        self._stations, self._numbers = known[order], number[order]

    def portions(self, station: Ints) -> list[Ints]:
        """Cut stations into parts that do not have too many pairs."""
        if not len(station):
            return []
        begin, end = self._around(station)
        count = np.cumsum((end - begin).sum(axis=1)) // _PAIRS
        return np.split(station, np.flatnonzero(np.diff(count)) + 1)

    def pairs(self, station: Ints) -> tuple[Ints, Ints]:
        """Give every station with all that lie in the cells about it."""
        begin, end = (each.ravel() for each in self._around(station))
        length = end - begin
        begins = np.cumsum(length) - length
        within = np.arange(int(length.sum())) - np.repeat(begins, length)
        first = np.repeat(np.repeat(station, len(self._BESIDE)), length)
        return first, self._stations[np.repeat(begin, length) + within]

    def _around(self, station: Ints) -> tuple[Ints, Ints]:
        beside = self._cell[station][:, None, :] + self._BESIDE
        number = self._number(beside)
        return (
            np.searchsorted(self._numbers, number, side="left"),
            np.searchsorted(self._numbers, number, side="right"),
        )

    def _number(self, cell: Ints) -> Ints:
        number: Ints = (cell[..., 0] * self._wide + cell[..., 1]) * self._wide + cell[..., 2]
        return number
