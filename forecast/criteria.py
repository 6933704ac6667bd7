"""Criteria of warnings, read strictly from a TOML file that a forecaster can write.

``criteria/national.toml`` is the default and explains every key.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, TypeVar

import msgspec

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
)
LEVELS: Final = ("blue", "yellow", "orange", "red")
"""From the lowest to the highest: general, rather heavy, serious, especially serious."""

Statistic: TypeAlias = Literal["value", "sum", "mean", "max", "min", "days", "drop"]
Comparison: TypeAlias = Literal[">=", ">", "<", "<="]
DAY: Final = 86_400
_SECONDS: Final = {"min": 60, "h": 3_600, "d": DAY}
_DURATION: Final = re.compile(r"([1-9][0-9]{0,3})(min|h|d)")
_OFFSET: Final = re.compile(r"([+-])(\d\d):([0-5]\d)")
_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


_Made = TypeVar("_Made")


class CriteriaError(ValueError):
    """The file cannot be used; the text says where and what to do."""


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


@dataclass(frozen=True, slots=True)
class Criteria:
    """A file of criteria. offset: local time minus UTC, s; day_ends: seconds of the local day."""

    signals: tuple[Signal, ...]
    offset: int
    day_ends: int

    @classmethod
    def load(cls, file: Path | None = None, *, units: Mapping[str, str]) -> "Criteria":
        """Read a file, or the national one; ``units`` gives the unit of every known element.

        Raises CriteriaError.
        """
        path = file or files(__package__).joinpath("criteria/national.toml")
        try:
            table = tomllib.loads(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise CriteriaError(f"{path}: {error}") from None
        try:
            return cls.read(table, units=units)
        except CriteriaError as error:
            raise CriteriaError(f"{path}: {error}") from None

    @classmethod
    def read(cls, table: Mapping[str, Any], *, units: Mapping[str, str]) -> "Criteria":
        """Make criteria of a table, as TOML gives it; raises CriteriaError."""
        general = {key: value for key, value in table.items() if not isinstance(value, dict)}
        head = _convert(general, _Head, "at the top of the file")
        unknown = [key for key in table if key not in general and key not in HAZARDS]
        if unknown:
            raise CriteriaError(f"[{unknown[0]}]: no such signal; known are {', '.join(HAZARDS)}")
        signals = tuple(
            _signal(hazard, table[hazard], probability=head.probability, units=units)
            for hazard in HAZARDS
            if hazard in table
        )
        sign, hours, minutes = _match(_OFFSET, head.utc_offset, "utc_offset: write +08:00").groups()
        offset = (int(hours) * 60 + int(minutes)) * (60 if sign == "+" else -60)
        hours, minutes = _match(_CLOCK, head.day_ends, "day_ends: write 20:00").groups()
        return cls(signals, offset, int(hours) * 3_600 + int(minutes) * 60)

    @property
    def conditions(self) -> frozenset[Condition]:
        """Every condition that is looked at."""
        found: set[Condition] = set()
        for signal in self.signals:
            for level in signal.working:
                found.update(*level.alternatives)
            if signal.working and signal.continues:
                found.add(signal.continues)
        return frozenset(found)

    def signal(self, hazard: str) -> Signal:
        """Give the signal of a hazard; raises KeyError where the file has none."""
        for signal in self.signals:
            if signal.hazard == hazard:
                return signal
        raise KeyError(hazard)


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What stands in the file, before it is understood."""


class _Head(_Strict, frozen=True):
    probability: float
    utc_offset: str
    day_ends: str


class _Condition(_Strict, frozen=True):
    element: str
    statistic: Statistic
    comparison: Comparison
    threshold: float
    unit: str
    window: str = ""
    days: int = 0


class _Level(_Strict, frozen=True):
    within: str
    any: list[dict[str, Any]] = []
    all: list[dict[str, Any]] = []
    live: bool = True
    reason_zh: str = ""
    reason_en: str = ""


class _Signal(_Strict, frozen=True):
    code: str
    zh: str
    en: str
    source: str
    live: bool
    reason_zh: str = ""
    reason_en: str = ""
    months: list[int] = []
    probability: float | None = None
    continues: dict[str, Any] | None = None
    blue: dict[str, Any] | None = None
    yellow: dict[str, Any] | None = None
    orange: dict[str, Any] | None = None
    red: dict[str, Any] | None = None


