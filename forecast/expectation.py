"""The expected door: the chance that a threshold is reached in the next hours.

The numbers stand in ``expectation.toml``; what is not listed there has no expectation.
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Final, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from forecast.correction import Numbers
from forecast.kalman import Model, normal

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

HOUR: Final = 3_600
LEADS: Final = (600, 1_800, 3_600, 7_200)
"""How far ahead a station's own readings are carried, in seconds."""

Fallen: TypeAlias = Callable[[int, int], Floats]
"""What fell from so many seconds before the newest reading until so many before it, per station."""


class Rain(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The numbers of the rain rule; ``expectation.toml`` explains them."""

    proven: float
    ceiling: float
    wet: float
    hours: int
    persistence: float
    spread: float

    @property
    def reach(self) -> int:
        """How far back it looks, in seconds."""
        return 4 * HOUR

    def probability(
        self, *, fallen: Fallen, window: int, threshold: float, first: int = 1
    ) -> Floats:
        """Give the chance that the sum over ``window`` seconds reaches ``threshold`` mm.

        It is expected to rain on at the rate r of the last hour, at most the ceiling, where at
        least ``proven`` mm fell in the three hours before: a cell of half an hour never gets
        there, a rain band does. In L hours L r falls, with a log-normal spread, and the chance
        is that of the best L, times the chance that the rain goes on. At ``persistence / 2``
        the expected amount just reaches the threshold. first: the least L.
        """
        last = fallen(HOUR, 0)
        proven = fallen(4 * HOUR, HOUR) >= self.proven - 1e-6
        rate = np.minimum(last, self.ceiling)
        best = np.zeros(len(last))
        going = np.flatnonzero(proven & (last >= self.wet - 1e-6))
        if not len(going):
            return best
        for hours in range(first, max(1, min(self.hours, window // HOUR)) + 1):
            need = threshold - fallen(window - hours * HOUR, 0)[going]
            ratio = np.log(hours * rate[going] / np.maximum(need, 1e-6))
            chance = self.persistence * normal(ratio / self.spread)
            best[going] = np.maximum(best[going], chance)
        return best


@dataclass(frozen=True, slots=True)
class Expectation:
    """What can be expected of which element."""

    rain: Mapping[str, Rain]
    kalman: Mapping[str, Model]
    correction: Mapping[str, Numbers] = field(default_factory=dict)

    @classmethod
    def load(cls) -> "Expectation":
        """Read the file that ships with this package."""
        text = files(__package__).joinpath("expectation.toml").read_text("utf-8")
        table = tomllib.loads(text)
        return cls(
            rain=msgspec.convert(table["rain"], dict[str, Rain]),
            kalman=msgspec.convert(table["kalman"], dict[str, Model]),
            correction=msgspec.convert(table["correction"], dict[str, Numbers]),
        )
