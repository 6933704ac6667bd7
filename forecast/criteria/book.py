"""A book of criteria: what counts everywhere, and what counts in single regions for a time."""

import bisect
import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import msgspec

from forecast.criteria import files, reading
from forecast.criteria.errors import CriteriaError, Place
from forecast.criteria.resolved import Criteria
from forecast.criteria.signals import HAZARDS, LEVELS, Condition

MOST: Final = 100
"""Overrides in one file."""

MIXTURES: Final = 500
"""Different sets that the overrides of one file can come to."""

_EPOCH: Final = dt.date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class Override:
    """What differs in some regions for a time.

    regions: None for every one. valid_from, valid_to: local dates, both included; None: no end.
    begin, end: the same in seconds since 1970 UTC, from local midnight to local midnight.
    changes: by hazard, as in the file.
    """

    regions: frozenset[str] | None
    valid_from: dt.date
    valid_to: dt.date | None
    begin: int
    end: int | None
    source: str
    changes: Mapping[str, Any]

    def counts(self, region: str, at: int) -> bool:
        """Say whether it counts in a region at a time (s since 1970)."""
        return (
            (self.regions is None or region in self.regions)
            and self.begin <= at
            and (self.end is None or at < self.end)
        )


class Book:
    """Criteria with overrides; each mixture of them is read and checked when the book is made.

    base: what counts where no override does. overrides: in the order of the file; where two of
    them change the same thing, the later one counts. source: the text that it was read from.
    """

    def __init__(self, source: str, *, units: Mapping[str, str]) -> None:
        """Read the text of a file; ``units`` gives the unit of every known element.

        Raises CriteriaError.
        """
        self.source = source
        table = files.whole(files.parsed(source))
        given = table.pop("override", [])
        self._table = table
        self._units = units
        self.base = Criteria.read(table, units=units)
        self._probability = reading.head(table).probability
        self.overrides = _overrides(given, offset=self.base.offset, known=table)
        self._dates = sorted(
            {o.begin for o in self.overrides} | {o.end for o in self.overrides if o.end}
        )
        self._sets: dict[tuple[int, ...], Criteria] = {(): self.base}
        self._answers: dict[tuple[int, tuple[str, ...]], list[tuple[Criteria, frozenset[str]]]] = {}
        self._check()

    @classmethod
    def load(cls, file: Path | None = None, *, units: Mapping[str, str]) -> "Book":
        """Read a file, or the national one; raises CriteriaError."""
        with files.named(file) as path:
            return cls(files.text(path), units=units)

    @classmethod
    def shipped(cls, name: str, *, units: Mapping[str, str]) -> "Book":
        """Read one of the sets that ship, as ``national``; raises CriteriaError."""
        return cls(files.text(files.shipped(name)), units=units)

    @property
    def regions(self) -> frozenset[str]:
        """The regions that overrides name."""
        return frozenset().union(*(each.regions or () for each in self.overrides))

    @property
    def conditions(self) -> frozenset[Condition]:
        """Every condition that is looked at anywhere at any time."""
        return frozenset().union(*(each.conditions for each in self._sets.values()))

    @property
    def every(self) -> tuple[Criteria, ...]:
        """Every set that counts somewhere at some time, the base first."""
        return tuple({id(each): each for each in self._sets.values()}.values())

    def sets(self, regions: Sequence[str], at: int) -> list[tuple[Criteria, frozenset[str]]]:
        """Give the criteria at a time (s since 1970 UTC), each with the regions where they count.

        Regions with the same criteria stand together; a set is the same object every time.
        """
        # Between two dates of the overrides the answer stays the same.
        asked = bisect.bisect(self._dates, at), tuple(regions)
        if asked not in self._answers:
            grouped: dict[int, tuple[Criteria, set[str]]] = {}
            for region in regions:
                found = self.resolved(region, at)
                grouped.setdefault(id(found), (found, set()))[1].add(region)
            answer = [(found, frozenset(where)) for found, where in grouped.values()]
            self._answers = {asked: answer}  # the newest is asked again and again
        return self._answers[asked]

    def resolved(self, region: str, at: int) -> Criteria:
        """Give the criteria of one region at a time (s since 1970 UTC)."""
        key = tuple(n for n, each in enumerate(self.overrides) if each.counts(region, at))
        return self._sets[key]

    def _check(self) -> None:
        """Read every mixture that can come to count, so that none fails later."""
        wrong: list[CriteriaError] = []
        broken: set[int] = set()
        for number in range(len(self.overrides)):
            try:
                self._mix((number,))
            except CriteriaError as error:
                wrong += error.every
                broken.add(number)
        mixtures = self._mixtures()
        if len(mixtures) > MIXTURES:
            text = f"the overrides overlap in more than {MIXTURES} ways; join those of one region"
            raise CriteriaError(text, place=Place((), ("override",)))
        for key in sorted(mixtures):
            if not broken & set(key):
                try:
                    self._mix(key)
                except CriteriaError as error:
                    wrong += error.every
        if wrong:
            raise CriteriaError.joined(wrong)

    def _mixtures(self) -> set[tuple[int, ...]]:
        """Give the overrides that count together somewhere at some time."""
        chosen = {
            tuple(
                n
                for n, each in enumerate(self.overrides)
                if each.regions is None or region in each.regions
            )
            for region in (*self.regions, "")
        }
        found: set[tuple[int, ...]] = set()
        for numbers in chosen:
            mine = [self.overrides[n] for n in numbers]
            times = {each.begin for each in mine} | {each.end for each in mine if each.end}
            for at in times:
                active = [
                    n
                    for n, each in zip(numbers, mine, strict=True)
                    if each.begin <= at and (each.end is None or at < each.end)
                ]
                found.add(tuple(active))
        return found

    def _mix(self, key: tuple[int, ...]) -> None:
        if key in self._sets:
            return
        table = self._table
        for number in key:
            table = files.laid(table, self.overrides[number].changes)
        changed = {hazard for number in key for hazard in self.overrides[number].changes}
        signals = reading.signals(
            {hazard: table[hazard] for hazard in HAZARDS if hazard in changed},
            probability=self._probability,
            units=self._units,
            override=key[-1] + 1,
        )
        new = {signal.hazard: signal for signal in signals}
        made = replace(self.base, signals=tuple(new.get(s.hazard, s) for s in self.base.signals))
        # Mixtures that come to the same are the same object.
        self._sets[key] = next((each for each in self._sets.values() if each == made), made)


