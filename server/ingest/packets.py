"""MQTT 3.1.1 and 5 as a server reads and writes it: bytes in, packets out, and back.

No sockets here. `Reader` takes bytes as they come and gives whole packets; what is wrong raises
`MalformedPacketError` with the reason code of the standard. Sections named are those of MQTT 5.
"""

from enum import IntEnum
from typing import TypeAlias

import msgspec

from server.ingest import properties as props
from server.ingest.properties import MalformedPacketError, Properties, Reason

V3 = 4
V5 = 5


class Kind(IntEnum):
    """Packet types, section 2.1.2."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14
    AUTH = 15


class Will(msgspec.Struct, frozen=True):
    """What is to be said when the connection breaks."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    properties: Properties = props.NONE


class Connect(msgspec.Struct, frozen=True):
    """The first packet of a connection."""

    version: int
    client: str
    clean: bool
    keep_alive: int
    username: str | None = None
    password: bytes | None = None
    will: Will | None = None
    properties: Properties = props.NONE


class Publish(msgspec.Struct, frozen=True, gc=False):
    """A message; ``identifier`` is 0 for QoS 0."""

    topic: str
    payload: bytes
    identifier: int = 0
    qos: int = 0
    duplicate: bool = False
    retain: bool = False
    properties: Properties = props.NONE


class Acknowledge(msgspec.Struct, frozen=True):
    """PUBACK, PUBREC, PUBREL or PUBCOMP."""

    kind: Kind
    identifier: int
    reason: int = 0


class Subscribe(msgspec.Struct, frozen=True):
    """Filters with their options (section 3.8.3.1; in version 3 only the QoS)."""

    identifier: int
    filters: tuple[tuple[str, int], ...]
    properties: Properties = props.NONE


class Unsubscribe(msgspec.Struct, frozen=True):
    """Filters that are no longer wanted."""

    identifier: int
    filters: tuple[str, ...]


class Ping(msgspec.Struct, frozen=True):
    """PINGREQ."""


class Disconnect(msgspec.Struct, frozen=True):
    """The client's good-bye."""

    reason: int = 0
    properties: Properties = props.NONE


Packet: TypeAlias = Connect | Publish | Acknowledge | Subscribe | Unsubscribe | Ping | Disconnect

_PING = Ping()
_PINGREQ = Kind.PINGREQ << 4
# Lower four bits of the first byte that the standard fixes, section 2.1.3.
_FLAGS = {
    Kind.CONNECT: 0,
    Kind.PUBACK: 0,
    Kind.PUBREC: 0,
    Kind.PUBREL: 2,
    Kind.PUBCOMP: 0,
    Kind.SUBSCRIBE: 2,
    Kind.UNSUBSCRIBE: 2,
    Kind.PINGREQ: 0,
    Kind.DISCONNECT: 0,
}


