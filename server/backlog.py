"""Readings that are committed but not yet looked at: the newest hour is taken first.

A station that was away sends days of readings beside its live ones. They wait here by name only,
so that a flood of them never stands before what tells of the present.
"""

import numpy as np

from server.store.pairs import Pairs

HOUR = 3_600


class Backlog:
    """Pairs of station and time that wait, by the hour of their time."""

    def __init__(self) -> None:
        """Begin empty."""
        self._hours: dict[int, list[Pairs]] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def put(self, pairs: Pairs) -> None:
        """Add pairs in any order."""
        hours = pairs.times // HOUR
        order = np.argsort(hours, kind="stable")
        starts = np.flatnonzero(np.diff(hours[order])) + 1
        for rows in np.split(order, starts):
            if len(rows):
                part = Pairs(pairs.stations[rows], pairs.times[rows])
                self._hours.setdefault(int(hours[rows[0]]), []).append(part)
        self._size += len(pairs)

    def take(self, limit: int) -> list[Pairs]:
        """Take at most ``limit`` pairs, the newest ones, an hour in each part."""
        taken: list[Pairs] = []
        while limit > 0 and self._hours:
            hour = max(self._hours)
            parts = self._hours.pop(hour)
            stations = np.concatenate([part.stations for part in parts])
            times = np.concatenate([part.times for part in parts])
            if len(times) > limit:
                order = np.argpartition(-times, limit - 1)
                rest = order[limit:]
                self._hours[hour] = [Pairs(stations[rest], times[rest])]
                stations, times = stations[order[:limit]], times[order[:limit]]
            taken.append(Pairs(stations, times))
            limit -= len(times)
            self._size -= len(times)
        return taken

    def forget(self, before: int) -> None:
        """Drop the hours that end at ``before`` (seconds since 1970) or earlier."""
        for hour in [h for h in self._hours if (h + 1) * HOUR <= before]:
            self._size -= sum(len(part) for part in self._hours.pop(hour))
