"""Reports become columns, and each value its quality code."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain

import msgspec
import numpy as np
from numpy.typing import NDArray

from agent.report import Report
from forecast.quality import LIMITS, LIMITS_PER_MINUTE, Check, code
from server.store.sink import Block

_PASSED = np.int16(code(Check.RANGE, failed=False))
_FAILED = np.int16(code(Check.RANGE, failed=True))


class Row(msgspec.Struct, gc=False, eq=False):
    """A report with the station's id and its time in µs since 2000."""

    station: int
    moment: int
    report: Report


def arrange(rows: Sequence[Row]) -> list[Block]:
    """Put rows of the same shape (their elements, with a position or without) together."""
    shapes: dict[tuple[tuple[str, ...], bool], list[Row]] = {}
    for row in rows:
        report = row.report
        shape = (tuple(report.values), report.position is not None)
        found = shapes.get(shape)
        if found is None:
            shapes[shape] = [row]
        else:
            found.append(row)
    blocks = []
    for (names, placed), members in shapes.items():
        blocks += _blocks(names, members, placed=placed)
    return blocks


def _blocks(names: tuple[str, ...], rows: list[Row], *, placed: bool) -> list[Block]:
    values = np.array(
        list(chain.from_iterable(row.report.values.values() for row in rows)), np.float64
    ).reshape(len(rows), len(names))
    missing = np.isnan(values)
    if not missing.any():
        return [_block(names, rows, values, placed=placed)]
    # A sensor that gave nothing: the same shape as a report that does not name it.
    patterns: dict[bytes, list[int]] = {}
    for index, pattern in enumerate(missing):
        patterns.setdefault(pattern.tobytes(), []).append(index)
    blocks = []
    for indices in patterns.values():
        there = ~missing[indices[0]]
        kept = tuple(name for name, here in zip(names, there.tolist(), strict=True) if here)
        part = values[indices][:, there]
        blocks.append(_block(kept, [rows[index] for index in indices], part, placed=placed))
    return blocks


def _block(
    names: tuple[str, ...], rows: list[Row], values: NDArray[np.float64], *, placed: bool
) -> Block:
    reports = [row.report for row in rows]
    interval = np.array([report.interval for report in reports], np.int32)
    place = np.array([report.position for report in reports], np.float64) if placed else None
    return Block(
        names=names,
        station=np.array([row.station for row in rows], np.int32),
        moment=np.array([row.moment for row in rows], np.int64),
        interval=interval,
        revision=np.array([report.revision for report in reports], np.int16),
        place=place,
        values=values,
        quality=_flag(names, values, interval),
    )


def _flag(
    names: tuple[str, ...], values: NDArray[np.float64], interval: NDArray[np.int32]
) -> NDArray[np.int16]:
    """Give the codes of the range check, as `forecast.quality.range_codes` for each column."""
    lowest, highest, summed, unchecked = _limits(names)
    if summed.any():
        minutes = np.maximum(interval, 60) / 60
        values = np.where(summed, values / minutes[:, None], values)
    quality = np.where((values >= lowest) & (values <= highest), _PASSED, _FAILED)
    quality[:, unchecked] = 0
    return quality


@lru_cache(1_024)
def _limits(
    names: tuple[str, ...],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Give per element: lowest, highest, whether they are per minute, whether there are none."""
    pairs = [LIMITS.get(name) or LIMITS_PER_MINUTE.get(name) for name in names]
    return (
        np.array([pair[0] if pair else 0 for pair in pairs], np.float64),
        np.array([pair[1] if pair else 0 for pair in pairs], np.float64),
        np.array([name not in LIMITS and name in LIMITS_PER_MINUTE for name in names], np.bool_),
        np.array([pair is None for pair in pairs], np.bool_),
    )
