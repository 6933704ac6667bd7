"""The rain of the next hour as one field: what lives is kept, what does not is smoothed away.

Small rain dies in minutes, large rain lives for hours (A. W. Seed, J. Appl. Meteor. 42, 381,
2003). Each scale of the newest field is kept by the share of it that is usually left at that
lead, and the large scales go on growing or decaying as they did of late, for a while. The shares
are a law with few numbers (``law.toml``), halfway to what the newest frames say of the life of
today's rain. What is left is carried along the motion and given the newest field's own
distribution of intensities, so that it keeps looking like rain: where it rains is decided on
the scale of dB, how hard on that of the square root.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from forecast.radar.extrapolation import carry, paths
from forecast.radar.frames import WET, Bools, Floats, Recent
from forecast.radar.law import Law, Waves
from forecast.radar.motion import Motion, estimate

Modes = NDArray[np.complex64]

LEADS = tuple(range(5, 61, 5))
"""Minutes."""

FEW = 10
"""Wet cells below which the next hour is dry."""

_QUANTILES = np.concatenate([np.linspace(0, 0.9, 91), 1 - np.geomspace(0.09, 1e-5, 60)])


def decibel(rain: Floats) -> Floats:
    """Give dB of mm/h above -15, and 0 where it does not rain."""
    wet = 10 * np.log10(np.maximum(rain, np.float32(WET))) + 15
    return np.where(rain >= WET, wet, 0).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Scales:
    """The newest field taken apart: made once, asked for any lead.

    rain: the newest field, gaps filled from earlier frames. seen: where it is known. wet, amount:
    its modes on the scale of dB and of the root. before: minutes to the previous frame; wet_change,
    amount_change: modes of what has changed since, None with one frame. life: how much longer
    than usual today's rain lives.
    """

    time: np.datetime64
    rain: Floats
    seen: Bools
    motion: Motion
    law: Law
    waves: Waves
    wet: Modes
    amount: Modes
    before: float
    wet_change: Modes | None
    amount_change: Modes | None
    life: float

    @classmethod
    def of(
        cls,
        recent: Recent,
        *,
        motion: Motion | None = None,
        law: Law | None = None,
        life: float | None = None,
    ) -> "Scales":
        """Take the newest field apart; motion and life are estimated unless they are given."""
        law = law or Law.load()
        motion = motion or estimate(recent)
        waves = Waves.of(recent.newest.shape, spacing=recent.spacing, law=law)
        aligned = _aligned(recent, motion)
        rain = _filled(recent, aligned)
        known = np.nan_to_num(rain)
        wet, amount = waves.forward(decibel(known)), waves.forward(np.sqrt(known))
        whole = cls(
            recent.time,
            rain,
            np.isfinite(rain),
            motion,
            law,
            waves,
            wet,
            amount,
            before=0.0,
            wet_change=None,
            amount_change=None,
            life=life or 1.0,
        )
        if not aligned:
            return whole
        # Rain where the air was not seen before has come in over the rim, and goes on coming;
        # a sector that is back is not news.
        back = np.isnan(recent.fields[-2]) & np.isfinite(aligned[-1])
        last = np.where(back, known, np.nan_to_num(aligned[-1]))
        earlier = waves.forward(np.sqrt(last))
        minutes = float(recent.ages[-2])
        if life is None and motion.source == "measured":
            life = law.life(waves.losses(amount, earlier), minutes=minutes)
        return replace(
            whole,
            before=minutes,
            wet_change=wet - waves.forward(decibel(last)),
            amount_change=amount - earlier,
            life=life or 1.0,
        )

    def kept(self, lead: float) -> tuple[Floats, Floats]:
        """Give what is left of the field after ``lead`` minutes, before it is carried.

        On the scale of dB, and of the root.
        """
        share = self.law.kept(lead, life=self.life)
        now = self.waves.weights(share)
        now[0, 0] = 1
        parts = []
        for modes, change in ((self.wet, self.wet_change), (self.amount, self.amount_change)):
            kept = modes * now
            if change is not None:
                trend = self.waves.weights(share * self.law.carried(lead, over=self.before))
                trend[0, 0] = 0
                kept += change * trend
            parts.append(self.waves.back(kept))
        return parts[0], parts[1]

    def field(self, lead: float, path: Floats) -> Floats:
        """Give mm/h after ``lead`` minutes; nan where the radar does not see."""
        wet, amount = (carry(part, path, rim=True) for part in self.kept(lead))
        return matched(wet, amount, self.rain, self.seen)


@dataclass(frozen=True, slots=True)
class Nowcast:
    """The rain of the next hour.

    rain: mm/h (lead, y, x), nan where the radar does not see. origin: whether the radar saw
    where that air is now; elsewhere the value is that of the nearest rim.
    """

    rain: xr.DataArray
    origin: xr.DataArray
    scales: Scales


def nowcast(
    frames: xr.DataArray,
    recent: Recent,
    *,
    leads: Sequence[float] = LEADS,
    law: Law | None = None,
    earlier: Motion | None = None,
) -> Nowcast:
    """Forecast the field at each lead (minutes, rising) from the newest frames.

    frames gives the grid; earlier: the motion of the previous run, used while there is no rain
    to follow.
    """
    scales = Scales.of(recent, motion=estimate(recent, earlier=earlier), law=law)
    ways = paths(scales.motion, leads, steering=scales.law.steering)
    rain = np.stack([scales.field(lead, way) for lead, way in zip(leads, ways, strict=True)])
    seen = scales.seen.astype(np.float32)
    origin = np.stack([carry(seen, way, outside=0.0) > 0.5 for way in ways])
    minutes = np.array([np.timedelta64(round(lead * 60), "s") for lead in leads])
    coords = {
        "lead": minutes.astype("timedelta64[ns]"),
        "y": frames["y"],
        "x": frames["x"],
        "time": recent.time,
    }
    return Nowcast(
        xr.DataArray(rain, dims=("lead", "y", "x"), coords=coords, name="rain", attrs=frames.attrs),
        xr.DataArray(origin, dims=("lead", "y", "x"), coords=coords, name="origin"),
        scales,
    )


def matched(wet: Floats, amount: Floats, rain: Floats, seen: Bools) -> Floats:
    """Give a field its order by ``wet`` and ``amount`` and its intensities by ``rain``.

    It rains on as many cells as it does now, those with the highest ``wet``; among them the
    harder the higher ``amount`` (probability matching: E. E. Ebert, Mon. Wea. Rev. 129, 2461,
    2001). Where the radar does not see, nan.
    """
    result = np.full(rain.shape, np.nan, np.float32)
    result[seen] = 0
    now = rain[seen]
    falling = now[now >= WET]
    if len(falling) < FEW:
        return result
    order = wet[seen]
    last = len(order) - len(falling)
    chosen = seen & (wet >= np.partition(order, last)[last])
    heights = amount[chosen]
    result[chosen] = np.interp(heights, _quantiles(heights), _quantiles(falling))
    return result


def _quantiles(values: Floats) -> NDArray[np.float64]:
    ordered = np.sort(values)
    place = _QUANTILES * (len(ordered) - 1)
    found: NDArray[np.float64] = np.interp(place, np.arange(len(ordered)), ordered)
    return found


def _aligned(recent: Recent, motion: Motion) -> list[Floats]:
    """Give the earlier fields, each carried to the time of the newest."""
    return [
        carry(field, paths(motion, [float(age)])[0])
        for field, age in zip(recent.fields[:-1], recent.ages[:-1], strict=True)
    ]


def _filled(recent: Recent, aligned: list[Floats]) -> Floats:
    """Fill what only the newest frame misses, a sector or a radar, with earlier frames."""
    rain = recent.newest.copy()
    for place in range(len(aligned) - 1, -1, -1):
        gap = np.isnan(rain) & np.isfinite(recent.fields[place])
        rain[gap] = aligned[place][gap]
    return rain
