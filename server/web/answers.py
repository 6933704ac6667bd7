"""How answers are written and parameters are read: JSON, times with a zone, lists with commas."""

import datetime as dt
from typing import Any

import msgspec
from starlette.responses import Response

from server.web.problems import Problem

_encoder = msgspec.json.Encoder()


class Json(Response):
    """A value as JSON; times in UTC with a Z."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Encode; values are made of what msgspec knows."""
        return _encoder.encode(content)


class GeoJson(Json):
    """The same, as RFC 7946 names it."""

    media_type = "application/geo+json"


def moment(text: str | None, *, name: str, default: dt.datetime) -> dt.datetime:
    """Read a time parameter; raises Problem where it is none or has no zone."""
    if text is None:
        return default
    try:
        value = dt.datetime.fromisoformat(text)
    except ValueError:
        raise Problem(
            400, f"{name}: write a time as 2016-07-20T08:00:00Z", parameter=name
        ) from None
    if value.tzinfo is None:
        raise Problem(400, f"{name}: the time has no zone; write it with a Z", parameter=name)
    try:
        return value.astimezone(dt.UTC)
    except OverflowError:
        raise Problem(400, f"{name}: outside the years 1 to 9999", parameter=name) from None


def one_of(text: str | None, *, name: str, allowed: tuple[str, ...]) -> str | None:
    """Check a parameter that has few values; raises Problem."""
    if text is not None and text not in allowed:
        raise Problem(400, f"{name}: {text!r} is not one of {', '.join(allowed)}", parameter=name)
    return text
