"""MQTT 5 properties: what they are called, how they are written, where they may stand."""

import struct
from collections.abc import Mapping
from enum import IntEnum
from typing import Any, TypeAlias


class Reason(IntEnum):
    """Reason codes of MQTT 5, section 2.4; those that we send or read."""

    SUCCESS = 0x00
    GRANTED_1 = 0x01
    WITH_WILL = 0x04
    NO_SUBSCRIPTION = 0x11
    UNSPECIFIED = 0x80
    MALFORMED = 0x81
    PROTOCOL_ERROR = 0x82
    VERSION = 0x84
    CLIENT_ID = 0x85
    CREDENTIALS = 0x86
    NOT_AUTHORISED = 0x87
    UNAVAILABLE = 0x88
    SHUTTING_DOWN = 0x8B
    AUTHENTICATION_METHOD = 0x8C
    KEEP_ALIVE = 0x8D
    TAKEN_OVER = 0x8E
    FILTER = 0x8F
    TOPIC_NAME = 0x90
    PACKET_ID_UNKNOWN = 0x92
    RECEIVE_MAXIMUM = 0x93
    TOPIC_ALIAS = 0x94
    TOO_LARGE = 0x95
    QUOTA = 0x97
    NO_SHARED = 0x9E
    NO_IDENTIFIERS = 0xA1


class MalformedPacketError(Exception):
    """Bytes that are not MQTT, or break its rules; ``reason`` says which way."""

    def __init__(self, message: str, reason: Reason = Reason.MALFORMED) -> None:
        super().__init__(message)
        self.reason = reason


class Property(IntEnum):
    """Identifiers of MQTT 5, section 2.2.2.2."""

    PAYLOAD_FORMAT = 0x01
    MESSAGE_EXPIRY = 0x02
    CONTENT_TYPE = 0x03
    RESPONSE_TOPIC = 0x08
    CORRELATION_DATA = 0x09
    SUBSCRIPTION_IDENTIFIER = 0x0B
    SESSION_EXPIRY = 0x11
    ASSIGNED_CLIENT_ID = 0x12
    SERVER_KEEP_ALIVE = 0x13
    AUTHENTICATION_METHOD = 0x15
    AUTHENTICATION_DATA = 0x16
    REQUEST_PROBLEM = 0x17
    WILL_DELAY = 0x18
    REQUEST_RESPONSE = 0x19
    RESPONSE_INFORMATION = 0x1A
    SERVER_REFERENCE = 0x1C
    REASON_STRING = 0x1F
    RECEIVE_MAXIMUM = 0x21
    TOPIC_ALIAS_MAXIMUM = 0x22
    TOPIC_ALIAS = 0x23
    MAXIMUM_QOS = 0x24
    RETAIN_AVAILABLE = 0x25
    USER_PROPERTY = 0x26
    MAXIMUM_PACKET_SIZE = 0x27
    WILDCARD_AVAILABLE = 0x28
    IDENTIFIERS_AVAILABLE = 0x29
    SHARED_AVAILABLE = 0x2A


Properties: TypeAlias = Mapping[int, Any]
"""Values by identifier: int, str, bytes; for USER_PROPERTY a list of (name, value)."""

NONE: Properties = {}

_P = Property
_FORMS = {
    "B": (
        _P.PAYLOAD_FORMAT,
        _P.REQUEST_PROBLEM,
        _P.REQUEST_RESPONSE,
        _P.MAXIMUM_QOS,
        _P.RETAIN_AVAILABLE,
        _P.WILDCARD_AVAILABLE,
        _P.IDENTIFIERS_AVAILABLE,
        _P.SHARED_AVAILABLE,
    ),
    "H": (_P.SERVER_KEEP_ALIVE, _P.RECEIVE_MAXIMUM, _P.TOPIC_ALIAS_MAXIMUM, _P.TOPIC_ALIAS),
    "I": (_P.MESSAGE_EXPIRY, _P.SESSION_EXPIRY, _P.WILL_DELAY, _P.MAXIMUM_PACKET_SIZE),
    "length": (_P.SUBSCRIPTION_IDENTIFIER,),
    "binary": (_P.CORRELATION_DATA, _P.AUTHENTICATION_DATA),
    "pair": (_P.USER_PROPERTY,),
    "text": (
        _P.CONTENT_TYPE,
        _P.RESPONSE_TOPIC,
        _P.ASSIGNED_CLIENT_ID,
        _P.AUTHENTICATION_METHOD,
        _P.RESPONSE_INFORMATION,
        _P.SERVER_REFERENCE,
        _P.REASON_STRING,
    ),
}
_FORM: dict[int, str] = {
    identifier: form for form, members in _FORMS.items() for identifier in members
}
_STRUCT = {form: struct.Struct(">" + form) for form in "BHI"}
_FLAGS = frozenset(_FORMS["B"])
_NOT_ZERO = frozenset({_P.RECEIVE_MAXIMUM, _P.MAXIMUM_PACKET_SIZE, _P.TOPIC_ALIAS})

