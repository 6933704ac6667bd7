"""Lengths of time as a policy writes them: ``30m``, ``2h``, ``1d``."""

import datetime as dt
import re
from typing import Annotated, TypeAlias

import msgspec

_DURATION = re.compile(r"(\d{1,4})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}

Duration: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^\d{1,4}[mhd]$")]


def duration(text: str) -> dt.timedelta:
    """Read ``30m``, ``2h`` or ``1d``; raises ValueError."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no duration: write 30m, 2h or 1d")
    return dt.timedelta(**{_UNITS[match[2]]: int(match[1])})
