"""One client's connection: packets in, answers out, and every limit kept."""

import asyncio
import logging
from contextlib import suppress
from enum import IntFlag
from typing import cast

from server.ingest import answers, topics
from server.ingest.access import RefusedError, common_name
from server.ingest.host import Host
from server.ingest.packets import (
    V5,
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
from server.ingest.properties import MalformedPacketError, Properties, Property, Reason
from server.ingest.session import Session
from server.ingest.source import Delivery

logger = logging.getLogger(__name__)

QOS_2 = 1 << 16
"""Set in a delivery's token when its message came with QoS 2."""

FIRST_LIMIT = 16_384
"""Largest CONNECT in bytes: strangers get little memory."""

WRITE_LIMIT = 65_536
CLOSE_SECONDS = 5.0
SLOW_SECONDS = 30.0
"""How long a client may leave our answers unread."""


SHARE = 524_288
"""Bytes (by `weight`) of one connection that wait for the database; beyond them it waits too."""

AHEAD = 32 * 1_048_576
"""Bytes read ahead from all connections that are held back, at most."""


def weight(payload: bytes) -> int:
    """Give the bytes that a message costs while it waits, about."""
    return len(payload) + 256


class Hold(IntFlag):
    """Why no packet is taken from the client."""

    QUEUE = 1
    IN_FLIGHT = 2
    ADMISSION = 4
    WRITING = 8
    CLOSING = 16


_AHEAD = Hold.QUEUE | Hold.IN_FLIGHT
"""While it is held back for these alone, a client's bytes are read ahead, for its PINGREQ."""


class Connection(asyncio.BufferedProtocol):
    """The protocol of one connection; everything shared is in the `Host`."""

    __slots__ = (
        "_admission",
        "_ahead",
        "_answered",
        "_gone",
        "_hold",
        "_host",
        "_patience",
        "_reader",
        "_reads",
        "_topic",
        "_topic_name",
        "_transport",
        "address",
        "deadline",
        "in_flight",
        "session",
        "station",
        "version",
        "waiting",
        "will",
    )

    def __init__(self, host: Host) -> None:
        self._host = host
        self._reader = Reader(FIRST_LIMIT)
        self._hold = Hold(0)
        self._reads = True
        self._ahead = 0
        self._answered = 0
        self._gone = False
        self._transport: asyncio.Transport | None = None
        self._admission: asyncio.Task[None] | None = None
        self._patience = 0.0
        self._topic: topics.Topic | None = None
        self._topic_name = ""
        self.address = ""
        self.deadline = 0.0
        self.in_flight = 0
        self.waiting = 0
        self.session: Session | None = None
        self.station = ""
        self.version = 0
        self.will: Will | None = None

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; a connection too many is closed at once."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self.address = f"{peer[0]}:{peer[1]}" if peer else "?"
        self._transport.set_write_buffer_limits(high=WRITE_LIMIT)
        self.deadline = self._host.time() + self._host.settings.connect_timeout
        if not self._host.welcome(self):
            self._hold |= Hold.CLOSING
            self._transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        """Give the buffer that all connections read into, one after the other."""
        return self._host.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what has come."""
        if self._hold & Hold.CLOSING:
            return
        data = bytes(self._host.buffer[:nbytes])
        if self._hold:
            self._look_ahead(data)
            return
        self._host.moment = self._host.clock.now()
        self._reader.feed(data)
        self._proceed()

    def eof_received(self) -> bool:
        """Let asyncio close the connection, but not before what was read ahead is taken."""
        transport = self._transport
        self._gone = self._ahead > 0 and transport is not None and transport.can_write_eof()
        return self._gone

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        """Take leave; a will is published if nobody withdrew it."""
        self._hold |= Hold.CLOSING
        if self._admission is not None:
            self._admission.cancel()
        self._transport = None
        self._count_ahead(0)
        self._host.leave(self)

    def pause_writing(self) -> None:
        """Hear from asyncio that the client does not read our answers."""
        self.hold(Hold.WRITING)
        self.deadline = self._host.time() + SLOW_SECONDS

    def resume_writing(self) -> None:
        """Hear from asyncio that it reads again."""
        self.release(Hold.WRITING)

    # What the listener and the session call.

    def send(self, data: bytes | bytearray) -> None:
        """Write, unless the connection is closing."""
        if self._transport is not None and not self._hold & Hold.CLOSING:
            self._transport.write(data)

    def hold(self, why: Hold) -> None:
        """Take no packet more until the reason is released."""
        self._hold |= why
        self._turn_tap()

    def release(self, why: Hold) -> None:
        """Take a reason back; without any left, go on with what was read already."""
        if not self._hold & why:
            return
        self._hold &= ~why
        if self._hold:
            self._turn_tap()
            return
        self.deadline = self._host.time() + self._patience
        self._host.moment = self._host.clock.now()
        self._reader.feed(b"")
        self._count_ahead(0)
        self._proceed()
        if self._gone and not self._hold:
            self.end_quietly()
        self._turn_tap()

    def late(self, now: float) -> None:
        """End the connection if its deadline has passed; one that we hold back is not late."""
        if now <= self.deadline or self._hold & (Hold.QUEUE | Hold.IN_FLIGHT):
            return
        if self._hold & (Hold.WRITING | Hold.CLOSING):
            self._host.vitals.add("disconnected", reason="slow")
            self.drop()
        else:
            self._host.vitals.add("disconnected", reason="silent")
            self.end(Reason.KEEP_ALIVE, "nothing was heard in time")

    def end(self, reason: Reason, text: str = "") -> None:
        """Say why, as far as the protocol can, and close."""
        if self._transport is None or self._hold & Hold.CLOSING:
            return
        if self.session is not None and self.version == V5:
            self._transport.write(answers.disconnect(reason, text))
        if self._transport.can_write_eof():
            # Closing with bytes unread would reset the connection, and our last word be lost:
            # read on, and drop it, until the client has closed.
            with suppress(OSError):  # the client is gone already
                self._transport.write_eof()
            if not self._reads:
                self._transport.resume_reading()
            self._reads = True
            self._hold = Hold.CLOSING
            self.deadline = self._host.time() + CLOSE_SECONDS
        else:
            self.end_quietly()

    def drop(self) -> None:
        """Close without a word."""
        if self._transport is not None:
            self._transport.abort()

    def committed(self, identifiers: int, size: int) -> None:
        """Count messages that are acknowledged now, and what they weighed."""
        self.in_flight -= identifiers
        self.waiting -= size
        if (
            self._hold & Hold.IN_FLIGHT
            and self.in_flight * 2 <= self._host.settings.inflight
            and self.waiting * 2 <= SHARE
        ):
            self.release(Hold.IN_FLIGHT)

    # What comes from the client.

    def _turn_tap(self) -> None:
        """Read or do not read, as the holds and what was read ahead allow."""
        if self._hold & Hold.CLOSING:
            return  # `end` reads on, for its own reason
        wanted = not self._hold or (
            not self._hold & ~_AHEAD
            and not self._gone
            and self._ahead < self._host.settings.packet
            and self._host.ahead < AHEAD
        )
        if wanted != self._reads and self._transport is not None:
            self._reads = wanted
            if wanted:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def _look_ahead(self, data: bytes) -> None:
        """Keep bytes for later, but answer PINGREQ at once: who is held back is not forgotten."""
        pings = self._reader.ahead(data) - self._answered
        self._count_ahead(self._reader.buffered)
        if pings > 0 and not self._hold & ~_AHEAD:
            self._answered += pings
            self.send(answers.PINGRESP * pings)
        self._turn_tap()

    def _count_ahead(self, size: int) -> None:
        self._host.ahead += size - self._ahead
        self._ahead = size

    def _proceed(self) -> None:
        heard = False
        try:
            while not self._hold:
                packet = self._reader.next()
                if packet is None:
                    break
                heard = True
                if type(packet) is Publish:
                    self._publish(packet)
                else:
                    self._other(packet)
        except MalformedPacketError as error:
            self._broken(error)
        if self._hold & _AHEAD:
            self._look_ahead(b"")
        if heard and self.session is not None and not self._hold & Hold.WRITING:
            self.deadline = self._host.time() + self._patience

    def _broken(self, error: MalformedPacketError) -> None:
        """End this connection, and only this one, because of its bytes."""
        self._host.vitals.add("disconnected", reason="malformed")
        logger.info(
            "malformed: address=%s station=%s detail=%s", self.address, self.station or "?", error
        )
        if self.session is None and error.reason == Reason.VERSION:
            self.send(answers.connack(4, Reason.VERSION))
        self.end(error.reason, str(error)[:200])

    def _publish(self, packet: Publish) -> None:
        if packet.topic is not self._topic_name:
            self._topic = topics.read(packet.topic)
            self._topic_name = packet.topic
        topic = self._topic
        if topic is None:
            topic = self._host.foreign(packet.topic, packet.payload, self.station)
        if (
            topic is None
            or topic.kind not in topics.INWARD
            or (self.station and topic.station != self.station)
        ):
            self._unauthorised(packet)
            return
        if packet.qos == 2 and not self._first_time(packet.identifier):
            return
        if topic.kind == "status":
            self._host.status(topic.station, packet.payload)
            self._settled(packet, Reason.SUCCESS)
            return
        token = packet.identifier
        if packet.qos:
            if packet.qos == 2:
                token |= QOS_2
            self.in_flight += 1
            if self.in_flight > self._host.settings.inflight:
                self._too_many()
        self.waiting += weight(packet.payload)
        if self.waiting > SHARE:
            self.hold(Hold.IN_FLIGHT)
        self._host.deliver(
            Delivery(topic.station, packet.topic, packet.payload, self._host.moment, self, token),
            self,
        )

    def _too_many(self) -> None:
        """Stop a client with more in flight than it may have; version 5 was told the limit."""
        if self.version == V5:
            raise MalformedPacketError("more than Receive Maximum", Reason.RECEIVE_MAXIMUM)
        self.hold(Hold.IN_FLIGHT)

    def _first_time(self, identifier: int) -> bool:
        """Say whether a QoS 2 message is new; one that is committed is answered again."""
        session = cast("Session", self.session)
        if identifier in session.received:
            self.send(answers.pubrec(identifier))
            return False
        if identifier in session.coming:
            return False
        if len(session.received) >= self._host.settings.inflight:
            raise MalformedPacketError("too many messages not released", Reason.RECEIVE_MAXIMUM)
        session.coming.add(identifier)
        return True

    def _settled(self, packet: Publish, reason: Reason) -> None:
        """Answer a message that does not go to the store."""
        if packet.qos == 1:
            self.send(answers.puback(packet.identifier, reason))
        elif packet.qos == 2:
            session = cast("Session", self.session)
            session.coming.discard(packet.identifier)
            if reason < Reason.UNSPECIFIED:
                session.received.add(packet.identifier)
            self.send(answers.pubrec(packet.identifier, reason))

    def _unauthorised(self, packet: Publish) -> None:
        self._host.vitals.add("unauthorised")
        logger.info(
            "not its topic: address=%s station=%s topic=%.200s",
            self.address,
            self.station or "?",
            packet.topic,
        )
        if self.version == V5:
            self._settled(packet, Reason.NOT_AUTHORISED)
        else:
            self.end(Reason.NOT_AUTHORISED)

    def _other(self, packet: Packet) -> None:
        match packet:
            case Ping():
                if self._answered:
                    self._answered -= 1
                else:
                    self.send(answers.PINGRESP)
            case Acknowledge():
                self._acknowledged(packet)
            case Connect():
                self._connect(packet)
            case Subscribe():
                self._host.subscribe(self, packet)
            case Unsubscribe():
                self._host.unsubscribe(self, packet)
            case Disconnect():
                if packet.reason != Reason.WITH_WILL:
                    self.will = None
                expiry = packet.properties.get(Property.SESSION_EXPIRY)
                if expiry is not None and self.session is not None:
                    self._host.limit_expiry(self.session, expiry)
                self.end_quietly()

    def end_quietly(self) -> None:
        """Close, when what was written is out; in vain for some seconds is enough."""
        self.hold(Hold.CLOSING)
        self._hold &= ~(Hold.QUEUE | Hold.IN_FLIGHT)
        self.deadline = self._host.time() + CLOSE_SECONDS
        if self._transport is not None:
            self._transport.close()

    def _acknowledged(self, packet: Acknowledge) -> None:
        session = cast("Session", self.session)
        match packet.kind:
            case Kind.PUBACK:
                session.confirmed(packet.identifier)
            case Kind.PUBREL:
                known = packet.identifier in session.received
                session.received.discard(packet.identifier)
                reason = Reason.SUCCESS
                if not known and self.version == V5:
                    reason = Reason.PACKET_ID_UNKNOWN
                self.send(answers.pubcomp(packet.identifier, reason))
            case _:
                raise MalformedPacketError(
                    f"{packet.kind.name}, but nothing was sent with QoS 2", Reason.PROTOCOL_ERROR
                )

    # Admission.

    def _connect(self, packet: Connect) -> None:
        self.version = packet.version
        transport = cast("asyncio.Transport", self._transport)
        try:
            certificate = common_name(transport.get_extra_info("peercert"))
            station = self._host.access.at_once(packet, certificate)
            if station is None:
                self.hold(Hold.ADMISSION)
                self._admission = asyncio.create_task(self._check(packet))
                return
            self._admit(packet, station)
        except RefusedError as error:
            self._turn_away(error)

    async def _check(self, packet: Connect) -> None:
        try:
            station = await self._host.access.check(packet)
            self._admit(packet, station)
        except RefusedError as error:
            self._turn_away(error)
        self._admission = None
        self.release(Hold.ADMISSION)

    def _admit(self, packet: Connect, station: str) -> None:
        """Open the session and answer; raises RefusedError for a will that may not be."""
        if packet.will is not None:
            topic = topics.read(packet.will.topic)
            if topic is None or topic.kind != "status" or (station not in {"", topic.station}):
                raise RefusedError(Reason.NOT_AUTHORISED, "the will may only be on its own status")
        self.station = station
        self._reader.limit = self._host.settings.packet
        self._patience = self._host.admit(self, packet)
        self.will = packet.will
        self.deadline = self._host.time() + self._patience

    def _turn_away(self, error: RefusedError) -> None:
        self._host.vitals.add("refused", reason=error.reason.name.lower())
        logger.info("refused: address=%s detail=%s", self.address, error)
        about: Properties = {Property.REASON_STRING: str(error)}
        self.send(answers.connack(self.version, error.reason, properties=about))
        self.end_quietly()
