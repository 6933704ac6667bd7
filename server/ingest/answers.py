"""What the server says in MQTT 3.1.1 and 5, as bytes."""

from server.ingest import properties as props
from server.ingest.packets import V5
from server.ingest.properties import Properties, Reason

PINGRESP = b"\xd0\x00"

_V3_CONNACK = {
    Reason.SUCCESS: 0,
    Reason.VERSION: 1,
    Reason.CLIENT_ID: 2,
    Reason.UNAVAILABLE: 3,
    Reason.QUOTA: 3,
    Reason.CREDENTIALS: 4,
}


def connack(
    version: int, reason: Reason, *, present: bool = False, properties: Properties = props.NONE
) -> bytes:
    """Write the answer to CONNECT; in version 3 with that version's return code."""
    if version != V5:
        return bytes((0x20, 2, present, _V3_CONNACK.get(reason, 5)))
    return _packet(0x20, bytes((present, reason)) + props.write(properties))


def puback(identifier: int, reason: Reason = Reason.SUCCESS) -> bytes:
    """Write PUBACK; a reason other than success is for version 5 only."""
    if reason:
        return (0x40030000 << 8 | identifier << 8 | reason).to_bytes(5)
    return (0x40020000 | identifier).to_bytes(4)


def pubrec(identifier: int, reason: Reason = Reason.SUCCESS) -> bytes:
    """Write PUBREC; a reason other than success is for version 5 only."""
    if reason:
        return (0x50030000 << 8 | identifier << 8 | reason).to_bytes(5)
    return (0x50020000 | identifier).to_bytes(4)


def pubcomp(identifier: int, reason: Reason = Reason.SUCCESS) -> bytes:
    """Write PUBCOMP; a reason other than success is for version 5 only."""
    if reason:
        return (0x70030000 << 8 | identifier << 8 | reason).to_bytes(5)
    return (0x70020000 | identifier).to_bytes(4)


def suback(version: int, identifier: int, reasons: list[Reason]) -> bytes:
    """Write SUBACK; a refusal is 0x80 in version 3."""
    if version == V5:
        return _packet(0x90, identifier.to_bytes(2) + b"\x00" + bytes(reasons))
    return _packet(0x90, identifier.to_bytes(2) + bytes(min(r, 0x80) for r in reasons))


def unsuback(version: int, identifier: int, reasons: list[Reason]) -> bytes:
    """Write UNSUBACK."""
    if version == V5:
        return _packet(0xB0, identifier.to_bytes(2) + b"\x00" + bytes(reasons))
    return _packet(0xB0, identifier.to_bytes(2))


def publish(
    version: int, topic: str, payload: bytes, *, identifier: int = 0, duplicate: bool = False
) -> bytes:
    """Write PUBLISH: QoS 1 with an identifier, QoS 0 without."""
    head = props.string(topic)
    if identifier:
        head += identifier.to_bytes(2)
    if version == V5:
        head += b"\x00"
    first = 0x30 | (0x02 if identifier else 0) | (0x08 if duplicate else 0)
    return _packet(first, head + payload)


def disconnect(reason: Reason, text: str = "") -> bytes:
    """Write the server's DISCONNECT, which only version 5 has."""
    about: Properties = {props.Property.REASON_STRING: text} if text else props.NONE
    return _packet(0xE0, bytes((reason,)) + props.write(about))


def _packet(first: int, body: bytes) -> bytes:
    return bytes((first,)) + props.length(len(body)) + body
