"""Quality of a value: what was checked and what failed, in one small number beside the value.

Bit ``k`` says that check ``k`` failed, bit ``8 + k`` that it was made. 0 is "not checked", a
state of its own: the store keeps it as null. The raw value is never touched.

The range check stands here too: it needs nothing but the value, so the ingest makes it.
"""

import math
import tomllib
from collections.abc import Mapping
from enum import IntEnum
from importlib.resources import files
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Check(IntEnum):
    """The checks, by their bit."""

    RANGE = 0
    STEP = 1
    PERSISTENCE = 2
    CONSISTENCY = 3
    CLIMATOLOGY = 4
    SPATIAL = 5
    INNOVATION = 6


NOT_CHECKED: Final = 0
FAILED: Final = 0x00FF
"""The bits of a code that say which checks failed."""

_RANGE_PASSED: Final = 1 << (8 + Check.RANGE)
_RANGE_FAILED: Final = _RANGE_PASSED | 1 << Check.RANGE


def code(check: Check, *, failed: bool) -> int:
    """Give the code of one check that was made; codes of several are joined by ``|``."""
    return 1 << (8 + check) | (1 << check if failed else 0)


def codes(check: Check, *, made: NDArray[np.bool_], failed: NDArray[np.bool_]) -> NDArray[np.int16]:
    """Give the codes of one check for values of any shape; what was not made did not fail."""
    found: NDArray[np.int16] = made * np.int16(1 << (8 + check))
    found |= (made & failed) * np.int16(1 << check)
    return found


def failed(quality: int) -> tuple[Check, ...]:
    """Name the checks that the value failed."""
    return tuple(check for check in Check if quality >> check & 1)


def made(quality: int) -> tuple[Check, ...]:
    """Name the checks that were made."""
    return tuple(check for check in Check if quality >> (8 + check) & 1)


def good(quality: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Tell, for codes of any shape, where no check failed; not checked counts as good."""
    good: NDArray[np.bool_] = (quality & FAILED) == 0
    return good


def _load() -> tuple[Mapping[str, tuple[float, float]], Mapping[str, tuple[float, float]]]:
    table = tomllib.loads(files(__package__).joinpath("checks.toml").read_text("utf-8"))
    plain, minute = (
        {
            name: (float(row[key][0]), float(row[key][1]))
            for name, row in table.items()
            if key in row
        }
        for key in ("range", "per_minute")
    )
    return MappingProxyType(plain), MappingProxyType(minute)


LIMITS, LIMITS_PER_MINUTE = _load()
"""Plausible [lowest, highest] by element, in its unit; the second for sums, per minute."""


def range_code(element: str, value: float, interval: int = 60) -> int:
    """Give the code of the range check of one value that covers ``interval`` seconds.

    A missing value (nan) or an element without limits is not checked: 0.
    """
    limits = LIMITS.get(element)
    if limits is None:
        limits = LIMITS_PER_MINUTE.get(element)
        if limits is None:
            return NOT_CHECKED
        value = value * 60 / max(interval, 60)
    if limits[0] <= value <= limits[1]:
        return _RANGE_PASSED
    return NOT_CHECKED if math.isnan(value) else _RANGE_FAILED


def range_codes(
    element: str, values: NDArray[np.float64], interval: ArrayLike = 60
) -> NDArray[np.int16]:
    """Give what `range_code` gives, for values of any shape; ``interval`` broadcasts to them."""
    limits = LIMITS.get(element)
    scaled = values
    if limits is None:
        limits = LIMITS_PER_MINUTE.get(element)
        if limits is None:
            return np.zeros(np.shape(values), np.int16)
        scaled = values * 60 / np.maximum(interval, 60)
    passed = (scaled >= limits[0]) & (scaled <= limits[1])
    found = np.where(passed, _RANGE_PASSED, _RANGE_FAILED).astype(np.int16)
    return np.where(np.isnan(scaled), np.int16(NOT_CHECKED), found)