# Where each may stand, in what a client sends.
CONNECT = frozenset(
    {
        _P.SESSION_EXPIRY,
        _P.RECEIVE_MAXIMUM,
        _P.MAXIMUM_PACKET_SIZE,
        _P.TOPIC_ALIAS_MAXIMUM,
        _P.REQUEST_RESPONSE,
        _P.REQUEST_PROBLEM,
        _P.USER_PROPERTY,
        _P.AUTHENTICATION_METHOD,
        _P.AUTHENTICATION_DATA,
    }
)
PUBLISH = frozenset(
    {
        _P.PAYLOAD_FORMAT,
        _P.MESSAGE_EXPIRY,
        _P.TOPIC_ALIAS,
        _P.RESPONSE_TOPIC,
        _P.CORRELATION_DATA,
        _P.USER_PROPERTY,
        _P.CONTENT_TYPE,
    }
)
WILL = (PUBLISH - {_P.TOPIC_ALIAS}) | {_P.WILL_DELAY}
ACKNOWLEDGE = frozenset({_P.REASON_STRING, _P.USER_PROPERTY})
SUBSCRIBE = frozenset({_P.SUBSCRIPTION_IDENTIFIER, _P.USER_PROPERTY})
UNSUBSCRIBE = frozenset({_P.USER_PROPERTY})
DISCONNECT = frozenset({_P.SESSION_EXPIRY, _P.REASON_STRING, _P.USER_PROPERTY, _P.SERVER_REFERENCE})


def number(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Read a variable byte integer (section 1.5.5); give it and the place behind it."""
    value = shift = 0
    for place in range(at, min(at + 4, end)):
        byte = data[place]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place + 1
        shift += 7
    raise MalformedPacketError("a length without its end")


def text(data: bytes, at: int, end: int) -> tuple[str, int]:
    """Read a UTF-8 string; NUL and surrogates are refused."""
    raw, at = binary(data, at, end)
    try:
        value = raw.decode()
    except UnicodeDecodeError:
        raise MalformedPacketError("text that is not UTF-8") from None
    if "\x00" in value:
        raise MalformedPacketError("text with a NUL")
    return value, at


def binary(data: bytes, at: int, end: int) -> tuple[bytes, int]:
    """Read bytes with their length in two bytes before them."""
    start = at + 2
    if start > end:
        raise MalformedPacketError("the packet ends inside a length")
    stop = start + (data[at] << 8 | data[at + 1])
    if stop > end:
        raise MalformedPacketError("a field that is longer than its packet")
    return data[start:stop], stop


def read(data: bytes, at: int, end: int, allowed: frozenset[Property]) -> tuple[Properties, int]:
    """Read properties with their length before them; give them and the place behind them."""
    length, at = number(data, at, end)
    if not length:
        return NONE, at
    stop = at + length
    if stop > end:
        raise MalformedPacketError("properties that are longer than their packet")
    found: dict[int, Any] = {}
    while at < stop:
        identifier = data[at]
        if identifier not in _FORM:
            raise MalformedPacketError(f"unknown property 0x{identifier:02x}")
        if identifier not in allowed:
            raise MalformedPacketError(
                f"property 0x{identifier:02x} does not belong here", Reason.PROTOCOL_ERROR
            )
        value, at = _value(data, at + 1, stop, _FORM[identifier])
        if identifier == Property.USER_PROPERTY:
            found.setdefault(identifier, []).append(value)
            continue
        if identifier in found:
            raise MalformedPacketError(f"property 0x{identifier:02x} twice", Reason.PROTOCOL_ERROR)
        if (identifier in _FLAGS and value > 1) or (identifier in _NOT_ZERO and value == 0):
            raise MalformedPacketError(
                f"property 0x{identifier:02x} must not be {value}", Reason.PROTOCOL_ERROR
            )
        found[identifier] = value
    return found, at


def _value(data: bytes, at: int, end: int, form: str) -> tuple[Any, int]:
    match form:
        case "text":
            return text(data, at, end)
        case "binary":
            return binary(data, at, end)
        case "length":
            return number(data, at, end)
        case "pair":
            name, at = text(data, at, end)
            value, at = text(data, at, end)
            return (name, value), at
    shape = _STRUCT[form]
    if at + shape.size > end:
        raise MalformedPacketError("a property that is cut off")
    return shape.unpack_from(data, at)[0], at + shape.size


def length(value: int) -> bytes:
    """Write a variable byte integer."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def string(value: str | bytes) -> bytes:
    """Write text or bytes with their length before them."""
    raw = value.encode() if isinstance(value, str) else value
    return len(raw).to_bytes(2) + raw


def write(properties: Properties) -> bytes:
    """Write properties with their length before them."""
    out = bytearray()
    for identifier, value in properties.items():
        form = _FORM[identifier]
        if form == "pair":
            for name, text_ in value:
                out += bytes((identifier,)) + string(name) + string(text_)
            continue
        out.append(identifier)
        if form in _STRUCT:
            out += _STRUCT[form].pack(value)
        elif form == "length":
            out += length(value)
        else:
            out += string(value)
    return length(len(out)) + bytes(out)
