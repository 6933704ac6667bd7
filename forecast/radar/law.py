"""How long rain of each scale lives: the numbers of ``law.toml``, and the weights made of them."""

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from forecast.radar.frames import Floats

Doubles = NDArray[np.float64]

USUAL = 5.0
"""Minutes over which ``loss`` is meant."""


class Scale(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The numbers of one scale; ``law.toml`` explains them."""

    wavelength: float
    life: float
    trend: float
    loss: float | None = None


class Law(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The numbers of all scales, long waves first."""

    decay: float
    adapt: float
    steering: float
    scale: tuple[Scale, ...]

    @classmethod
    def load(cls) -> "Law":
        """Read the file that ships with this package."""
        text = files(__package__).joinpath("law.toml").read_text("utf-8")
        table: dict[str, Any] = tomllib.loads(text)
        return msgspec.convert(table, cls)

    def kept(self, minutes: float, *, life: float = 1.0) -> Doubles:
        """Give the share of each scale that is left; ``life``: how much longer than usual."""
        lives = np.array([scale.life for scale in self.scale]) * life
        left: Doubles = np.exp(-((minutes / lives) ** self.decay))
        return left

    def carried(self, minutes: float, *, over: float) -> Doubles:
        """Give how often the change of the last ``over`` minutes is added, per scale.

        The sum of a trend that fades with a memory m: m / over (1 - exp(-minutes / m)), as in
        E. S. Gardner and E. McKenzie, Management Science 31, 1237 (1985).
        """
        memory = np.array([scale.trend for scale in self.scale])
        times: Doubles = memory / over * -np.expm1(-minutes / memory)
        return times

    def life(self, losses: Doubles, *, minutes: float) -> float:
        """Give how much longer than usual rain lives now, of the losses over ``minutes``.

        losses: -log of the correlation of each scale between two frames brought together.
        """
        known = [row for row, scale in enumerate(self.scale) if scale.loss is not None]
        usual = np.array([self.scale[row].loss for row in known], np.float64)
        usual = usual * (minutes / USUAL) ** self.decay
        gain = np.log(usual / np.maximum(losses[known], 1e-4)).mean() / self.decay
        return float(np.exp(self.adapt * np.clip(gain, -1.5, 1.5)))


@dataclass(frozen=True, slots=True)
class Waves:
    """The Fourier modes of a grid with a margin, and where each lies among the scales."""

    shape: tuple[int, int]
    size: tuple[int, int]
    place: Floats
    count: int

    @classmethod
    def of(cls, shape: tuple[int, ...], *, spacing: float, law: Law) -> "Waves":
        """Lay out the modes; spacing in km."""
        size = (smooth_number(shape[0] + 64), smooth_number(shape[1] + 64))
        k = np.hypot(np.fft.fftfreq(size[0])[:, None], np.fft.rfftfreq(size[1])[None, :])
        wavelength = spacing / np.maximum(k, 1e-9)
        scales = -np.log([scale.wavelength for scale in law.scale])
        place = np.interp(-np.log(wavelength), scales, np.arange(len(scales)))
        return cls((shape[0], shape[1]), size, place.astype(np.float32), len(scales))

    def weights(self, values: Doubles) -> Floats:
        """Give the value of each mode, between those of the scales it lies between."""
        weights: Floats = np.interp(self.place, np.arange(self.count), values).astype(np.float32)
        return weights

    def forward(self, field: Floats) -> NDArray[np.complex64]:
        """Give the modes of a field without gaps."""
        return np.fft.rfft2(field, self.size).astype(np.complex64, copy=False)

    def back(self, modes: NDArray[np.complex64]) -> Floats:
        """Give the field of modes."""
        field = np.fft.irfft2(modes, self.size)[: self.shape[0], : self.shape[1]]
        return np.ascontiguousarray(field, np.float32)

    def losses(self, one: NDArray[np.complex64], other: NDArray[np.complex64]) -> Doubles:
        """Give -log of the correlation of two fields, per scale."""
        found = np.zeros(self.count)
        for row in range(self.count):
            near = np.maximum(1 - np.abs(self.place - row), 0) ** 2
            near[0, 0] = 0
            cross = float((near * (one * other.conj()).real).sum())
            power = [float((near * np.abs(modes) ** 2).sum()) for modes in (one, other)]
            found[row] = -np.log(np.clip(cross / np.sqrt(power[0] * power[1] + 1e-12), 1e-3, 1))
        return found


def smooth_number(least: int) -> int:
    """Give the smallest even number from ``least`` on whose factors are 2, 3 and 5."""
    number = least + least % 2
    while True:
        rest = number
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return number
        number += 2
