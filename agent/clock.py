"""The station's clock: the only place of the agent that reads the wall clock."""

import datetime as dt
from typing import Protocol

PLAUSIBLE = range(2024, 2100)
"""Years a clock that has been set can show."""


class Clock(Protocol):
    """What time it is: always aware UTC."""

    def now(self) -> dt.datetime:
        """Give the present moment."""
        ...


class SystemClock:
    """The computer's own clock."""

    def now(self) -> dt.datetime:
        """Give the computer's time in UTC."""
        return dt.datetime.now(dt.UTC)


def plausible(moment: dt.datetime) -> bool:
    """Say whether a clock that shows this moment can have been set."""
    return moment.year in PLAUSIBLE


def text(moment: dt.datetime) -> str:
    """Write a moment the way the wire does, as 2016-07-20T08:05:00Z."""
    return moment.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
