"""What was true and what was said at every station and moment of an archive."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forecast.criteria import LEVELS, Condition, Criteria

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Bits = NDArray[np.uint8]

MET: Final = 1
"""The threshold is met at the place."""
OBSERVED: Final = 2
"""It was said that it is met and goes on."""
EXPECTED: Final = 4
"""It was said that it will be met."""
PERSISTED: Final = 8
"""The last hour's amount, if it fell in each of the next, would meet it."""

SMALL: Final = 0.005
"""Probabilities below are kept as none."""


@dataclass(frozen=True, slots=True)
class Grade:
    """One level of one hazard."""

    hazard: str
    level: str

    @property
    def rank(self) -> int:
        """1 for the lowest level."""
        return LEVELS.index(self.level) + 1


def grades(criteria: Criteria) -> tuple[Grade, ...]:
    """Give every level that is decided on, by hazard, the lowest first."""
    return tuple(
        Grade(signal.hazard, level.name) for signal in criteria.signals for level in signal.working
    )


@dataclass(frozen=True, slots=True)
class Marks:
    """One level, dense: bits [time, place] and the probability that it will be met."""

    bits: Bits
    chance: Floats

    def has(self, bit: int) -> Bools:
        """Tell where a bit is set."""
        found: Bools = (self.bits & bit) != 0
        return found


@dataclass(frozen=True, slots=True)
class Record:
    """The outcome of a run.

    times: the moments decided on, s since 1970, increasing. known: by hazard, [time, station]:
    a reading was there that still held. places: stations that met a condition, once or more.
    marks: by level, the rows that are not empty: number of the time, station, bits, probability.
    """

    criteria: Criteria
    stations: int
    times: Ints
    known: Mapping[str, Bools]
    places: Mapping[Condition, Bools]
    marks: Mapping[Grade, tuple[Ints, Ints, Bits, Floats]]

    def dense(self, grade: Grade, *, members: Sequence[Sequence[int]] | None = None) -> Marks:
        """Give a level at every station, or at regions: what is so at any of their stations."""
        row, station, bits, chance = self.marks[grade]
        shape = (len(self.times), self.stations if members is None else len(members))
        all_bits, all_chance = np.zeros(shape, np.uint8), np.zeros(shape, np.float32)
        if members is None:  # a station has a row at most once
            all_bits[row, station] = bits
            all_chance[row, station] = chance
            return Marks(all_bits, all_chance)
        for column, inside in enumerate(members):
            mine = np.isin(station, np.asarray(inside, np.int64))
            np.bitwise_or.at(all_bits[:, column], row[mine], bits[mine])
            np.maximum.at(all_chance[:, column], row[mine], chance[mine])
        return Marks(all_bits, all_chance)

    def seen(self, hazard: str, *, members: Sequence[Sequence[int]] | None = None) -> Bools:
        """Tell where there was a reading to judge by, [time, place]."""
        known = self.known[hazard]
        if members is None:
            return known
        return np.stack([known[:, list(inside)].any(axis=1) for inside in members], axis=1)


@dataclass(slots=True)
class _Sheet:
    """The rows of one level, gathered step by step."""

    time: list[Ints] = field(default_factory=list)
    station: list[Ints] = field(default_factory=list)
    bits: list[Bits] = field(default_factory=list)
    chance: list[Floats] = field(default_factory=list)


class Recorder:
    """Gathers rows in any order, pass by pass, and gives the `Record` of them."""

    def __init__(self, *, criteria: Criteria, stations: int) -> None:
        self._criteria = criteria
        self._stations = stations
        self._sheets = {grade: _Sheet() for grade in grades(criteria)}
        self._known: dict[str, tuple[list[Ints], list[Ints]]] = {
            signal.hazard: ([], []) for signal in criteria.signals if signal.working
        }
        self._places: dict[Condition, Bools] = {}
        self._times: list[Ints] = []
        self._whole: list[tuple[Ints, dict[str, Bools]]] = []

    def decided(self, times: Ints) -> None:
        """Note moments that were decided on."""
        self._times.append(times)

    def known(self, hazard: str, *, time: Ints, station: Ints) -> None:
        """Note that readings were there to judge a hazard by."""
        self._known[hazard][0].append(time)
        self._known[hazard][1].append(station)

    def reached(self, condition: Condition, station: Ints) -> None:
        """Note stations that met a condition."""
        places = self._places.setdefault(condition, np.zeros(self._stations, np.bool_))
        places[station] = True

    def mark(
        self, grade: Grade, time: Ints, station: Ints, bits: Bits, chance: NDArray[np.float64]
    ) -> None:
        """Note what was true and said of a level: columns of equal length."""
        sheet = self._sheets[grade]
        sheet.time.append(time)
        sheet.station.append(station)
        sheet.bits.append(bits)
        sheet.chance.append(chance.astype(np.float32))

    def close(self) -> None:
        """End a pass: whatever comes now is later."""
        times = np.unique(_joined(self._times, np.int64))
        known = {}
        for hazard, (time, station) in self._known.items():
            seen = np.zeros((len(times), self._stations), np.bool_)
            rows = np.searchsorted(times, _joined(time, np.int64))
            seen[rows, _joined(station, np.int64)] = True
            known[hazard] = seen
            self._known[hazard] = ([], [])
        self._times = []
        self._whole.append((times, known))

    def record(self) -> Record:
        """Give everything, by time."""
        self.close()
        times = np.concatenate([times for times, _ in self._whole])
        known = {
            hazard: np.concatenate([known[hazard] for _, known in self._whole])
            for hazard in self._known
        }
        marks = {
            grade: (
                np.searchsorted(times, _joined(sheet.time, np.int64)),
                _joined(sheet.station, np.int64),
                _joined(sheet.bits, np.uint8),
                _joined(sheet.chance, np.float32),
            )
            for grade, sheet in self._sheets.items()
        }
        return Record(self._criteria, self._stations, times, known, dict(self._places), marks)


def _joined(parts: Iterable[NDArray], kind: type) -> NDArray:  # type: ignore[type-arg]
    every = list(parts)
    return np.concatenate(every) if every else np.zeros(0, kind)