def _signal(
    hazard: str, table: Mapping[str, Any], *, probability: float, units: Mapping[str, str]
) -> Signal:
    where = f"[{hazard}]"
    raw = _convert(table, _Signal, where)
    _explained(raw, where)
    if not set(raw.months) <= set(range(1, 13)):
        raise CriteriaError(f"{where} months: write numbers from 1 to 12")
    wanted = probability if raw.probability is None else raw.probability
    if not 0 < wanted < 1:
        raise CriteriaError(f"{where} probability: write a number between 0 and 1")
    levels = tuple(
        _level(name, given, live=raw.live, where=f"[{hazard}.{name}]", units=units)
        for name in LEVELS
        if (given := getattr(raw, name)) is not None
    )
    if not levels:
        raise CriteriaError(f"{where}: has no level; write [{hazard}.blue] or a higher one")
    return Signal(
        hazard=hazard,
        code=raw.code,
        zh=raw.zh,
        en=raw.en,
        source=raw.source,
        live=raw.live,
        reason_zh=raw.reason_zh,
        reason_en=raw.reason_en,
        months=frozenset(raw.months or range(1, 13)),
        probability=wanted,
        continues=None
        if raw.continues is None
        else _condition(raw.continues, where=f"{where} continues", units=units),
        levels=levels,
    )


def _level(
    name: str, table: Mapping[str, Any], *, live: bool, where: str, units: Mapping[str, str]
) -> Level:
    raw = _convert(table, _Level, where)
    _explained(raw, where)
    if raw.any and raw.all:
        raise CriteriaError(f"{where}: has any and all; put one into the other")
    if live and raw.live and not (raw.any or raw.all):
        raise CriteriaError(f"{where}: has no condition; write any or all, or live = false")
    groups = [raw.all] if raw.all else [_group(entry, where) for entry in raw.any]
    return Level(
        name=name,
        within=_duration(raw.within, f"{where} within"),
        alternatives=tuple(
            tuple(_condition(entry, where=where, units=units) for entry in group)
            for group in groups
        ),
        live=raw.live,
        reason_zh=raw.reason_zh,
        reason_en=raw.reason_en,
    )


def _group(entry: dict[str, Any], where: str) -> list[dict[str, Any]]:
    """Give an entry of ``any`` as conditions that are all needed."""
    if "all" not in entry:
        return [entry]
    group = entry["all"]
    if len(entry) > 1 or not isinstance(group, list) or not group:
        raise CriteriaError(f"{where} any: write {{ all = [condition, condition] }}")
    return group


def _condition(table: object, *, where: str, units: Mapping[str, str]) -> Condition:
    raw = _convert(table, _Condition, where)
    where = f"{where} {raw.element} {raw.statistic}"
    if raw.element not in units:
        raise CriteriaError(f"{where}: no such element; see the vocabulary for its name")
    if raw.unit != units[raw.element]:
        raise CriteriaError(f"{where}: unit is {raw.unit!r}, give it in {units[raw.element]!r}")
    windowed = raw.statistic not in ("value", "days")
    if windowed != bool(raw.window):
        raise CriteriaError(f"{where}: {'needs a' if windowed else 'has no'} window")
    if (raw.statistic == "days") != (raw.days > 0):
        raise CriteriaError(f"{where}: days goes with the statistic days, and is 1 or more")
    if raw.statistic == "days" and raw.comparison not in (">=", ">"):
        raise CriteriaError(f"{where}: days are of daily maxima; compare with >= or >")
    window = _duration(raw.window, f"{where} window") if windowed else 0
    if raw.statistic == "drop" and window % DAY:
        raise CriteriaError(f"{where} window: a drop is over whole days; write 24h or 48h")
    return Condition(
        raw.element, raw.statistic, raw.comparison, raw.threshold, window=window, days=raw.days
    )


def _explained(raw: _Signal | _Level, where: str) -> None:
    if not raw.live and not (raw.reason_zh and raw.reason_en):
        raise CriteriaError(f"{where}: live = false needs reason_zh and reason_en")


def _convert(table: object, kind: type[_Made], where: str) -> _Made:
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        raise CriteriaError(f"{where}: {error}") from None


def _match(pattern: re.Pattern[str], text: str, problem: str) -> re.Match[str]:
    found = pattern.fullmatch(text)
    if found is None:
        raise CriteriaError(f"{problem}, not {text!r}")
    return found


def _duration(text: str, where: str) -> int:
    number, unit = _match(_DURATION, text, f"{where}: write 10min, 12h or 7d").groups()
    return int(number) * _SECONDS[unit]