class Reader:
    """Cuts the bytes of one connection into packets.

    limit: largest packet in bytes, its header included; the caller may raise it after CONNECT.
    version: of the protocol; set by the CONNECT that comes by.
    """

    __slots__ = (
        "_at",
        "_data",
        "_need",
        "_pings",
        "_rest",
        "_seen",
        "_topic",
        "_topic_raw",
        "limit",
        "version",
    )

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.version = 0
        self._data = b""
        self._at = 0
        self._rest = bytearray()
        self._need = 0
        self._seen = 0
        self._pings = 0
        self._topic_raw: bytes | None = None
        self._topic = ""

    @property
    def buffered(self) -> int:
        """Bytes that wait here, for a packet's rest or for the caller."""
        return len(self._rest) + len(self._data) - self._at

    def feed(self, data: bytes) -> None:
        """Take bytes from the network; take the packets with `next` before feeding again."""
        if self._at < len(self._data):
            self._keep()
        if self._rest:
            self._rest += data
            if len(self._rest) < self._need:
                return
            data = bytes(self._rest)
            self._rest.clear()
            self._seen = self._pings = 0
        self._data = data
        self._at = 0

    def ahead(self, data: bytes) -> int:
        """Take bytes while no packet may be taken; give how many PINGREQ wait among them all.

        `next` still gives them in their turn; feed b"" before taking packets again.
        """
        if self._at < len(self._data):
            self._keep()
        self._rest += data
        self._need = 0
        rest, at, end = self._rest, self._seen, len(self._rest)
        while end - at >= 2:
            if rest[at + 1] < 0x80:
                size, body = rest[at + 1], at + 2
            elif end - at < 5 and rest[end - 1] > 0x7F:
                break
            else:
                try:
                    head = bytes(rest[at + 1 : at + 5])
                    size, length = props.number(head, 0, len(head))
                except MalformedPacketError:
                    break  # said when its turn comes
                body = at + 1 + length
            if body + size > end:
                break
            self._pings += rest[at] == _PINGREQ
            at = body + size
        self._seen = at
        return self._pings

    def _keep(self) -> None:
        self._rest += self._data[self._at :]
        self._data = b""
        self._at = 0

    def next(self) -> Packet | None:
        """Give the next packet, or None until more bytes have come; raises MalformedPacketError."""
        data = self._data
        at = self._at
        end = len(data)
        if end - at < 2:
            self._wait(2)
            return None
        first = data[at]
        if not self.version and first != 0x10:
            raise MalformedPacketError("the first packet must be CONNECT", Reason.PROTOCOL_ERROR)
        size = data[at + 1]
        body = at + 2
        if size > 0x7F:
            if end - at > 2 and data[at + 2] < 0x80:  # most messages
                size, body = size & 0x7F | data[at + 2] << 7, at + 3
            elif end - at < 5 and data[end - 1] > 0x7F:
                self._wait(end - at + 1)
                return None
            else:
                size, body = props.number(data, at + 1, end)
        stop = body + size
        if stop - at > self.limit:
            raise MalformedPacketError(
                f"a packet of {stop - at} bytes, the limit is {self.limit}", Reason.TOO_LARGE
            )
        if stop > end:
            if first & 0xF0 != 0x30:
                _kind(first, self.version)  # no waiting for what is wrong already
            self._wait(stop - at)
            return None
        self._at = stop
        if first & 0xF0 == 0x30:
            return self._publish(first, data, body, stop)
        return self._other(first, data, body, stop)

    def _wait(self, need: int) -> None:
        self._need = need
        if self._at < len(self._data):
            self._keep()

    def _publish(self, first: int, data: bytes, at: int, stop: int) -> Publish:
        """Read a PUBLISH; the one that has to be fast."""
        start = at + 2
        after = start + (data[at] << 8 | data[at + 1]) if start <= stop else stop + 1
        if after > stop:
            raise MalformedPacketError("a topic that is longer than its packet")
        raw = data[start:after]
        if raw != self._topic_raw:
            self._topic = _topic(raw)
            self._topic_raw = raw
        qos = first >> 1 & 3
        identifier = 0
        if qos:
            if qos == 3:
                raise MalformedPacketError("QoS 3")
            identifier, after = _identifier(data, after, stop)
        elif first & 8:
            raise MalformedPacketError("a duplicate of QoS 0")
        found = props.NONE
        if self.version == V5:
            if after < stop and not data[after]:
                after += 1
            else:
                found, after = _about(data, after, stop)
        return Publish(
            self._topic, data[after:stop], identifier, qos, first & 8 != 0, first & 1 != 0, found
        )

    def _other(self, first: int, data: bytes, at: int, stop: int) -> Packet:
        match kind := _kind(first, self.version):
            case Kind.CONNECT:
                connect = _connect(data, at, stop)
                self.version = connect.version
                return connect
            case Kind.PUBACK | Kind.PUBREC | Kind.PUBREL | Kind.PUBCOMP:
                return _acknowledge(kind, data, at, stop, self.version)
            case Kind.SUBSCRIBE:
                return _subscribe(data, at, stop, self.version)
            case Kind.UNSUBSCRIBE:
                return _unsubscribe(data, at, stop, self.version)
            case Kind.DISCONNECT:
                return _disconnect(data, at, stop, self.version)
        if at != stop:
            raise MalformedPacketError("PINGREQ with a body")
        return _PING


def _kind(first: int, version: int) -> Kind:
    """Give the type of packet that begins so, if a client may send one now."""
    number, flags = first >> 4, first & 0x0F
    if number == Kind.CONNECT and version:
        raise MalformedPacketError("a second CONNECT", Reason.PROTOCOL_ERROR)
    if number == Kind.AUTH and version == V5:
        raise MalformedPacketError("AUTH without a method", Reason.PROTOCOL_ERROR)
    kind = Kind(number) if number else Kind.AUTH
    if _FLAGS.get(kind) != flags:
        raise MalformedPacketError(f"a client does not send 0x{first:02x}")
    return kind


def _about(data: bytes, at: int, stop: int) -> tuple[Properties, int]:
    found, at = props.read(data, at, stop, props.PUBLISH)
    if props.Property.TOPIC_ALIAS in found:
        raise MalformedPacketError("topic aliases are not offered", Reason.TOPIC_ALIAS)
    return found, at


def _topic(raw: bytes) -> str:
    try:
        topic = raw.decode()
    except UnicodeDecodeError:
        raise MalformedPacketError("a topic that is not UTF-8") from None
    if not topic or "\x00" in topic or "+" in topic or "#" in topic:
        raise MalformedPacketError("an empty topic, or one with a wildcard", Reason.TOPIC_NAME)
    return topic


