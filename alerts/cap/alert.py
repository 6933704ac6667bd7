"""An alert of somebody else's, as its document says it."""

import datetime as dt
from collections.abc import Iterator
from typing import Any, Literal, TypeAlias, get_args

import msgspec
from lxml import etree

from alerts.cap.document import NAMESPACE

Status: TypeAlias = Literal["Actual", "Exercise", "System", "Test", "Draft"]
Kind: TypeAlias = Literal["Alert", "Update", "Cancel"]
Scope: TypeAlias = Literal["Public", "Restricted", "Private"]

LARGEST = 1_048_576
"""Bytes of an alert; those in the wild have some ten thousand."""

BLOCKS = 100
"""Info blocks, areas of one, and polygons, circles and geocodes of one, that are read at most."""

_ANSWERS = frozenset({"Ack", "Error"})


class AlertError(ValueError):
    """It cannot be taken for an alert: a key of the catalogue's ``office.refused``, its values."""

    def __init__(self, key: str, /, **values: object) -> None:
        super().__init__(f"{key}: {values}")
        self.key = key
        self.values = values


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """An earlier alert that is meant. CAP wants an identifier unique for its sender."""

    sender: str
    identifier: str


class Area(msgspec.Struct, frozen=True, kw_only=True):
    """A place, as it is written: ``lat,lon …``, ``lat,lon km``, and codes by name and value."""

    description: str
    polygons: tuple[str, ...]
    circles: tuple[str, ...]
    geocodes: tuple[tuple[str, str], ...]


class Info(msgspec.Struct, frozen=True, kw_only=True):
    """What is said in one language; empty where nothing is."""

    language: str
    category: str
    event: str
    urgency: str
    severity: str
    certainty: str
    effective: dt.datetime | None
    onset: dt.datetime | None
    expires: dt.datetime | None
    sender_name: str
    headline: str
    description: str
    instruction: str
    web: str
    areas: tuple[Area, ...]


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of it."""

    identifier: str
    sender: str
    sent: dt.datetime
    status: Status
    kind: Kind
    scope: Scope
    references: tuple[Reference, ...]
    infos: tuple[Info, ...]


def tree(xml: bytes, *, largest: int = LARGEST) -> Any:
    """Give the root element; nothing is fetched, and no entity is put in.

    Raises AlertError: ``large``, ``xml``, ``entities`` (a document type, which may define some).
    """
    if len(xml) > largest:
        raise AlertError("large", bytes=len(xml), most=largest)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(xml, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise AlertError("xml", reason=str(error)) from None
    info: Any = root.getroottree().docinfo
    if info.doctype:
        raise AlertError("entities")
    return root


def read(xml: bytes) -> Alert:
    """Read an alert; what is written between its lines stays as it is.

    Raises AlertError: those of `tree`; ``root`` (no CAP 1.2), ``missing`` (no such element),
    ``time``, ``unknown`` (a word that CAP does not have), ``answer`` (to an alert, none itself).
    """
    root = tree(xml)
    if root.tag != f"{{{NAMESPACE}}}alert":
        raise AlertError("root", root=str(root.tag)[:200])
    kind = _needed(root, "msgType")
    if kind in _ANSWERS:
        raise AlertError("answer", kind=kind)
    sent = _time(_needed(root, "sent"))
    if sent is None:
        raise AlertError("time", name="sent")
    return Alert(
        identifier=_needed(root, "identifier"),
        sender=_needed(root, "sender"),
        sent=sent,
        status=_known(root, "status", Status),
        kind=_known(root, "msgType", Kind),
        scope=_known(root, "scope", Scope),
        references=tuple(dict.fromkeys(_references(_text(root, "references")))),
        infos=tuple(_info(info) for info in _all(root, "info")),
    )


def _info(info: Any) -> Info:
    return Info(
        language=_text(info, "language") or "en-US",  # as CAP says where nothing is said
        category=_text(info, "category"),
        event=_text(info, "event"),
        urgency=_text(info, "urgency"),
        severity=_text(info, "severity"),
        certainty=_text(info, "certainty"),
        effective=_time(_text(info, "effective")),
        onset=_time(_text(info, "onset")),
        expires=_time(_text(info, "expires")),
        sender_name=_text(info, "senderName"),
        headline=_text(info, "headline"),
        description=_text(info, "description"),
        instruction=_text(info, "instruction"),
        web=_text(info, "web"),
        areas=tuple(_area(area) for area in _all(info, "area")),
    )


def _area(area: Any) -> Area:
    pairs = ((_text(code, "valueName"), _text(code, "value")) for code in _all(area, "geocode"))
    return Area(
        description=_text(area, "areaDesc"),
        polygons=tuple((each.text or "").strip() for each in _all(area, "polygon")),
        circles=tuple((each.text or "").strip() for each in _all(area, "circle")),
        geocodes=tuple(pairs),
    )


def _references(text: str) -> Iterator[Reference]:
    for part in text.split()[:BLOCKS]:
        sender, _, rest = part.partition(",")
        identifier = rest.partition(",")[0]
        if sender and identifier:
            yield Reference(sender=sender, identifier=identifier)


def _known(root: Any, name: str, words: Any) -> Any:
    value = _needed(root, name)
    if value not in get_args(words):
        raise AlertError("unknown", name=name, value=value[:100])
    return value


def _needed(root: Any, name: str) -> str:
    value = _text(root, name)
    if not value:
        raise AlertError("missing", name=name)
    return value


def _time(text: str) -> dt.datetime | None:
    try:
        found = dt.datetime.fromisoformat(text)
        return None if found.tzinfo is None else found.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None


def _all(parent: Any, name: str) -> list[Any]:
    return list(parent.findall(f"{{{NAMESPACE}}}{name}"))[:BLOCKS]


def _text(parent: Any, name: str) -> str:
    return str(parent.findtext(f"{{{NAMESPACE}}}{name}") or "").strip()
