"""Times as people write them at the command line: a local date, or a time with a zone."""

import argparse
import datetime as dt


def moment(text: str, zone: dt.tzinfo, *, last: bool = False) -> dt.datetime:
    """Read a date, which begins at local midnight, or a time with a zone.

    last: of a date, its end. Raises ValueError for anything else.
    """
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        pass
    else:
        return dt.datetime.combine(day + dt.timedelta(days=last), dt.time(), zone)
    try:
        time = dt.datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(text) from None
    if time.tzinfo is None:
        raise ValueError(text)
    return time


def checked(text: str) -> str:
    """Give the text back if `moment` can read it: a type for argparse."""
    try:
        moment(text, dt.UTC)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text}: write a date as 2026-07-01, or a time as 2026-07-01T08:00+08:00"
        ) from None
    return text
