"""Criteria as they count at one place and time: every signal, with nothing left to decide."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forecast.criteria import files, reading
from forecast.criteria.signals import Condition, Signal


@dataclass(frozen=True, slots=True)
class Criteria:
    """A set of signals. offset: local time minus UTC, s; day_ends: seconds of the local day."""

    signals: tuple[Signal, ...]
    offset: int
    day_ends: int

    @classmethod
    def load(cls, file: Path | None = None, *, units: Mapping[str, str]) -> "Criteria":
        """Read a file, or the national one, without what it has for single regions.

        units: the unit of every known element. Raises CriteriaError.
        """
        with files.named(file) as path:
            table = files.whole(files.parsed(files.text(path)))
            return cls.read({k: v for k, v in table.items() if k != "override"}, units=units)

    @classmethod
    def read(cls, table: Mapping[str, Any], *, units: Mapping[str, str]) -> "Criteria":
        """Make criteria of a whole table, as TOML gives it; raises CriteriaError."""
        head = reading.head(table)
        signals = reading.signals(table, probability=head.probability, units=units)
        return cls(signals, head.offset, head.day_ends)

    @property
    def conditions(self) -> frozenset[Condition]:
        """Every condition that is looked at."""
        found: set[Condition] = set()
        for signal in self.signals:
            for level in signal.working:
                found.update(*level.alternatives)
            if signal.working and signal.continues:
                found.add(signal.continues)
        return frozenset(found)

    def signal(self, hazard: str) -> Signal:
        """Give the signal of a hazard; raises KeyError where there is none."""
        for signal in self.signals:
            if signal.hazard == hazard:
                return signal
        raise KeyError(hazard)
