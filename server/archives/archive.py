"""An archive: stations, and their readings in the order of time, a bounded part at once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from forecast.readings import Readings

ROWS: Final = 200_000
"""Readings that are held at once, about."""

KEPT: Final = 20
"""Faults that are told; the others are counted."""


class ArchiveError(Exception):
    """An archive or its mapping cannot be used; the message says which file, why, what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A station. longitude, latitude: degrees east and north; region: empty where none is named."""

    name: str
    zh: str = ""
    en: str = ""
    longitude: float | None = None
    latitude: float | None = None
    elevation: float | None = None
    regions: tuple[str, ...] = ()


@dataclass(slots=True)
class Faults:
    """What was wrong in the files and lost a value or a line; nothing else stops for it."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, text: str, count: int = 1) -> None:
        """Take some of one kind."""
        self.count += count
        if len(self.first) < KEPT:
            self.first.append(text)


class Archive(Protocol):
    """Where readings lie.

    names: its name by language; empty where it has none. attribution: whom to name; empty where
    nobody is known. places: every station, numbered as in the readings. elements: what it has.
    """

    names: Mapping[str, str]
    attribution: str
    places: tuple[Place, ...]
    elements: frozenset[str]
    faults: Faults

    def readings(self, *, start: int | None, end: int | None) -> Iterator[Readings]:
        """Give the readings with start < time <= end (s since 1970; None: open), by time.

        Every reading of a batch is later than all of the batch before. Raises ArchiveError.
        """
        ...
