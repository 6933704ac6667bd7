"""Common Alerting Protocol 1.2: a message as the rest of the world reads it."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lxml import etree

from alerts.codes import AWARENESS_LEVEL, CMA_LEVEL, CODES, SEVERITY
from alerts.life.evidence import Evidence
from alerts.life.message import Message
from alerts.life.warning import CLOSED, ENDING, Act, Warning  # noqa: A004 - the domain's own word
from alerts.regions import Region
from alerts.texts.wording import Bulletin, Bureau

NAMESPACE = "urn:oasis:names:tc:emergency:cap:1.2"

LANGUAGES = {"zh": "zh-CN", "en": "en-US"}
"""The catalogue's languages as CAP names them."""

_KIND = {
    Act.ISSUE: "Alert",
    Act.CANCEL: "Cancel",
    Act.EXPIRE: "Cancel",
    Act.WITHDRAW: "Cancel",
}
_RESPONSE = {"blue": "Monitor", "yellow": "Prepare", "orange": "Execute", "red": "Execute"}


def build(
    message: Message,
    *,
    warning: Warning,
    predecessors: Sequence[Message],
    region: Region,
    bureau: Bureau,
    bulletins: Mapping[str, Bulletin],
) -> str:
    """Give the alert as XML text.

    predecessors: the earlier messages of the chain that may be referred to; those that still count
        are.
    bulletins: by language, in the order in which they stand in the alert.
    """
    zone = bureau.local
    alert: Any = etree.fromstring(f'<alert xmlns="{NAMESPACE}"/>')
    _add(alert, "identifier", str(message.id))
    _add(alert, "sender", bureau.sender)
    _add(alert, "sent", moment(message.sent, zone))
    _add(alert, "status", "Exercise" if message.exercise else "Actual")
    # The first notice refers to nothing yet, and an update that does is refused.
    begins = message.act is Act.NOTICE and not predecessors
    _add(alert, "msgType", "Alert" if begins else _KIND.get(message.act, "Update"))
    closed = message.act in CLOSED
    _add(alert, "scope", "Restricted" if closed else "Public")
    if closed:
        _add(alert, "restriction", " ".join(text.restriction for text in bulletins.values()))
    _add(alert, "note", " ".join(text.note for text in bulletins.values() if text.note))
    references = " ".join(
        f"{bureau.sender},{earlier.id},{moment(earlier.sent, zone)}"
        for earlier in _live(message, predecessors)
    )
    _add(alert, "references", references)
    _add(alert, "incidents", str(message.warning))
    for language, bulletin in bulletins.items():
        _info(
            alert,
            language=language,
            bulletin=bulletin,
            message=message,
            warning=warning,
            region=region,
            bureau=bureau,
        )
    return etree.tostring(alert, encoding="unicode", pretty_print=True)


def moment(time: dt.datetime, zone: dt.tzinfo) -> str:
    """Write a time as CAP wants it: whole seconds, numeric offset, -00:00 for UTC, never Z."""
    text = time.astimezone(zone).isoformat(timespec="seconds")
    return f"{text.removesuffix('+00:00')}-00:00" if text.endswith("+00:00") else text


def _live(message: Message, predecessors: Sequence[Message]) -> list[Message]:
    """Give the earlier messages that still count, and the newest in any case."""
    if not predecessors:
        return []
    *older, newest = sorted(predecessors, key=lambda earlier: earlier.number)
    return [*(earlier for earlier in older if earlier.expires > message.sent), newest]


