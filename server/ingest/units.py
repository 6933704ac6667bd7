"""Units that loggers send, as straight lines to the vocabulary's own."""

from typing import NamedTuple


class Line(NamedTuple):
    """``value * scale + offset``."""

    scale: float
    offset: float = 0.0


_INCH = 25.4
_FOOT = 12 * _INCH
_MILE = 5_280 * _FOOT

_KINDS: tuple[dict[str, Line], ...] = (
    {"°C": Line(1), "°F": Line(5 / 9, -160 / 9), "K": Line(1, -273.15)},
    {
        "m/s": Line(1),
        "km/h": Line(1 / 3.6),
        "kn": Line(1.852 / 3.6),
        "mph": Line(_MILE / 3_600_000),
        "ft/s": Line(_FOOT / 1_000),
    },
    {
        "hPa": Line(1),
        "mbar": Line(1),
        "Pa": Line(0.01),
        "kPa": Line(10),
        "inHg": Line(33.863_89),
        "mmHg": Line(1.333_224),
    },
    {
        "mm": Line(1),
        "cm": Line(10),
        "m": Line(1_000),
        "km": Line(1_000_000),
        "in": Line(_INCH),
        "ft": Line(_FOOT),
        "mi": Line(_MILE),
    },
    {"%": Line(1)},
    {"s": Line(1), "ms": Line(0.001), "min": Line(60), "h": Line(3_600)},
    {"V": Line(1), "mV": Line(0.001)},
    {"V/m": Line(1), "kV/m": Line(1_000)},
    {"µg/m3": Line(1), "mg/m3": Line(1_000)},
    {"degree": Line(1), "rad": Line(57.295_779_513_082_32)},
)
"""By kind of quantity, each to the first unit of its row (NIST SP 811, appendix B)."""

KNOWN = tuple(unit for kind in _KINDS for unit in kind)
"""Every unit that can be converted from."""


def convert(source: str, target: str) -> Line | None:
    """Give the way from one unit to another; None where there is none."""
    if source == target:
        return Line(1)
    for kind in _KINDS:
        if source in kind and target in kind:
            one, other = kind[source], kind[target]
            scale = one.scale / other.scale
            return Line(scale, (one.offset - other.offset) / other.scale)
    return None
