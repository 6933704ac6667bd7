"""Warnings that were really given, beside what came: for the centre, which has no extra packages.

The rules differ from those of an archive's run in one thing: a warning is a stretch of time with
a beginning and an end, so a region is warned of an event by a warning that stands when it begins,
or began so long before as its level looks ahead.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecast.verification.events import Stretches

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Warned:
    """Events and warnings of one level, side by side.

    lead: seconds from the warning to the event's start; 0 for one that was not warned of before.
    since: when the warning began that counts (s since 1970), -1: none. true: warnings that the
    event came in.
    """

    events: Stretches
    lead: Ints
    since: Ints
    warnings: Stretches
    true: Bools


@dataclass(frozen=True, slots=True)
class Tally:
    """What is counted. before, during: events warned of before they began, or while they lasted."""

    events: int
    before: int
    during: int
    warnings: int
    false_alarms: int
    lead: int

    @classmethod
    def of(cls, warned: Warned) -> "Tally":
        """Count."""
        before = warned.lead > 0
        return cls(
            events=len(warned.events),
            before=int(before.sum()),
            during=int(((warned.since >= 0) & ~before).sum()),
            warnings=len(warned.warnings),
            false_alarms=int((~warned.true).sum()),
            lead=int(warned.lead.sum()),
        )

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.events + other.events,
            self.before + other.before,
            self.during + other.during,
            self.warnings + other.warnings,
            self.false_alarms + other.false_alarms,
            self.lead + other.lead,
        )

    @property
    def pod(self) -> float | None:
        """Share of the events that were warned of before they began; None without any."""
        return _share(self.before, self.events)

    @property
    def far(self) -> float | None:
        """Share of the warnings that nothing came of; None without any."""
        return _share(self.false_alarms, self.warnings)

    @property
    def csi(self) -> float | None:
        """Events warned of before, among all events and false alarms; None without any."""
        return _share(self.before, self.events + self.false_alarms)

    @property
    def minutes(self) -> float | None:
        """Mean lead over all events, those without a warning counting 0, as NOAA does."""
        lead = _share(self.lead, self.events)
        return None if lead is None else lead / 60


def judge(events: Stretches, warnings: Stretches, *, ahead: int) -> Warned:
    """Set events beside warnings of the same places; ``ahead``: seconds that the level looks on.

    Of several warnings the earliest one that still counts when the event begins is taken.
    """
    lead = np.zeros(len(events), np.int64)
    since = np.full(len(events), -1, np.int64)
    true = np.zeros(len(warnings), np.bool_)
    upto = np.maximum(warnings.last, warnings.first + ahead)
    for row, (place, first, last) in enumerate(
        zip(events.place, events.first, events.last, strict=True)
    ):
        mine = warnings.place == place
        counts = mine & (warnings.first <= last) & (upto >= first)
        true |= counts
        if counts.any():
            since[row] = warnings.first[counts].min()
            lead[row] = max(int(first) - int(since[row]), 0)
    return Warned(events, lead, since, warnings, true)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