def _info(
    alert: Any,
    *,
    language: str,
    bulletin: Bulletin,
    message: Message,
    warning: Warning,
    region: Region,
    bureau: Bureau,
) -> None:
    zone, ends = bureau.local, message.act in ENDING or message.act is Act.WITHDRAW
    code = CODES[warning.hazard]
    info = _add(alert, "info")
    _add(info, "language", LANGUAGES.get(language, language))
    _add(info, "category", "Met")
    _add(info, "event", bulletin.event)
    _add(info, "responseType", "AllClear" if ends else _RESPONSE[message.level])
    _add(info, "urgency", "Past" if ends else _urgency(message))
    _add(info, "severity", SEVERITY[message.level])
    _add(info, "certainty", _certainty(message))
    if code.event:
        _pair(info, "eventCode", "12379.cn:event", code.event)
        _pair(info, "eventCode", "weather.cma.cn:signal", f"p{code.cma}{CMA_LEVEL[message.level]}")
    _add(info, "effective", moment(message.sent, zone))
    _add(info, "onset", moment(message.onset, zone))
    _add(info, "expires", moment(message.expires, zone))
    _add(info, "senderName", bureau.name(language))
    _add(info, "headline", bulletin.headline)
    _add(info, "description", bulletin.description)
    _add(info, "instruction", bulletin.instruction)
    _add(info, "web", bureau.web)
    for name, value in _parameters(message, warning):
        _pair(info, "parameter", name, value)
    area = _add(info, "area")
    _add(area, "areaDesc", bulletin.area)
    for ring in rings(region.boundary if warning.area is None else warning.area):
        _add(area, "polygon", ring)
    if warning.area is not None:
        return  # a geocode beside the polygon would stand for the whole region again
    official = len(region.id) == 6 and region.id.isdecimal()
    _pair(area, "geocode", "adcode" if official else "fenghuo:region", region.id)


def _parameters(message: Message, warning: Warning) -> Iterator[tuple[str, str]]:
    yield "fenghuo:hazard", warning.hazard
    yield "fenghuo:level", message.level
    yield "fenghuo:door", message.door
    awareness = CODES[warning.hazard].awareness
    if message.level in AWARENESS_LEVEL and awareness:
        yield "awareness_level", AWARENESS_LEVEL[message.level]
        yield "awareness_type", str(awareness)
    for item in message.evidence:
        yield "fenghuo:evidence", _evidence(item)


def _evidence(item: Evidence) -> str:
    value = "" if item.value is None else f" {item.value:g}"
    return (
        f"{item.station} {item.element} {item.statistic} {item.window} s{value}"
        f" {item.comparison} {item.threshold:g}"
    )


def _urgency(message: Message) -> str:
    """Immediate when met, or within 3 h; Future beyond 12 h; Expected between."""
    if message.door == "observed":
        return "Immediate"
    # What a person foresees has no window: it counts how long it is until then.
    ahead = int((message.onset - message.sent).total_seconds())
    window = max((item.window for item in message.evidence), default=ahead)
    if window <= 3 * 3_600:
        return "Immediate"
    return "Expected" if window <= 12 * 3_600 else "Future"


def _certainty(message: Message) -> str:
    if message.door == "observed":
        return "Observed"
    known = [item.probability for item in message.evidence if item.probability is not None]
    return "Possible" if known and max(known) < 0.5 else "Likely"


def rings(boundary: Mapping[str, Any]) -> list[str]:
    """Give the outer lines as ``lat,lon lat,lon …``, closed; CAP has no word for holes.

    boundary: GeoJSON Polygon or MultiPolygon.
    """
    several = boundary["type"] == "MultiPolygon"
    polygons = boundary["coordinates"] if several else [boundary["coordinates"]]
    return [
        " ".join(f"{latitude:g},{longitude:g}" for longitude, latitude, *_ in _closed(polygon[0]))
        for polygon in polygons
    ]


def _closed(line: Sequence[Sequence[float]]) -> list[Sequence[float]]:
    return [*line] if tuple(line[0]) == tuple(line[-1]) else [*line, line[0]]


def _add(parent: Any, name: str, text: str | None = None) -> Any:
    """Append an element; none where the text is empty, as CAP forbids empty ones."""
    if text is not None and not text.strip():
        return None
    child = etree.SubElement(parent, f"{{{NAMESPACE}}}{name}")
    if text is not None:
        # Control characters have no place in XML; they could come with a station's name.
        child.text = "".join(letter for letter in text if letter >= " " or letter in "\n\t")
    return child


def _pair(parent: Any, name: str, key: str, value: str) -> None:
    pair = _add(parent, name)
    _add(pair, "valueName", key)
    _add(pair, "value", value)
