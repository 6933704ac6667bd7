"""The packet reader and writer: tables of right and wrong bytes, and random ones."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.ingest import answers
from server.ingest import properties as props
from server.ingest.packets import (
    Acknowledge,
    Connect,
    Disconnect,
    Kind,
    Packet,
    Ping,
    Publish,
    Reader,
    Subscribe,
    Unsubscribe,
    Will,
)
from server.ingest.properties import MalformedPacketError, Property, Reason

LIMIT = 1_000


def packet(first: int, body: bytes) -> bytes:
    return bytes((first,)) + props.length(len(body)) + body


def connect_bytes(version: int = 4, flags: int = 2, rest: bytes = b"\x00\x01c") -> bytes:
    about = b"\x00" if version == 5 else b""
    return packet(0x10, b"\x00\x04MQTT" + bytes((version, flags)) + b"\x00\x3c" + about + rest)


def reader(version: int) -> Reader:
    found = Reader(LIMIT)
    found.version = version
    return found


def everything(data: bytes, version: int) -> list[Packet]:
    subject = reader(version)
    subject.feed(data)
    found = []
    while (one := subject.next()) is not None:
        found.append(one)
    return found


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (connect_bytes(), Connect(4, "c", True, 60)),
        (connect_bytes(5), Connect(5, "c", True, 60)),
        (connect_bytes(flags=0), Connect(4, "c", False, 60)),
        (
            connect_bytes(flags=0xC2, rest=b"\x00\x01c\x00\x01u\x00\x02pw"),
            Connect(4, "c", True, 60, "u", b"pw"),
        ),
        (
            connect_bytes(flags=0x2E, rest=b"\x00\x01c\x00\x01t\x00\x03bye"),
            Connect(4, "c", True, 60, will=Will("t", b"bye", 1, True)),
        ),
    ],
)
def test_connect(data: bytes, expected: Connect) -> None:
    assert everything(data, 0) == [expected]


@pytest.mark.parametrize(
    ("data", "version", "expected"),
    [
        (b"\x30\x04\x00\x01tp", 4, Publish("t", b"p")),
        (b"\x32\x06\x00\x01t\x01\x02p", 4, Publish("t", b"p", 258, 1)),
        (b"\x3d\x05\x00\x01t\x00\x07", 4, Publish("t", b"", 7, 2, True, True)),
        (b"\x32\x06\x00\x01t\x00\x01\x00", 5, Publish("t", b"", 1, 1)),
        (
            b"\x32\x0b\x00\x01t\x00\x01\x05\x02\x00\x00\x00\x3c",
            5,
            Publish("t", b"", 1, 1, properties={Property.MESSAGE_EXPIRY: 60}),
        ),
        (b"\x40\x02\x00\x01", 4, Acknowledge(Kind.PUBACK, 1)),
        (b"\x62\x04\x00\x01\x92\x00", 5, Acknowledge(Kind.PUBREL, 1, 0x92)),
        (b"\x82\x06\x00\x01\x00\x01a\x01", 4, Subscribe(1, (("a", 1),))),
        (b"\x82\x07\x00\x01\x00\x00\x01a\x2d", 5, Subscribe(1, (("a", 0x2D),))),
        (b"\xa2\x05\x00\x01\x00\x01a", 4, Unsubscribe(1, ("a",))),
        (b"\xc0\x00", 4, Ping()),
        (b"\xe0\x00", 5, Disconnect()),
        (b"\xe0\x01\x04", 5, Disconnect(4)),
        (
            b"\xe0\x07\x00\x05\x11\x00\x00\x00\x01",
            5,
            Disconnect(0, {Property.SESSION_EXPIRY: 1}),
        ),
    ],
)
def test_packets(data: bytes, version: int, expected: Packet) -> None:
    assert everything(data, version) == [expected]
    assert everything(data * 3, version) == [expected] * 3


@pytest.mark.parametrize(
    ("data", "version", "reason"),
    [
        (b"\x30\x80\x80\x80\x80\x01", 4, Reason.MALFORMED),  # a length of five bytes
        (b"\x30\xe9\x07", 4, Reason.TOO_LARGE),
        (b"\x36\x05\x00\x01t\x00\x01", 4, Reason.MALFORMED),  # QoS 3
        (b"\x38\x03\x00\x01t", 4, Reason.MALFORMED),  # a duplicate of QoS 0
        (b"\x32\x05\x00\x01t\x00\x00", 4, Reason.PROTOCOL_ERROR),
        (b"\x32\x03\x00\x01t", 4, Reason.MALFORMED),
        (b"\x32\x04\x00\x09t\x00", 4, Reason.MALFORMED),
        (b"\x30\x01\x00", 4, Reason.MALFORMED),
        (b"\x30\x00", 4, Reason.MALFORMED),
        (b"\x30\x02\x00\x00", 4, Reason.TOPIC_NAME),
        (b"\x30\x03\x00\x01#", 4, Reason.TOPIC_NAME),
        (b"\x30\x03\x00\x01\x00", 4, Reason.TOPIC_NAME),
        (b"\x30\x03\x00\x01\xff", 4, Reason.MALFORMED),
        (b"\x32\x08\x00\x01t\x00\x01\x03\x23\x00", 5, Reason.MALFORMED),
        (b"\x32\x09\x00\x01t\x00\x01\x03\x23\x00\x01", 5, Reason.TOPIC_ALIAS),
        (b"\x32\x09\x00\x01t\x00\x01\x03\x21\x00\x01", 5, Reason.PROTOCOL_ERROR),
        (b"\x32\x08\x00\x01t\x00\x01\x02\x01\x02", 5, Reason.PROTOCOL_ERROR),
        (b"\x32\x0a\x00\x01t\x00\x01\x04\x01\x01\x01\x01", 5, Reason.PROTOCOL_ERROR),
        (b"\x32\x08\x00\x01t\x00\x01\x02\x7f\x00", 5, Reason.MALFORMED),
        (b"\x20\x02\x00\x00", 4, Reason.MALFORMED),  # what only a server sends
        (b"\x80\x06\x00\x01\x00\x01a\x01", 4, Reason.MALFORMED),
        (b"\x82\x02\x00\x01", 4, Reason.PROTOCOL_ERROR),
        (b"\x82\x06\x00\x01\x00\x01a\x03", 4, Reason.MALFORMED),
        (b"\x82\x07\x00\x01\x00\x00\x01a\x31", 5, Reason.PROTOCOL_ERROR),
        (b"\xa2\x02\x00\x01", 4, Reason.PROTOCOL_ERROR),
        (b"\xc0\x01\x00", 4, Reason.MALFORMED),
        (b"\xc1\x00", 4, Reason.MALFORMED),
        (b"\xe0\x01\x00", 4, Reason.MALFORMED),
        (b"\xf0\x00", 4, Reason.MALFORMED),
        (b"\xf0\x00", 5, Reason.PROTOCOL_ERROR),
        (b"\x00\x00", 4, Reason.MALFORMED),
        (connect_bytes(), 4, Reason.PROTOCOL_ERROR),
        (b"\xc0\x00", 0, Reason.PROTOCOL_ERROR),
        (b"\x30\x03\x00\x01t", 0, Reason.PROTOCOL_ERROR),
        (connect_bytes(3), 0, Reason.VERSION),
        (connect_bytes(6), 0, Reason.VERSION),
        (connect_bytes(flags=3), 0, Reason.MALFORMED),
        (connect_bytes(flags=0x42, rest=b"\x00\x01c\x00\x01p"), 0, Reason.MALFORMED),
        (connect_bytes(flags=0x0A), 0, Reason.MALFORMED),
        (connect_bytes(flags=0x1E), 0, Reason.MALFORMED),
        (connect_bytes(rest=b"\x00\x01cX"), 0, Reason.MALFORMED),
        (connect_bytes(rest=b"\x00\x05c"), 0, Reason.MALFORMED),
        (connect_bytes(rest=b"\x00\x02\xc3\x28"), 0, Reason.MALFORMED),
        (packet(0x10, b"\x00\x04MQTT\x04"), 0, Reason.MALFORMED),
        (b"GET / HTTP/1.1\r\n\r\n", 0, Reason.PROTOCOL_ERROR),
    ],
)
def test_what_is_wrong_is_refused_with_its_reason(
    data: bytes, version: int, reason: Reason
) -> None:
    with pytest.raises(MalformedPacketError) as caught:
        everything(data, version)
    assert caught.value.reason == reason


def test_too_large_is_known_before_the_bytes_have_come() -> None:
    subject = reader(4)
    subject.feed(b"\x30\xff\xff\xff\x7f")
    with pytest.raises(MalformedPacketError) as caught:
        subject.next()
    assert caught.value.reason == Reason.TOO_LARGE
    assert subject.buffered < 10


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("step", [1, 2, 3, 7, 100])
def test_any_cut_gives_the_same_packets(version: int, step: int) -> None:
    about = b"\x00" if version == 5 else b""
    data = (
        packet(0x32, b"\x00\x01t\x00\x01" + about + b"x" * 300)
        + b"\xc0\x00"
        + packet(0x30, b"\x00\x01u" + about)
        + b"\xe0\x00"
    )
    subject = reader(version)
    found = []
    for at in range(0, len(data), step):
        subject.feed(data[at : at + step])
        while (one := subject.next()) is not None:
            found.append(one)
    assert found == everything(data, version)
    assert len(found) == 4
    assert subject.buffered == 0


def test_a_large_packet_in_crumbs_costs_linear_time() -> None:
    subject = Reader(300_000)
    subject.version = 4
    data = packet(0x30, b"\x00\x01t" + bytes(250_000))
    for byte in data[:-1]:
        subject.feed(bytes((byte,)))
        assert subject.next() is None
    subject.feed(data[-1:])
    assert isinstance(subject.next(), Publish)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (answers.puback(258), b"\x40\x02\x01\x02"),
        (answers.puback(1, Reason.NOT_AUTHORISED), b"\x40\x03\x00\x01\x87"),
        (answers.pubrec(1), b"\x50\x02\x00\x01"),
        (answers.pubrec(1, Reason.QUOTA), b"\x50\x03\x00\x01\x97"),
        (answers.pubcomp(1), b"\x70\x02\x00\x01"),
        (answers.pubcomp(1, Reason.PACKET_ID_UNKNOWN), b"\x70\x03\x00\x01\x92"),
        (answers.connack(4, Reason.SUCCESS, present=True), b"\x20\x02\x01\x00"),
        (answers.connack(4, Reason.CREDENTIALS), b"\x20\x02\x00\x04"),
        (answers.connack(4, Reason.NOT_AUTHORISED), b"\x20\x02\x00\x05"),
        (answers.connack(5, Reason.CREDENTIALS), b"\x20\x03\x00\x86\x00"),
        (
            answers.connack(5, Reason.SUCCESS, properties={Property.USER_PROPERTY: [("a", "b")]}),
            b"\x20\x0a\x00\x00\x07\x26\x00\x01a\x00\x01b",
        ),
        (answers.suback(4, 1, [Reason.GRANTED_1, Reason.NOT_AUTHORISED]), b"\x90\x04\0\1\1\x80"),
        (answers.suback(5, 1, [Reason.NOT_AUTHORISED]), b"\x90\x04\x00\x01\x00\x87"),
        (answers.unsuback(4, 1, [Reason.SUCCESS]), b"\xb0\x02\x00\x01"),
        (answers.unsuback(5, 1, [Reason.SUCCESS]), b"\xb0\x04\x00\x01\x00\x00"),
        (answers.publish(4, "t", b"p", identifier=1), b"\x32\x06\x00\x01t\x00\x01p"),
        (answers.publish(5, "t", b"p"), b"\x30\x05\x00\x01t\x00p"),
        (answers.disconnect(Reason.TOO_LARGE), b"\xe0\x02\x95\x00"),
    ],
)
def test_answers(written: bytes, expected: bytes) -> None:
    assert written == expected


PROPERTIES = st.fixed_dictionaries(
    {},
    optional={
        Property.PAYLOAD_FORMAT: st.integers(0, 1),
        Property.MESSAGE_EXPIRY: st.integers(0, 2**32 - 1),
        Property.CONTENT_TYPE: st.text(st.characters(blacklist_characters="\0", codec="utf-8")),
        Property.CORRELATION_DATA: st.binary(max_size=20),
        Property.USER_PROPERTY: st.lists(st.just(("a", "b")), min_size=1, max_size=3),
    },
)


@settings(max_examples=100, deadline=None)
@given(PROPERTIES)
def test_properties_come_back(about: dict[int, object]) -> None:
    data = props.write(about)
    assert props.read(data, 0, len(data), props.PUBLISH) == (about, len(data))


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([0, 4, 5]), st.integers(1, 50))
def test_random_bytes_give_packets_or_malformed(data: bytes, version: int, step: int) -> None:
    subject = reader(version)
    try:
        for at in range(0, len(data), step):
            subject.feed(data[at : at + step])
            while subject.next() is not None:
                pass
    except MalformedPacketError:
        return
    assert subject.buffered <= LIMIT


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from([0x10, 0x32, 0x34, 0x40, 0x62, 0x82, 0xA2, 0xE0]),
    st.binary(max_size=60),
    st.sampled_from([4, 5]),
)
def test_random_bodies_give_packets_or_malformed(first: int, body: bytes, version: int) -> None:
    with contextlib.suppress(MalformedPacketError):
        everything(packet(first, body), 0 if first == 0x10 else version)
