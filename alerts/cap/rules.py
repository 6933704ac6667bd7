"""What CAP 1.2 asks for and its schema lets through."""

import datetime as dt
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import msgspec
import shapely
from lxml import etree

from alerts.cap.document import NAMESPACE
from alerts.catalogue import Catalogue

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d")
_FORBIDDEN = re.compile(r"[\s,<&]")
_TIMES = ("effective", "onset", "expires")
_ALIKE = ("urgency", "severity", "certainty", *_TIMES)


class Fault(msgspec.Struct, frozen=True):
    """A rule that is broken: a key of the catalogue's ``cap.rule``, and its values.

    info: number of the info block, 0 for the alert as a whole.
    """

    key: str
    values: dict[str, str] = {}
    info: int = 0

    def text(self, language: str) -> str:
        """Give the sentence."""
        words = Catalogue.load()
        said = words.text(f"cap.rule.{self.key}", language, **self.values)
        if not self.info:
            return said
        return words.text("cap.rule.where", language, number=self.info, problem=said)


def check(xml: str | bytes) -> list[Fault]:
    """Give what is wrong with an alert; empty when it is right."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    try:
        alert = etree.fromstring(xml.encode() if isinstance(xml, str) else xml, parser)
    except etree.XMLSyntaxError as error:
        return [_fault("xml", reason=str(error))]
    if alert.tag != f"{{{NAMESPACE}}}alert":
        return [_fault("root", root=str(alert.tag))]
    return [*_head(alert), *_references(alert), *_infos(alert)]


def _head(alert: Any) -> Iterator[Fault]:
    for name in ("identifier", "sender"):
        if not _text(alert, name) or _FORBIDDEN.search(_text(alert, name)):
            yield _fault("word", name=name)
    if _time(_text(alert, "sent")) is None:
        yield _fault("time", name="sent")
    if _text(alert, "status") == "Exercise" and not _text(alert, "note"):
        yield _fault("exercise")
    scope = _text(alert, "scope")
    for needed, name in (("Restricted", "restriction"), ("Private", "addresses")):
        if scope == needed and not _text(alert, name):
            yield _fault("scope", scope=needed, name=name)


def _references(alert: Any) -> Iterator[Fault]:
    kind, references = _text(alert, "msgType"), _text(alert, "references").split()
    if kind in {"Update", "Cancel", "Ack", "Error"} and not references:
        yield _fault("unreferenced", kind=kind)
    if kind == "Alert" and references:
        yield _fault("begins")
    for reference in references:
        parts = reference.split(",")
        sent = _time(parts[2]) if len(parts) == 3 else None
        if sent is None:
            yield _fault("reference", reference=reference)
            continue
        own = _time(_text(alert, "sent"))
        if own is not None and sent > own:
            yield _fault("reference_later", reference=reference)
        if parts[1] == _text(alert, "identifier"):
            yield _fault("itself")


def _infos(alert: Any) -> Iterator[Fault]:
    infos = _all(alert, "info")
    if not infos and _text(alert, "msgType") in {"Alert", "Update"}:
        yield _fault("no_info")
    languages = [_text(info, "language").lower() or "en-us" for info in infos]
    if len(set(languages)) < len(languages):
        yield _fault("language_twice")
    for number, info in enumerate(infos, start=1):
        for fault in _info(info, _text(alert, "sent")):
            yield msgspec.structs.replace(fault, info=number)
        for name in _ALIKE:
            if _text(info, name) != _text(infos[0], name):
                yield Fault("differs", {"name": name}, number)


def _info(info: Any, sent: str) -> Iterator[Fault]:
    yield from _order(info, _time(sent))
    for name in ("headline", "description", "area"):
        if not _all(info, name) or (name != "area" and not _text(info, name)):
            yield _fault("without", name=name)
    for area in _all(info, "area"):
        yield from _area(area)


def _order(info: Any, sent: dt.datetime | None) -> Iterator[Fault]:
    """Say where the times of an info block make no sense together."""
    if not _text(info, "expires"):
        yield _fault("no_expires")
    times = {name: _time(_text(info, name)) for name in _TIMES}
    for name in _TIMES:
        if _text(info, name) and times[name] is None:
            yield _fault("time", name=name)
    effective, expires = times["effective"], times["expires"]
    for earlier, what in ((sent, "sent"), (effective, "effective"), (times["onset"], "onset")):
        if expires and earlier and expires <= earlier:
            yield _fault(f"expires_before_{what}")
    if effective and sent and effective < sent:
        yield _fault("effective_early")


def _area(area: Any) -> Iterator[Fault]:
    if not any(_all(area, name) for name in ("polygon", "circle", "geocode")):
        yield _fault("nowhere")
    for polygon in _all(area, "polygon"):
        yield from _polygon((polygon.text or "").strip())


def _polygon(text: str) -> Iterator[Fault]:
    try:
        points = [(float(a), float(b)) for a, b in (pair.split(",") for pair in text.split())]
    except ValueError:
        yield _fault("polygon_pairs")
        return
    if len(points) < 4:
        yield _fault("polygon_few")
        return
    if points[0] != points[-1]:
        yield _fault("polygon_open")
        return
    if any(abs(latitude) > 90 for latitude, _ in points):
        yield _fault("latitude")
        return
    if any(abs(longitude) > 180 for _, longitude in points):
        yield _fault("longitude")
        return
    if any(abs(a[1] - b[1]) > 180 for a, b in pairwise(points)):
        return  # across the date line; whether it crosses itself cannot be told on a plane
    if not shapely.Polygon(points).is_valid:
        yield _fault("polygon_crosses")


def _fault(key: str, **values: str) -> Fault:
    return Fault(key, values)


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
