"""Fit the numbers of ``forecast/radar/law.toml`` again, on the first half of the KNMI event.

``python -m tests.bench.fit_radar``: for each scale the life and the trend's memory that leave the
least error when its newest field and its last change are carried on; the loss over five minutes;
and the CSI of the whole nowcast for some times of steering and widths of the smoothing.
"""

import dataclasses
import itertools
import sys

import msgspec
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from forecast.radar import frames, motion, probability, scales
from forecast.radar.extrapolation import carry, paths
from forecast.radar.law import Law
from tests.bench.radar import EVENTS, contingency, load

STARTS = (4, 6, 8, 10, 12)
LEADS = (5, 10, 15, 20, 30, 40, 50, 60)
LIVES = np.geomspace(1.5, 600, 60)
TRENDS = np.geomspace(0.1, 60, 40)
Doubles = NDArray[np.float64]


def main() -> int:
    folder, kind, _ = EVENTS["KNMI"]
    series = load(folder, kind)[:25]
    law = Law.load()
    lives(series, law)
    for minutes in (80, 120, 160, 240, 1e9):
        steered = msgspec.structs.replace(law, steering=minutes)
        print(f"steering {minutes:g}:", *(f"{index:.3f}" for index in indices(series, steered)))
    for width in (1.5, 3, 6, 10, 16):
        print(f"width {width}:", *(f"{skill:.3f}" for skill in skills(series, width)))
    return 0


def lives(series: xr.DataArray, law: Law) -> None:
    """Print what fits each scale best, by least squares over a grid of both numbers."""
    taken = [scales.Scales.of(frames.recent(series[: start + 1])) for start in STARTS]
    count, shape = len(law.scale), (len(LEADS), len(law.scale), 2, 2)
    normal, mixed, power = np.zeros(shape), np.zeros(shape[:3]), np.zeros(shape[:2])
    losses = []
    for start, now in zip(STARTS, taken, strict=True):
        assert now.amount_change is not None
        losses.append(now.waves.losses(now.amount, now.amount - now.amount_change))
        still = dataclasses.replace(now, life=1.0)
        ways = paths(now.motion, LEADS)
        for i, lead in enumerate(LEADS):
            truth = series[start + lead // 5].to_numpy()
            modes = now.waves.forward(np.sqrt(np.nan_to_num(truth)))
            ok = np.isfinite(truth) & np.isfinite(carry(still.rain, ways[i]))
            for j in range(count):
                band = now.waves.weights(np.eye(count)[j])
                parts = [
                    carry(now.waves.back(part * band), ways[i], rim=True)[ok].astype(float)
                    for part in (now.amount, now.amount_change)
                ]
                target = now.waves.back(modes * band)[ok].astype(float)
                table = np.stack(parts)
                normal[i, j] += table @ table.T / len(target)
                mixed[i, j] += table @ target / len(target)
                power[i, j] += target @ target / len(target)
    best = [
        min(
            itertools.product(LIVES, TRENDS),
            key=lambda pair, j=j: misfit(pair, law.decay, normal[:, j], mixed[:, j], power[:, j]),
        )
        for j in range(count)
    ]
    long, memory = (pooled([pair[i] for pair in best]) for i in (0, 1))
    for j, scale in enumerate(law.scale):
        loss = np.mean([each[j] for each in losses])
        print(
            f"{scale.wavelength:5.0f} km: life {best[j][0]:6.1f}, pooled {long[j]:6.1f}"
            f" (law {scale.life}), trend {best[j][1]:5.1f}, pooled {memory[j]:5.1f}"
            f" (law {scale.trend}), loss {loss:.4f} (law {scale.loss})"
        )


def pooled(values: list[float]) -> list[float]:
    """Give values that never rise from long to short waves: neighbours that do are averaged.

    In logarithms; five starts know little of waves as long as the picture.
    """
    groups: list[list[float]] = []
    for value in values:
        groups.append([np.log(value)])
        while len(groups) > 1 and np.mean(groups[-1]) > np.mean(groups[-2]):
            groups[-2:] = [groups[-2] + groups[-1]]
    return [float(np.exp(np.mean(group))) for group in groups for _ in group]


def misfit(
    pair: tuple[float, float], decay: float, normal: Doubles, mixed: Doubles, power: Doubles
) -> float:
    """Give the sum over leads of the share of a scale that is not explained."""
    lead = np.array(LEADS, float)
    share = np.exp(-((lead / pair[0]) ** decay))
    weights = np.stack([share, share * pair[1] / 5 * -np.expm1(-lead / pair[1])], axis=1)
    error = (
        power - 2 * (weights * mixed).sum(1) + np.einsum("li,lij,lj->l", weights, normal, weights)
    )
    return float((error / power).sum())


def indices(series: xr.DataArray, law: Law) -> list[float]:
    """Give CSI at 15, 30 and 60 min, for 0.1 and 1 mm/h each."""
    found = np.zeros((3, 2, 3))
    for start in STARTS:
        past = series[: start + 1]
        made = scales.nowcast(past, frames.recent(past), leads=(15, 30, 60), law=law)
        for i, j in itertools.product(range(3), range(2)):
            truth = series[start + (3, 6, 12)[i]].to_numpy()
            limit = (0.1, 1.0)[j] - 1e-6
            found[i, j] += contingency(
                np.nan_to_num(made.rain[i].to_numpy()) >= limit, truth >= limit, np.isfinite(truth)
            )
    return (found[..., 0] / found.sum(axis=-1)).ravel().tolist()


def skills(series: xr.DataArray, width: float) -> list[float]:
    """Give Brier skill over climate at 15, 30 and 60 min, for 0.1 and 1 mm/h each."""
    error, climate = np.zeros((3, 2)), np.zeros((3, 2))
    for start in STARTS[::2]:
        taken = scales.Scales.of(
            frames.recent(series[: start + 1]),
            motion=motion.estimate(frames.recent(series[: start + 1])),
        )
        for i, frame in enumerate(probability.ensemble(taken, leads=(15, 30, 60), members=12)):
            truth = series[start + (3, 6, 12)[i]].to_numpy()
            ok = np.isfinite(truth)
            for j, limit in enumerate((0.1, 1.0)):
                hit = truth[ok] >= limit - 1e-6
                share = np.nan_to_num(probability.chance(frame.rain, limit, width=width))[ok]
                error[i, j] += ((share - hit) ** 2).mean()
                climate[i, j] += hit.mean() * (1 - hit.mean())
    return (1 - error / climate).ravel().tolist()


if __name__ == "__main__":
    sys.exit(main())
