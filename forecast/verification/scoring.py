"""Scores, by the package `scores`, an extra: ``pip install 'fenghuo[verify]'``.

T. Leeuwenburg et al., Journal of Open Source Software 9, 6889 (2024), doi 10.21105/joss.06889.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

RISK: Final = 0.7
"""FIRM: a miss weighs seven times, a false alarm three times."""

WEIGHTS: Final = (1.0, 2.0, 3.0, 4.0)
"""FIRM: of blue, yellow, orange and red."""

EDGES: Final = (0.0, 0.005, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Of the classes of probabilities."""


class ScoresMissingError(ImportError):
    """The package `scores` is not installed."""


def _module(name: str) -> Any:
    try:
        import importlib  # noqa: PLC0415 - with the extra, and only when something is scored

        return importlib.import_module(f"scores.{name}")
    except ImportError as error:
        raise ScoresMissingError("pip install 'fenghuo[verify]'") from error


def rates(*, hits: ArrayLike, misses: ArrayLike, false_alarms: ArrayLike) -> Mapping[str, Floats]:
    """Give POD, FAR and CSI of counts of any shape; nan where there is nothing to divide by.

    POD = hits / (hits + misses), FAR = false alarms / (hits + false alarms), CSI = hits / (hits
    + misses + false alarms): D. S. Wilks (2019), section 9.2.
    """
    arrays = np.broadcast_arrays(*(np.asarray(a, np.float64) for a in (hits, misses, false_alarms)))
    counts = dict(zip(("tp_count", "fn_count", "fp_count"), map(xr.DataArray, arrays), strict=True))
    counts["tn_count"] = xr.zeros_like(counts["tp_count"])
    counts["total_count"] = counts["tp_count"] + counts["fn_count"] + counts["fp_count"]
    table = _module("categorical").BasicContingencyManager(counts)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "pod": table.probability_of_detection().to_numpy(),
            "far": table.false_alarm_ratio().to_numpy(),
            "csi": table.critical_success_index().to_numpy(),
        }


@dataclass(frozen=True, slots=True)
class Firm:
    """Mean penalty for each case; the smaller the better. under: of misses, over: of alarms."""

    score: float
    under: float
    over: float


def firm(said: Ints, came: Ints) -> Firm:
    """Score levels (0 none … 4 red) of any shape, case by case.

    R. Taggart, N. Loveday and D. Griffiths, QJRMS 148, 1389 (2022), doi 10.1002/qj.4266, with
    `RISK` and `WEIGHTS`.
    """
    if not said.size:
        return Firm(float("nan"), float("nan"), float("nan"))
    found = _module("categorical").firm(
        xr.DataArray(said.ravel().astype(np.float64), dims="case"),
        xr.DataArray(came.ravel().astype(np.float64), dims="case"),
        RISK,
        [1.0, 2.0, 3.0, 4.0],
        list(WEIGHTS),
        threshold_assignment="upper",
        include_components=True,
    )
    return Firm(
        *(
            float(found.sel(components=name))
            for name in ("firm_score", "underforecast_penalty", "overforecast_penalty")
        )
    )


def flip_flop(ranks: Ints) -> float:
    """Give the mean flip-flop index of sequences of levels, [sequence, step]; nan without any.

    D. Griffiths et al., Meteorological Applications 26, 30 (2019), doi 10.1002/met.1732.
    """
    if not len(ranks):
        return float("nan")
    data = xr.DataArray(ranks.astype(np.float64), dims=("case", "step"))
    return float(_module("continuous").flip_flop_index(data, "step").mean())


@dataclass(frozen=True, slots=True)
class Reliability:
    """How often what was given a probability came true.

    brier, its three parts (brier = miscalibration - discrimination + uncertainty), and classes
    of probabilities: cases in them, the mean probability, how often it came.
    """

    brier: float
    miscalibration: float
    discrimination: float
    uncertainty: float
    counts: Ints
    mean: Floats
    came: Floats


def reliability(chance: Floats, came: Bools) -> Reliability:
    """Score probabilities, both arrays of one dimension.

    The parts by isotonic regression: T. Dimitriadis, T. Gneiting and A. I. Jordan, PNAS 118,
    e2016191118 (2021), doi 10.1073/pnas.2016191118.
    """
    chance = np.clip(chance.astype(np.float64), 0, 1)
    number = np.clip(np.searchsorted(EDGES, chance, side="right") - 1, 0, len(EDGES) - 2)
    counts = np.bincount(number, minlength=len(EDGES) - 1)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(number, chance, minlength=len(counts)) / counts
        often = np.bincount(number, came, minlength=len(counts)) / counts
    if not len(chance):
        return Reliability(*(float("nan"),) * 4, counts, mean, often)
    score = _module("probability")
    observed = came.astype(np.float64)
    fit = score.isotonic_fit(chance, observed, functional="mean")
    better = np.clip(np.interp(chance, fit["fcst_sorted"], fit["regression_values"]), 0, 1)

    def brier(forecast: Floats) -> float:
        pair = (xr.DataArray(forecast, dims="case"), xr.DataArray(observed, dims="case"))
        return float(score.brier_score(*pair))

    plain, recalibrated = brier(chance), brier(better)
    uncertain = brier(np.full(len(chance), observed.mean()))
    return Reliability(
        plain, plain - recalibrated, uncertain - recalibrated, uncertain, counts, mean, often
    )
