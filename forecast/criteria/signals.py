"""What criteria are made of: conditions, levels, and the signals of the dangers."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

HAZARDS: Final = (
    "typhoon",
    "rainstorm",
    "snowstorm",
    "cold_wave",
    "gale",
    "sandstorm",
    "high_temperature",
    "drought",
    "lightning",
    "hail",
    "frost",
    "heavy_fog",
    "haze",
    "road_icing",
    "thunderstorm_gale",
    # Local ones, as Beijing has them.
    "low_temperature",
    "wire_icing",
)
LEVELS: Final = ("blue", "yellow", "orange", "red")
"""From the lowest to the highest: general, rather heavy, serious, especially serious."""

Statistic: TypeAlias = Literal["value", "sum", "mean", "max", "min", "days", "drop"]
Comparison: TypeAlias = Literal[">=", ">", "<", "<="]
DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Condition:
    """One number of one station, compared. window: seconds; days: for the statistic ``days``."""

    element: str
    statistic: Statistic
    comparison: Comparison
    threshold: float
    window: int = 0
    days: int = 0

    @property
    def reach(self) -> int:
        """How far back the readings lie that it needs, in seconds."""
        match self.statistic:
            case "value":
                return 0
            case "days":
                return self.days * DAY
            case "drop":
                return self.window + DAY
            case _:
                return self.window


@dataclass(frozen=True, slots=True)
class Level:
    """A level opens when every condition of one of the alternatives is met.

    within: seconds in which it is expected.
    """

    name: str
    within: int
    alternatives: tuple[tuple[Condition, ...], ...]
    live: bool
    reason_zh: str
    reason_en: str


@dataclass(frozen=True, slots=True)
class Signal:
    """The levels of one hazard, lowest first; continues: what shows that a danger goes on."""

    hazard: str
    code: str
    zh: str
    en: str
    source: str
    live: bool
    reason_zh: str
    reason_en: str
    months: frozenset[int]
    probability: float
    continues: Condition | None
    levels: tuple[Level, ...]

    @property
    def working(self) -> tuple[Level, ...]:
        """The levels that are proposed, lowest first."""
        return tuple(level for level in self.levels if self.live and level.live)