class _Override(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    regions: list[str] | str
    valid_from: dt.date
    valid_to: dt.date | None = None
    source: str


def _overrides(given: object, *, offset: int, known: Mapping[str, Any]) -> tuple[Override, ...]:
    top = Place((), ("override",))
    if not isinstance(given, list) or not all(isinstance(entry, dict) for entry in given):
        raise CriteriaError("override: write each one as [[override]]", place=top)
    if len(given) > MOST:
        raise CriteriaError(f"more than {MOST} overrides", place=top)
    found: list[Override] = []
    wrong: list[CriteriaError] = []
    for number, entry in enumerate(given, start=1):
        try:
            found.append(_override(entry, offset=offset, known=known, place=Place((), (), number)))
        except CriteriaError as error:
            wrong.append(error)
    if wrong:
        raise CriteriaError.joined(wrong)
    return tuple(found)


def _override(
    table: Mapping[str, Any], *, offset: int, known: Mapping[str, Any], place: Place
) -> Override:
    changes = {name: value for name, value in table.items() if isinstance(value, dict)}
    rest = {name: value for name, value in table.items() if name not in changes}
    raw = reading.convert(rest, _Override, place)
    if isinstance(raw.regions, str) and raw.regions != "all":
        raise _error(place.at("regions"), 'write ["name", "name"], or "all"')
    if not raw.regions or not raw.source.strip():
        raise _error(place.at("source" if raw.regions else "regions"), "must not be empty")
    if raw.valid_to is not None and raw.valid_to < raw.valid_from:
        raise _error(place.at("valid_to"), f"is before valid_from ({raw.valid_from})")
    if not changes:
        raise _error(place, "changes nothing; write [override.rainstorm.blue] below it")
    for hazard, change in changes.items():
        where = place.table(hazard)
        if hazard not in known or hazard not in HAZARDS:
            names = ", ".join(name for name in HAZARDS if name in known)
            raise _error(where, f"no such signal to change; there are {names}")
        fixed = set(change) - {*LEVELS, *_CHANGEABLE}
        if fixed:
            names = ", ".join(_CHANGEABLE)
            raise _error(where.at(min(fixed)), f"cannot be changed; {names} and levels can")
    return Override(
        regions=None if isinstance(raw.regions, str) else frozenset(raw.regions),
        valid_from=raw.valid_from,
        valid_to=raw.valid_to,
        begin=_midnight(raw.valid_from, offset),
        end=None if raw.valid_to is None else _midnight(raw.valid_to, offset) + 86_400,
        source=raw.source,
        changes=changes,
    )


_CHANGEABLE: Final = ("live", "reason_zh", "reason_en", "months", "probability", "continues")


def _midnight(day: dt.date, offset: int) -> int:
    """Give the beginning of a local day, in seconds since 1970 UTC."""
    return (day.toordinal() - _EPOCH) * 86_400 - offset


def _error(place: Place, text: str) -> CriteriaError:
    return CriteriaError(f"{place}: {text}", place=place)
