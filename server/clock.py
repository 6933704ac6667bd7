"""The only place that reads the wall clock; everybody else is handed a `Clock`."""

import datetime as dt
from typing import Protocol


class Clock(Protocol):
    """What time it is, for decisions: always aware UTC."""

    def now(self) -> dt.datetime:
        """Give the present moment."""
        ...


class SystemClock:
    """The real time."""

    def now(self) -> dt.datetime:
        """Give the wall clock's time in UTC."""
        return dt.datetime.now(dt.UTC)


class EventClock:
    """The time inside a replayed event; it moves only when it is told to."""

    def __init__(self, start: dt.datetime) -> None:
        """Start at ``start``, which must be aware."""
        self._now = aware(start)

    def now(self) -> dt.datetime:
        """Give the event's time."""
        return self._now

    def move(self, to: dt.datetime) -> None:
        """Go forward to ``to``; a step back is ignored."""
        self._now = max(self._now, aware(to))


def aware(moment: dt.datetime) -> dt.datetime:
    """Give the moment in UTC; raises ValueError where it has no time zone."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone")
    return moment.astimezone(dt.UTC)
