"""The codes that were given, as long as they may still change."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Codes = NDArray[np.int16]

STRETCH = 120
"""Seconds of readings that lie together: what is new moves no more than these."""


@dataclass(slots=True)
class _Page:
    """Codes (n, elements), sorted by key."""

    key: Ints
    codes: Codes


@dataclass(slots=True)
class Memory:
    """The codes of readings, by station and time."""

    stations: int
    elements: int
    _pages: dict[int, _Page] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(len(page.key) for page in self._pages.values())

    def get(self, station: Ints, time: Ints) -> tuple[Bools, Codes]:
        """Tell which readings are known, and give their codes; 0 of the others."""
        known = np.zeros(len(station), np.bool_)
        codes = np.zeros((len(station), self.elements), np.int16)
        for number, rows, key in self._sorted(station, time):
            page = self._pages.get(number)
            if page is None:
                continue
            place = np.minimum(np.searchsorted(page.key, key), len(page.key) - 1)
            there = page.key[place] == key
            known[rows[there]] = True
            codes[rows[there]] = page.codes[place[there]]
        return known, codes

    def put(self, station: Ints, time: Ints, codes: Codes) -> None:
        """Keep codes, each reading named once; newer ones replace older ones."""
        for number, rows, key in self._sorted(station, time):
            page = self._pages.get(number)
            if page is None:
                order = np.argsort(key)
                self._pages[number] = _Page(key[order], codes[rows[order]])
                continue
            place = np.searchsorted(page.key, key)
            inside = np.minimum(place, len(page.key) - 1)
            there = page.key[inside] == key
            page.codes[inside[there]] = codes[rows[there]]
            new = np.flatnonzero(~there)
            if len(new):
                new = new[np.argsort(key[new])]
                page.codes = np.insert(page.codes, place[new], codes[rows[new]], axis=0)
                page.key = np.insert(page.key, place[new], key[new])

    def forget(self, before: int) -> None:
        """Drop what is older, by whole stretches."""
        for number in [n for n in self._pages if (n + 1) * STRETCH <= before]:
            del self._pages[number]

    def _sorted(self, station: Ints, time: Ints) -> list[tuple[int, Ints, Ints]]:
        """Give by stretch of time: its number, the rows that lie in it, their keys."""
        number = time // STRETCH
        key = (time % STRETCH) * self.stations + station
        if len(number) and (number == number[0]).all():
            return [(int(number[0]), np.arange(len(number)), key)]
        order = np.argsort(number, kind="stable")
        cuts = np.flatnonzero(np.diff(number[order])) + 1
        return [
            (int(number[rows[0]]), rows, key[rows]) for rows in np.split(order, cuts) if len(rows)
        ]
