"""Events and alarms: stretches of time in which something is true at a place.

Two stretches at the same place are two events when it was not true for longer than ``gap``
seconds between them; six hours part two rainstorms (P. J. Restrepo-Posada and P. S. Eagleson,
Journal of Hydrology 55, 303 (1982), doi 10.1016/0022-1694(82)90136-6, on such dry gaps). An event
starts when the threshold is first met at the place itself, not when somebody reports it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Stretches:
    """Row ``i``: a place (its number), the first and the last time (s since 1970) of a stretch."""

    place: Ints
    first: Ints
    last: Ints

    def __len__(self) -> int:
        return len(self.place)

    def where(self, rows: Bools) -> "Stretches":
        """Give some of them."""
        return Stretches(self.place[rows], self.first[rows], self.last[rows])


def stretches(true: Bools, times: Ints, *, gap: int) -> Stretches:
    """Find the stretches of ``true`` [time, place], by place and time; times increase."""
    place, row = np.nonzero(true.T)
    time = times[row]
    new = np.ones(len(time), np.bool_)
    new[1:] = (np.diff(place) != 0) | (np.diff(time) > gap)
    last = np.append(new[1:], True)[: len(new)]
    return Stretches(place[new].astype(np.int64), time[new], time[last])


@dataclass(frozen=True, slots=True)
class Matched:
    """Events and alarms of one level, told apart.

    lead: seconds between the first word of an event and its start, at most ``ahead``; 0 for an
    event of which nothing was said before. true: alarms that were followed by it.
    """

    events: Stretches
    lead: Ints
    alarms: Stretches
    true: Bools


def match(
    *, met: Bools, said: Bools, times: Ints, ahead: int, gap: int, hold: int, since: int
) -> Matched:
    """Match what was said with what came: all arrays [time, place], on times that increase.

    An event is announced when it was said in the ``ahead`` seconds before its start; its lead
    is that of the earliest such word, so a word that was said too soon does not lengthen it. An
    alarm is a stretch of words no more than ``hold`` apart; it is true when the level is met
    after its first word and at most ``ahead`` after its last. Words during an event are no
    alarm, and neither an event nor an alarm that began at ``since`` or before is counted: what
    came before it is not known.
    """
    events = stretches(met, times, gap=gap)
    words = stretches(said & ~_within(events, times, met.shape[1]), times, gap=hold)
    events = events.where(events.first > since)
    words = words.where(words.first > since)
    lead = _leads(events, said, times, ahead=ahead)
    return Matched(events, lead, words, _followed(words, met, times, ahead=ahead))


def _within(events: Stretches, times: Ints, places: int) -> Bools:
    """Tell where an event is under way, [time, place]."""
    change = np.zeros((len(times) + 1, places), np.int16)
    np.add.at(change, (np.searchsorted(times, events.first), events.place), 1)
    np.add.at(change, (np.searchsorted(times, events.last, side="right"), events.place), -1)
    within: Bools = np.cumsum(change[:-1], axis=0, dtype=np.int16) > 0
    return within


def _leads(events: Stretches, said: Bools, times: Ints, *, ahead: int) -> Ints:
    lead = np.zeros(len(events), np.int64)
    for row, (place, start) in enumerate(zip(events.place, events.first, strict=True)):
        begin, end = np.searchsorted(times, [start - ahead, start])
        earlier = np.flatnonzero(said[begin:end, place])
        if len(earlier):
            lead[row] = start - times[begin + earlier[0]]
    return lead


def _followed(words: Stretches, met: Bools, times: Ints, *, ahead: int) -> Bools:
    """Tell which are followed by it, counting the times at which it is met up to each time."""
    count = running(met)
    begin = np.searchsorted(times, words.first, side="right")
    end = np.searchsorted(times, words.last + ahead, side="right")
    followed: Bools = count[end, words.place] > count[begin, words.place]
    return followed


def running(true: Bools) -> NDArray[np.int32]:
    """Count along the time: row ``i`` is how often it was true at the first ``i`` times."""
    count = np.zeros((len(true) + 1, true.shape[1]), np.int32)
    np.cumsum(true, axis=0, out=count[1:])
    return count


def soon(met: Bools, times: Ints, *, ahead: int) -> Bools:
    """Tell where it will be met in (now, now + ahead], [time, place]."""
    count = running(met)
    until = np.searchsorted(times, times + ahead, side="right")
    coming: Bools = count[until] > count[1:]
    return coming