def _connect(data: bytes, at: int, end: int) -> Connect:
    name, at = props.binary(data, at, end)
    if at + 4 > end:
        raise MalformedPacketError("CONNECT is cut off")
    version, flags = data[at], data[at + 1]
    if (name, version) not in {(b"MQTT", V3), (b"MQTT", V5)}:
        raise MalformedPacketError(f"protocol {name[:16]!r} version {version}", Reason.VERSION)
    keep_alive = data[at + 2] << 8 | data[at + 3]
    at += 4
    qos = flags >> 3 & 3
    has_will = flags & 0x04
    if flags & 0x01 or qos == 3 or (flags & 0x38 and not has_will):
        raise MalformedPacketError(f"connect flags 0x{flags:02x}")
    if version == V3 and flags & 0xC0 == 0x40:
        raise MalformedPacketError("a password without a user name")
    found = props.NONE
    if version == V5:
        found, at = props.read(data, at, end, props.CONNECT)
    client, at = props.text(data, at, end)
    will = username = password = None
    if has_will:
        will, at = _will(data, at, end, version, flags)
    if flags & 0x80:
        username, at = props.text(data, at, end)
    if flags & 0x40:
        password, at = props.binary(data, at, end)
    if at != end:
        raise MalformedPacketError("bytes behind the end of CONNECT")
    clean = bool(flags & 0x02)
    return Connect(version, client, clean, keep_alive, username, password, will, found)


def _will(data: bytes, at: int, end: int, version: int, flags: int) -> tuple[Will, int]:
    about = props.NONE
    if version == V5:
        about, at = props.read(data, at, end, props.WILL)
    raw, at = props.binary(data, at, end)
    topic = _topic(raw)
    payload, at = props.binary(data, at, end)
    return Will(topic, payload, flags >> 3 & 3, bool(flags & 0x20), about), at


def _identifier(data: bytes, at: int, end: int) -> tuple[int, int]:
    if at + 2 > end:
        raise MalformedPacketError("the packet ends inside its identifier")
    identifier = data[at] << 8 | data[at + 1]
    if not identifier:
        raise MalformedPacketError("packet identifier 0", Reason.PROTOCOL_ERROR)
    return identifier, at + 2


def _acknowledge(kind: Kind, data: bytes, at: int, end: int, version: int) -> Acknowledge:
    identifier, at = _identifier(data, at, end)
    reason = 0
    if version == V5 and at < end:
        reason = data[at]
        at += 1
        if at < end:
            _, at = props.read(data, at, end, props.ACKNOWLEDGE)
    if at != end:
        raise MalformedPacketError(f"bytes behind the end of {kind.name}")
    return Acknowledge(kind, identifier, reason)


def _subscribe(data: bytes, at: int, end: int, version: int) -> Subscribe:
    identifier, at = _identifier(data, at, end)
    found = props.NONE
    if version == V5:
        found, at = props.read(data, at, end, props.SUBSCRIBE)
    filters = []
    while at < end:
        name, at = props.text(data, at, end)
        if at >= end:
            raise MalformedPacketError("a filter without its options")
        options = data[at]
        at += 1
        if options & 3 == 3 or options & 0xC0 or (version == V3 and options > 2):
            raise MalformedPacketError(f"subscribe options 0x{options:02x}")
        if options & 0x30 == 0x30:
            raise MalformedPacketError("retain handling 3", Reason.PROTOCOL_ERROR)
        filters.append((name, options))
    if not filters:
        raise MalformedPacketError("SUBSCRIBE without a filter", Reason.PROTOCOL_ERROR)
    return Subscribe(identifier, tuple(filters), found)


def _unsubscribe(data: bytes, at: int, end: int, version: int) -> Unsubscribe:
    identifier, at = _identifier(data, at, end)
    if version == V5:
        _, at = props.read(data, at, end, props.UNSUBSCRIBE)
    filters = []
    while at < end:
        name, at = props.text(data, at, end)
        filters.append(name)
    if not filters:
        raise MalformedPacketError("UNSUBSCRIBE without a filter", Reason.PROTOCOL_ERROR)
    return Unsubscribe(identifier, tuple(filters))


def _disconnect(data: bytes, at: int, end: int, version: int) -> Disconnect:
    if at == end:
        return Disconnect()
    if version == V3:
        raise MalformedPacketError("DISCONNECT with a body")
    reason = data[at]
    found = props.NONE
    if at + 1 < end:
        found, at = props.read(data, at + 1, end, props.DISCONNECT)
        at -= 1
    if at + 1 != end:
        raise MalformedPacketError("bytes behind the end of DISCONNECT")
    return Disconnect(reason, found)
