"""How the dangers and levels are called by others: national codes, CAP, MeteoAlarm.

National event codes as the national early-warning platform (12379) writes them; the CMA number
and the MeteoAlarm type beside each.
"""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """One danger: national event code, CMA type number (empty: none), MeteoAlarm type (0: none)."""

    event: str
    cma: str
    awareness: int


CODES: Mapping[str, Code] = MappingProxyType(
    {
        "typhoon": Code(event="11B01", cma="0001", awareness=1),
        "rainstorm": Code(event="11B03", cma="0002", awareness=10),
        "snowstorm": Code(event="11B04", cma="0006", awareness=2),
        "cold_wave": Code(event="11B05", cma="0004", awareness=6),
        "gale": Code(event="11B06", cma="0007", awareness=1),
        "sandstorm": Code(event="11B07", cma="0008", awareness=0),
        "high_temperature": Code(event="11B09", cma="0003", awareness=5),
        "drought": Code(event="11B22", cma="0010", awareness=0),
        "lightning": Code(event="11B14", cma="0012", awareness=3),
        "hail": Code(event="11B15", cma="0009", awareness=3),
        "frost": Code(event="11B16", cma="0013", awareness=6),
        "heavy_fog": Code(event="11B17", cma="0005", awareness=4),
        "haze": Code(event="11B19", cma="0014", awareness=0),
        "road_icing": Code(event="11B21", cma="0011", awareness=2),
        "thunderstorm_gale": Code(event="11B20", cma="0015", awareness=1),
        # Local signals: no national code is known for them, and none is made up.
        "low_temperature": Code(event="", cma="", awareness=6),
        "wire_icing": Code(event="", cma="", awareness=2),
    }
)
"""By the hazard's name."""

CMA_LEVEL: Mapping[str, str] = MappingProxyType(
    {"red": "001", "orange": "002", "yellow": "003", "blue": "004"}
)

SEVERITY: Mapping[str, str] = MappingProxyType(
    {"blue": "Minor", "yellow": "Moderate", "orange": "Severe", "red": "Extreme"}
)
"""CAP severity of each level."""

AWARENESS_LEVEL: Mapping[str, str] = MappingProxyType(
    {"yellow": "2; yellow; Moderate", "orange": "3; orange; Severe", "red": "4; red; Extreme"}
)
"""MeteoAlarm's levels; blue has no twin there (green means no warning)."""
