"""What CAP 1.2 asks for and its schema lets through."""

import datetime as dt
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import shapely
from lxml import etree

from alerts.cap.document import NAMESPACE

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d")
_FORBIDDEN = re.compile(r"[\s,<&]")
_TIMES = ("effective", "onset", "expires")
_ALIKE = ("urgency", "severity", "certainty", *_TIMES)


def check(xml: str | bytes) -> list[str]:
    """Give what is wrong with an alert, one sentence each; empty when it is right."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    try:
        alert = etree.fromstring(xml.encode() if isinstance(xml, str) else xml, parser)
    except etree.XMLSyntaxError as error:
        return [f"not XML: {error}"]
    if alert.tag != f"{{{NAMESPACE}}}alert":
        return [f"the root is {alert.tag}, not a CAP 1.2 alert"]
    return [*_head(alert), *_references(alert), *_infos(alert)]


def _head(alert: Any) -> Iterator[str]:
    for name in ("identifier", "sender"):
        if not _text(alert, name) or _FORBIDDEN.search(_text(alert, name)):
            yield f"{name} is empty or has a space, a comma, < or &"
    if _time(_text(alert, "sent")) is None:
        yield "sent is not a time with a numeric offset"
    if _text(alert, "status") == "Exercise" and not _text(alert, "note"):
        yield "an exercise must say in its note what it is"
    scope = _text(alert, "scope")
    for needed, name in (("Restricted", "restriction"), ("Private", "addresses")):
        if scope == needed and not _text(alert, name):
            yield f"scope {needed} needs {name}"


def _references(alert: Any) -> Iterator[str]:
    kind, references = _text(alert, "msgType"), _text(alert, "references").split()
    if kind in {"Update", "Cancel", "Ack", "Error"} and not references:
        yield f"{kind} must refer to earlier messages"
    if kind == "Alert" and references:
        yield "Alert begins a chain and refers to nothing"
    for reference in references:
        parts = reference.split(",")
        sent = _time(parts[2]) if len(parts) == 3 else None
        if sent is None:
            yield f"reference {reference!r} is not sender,identifier,sent"
            continue
        own = _time(_text(alert, "sent"))
        if own is not None and sent > own:
            yield f"reference {reference!r} is later than the message"
        if parts[1] == _text(alert, "identifier"):
            yield "the message refers to itself"


def _infos(alert: Any) -> Iterator[str]:
    infos = _all(alert, "info")
    if not infos and _text(alert, "msgType") in {"Alert", "Update"}:
        yield "no info block"
    languages = [_text(info, "language").lower() or "en-us" for info in infos]
    if len(set(languages)) < len(languages):
        yield "two info blocks in one language"
    for number, info in enumerate(infos, start=1):
        where = f"info {number}"
        yield from (f"{where}: {problem}" for problem in _info(info, _text(alert, "sent")))
        for name in _ALIKE:
            if _text(info, name) != _text(infos[0], name):
                yield f"{where}: {name} differs from info 1"


def _info(info: Any, sent: str) -> Iterator[str]:
    yield from _order(info, _time(sent))
    for name in ("headline", "description"):
        if not _text(info, name):
            yield f"no {name}"
    areas = _all(info, "area")
    if not areas:
        yield "no area"
    for area in areas:
        yield from _area(area)


def _order(info: Any, sent: dt.datetime | None) -> Iterator[str]:
    """Say where the times of an info block make no sense together."""
    if not _text(info, "expires"):
        yield "no expires: it would count for ever"
    times = {name: _time(_text(info, name)) for name in _TIMES}
    for name in _TIMES:
        if _text(info, name) and times[name] is None:
            yield f"{name} is not a time with a numeric offset"
    effective, expires = times["effective"], times["expires"]
    for earlier, words in (
        (sent, "it is sent"),
        (effective, "it takes effect"),
        (times["onset"], "the onset"),
    ):
        if expires and earlier and expires <= earlier:
            yield f"expires before {words}"
    if effective and sent and effective < sent:
        yield "takes effect before it is sent"


def _area(area: Any) -> Iterator[str]:
    if not any(_all(area, name) for name in ("polygon", "circle", "geocode")):
        yield "the area has no polygon, circle or geocode"
    for polygon in _all(area, "polygon"):
        yield from _polygon((polygon.text or "").strip())


def _polygon(text: str) -> Iterator[str]:
    try:
        points = [(float(a), float(b)) for a, b in (pair.split(",") for pair in text.split())]
    except ValueError:
        yield "a polygon is pairs of latitude,longitude"
        return
    if len(points) < 4:
        yield "a polygon has at least four points"
        return
    if points[0] != points[-1]:
        yield "a polygon is not closed: its last point must be its first"
        return
    if any(abs(latitude) > 90 for latitude, _ in points):
        yield "a latitude beyond 90 degrees: are latitude and longitude swapped?"
        return
    if any(abs(longitude) > 180 for _, longitude in points):
        yield "a longitude beyond 180 degrees"
        return
    if any(abs(a[1] - b[1]) > 180 for a, b in pairwise(points)):
        return  # across the date line; whether it crosses itself cannot be told on a plane
    if not shapely.Polygon(points).is_valid:
        yield "a polygon crosses itself"


def _time(text: str) -> dt.datetime | None:
    if not _TIME.fullmatch(text):
        return None
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        return None


def _all(parent: Any, name: str) -> list[Any]:
    return list(parent.findall(f"{{{NAMESPACE}}}{name}"))


def _text(parent: Any, name: str) -> str:
    return str(parent.findtext(f"{{{NAMESPACE}}}{name}") or "").strip()
