"""Readings named by station and time, as columns."""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Pair ``i`` is the station ``stations[i]`` at ``times[i]``, seconds since 1970 UTC.

    Raises ValueError for columns of different length.
    """

    stations: NDArray[np.int64]
    times: NDArray[np.int64]

    def __post_init__(self) -> None:
        if len(self.stations) != len(self.times):
            raise ValueError(f"{len(self.stations)} stations, but {len(self.times)} times")

    @classmethod
    def of(cls, pairs: Collection[tuple[int, dt.datetime]]) -> Self:
        """Turn a few pairs into columns."""
        return cls(
            np.array([station for station, _ in pairs], np.int64),
            np.array([int(time.timestamp()) for _, time in pairs], np.int64),
        )

    def __len__(self) -> int:
        return len(self.stations)
