"""Strict reading of the tables of a file: every mistake says where it is and what to do."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, TypeVar

import msgspec

from forecast.criteria.errors import CriteriaError, Place
from forecast.criteria.signals import (
    DAY,
    HAZARDS,
    LEVELS,
    Comparison,
    Condition,
    Level,
    Signal,
    Statistic,
)

_SECONDS: Final = {"min": 60, "h": 3_600, "d": DAY}
_DURATION: Final = re.compile(r"([1-9][0-9]{0,3})(min|h|d)")
LONGEST: Final = 31 * DAY
"""How far back a condition may look: all of it is held in memory."""
_OFFSET: Final = re.compile(r"([+-])(\d\d):([0-5]\d)")
_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")

_Made = TypeVar("_Made")


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


class Head(msgspec.Struct, frozen=True):
    """What stands at the top: offset of local time and end of the local day, in seconds."""

    probability: float
    offset: int
    day_ends: int


def head(table: Mapping[str, Any]) -> Head:
    """Read the top of a file; raises CriteriaError."""
    top = Place()
    general = {key: value for key, value in table.items() if not isinstance(value, dict)}
    raw = convert(general, _Head, top)
    _share(raw.probability, top.at("probability"))
    sign, hours, minutes = _match(
        _OFFSET, raw.utc_offset, top.at("utc_offset"), "write +08:00"
    ).groups()
    offset = (int(hours) * 60 + int(minutes)) * (60 if sign == "+" else -60)
    hours, minutes = _match(_CLOCK, raw.day_ends, top.at("day_ends"), "write 20:00").groups()
    return Head(raw.probability, offset, int(hours) * 3_600 + int(minutes) * 60)


def signals(
    table: Mapping[str, Any], *, probability: float, units: Mapping[str, str], override: int = 0
) -> tuple[Signal, ...]:
    """Read every signal of a file, in the order of `HAZARDS`.

    Raises CriteriaError, with all the signals that cannot be read.
    """
    found: list[Signal] = []
    wrong: list[CriteriaError] = []
    for name, value in table.items():
        if isinstance(value, dict) and name not in HAZARDS:
            place = Place((name,), (), override)
            problem = f"{place}: no such signal; known are {', '.join(HAZARDS)}"
            wrong.append(CriteriaError(problem, place=place))
    for hazard in HAZARDS:
        if hazard in table:
            try:
                found.append(
                    _signal(
                        hazard,
                        table[hazard],
                        probability=probability,
                        units=units,
                        place=Place((hazard,), (), override),
                    )
                )
            except CriteriaError as error:
                wrong += error.every
    if wrong:
        raise CriteriaError.joined(wrong)
    return tuple(found)


def convert(table: object, kind: type[_Made], place: Place) -> _Made:
    """Give the table as what it should be; raises CriteriaError."""
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        raise CriteriaError(f"{place}: {error}", place=place) from None


def _signal(
    hazard: str,
    table: object,
    *,
    probability: float,
    units: Mapping[str, str],
    place: Place,
) -> Signal:
    raw = convert(table, _Signal, place)
    _explained(raw, place)
    if not set(raw.months) <= set(range(1, 13)):
        raise _error(place.at("months"), "write numbers from 1 to 12")
    wanted = probability if raw.probability is None else raw.probability
    _share(wanted, place.at("probability"))
    levels = _every(
        [
            partial(_level, name, given, live=raw.live, place=place.table(name), units=units)
            for name in LEVELS
            if (given := getattr(raw, name)) is not None
        ]
    )
    if not levels:
        raise _error(place, f"has no level; write [{hazard}.blue] or a higher one")
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
        else _condition(raw.continues, place=place.at("continues"), units=units),
        levels=tuple(levels),
    )


def _every(readers: list[Callable[[], _Made]]) -> list[_Made]:
    """Read all, and name all mistakes rather than the first."""
    found: list[_Made] = []
    wrong: list[CriteriaError] = []
    for reader in readers:
        try:
            found.append(reader())
        except CriteriaError as error:
            wrong += error.every
    if wrong:
        raise CriteriaError.joined(wrong)
    return found


def _level(
    name: str, table: object, *, live: bool, place: Place, units: Mapping[str, str]
) -> Level:
    raw = convert(table, _Level, place)
    _explained(raw, place)
    if raw.any and raw.all:
        raise _error(place, "has any and all; put one into the other")
    if live and raw.live and not (raw.any or raw.all):
        raise _error(place, "has no condition; write any or all, or live = false")
    groups = [raw.all] if raw.all else [_group(entry, place) for entry in raw.any]
    return Level(
        name=name,
        within=_duration(raw.within, place.at("within")),
        alternatives=tuple(
            tuple(_every([partial(_condition, entry, place=place, units=units) for entry in group]))
            for group in groups
        ),
        live=raw.live,
        reason_zh=raw.reason_zh,
        reason_en=raw.reason_en,
    )


def _group(entry: dict[str, Any], place: Place) -> list[dict[str, Any]]:
    """Give an entry of ``any`` as conditions that are all needed."""
    if "all" not in entry:
        return [entry]
    group = entry["all"]
    if len(entry) > 1 or not isinstance(group, list) or not group:
        raise _error(place.at("any"), "write { all = [condition, condition] }")
    return group


def _condition(table: object, *, place: Place, units: Mapping[str, str]) -> Condition:
    raw = convert(table, _Condition, place)
    place = place.at(raw.element, raw.statistic)
    if raw.element not in units:
        raise _error(place, "no such element; see the vocabulary for its name")
    if raw.unit != units[raw.element]:
        raise _error(place, f"unit is {raw.unit!r}, give it in {units[raw.element]!r}")
    if not -1e9 < raw.threshold < 1e9:
        raise _error(place.at("threshold"), "write a number")
    windowed = raw.statistic not in ("value", "days")
    if windowed != bool(raw.window):
        raise _error(place, f"{'needs a' if windowed else 'has no'} window")
    if (raw.statistic == "days") != (raw.days > 0):
        raise _error(place, "days goes with the statistic days, and is 1 or more")
    window = _duration(raw.window, place.at("window")) if windowed else 0
    if raw.statistic == "drop" and window % DAY:
        raise _error(place.at("window"), "a drop is over whole days; write 24h or 48h")
    if max(window, raw.days * DAY) > LONGEST:
        raise _error(place, f"looks back more than {LONGEST // DAY} days")
    return Condition(
        raw.element, raw.statistic, raw.comparison, raw.threshold, window=window, days=raw.days
    )


def _explained(raw: _Signal | _Level, place: Place) -> None:
    if not raw.live and not (raw.reason_zh and raw.reason_en):
        raise _error(place, "live = false needs reason_zh and reason_en")


def _share(number: float, place: Place) -> None:
    if not 0 < number < 1:
        raise _error(place, "write a number between 0 and 1")


def _match(pattern: re.Pattern[str], text: str, place: Place, hint: str) -> re.Match[str]:
    found = pattern.fullmatch(text)
    if found is None:
        raise _error(place, f"{hint}, not {text!r}")
    return found


def _duration(text: str, place: Place) -> int:
    number, unit = _match(_DURATION, text, place, "write 10min, 12h or 7d").groups()
    return int(number) * _SECONDS[unit]


def _error(place: Place, text: str) -> CriteriaError:
    return CriteriaError(f"{place}: {text}", place=place)
