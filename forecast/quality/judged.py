"""What came of judging: codes beside readings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecast.quality.codes import good
from forecast.readings import Readings


@dataclass(frozen=True, slots=True)
class Judged:
    """Readings as they were measured, and the code of each value.

    readings: the fresh ones and those whose code changed, each (station, time) once.
    codes: by element, int16, 0 where there is no value. fresh: which of them are fresh.
    """

    readings: Readings
    codes: Mapping[str, NDArray[np.int16]]
    fresh: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.readings)

    @classmethod
    def joined(cls, parts: Sequence["Judged"]) -> "Judged":
        """Put parts of the same elements one after the other."""
        return cls(
            Readings.joined([part.readings for part in parts]),
            {name: np.concatenate([part.codes[name] for part in parts]) for name in parts[0].codes},
            np.concatenate([part.fresh for part in parts]),
        )

    def where(self, rows: NDArray[np.int64]) -> "Judged":
        """Give some of the rows, by their numbers."""
        codes = {name: column[rows] for name, column in self.codes.items()}
        return Judged(self.readings.where(rows), codes, self.fresh[rows])

    def good(self) -> Readings:
        """Give the readings without the values that failed a check (nan)."""
        every = self.readings
        values = {
            name: np.where(good(self.codes[name]), column, np.nan) if name in self.codes else column
            for name, column in every.values.items()
        }
        return Readings(every.station, every.time, every.interval, values)
