"""Readings that are to be judged again, when their time has come."""

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


MANY = 500_000
"""Readings that may wait before those are looked for that wait twice."""


def keys(station: Ints, time: Ints, stations: int) -> Ints:
    """Give one number for each reading; sorted, they go by time."""
    return time * stations + station


def _distinct(parts: list[Ints]) -> Ints:
    """Sort, and name each once: for long rows of numbers quicker than `numpy.unique`."""
    every = np.sort(np.concatenate([np.zeros(0, np.int64), *parts]))
    return every[np.append(every[1:] != every[:-1], True)] if len(every) else every


class Waiting:
    """Stations and times that wait until a moment; who waits twice is named once."""

    def __init__(self, *, stations: int) -> None:
        self._stations = stations
        self._parts: list[tuple[int, Ints]] = []
        self._full = MANY

    def __len__(self) -> int:
        """Count what waits, some of it twice."""
        return sum(len(key) for _, key in self._parts)

    def put(self, station: Ints, time: Ints, *, due: int) -> None:
        """Let readings wait."""
        if len(station):
            self._parts.append((due, keys(station, time, self._stations)))
        if len(self) > self._full:
            # In a flood all wait many times; sooner is as right, what they wait for is there.
            soonest = min(moment for moment, _ in self._parts)
            every = _distinct([key for _, key in self._parts])
            self._parts = [(soonest, every)]
            self._full = max(MANY, 2 * len(every))

    def take(self, *, at: int, most: int) -> tuple[Ints, Ints]:
        """Give the stations and times that have waited long enough, the newest if there are more.

        The others go on waiting.
        """
        due = [key for moment, key in self._parts if moment <= at]
        self._parts = [part for part in self._parts if part[0] > at]
        key = _distinct(due)
        if len(key) > most:
            self._parts.append((at, key[:-most]))
            key = key[-most:]
        return key % self._stations, key // self._stations


class Doubts:
    """The readings that failed where a neighbour could still speak for them."""

    def __init__(self, *, stations: int) -> None:
        self._stations = stations
        self._key = np.zeros(0, np.int64)
        self._due = np.zeros(0, np.int64)

    def __len__(self) -> int:
        return len(self._key)

    def put(self, station: Ints, time: Ints, *, doubted: Bools) -> None:
        """Note which of some readings are doubted, and which are not any more."""
        key = keys(station, time, self._stations)
        new = key[doubted]
        if not len(new) and not len(self._key):
            return
        kept = ~np.isin(self._key, key)
        self._key = np.concatenate([self._key[kept], new])
        self._due = np.concatenate([self._due[kept], np.zeros(len(new), np.int64)])

    def between(self, low: Ints, high: Ints, *, at: int, due: int) -> tuple[Ints, Ints]:
        """Give those within [low, high] of their station that do not wait yet."""
        station, time = self._key % self._stations, self._key // self._stations
        rows = (time >= low[station]) & (time <= high[station]) & (self._due <= at)
        self._due[rows] = due
        return station[rows], time[rows]

    def forget(self, before: int) -> None:
        """Drop what is older."""
        kept = self._key // self._stations > before
        self._key, self._due = self._key[kept], self._due[kept]
