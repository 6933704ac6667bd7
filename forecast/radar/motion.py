"""Where the rain moves: a dense motion field from two or more frames.

Optical flow by least squares in windows (B. D. Lucas and T. Kanade, Proc. DARPA Image
Understanding Workshop, 121, 1981) on the logarithm of the rain, from coarse to fine with warping
to the middle of each pair (J.-Y. Bouguet, Intel Corp., 2001). The solution of each window counts
by how well the rain in it fixes both components, not by how hard it rains, and is smoothed
over its neighbours; far from all rain the motion is that of the rain as a whole. Where the
newest frame does not see, motion fades to nothing within some 30 cells: nobody knows what
comes from there, and the rain at the rim is the best guess.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from forecast.radar.frames import WET, Floats, Recent
from forecast.radar.image import CELL, blur, coarse, places, shrink, slopes, spread, take

LEVELS: Final = (8, 4, 2, 1)
"""Grid cells of an image cell, coarse to fine; each is refined `ROUNDS` times."""

ROUNDS: Final = 2
BLUR: Final = 1.5
LOCAL: Final = 12.0
SMOOTH: Final = 32.0
RIM: Final = 32.0
"""Standard deviations in cells: of an image cell, of a window, of the smoothing, of the rim."""

FIRM: Final = 0.05
"""Share of the mean gradient square at which a window is half trusted."""

WEAK: Final = 0.01
LONGEST: Final = 3.0
"""Cells of the image that one round may correct a pair by."""

ENOUGH: Final = 50
"""Wet cells both frames of a pair need."""


@dataclass(frozen=True, slots=True)
class Motion:
    """Grid cells per minute along x (columns) and y (rows), on every eighth cell each way.

    source: ``measured`` from these frames; ``earlier`` where they hold no rain to follow;
    ``none``, and then zero.
    """

    velocity: Floats
    source: Literal["measured", "earlier", "none"]


def estimate(recent: Recent, *, earlier: Motion | None = None) -> Motion:
    """Find the motion in the frames; without rain to follow, the earlier one or none."""
    shape = recent.newest.shape
    size = coarse(shape)
    wet = [int((field >= WET).sum()) for field in recent.fields]
    pairs = [
        (first, float(recent.ages[first] - recent.ages[first + 1]))
        for first in range(len(wet) - 1)
        if min(wet[first], wet[first + 1]) >= ENOUGH
    ]
    if not pairs:
        if earlier is not None and earlier.velocity.shape[1:] == size:
            return Motion(earlier.velocity, "earlier")
        return Motion(np.zeros((2, *size), np.float32), "none")
    images = [np.log1p(np.nan_to_num(field) / np.float32(WET)) for field in recent.fields]
    masks = [np.isfinite(field).astype(np.float32) for field in recent.fields]
    velocity = np.zeros((2, *size), np.float32)
    for level in LEVELS:
        if min(shape) // level < 16:
            continue
        small = [shrink(blur(image, BLUR * level), level) for image in images]
        inner = [
            (shrink(blur(mask, BLUR * level, edge="rim"), level) > 0.98).astype(np.float32)
            for mask in masks
        ]
        for _ in range(ROUNDS):
            velocity = _refine(velocity, small, inner, pairs, level)
    fade = blur(shrink(masks[-1]), RIM / CELL)
    return Motion(velocity * np.minimum(2 * fade, 1), "measured")


def _refine(
    velocity: Floats,
    images: list[Floats],
    masks: list[Floats],
    pairs: list[tuple[int, float]],
    level: int,
) -> Floats:
    """Correct the motion by what is left of it when each pair is brought together by it."""
    shape = images[0].shape
    rows, columns = places(shape)
    right, down = (spread(part / np.float32(level), shape, CELL // level) for part in velocity)
    sums = np.zeros((5, *velocity.shape[1:]), np.float32)
    for first, minutes in pairs:
        half = np.float32(minutes / 2)
        back = (rows - half * down, columns - half * right)
        ahead = (rows + half * down, columns + half * right)
        before = take(images[first], *back, edge="rim")
        after = take(images[first + 1], *ahead, edge="rim")
        good = take(masks[first], *back) * take(masks[first + 1], *ahead) > 0.99
        # The change over the pair is minutes times velocity times slope.
        dy, dx = (
            slope * np.float32(minutes / level)
            for slope in slopes((before + after) * np.float32(0.5))
        )
        change = after - before
        for row, product in enumerate((dx * dx, dx * dy, dy * dy, dx * change, dy * change)):
            sums[row] += shrink(product * good, CELL // level)
    step, trust = _solve(sums, level)
    longest = LONGEST * level / pairs[-1][1]
    step *= np.minimum(1, longest / np.maximum(np.hypot(step[0], step[1]), 1e-9))
    return _smoothed(velocity + step, trust)


def _solve(sums: Floats, level: int) -> tuple[Floats, Floats]:
    """Solve the normal equations of each window; give the step, and how firm it is (0..1)."""
    small = FIRM * (float((sums[0] + sums[2]).mean()) / 2 + 1e-12)
    width = max(LOCAL, 4.0 * level) / CELL
    xx, xy, yy, xt, yt = (blur(part, width, edge="nothing").astype(np.float64) for part in sums)
    least = np.maximum((xx + yy) / 2 - np.sqrt(((xx - yy) / 2) ** 2 + xy * xy), 0)
    trust = least / (least + small)
    xx, yy = xx + small, yy + small
    size = xx * yy - xy * xy
    step = np.stack([(xy * yt - yy * xt) / size, (xy * xt - xx * yt) / size])
    return step.astype(np.float32), trust.astype(np.float32)


def _smoothed(velocity: Floats, trust: Floats) -> Floats:
    """Average by trust: over everything, in wide windows, in narrow ones.

    Each stands in where the next has little to say.
    """
    whole = float(trust.sum())
    if whole < 1e-6:
        return np.zeros_like(velocity)
    base = np.empty_like(velocity)
    base[:] = ((velocity * trust).sum(axis=(1, 2)) / whole)[:, None, None]
    for width in (4 * SMOOTH / CELL, SMOOTH / CELL):
        weight = blur(trust, width, edge="nothing") + np.float32(WEAK)
        for part, mean in zip(velocity, base, strict=True):
            found = blur(part * trust, width, edge="nothing") + np.float32(WEAK) * mean
            mean[:] = found / weight
    return base
