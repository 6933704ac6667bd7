"""Hits, misses and false alarms by day, and how sure the numbers made of them are.

Days are the blocks of the bootstrap: what happens at the stations of one day hangs together (one
storm makes many hits), days among themselves hardly. Source: D. S. Wilks, Statistical Methods in
the Atmospheric Sciences (4th ed., 2019), section 5.3.5.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecast.criteria import DAY
from forecast.verification.events import Matched

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

COLUMNS = ("hits", "misses", "false_alarms", "early", "lead")
"""Of a table by day; early: events announced so long before that one can act, lead: seconds."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of each day, [day, `COLUMNS`]; days without any of them may be left out."""

    days: Ints
    table: Ints

    @property
    def total(self) -> dict[str, int]:
        """The sums over all days."""
        return dict(zip(COLUMNS, self.table.sum(axis=0).tolist(), strict=True))

    def samples(self, *, days: int, count: int, seed: int) -> dict[str, Floats]:
        """Give the sums of ``count`` periods of ``days`` days, drawn from these with replacement.

        The days that are not in the table are empty ones.
        """
        rng = np.random.default_rng(seed)
        rows = len(self.table)
        share = np.full(rows + 1, 1 / max(days, 1))
        share[-1] = max(0.0, 1 - share[:-1].sum())
        drawn = rng.multinomial(max(days, 1), share / share.sum(), size=count)[:, :rows]
        sums = (drawn @ self.table).astype(np.float64)
        return {name: sums[:, column] for column, name in enumerate(COLUMNS)}


def of_events(matched: Matched, *, offset: int, early: int) -> Tally:
    """Count events and false alarms by the local day on which they begin.

    offset: local time minus UTC, s. early: a lead of so many seconds or more.
    """
    false = matched.alarms.first[~matched.true]
    days = np.concatenate((matched.events.first, false))
    found, row = _rows(local_day(days, offset))
    table = np.zeros((len(found), len(COLUMNS)), np.int64)
    events, rest = row[: len(matched.events)], row[len(matched.events) :]
    announced = matched.lead > 0
    for column, which, weight in (
        (0, events, announced),
        (1, events, ~announced),
        (2, rest, np.ones(len(rest), np.bool_)),
        (3, events, matched.lead >= early),
        (4, events, matched.lead),
    ):
        np.add.at(table[:, column], which, weight.astype(np.int64))
    return Tally(found, table)


def of_cases(said: Bools, came: Bools, asked: Bools, times: Ints, *, offset: int) -> Tally:
    """Count station-moments that were asked about: all arrays [time, place]."""
    days, row = _rows(local_day(times, offset))
    table = np.zeros((len(days), len(COLUMNS)), np.int64)
    for column, cases in enumerate((said & came, ~said & came, said & ~came)):
        np.add.at(table[:, column], row, (cases & asked).sum(axis=1))
    some = table.any(axis=1)
    return Tally(days[some], table[some])


def pooled(tallies: Iterable[Tally]) -> Tally:
    """Add tallies up, as of the levels of a hazard; a day of all of them is one block."""
    every = list(tallies)
    days, row = _rows(np.concatenate([t.days for t in every] or [np.zeros(0, np.int64)]))
    table = np.zeros((len(days), len(COLUMNS)), np.int64)
    np.add.at(table, row, np.concatenate([t.table for t in every] or [table]))
    return Tally(days, table)


def local_day(time: Ints, offset: int) -> Ints:
    """Give the number of the local day that a reading belongs to; midnight ends the day."""
    return (time + offset - 1) // DAY


def local_month(time: Ints, offset: int) -> Ints:
    """Give the local month, 1 to 12, that a reading belongs to."""
    month = (time + offset - 1).astype("M8[s]").astype("M8[M]").astype(np.int64)
    return month % 12 + 1


def _rows(days: Ints) -> tuple[Ints, Ints]:
    found, rows = np.unique(days, return_inverse=True)
    return found, rows.astype(np.int64)
