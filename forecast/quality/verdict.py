"""All checks of some readings together: their codes, by nothing but what the windows hold."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from forecast.quality import consistency, persistence, spatial, step, witness
from forecast.quality.case import Case
from forecast.quality.checks import Checks, Pipeline, Spatial, Step
from forecast.quality.codes import Check, codes
from forecast.readings import Readings

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Codes = NDArray[np.int16]

SLOW = 1_800
"""Readings so far apart (s) that weather can come and go between them: a spike may be true."""


def alone(checks: Checks, readings: Readings) -> dict[str, Codes]:
    """Give the codes that need no other reading: range, climatology, consistency."""
    months = (readings.time.astype("M8[s]").astype("M8[M]").astype(np.int64)) % 12
    found: dict[str, Codes] = {}
    for name, pipeline in checks.pipelines.items():
        if name not in readings.values:
            continue
        value = readings.values[name]
        there = ~np.isnan(value)
        found[name] = np.zeros(len(readings), np.int16)
        limits = pipeline.range or pipeline.per_minute
        if limits is not None:
            scaled = value
            if pipeline.range is None:
                scaled = value * 60 / np.maximum(readings.interval, 60)
            wrong = ~((scaled >= limits[0]) & (scaled <= limits[1]))
            found[name] |= codes(Check.RANGE, made=there, failed=wrong)
        if pipeline.climatology is not None:
            low, high = np.array(pipeline.climatology).T
            wrong = (value < low[months]) | (value > high[months])
            found[name] |= codes(Check.CLIMATOLOGY, made=there, failed=wrong)
    for rule in checks.rules:
        if not set(rule.of) <= set(readings.values):
            continue
        made, wrong = consistency.broken(rule, [readings.values[name] for name in rule.of])
        for name in rule.flags:
            if name in found:
                found[name] |= codes(Check.CONSISTENCY, made=made, failed=wrong)
    return found


class Verdict:
    """The checks of a case that need other readings, element by element."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._changes: dict[str, step.Change] = {}

    def of(self, element: str, pipeline: Pipeline) -> Codes:
        """Give the codes of step, persistence and spatial check."""
        case = self._case
        found = np.zeros(len(case), np.int16)
        if np.isnan(case.value(element)).all():
            return found
        failed = np.zeros(len(case), np.bool_)
        if pipeline.step is not None:
            change = self.changes(element, pipeline)
            failed = self._step(element, pipeline.step, change)
            found |= codes(Check.STEP, made=change.made, failed=failed)
        if pipeline.persistence is not None:
            made, flat = persistence.flat(case, element, pipeline.persistence)
            found |= codes(Check.PERSISTENCE, made=made, failed=flat)
        if pipeline.spatial is not None:
            made, far = self._spatial(element, pipeline.spatial, failed)
            found |= codes(Check.SPATIAL, made=made, failed=far)
        return found

    def changes(self, element: str, pipeline: Pipeline) -> step.Change:
        """Give the changes of an element that has a step check, each found once."""
        if element not in self._changes:
            if pipeline.step is None:
                raise ValueError(f"{element} has no step check")
            line = self._case.line(element)
            self._changes[element] = step.changes(line, self._case.weight, pipeline.step)
        return self._changes[element]

    def _step(self, element: str, limits: Step, change: step.Change) -> Bools:
        """Ask the witnesses about jumps and spikes."""
        case = self._case
        failed: Bools = change.jump | change.spike
        rows = np.flatnonzero(failed & (~change.spike | (case.spacing >= SLOW)))
        if not len(rows):
            return failed
        believed = witness.neighbour(case, rows, element, step=limits, size=change.size[rows])
        rest = np.flatnonzero(~believed)
        window = case.checks.witness.window
        believed[rest] = witness.own(case, rows[rest], element, window=window)
        failed[rows[believed]] = False
        return failed

    def _spatial(self, element: str, limits: Spatial, jumped: Bools) -> tuple[Bools, Bools]:
        """Ask the witnesses about what is far from all neighbours and no jump of its own."""
        case = self._case
        made, far = np.zeros(len(case), np.bool_), np.zeros(len(case), np.bool_)
        asked = case.placed
        if not len(asked):
            return made, far
        made[asked], distance, far[asked] = spatial.distances(
            case.value(element)[asked],
            case.others(element, same_interval=case.is_sum(element)),
            case.above,
            spatial=limits,
            least=case.checks.network.least,
        )
        rows = np.flatnonzero(far & ~jumped)
        if len(rows):
            believed = witness.moved(
                case,
                rows,
                element,
                scale=lambda value: spatial.scaled(value, limits),
                distance=distance[np.searchsorted(asked, rows)],
            )
            far[rows[believed]] = False
        return made, far


def innovations(case: Case, verdict: Verdict, values: Mapping[str, Floats]) -> dict[str, Codes]:
    """Give the codes of the innovations, in standard deviations; nan: not made.

    What a witness believes does not fail: the filter knows no front.
    """
    found: dict[str, Codes] = {}
    for name, surprise in values.items():
        pipeline = case.checks.pipelines.get(name)
        if pipeline is None or pipeline.innovation is None:
            continue
        made = ~np.isnan(surprise) & ~np.isnan(case.value(name))
        failed = made & (np.abs(surprise) > pipeline.innovation)
        rows = np.flatnonzero(failed)
        if len(rows):
            believed = witness.own(case, rows, name, window=case.checks.witness.window)
            if pipeline.step is not None:
                size = verdict.changes(name, pipeline).size[rows]
                believed |= witness.neighbour(case, rows, name, step=pipeline.step, size=size)
            failed[rows[believed]] = False
        found[name] = codes(Check.INNOVATION, made=made, failed=failed)
    return found
