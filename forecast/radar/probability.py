"""How likely: an ensemble of what the rain may become, and chances counted from it.

What a scale loses in predictability it gains in noise of its own size (N. E. Bowler, C. E. Pierce
and A. W. Seed, Quart. J. Roy. Meteor. Soc. 132, 2127, 2006): each member adds to what is left of
the field noise with the field's own spectrum, strong where rain is near, that changes with lead
as fast as the rain of its scale, and is carried by a motion of its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forecast.radar.extrapolation import carry, paths
from forecast.radar.frames import Bools, Floats
from forecast.radar.image import CELL, blur, shrink, spread
from forecast.radar.outlook import SampledOutlook
from forecast.radar.scales import LEADS, Modes, Scales, decibel, matched

Doubles = NDArray[np.float64]

MEMBERS: Final = 20
NEAR: Final = 48.0
"""Cells over which rain makes its neighbourhood uncertain."""

LOUD: Final = 1.0
SWAY: Final = 0.05
"""Standard deviation of a member's motion, as a share of the motion."""


SPREAD: Final = 1 / 6
"""Cells a minute by which the place of rain is smeared where members are counted."""


@dataclass(frozen=True, slots=True)
class Frame:
    """All members at one lead (minutes): mm/h (member, y, x), nan where radar does not see."""

    lead: float
    rain: Floats


def ensemble(
    scales: Scales,
    *,
    leads: Sequence[float] = LEADS,
    members: int = MEMBERS,
    seed: int = 0,
    loud: float = LOUD,
    sway: float = SWAY,
) -> Iterator[Frame]:
    """Give the members lead by lead; the same seed gives the same members."""
    random = np.random.default_rng(seed)
    turns = random.normal(0, sway, (members, 2)).astype(np.float32)
    ways = paths(scales.motion, leads, steering=scales.law.steering)
    noises = [_white(scales, random) for _ in range(members)]
    near = _near(scales) * np.float32(loud)
    ratio = np.float32(_size(scales.amount, scales) / max(_size(scales.wet, scales), 1e-9))
    colour = _colour(scales)
    before = 0.0
    for lead, way in zip(leads, ways, strict=True):
        law, waves, life = scales.law, scales.waves, scales.life
        stays = waves.weights(law.kept(lead - before, life=life))
        share = waves.weights(law.kept(lead, life=life))
        gained = (np.sqrt(1 - share**2) * colour).astype(np.float32)
        gained[0, 0] = 0
        wet, amount = scales.kept(lead)
        rain = np.empty((members, *scales.rain.shape), np.float32)
        for member in range(members):
            fresh = _white(scales, random) if before else noises[member]
            if before:
                noises[member] = noises[member] * stays + fresh * np.sqrt(1 - stays**2)
            noise: Floats = waves.back(noises[member] * gained) * near
            own = _turned(way, turns[member])
            rain[member] = matched(
                carry(wet + noise, own, rim=True),
                carry(amount + noise * ratio, own, rim=True),
                scales.rain,
                scales.seen,
            )
        before = lead
        yield Frame(lead, rain)


def chance(rain: Floats, threshold: float, *, width: float = 0.0) -> Floats:
    """Give the share of members (member, y, x) that reach a threshold, nan where not seen.

    width: cells over which the share is smoothed, as few members are a coarse count; `SPREAD`
    times the lead serves well.
    """
    share: Floats = (rain >= threshold - 1e-6).mean(axis=0, dtype=np.float32)
    seen = np.isfinite(rain[0])
    if width:
        known = blur(seen.astype(np.float32), width)
        share = np.asarray(blur(share, width) / np.maximum(known, 1e-6), np.float32)
    return np.where(seen, share, np.nan).astype(np.float32)


