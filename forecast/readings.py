"""Readings of many stations as columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Readings:
    """A batch: row ``i`` of every array is one reading.

    station: index of the station, from 0.
    time: end of the interval, seconds since 1970 UTC.
    interval: seconds that the values cover.
    values: by element name, in its unit; nan where there is none.

    Raises ValueError for columns of different length.
    """

    station: NDArray[np.int64]
    time: NDArray[np.int64]
    interval: NDArray[np.int64]
    values: Mapping[str, NDArray[np.float64]]

    def __post_init__(self) -> None:
        rows = self.station.shape
        columns = {"time": self.time, "interval": self.interval, **self.values}
        for name, column in columns.items():
            if column.shape != rows or column.ndim != 1:
                raise ValueError(f"{name} has the shape {column.shape}, station has {rows}")

    def __len__(self) -> int:
        return len(self.station)

    @classmethod
    def joined(cls, batches: Sequence["Readings"]) -> "Readings":
        """Put batches of the same elements one after the other."""
        return cls(
            np.concatenate([batch.station for batch in batches]),
            np.concatenate([batch.time for batch in batches]),
            np.concatenate([batch.interval for batch in batches]),
            {
                name: np.concatenate([batch.values[name] for batch in batches])
                for name in batches[0].values
            },
        )

    def where(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> "Readings":
        """Give some of the rows, by a mask or by their numbers."""
        return Readings(
            self.station[rows],
            self.time[rows],
            self.interval[rows],
            {name: column[rows] for name, column in self.values.items()},
        )