def expected(chance: Floats) -> Bools:
    """Give where a threshold is expected to be reached, of the chance that it is.

    The area that makes the critical success index of a sharp yes or no the highest one can
    expect if the chances are right: all cells above a limit, where the limit c solves
    c = CSI / (1 + CSI). Where skill is low it is wider than the rain it expects.
    """
    known: Floats = np.nan_to_num(chance)
    ordered = np.sort(known[known > 0])[::-1].astype(np.float64)
    if not len(ordered):
        return np.zeros(chance.shape, np.bool_)
    hits = np.cumsum(ordered)
    index = hits / (np.arange(1, len(ordered) + 1) + hits[-1] - hits)
    limit = ordered[int(np.argmax(index))]
    area: Bools = known >= limit - 1e-6
    return area


@dataclass(frozen=True, slots=True)
class Chances:
    """Chances over a window of leads, nan where radar does not see.

    peak: threshold (mm/h) -> chance that the rate reaches it at any lead. total: threshold (mm)
    -> chance that the rain of the window reaches it. mean: mm, over the members.
    """

    peak: dict[float, Floats]
    total: dict[float, Floats]
    mean: Floats


def window(
    frames: Sequence[Frame], *, rates: Sequence[float], amounts: Sequence[float], width: float = 0.0
) -> Chances:
    """Count the chances over the leads of some frames; each rate holds since the lead before.

    The first frame's rate holds as long as the step to the second. Raises ValueError without any.
    """
    if not frames:
        raise ValueError("a window has at least one lead")
    leads = [frame.lead for frame in frames]
    steps = np.diff([leads[0] - (leads[1] - leads[0] if len(leads) > 1 else leads[0]), *leads])
    total = sum(
        frame.rain * np.float32(step / 60) for frame, step in zip(frames, steps, strict=True)
    )
    highest = np.maximum.reduce([frame.rain for frame in frames])
    summed = np.asarray(total, np.float32)
    return Chances(
        {rate: chance(highest, rate, width=width) for rate in rates},
        {amount: chance(summed, amount, width=width) for amount in amounts},
        summed.mean(axis=0),
    )


def outlook(
    frames: Sequence[Frame], rows: NDArray[np.int64], columns: NDArray[np.int64], *, time: int
) -> SampledOutlook:
    """Sample evenly spaced leads at stations, for whoever blends radar into a chance.

    rows, columns: the stations' cells, -1 outside the grid. time: s since the epoch of lead 0.
    """
    step = round(frames[0].lead * 60)
    rates = np.stack([frame.rain[:, rows, columns] for frame in frames], axis=1)
    rates[..., (rows < 0) | (columns < 0)] = np.nan
    return SampledOutlook.of(rates, time=time, step=step)


def _white(scales: Scales, random: np.random.Generator) -> Modes:
    return scales.waves.forward(random.standard_normal(scales.waves.size, dtype=np.float32)).astype(
        np.complex64
    )


def _colour(scales: Scales) -> Floats:
    """Give the amplitude of each mode of noise that has the spectrum of the field."""
    waves = scales.waves
    power = np.abs(scales.wet) ** 2
    place = np.rint(waves.place * 4).astype(np.int64)
    sums = np.bincount(place.ravel(), power.ravel())
    mean = sums / np.maximum(np.bincount(place.ravel()), 1)
    level = np.sqrt(mean[place] / (waves.size[0] * waves.size[1]))
    return level.astype(np.float32)


def _near(scales: Scales) -> Floats:
    """Give how loud noise is at each place: the size of the rain's own variations round it.

    1 on the average over the grid, in the sense of squares.
    """
    rain = decibel(np.nan_to_num(scales.rain))
    power = blur(shrink(rain * rain), NEAR / CELL)
    return spread(np.sqrt(np.maximum(power, 0) / max(float(power.mean()), 1e-9)), rain.shape)


def _size(modes: Modes, scales: Scales) -> float:
    """Give the standard deviation of a field by its modes."""
    power = np.abs(modes) ** 2
    power[0, 0] = 0
    return float(np.sqrt(power.sum())) / (scales.waves.size[0] * scales.waves.size[1])


def _turned(way: Floats, turn: Floats) -> Floats:
    """Give a path made longer and turned, both by small shares."""
    along, across = np.float32(1) + turn[0], turn[1]
    return np.stack([along * way[0] - across * way[1], across * way[0] + along * way[1]])
