"""A small MQTT endpoint for stations: the acknowledgement comes when the reading is committed.

It is no broker for everybody: a station speaks on its own topics and hears the centre, no more.
"""

import asyncio
import logging
import secrets
import socket
import ssl
import struct
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import cast

from server.clock import Clock
from server.ingest import answers, topics
from server.ingest.access import Access
from server.ingest.connection import QOS_2, Connection, Hold, weight
from server.ingest.doubles import Doubles
from server.ingest.mapping import Mappings
from server.ingest.packets import V5, Connect, Subscribe, Unsubscribe
from server.ingest.properties import Properties, Property, Reason
from server.ingest.session import WINDOW, ClientKey, Line, Session, Sessions
from server.ingest.source import Deliver, Delivery, confirmation
from server.ingest.status import Board
from server.settings import Ingest
from server.vitals import Vitals

logger = logging.getLogger(__name__)

BACKLOG = 4_096
"""Connections that the kernel keeps while we are busy."""

READ_BYTES = 65_536
"""Most bytes taken from one connection before the others have their turn."""

KEEP_ALIVE = 600
"""Seconds; asked of MQTT 5 clients that would send no sign of life, or a rarer one."""

EXPIRY = 86_400.0
"""Seconds that a session waits for its client, at most."""

_PUBACK = 0x40020000
"""PUBACK without its identifier, as a number."""

FOREVER = 10 * 365 * 86_400.0
SWEEP_SECONDS = 1.0
LEAVING = 5
"""Turns of the loop in which a connection, accepted as the door closes, begins and ends."""

RELEASED = 64
"""Connections that go on reading at once, when the queue has room again."""


class Listener:
    """Listens, holds all connections, and is a `Source`."""

    def __init__(
        self, settings: Ingest, *, access: Access, board: Board, clock: Clock, vitals: Vitals
    ) -> None:
        """Take the parts; `open` listens."""
        self.settings = settings
        self.access = access
        self.vitals = vitals
        self.buffer = memoryview(bytearray(READ_BYTES))
        self.moment = clock.now()
        self.ahead = 0
        self.time = asyncio.get_running_loop().time
        self.clock = clock
        self._board = board
        self._doubles = Doubles(vitals)
        self._mappings = Mappings.load(settings.mappings)
        self._deliver: Deliver | None = None
        self._socket: socket.socket | None = None
        self._connections: set[Connection] = set()
        self._sessions = Sessions(2 * settings.connections)
        self._subscribers: dict[str, set[Session]] = {}
        self._wills: dict[ClientKey, asyncio.TimerHandle] = {}
        self._held: deque[Connection] = deque()
        self._full = False
        self._deserted = asyncio.Event()
        self._deserted.set()
        self._closing = False

    # The source.

    def open(self) -> int:
        """Take the port and give it; who connects is heard when `run` begins.

        Raises OSError where the port cannot be had.
        """
        settings = self.settings
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        self._socket = socket.create_server(
            (settings.host, settings.port), family=family, backlog=BACKLOG
        )
        port: int = self._socket.getsockname()[1]
        return port

    async def run(self, deliver: Deliver) -> None:
        """Serve until cancelled; then neither accept nor read any more."""
        if self._socket is None:
            self.open()
        door = cast("socket.socket", self._socket)
        secured = _tls(self.settings)
        self._deliver = deliver
        server = await asyncio.get_running_loop().create_server(
            lambda: Connection(self),
            sock=door,
            ssl=secured,
            ssl_handshake_timeout=self.settings.connect_timeout if secured else None,
            backlog=BACKLOG,
        )
        try:
            while True:
                await asyncio.sleep(SWEEP_SECONDS)
                self._sweep()
        finally:
            server.close()
            for connection in self._connections:
                connection.hold(Hold.QUEUE)
            self._held.clear()

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Write the acknowledgements, in one piece for each connection."""
        groups: dict[Connection, list[Delivery]] = {}
        for delivery in deliveries:
            found = groups.get(delivery.origin)
            if found is None:
                groups[delivery.origin] = [delivery]
            else:
                found.append(delivery)
        for connection, group in groups.items():
            tokens = [delivery.token for delivery in group if delivery.token]
            if tokens:
                connection.send(self._answer(connection, tokens))
            connection.committed(len(tokens), sum([weight(delivery.payload) for delivery in group]))
        if self._subscribers:
            self._confirm(deliveries)
        self._full = False
        self._release()

    async def close(self) -> None:
        """Say good-bye to everybody, and wait a little until they are gone."""
        self._closing = True
        for connection in list(self._connections):
            connection.end(Reason.SHUTTING_DOWN)
        with suppress(TimeoutError):
            async with asyncio.timeout(2):
                await self._deserted.wait()
        for connection in list(self._connections):
            connection.drop()
        # Whoever was accepted as the door closed, or was dropped, is let go by the loop itself.
        for _ in range(LEAVING):
            await asyncio.sleep(0)
        for will in self._wills.values():
            will.cancel()
        if self._socket is not None:
            self._socket.close()

    def send(self, station: str, kind: str, payload: bytes) -> int:
        """Send a message to whoever subscribed to the station's topic; give how many."""
        topic = topics.write(station, kind)
        sessions = self._subscribers.get(topic, set())
        for session in sessions:
            if not session.post(topic, payload):
                self.vitals.add("dropped_to_station")
        return len(sessions)

    # What connections call.

    def welcome(self, connection: Connection) -> bool:
        """Take a new connection in; False when there are too many."""
        if self._closing:
            return False
        if len(self._connections) >= self.settings.connections:
            self.vitals.add("disconnected", reason="full")
            return False
        self._connections.add(connection)
        self._deserted.clear()
        self.vitals.set("connections", len(self._connections))
        return True

    def leave(self, connection: Connection) -> None:
        """Forget a connection, keep its session for as long as was agreed."""
        self._connections.discard(connection)
        if not self._connections:
            self._deserted.set()
        self.vitals.set("connections", len(self._connections))
        self._part(connection)

    def _part(self, connection: Line) -> None:
        session = connection.session
        if session is None or session.connection is not connection:
            return
        self._sessions.close(session, now=self.time())
        if not session.expiry:
            self._unsubscribe_all(session)
        will = connection.will
        if will is not None:
            delay = min(will.properties.get(Property.WILL_DELAY, 0), session.expiry)
            topic, payload = will.topic, will.payload
            if delay:
                loop = asyncio.get_running_loop()
                handle = loop.call_later(delay, self._last_will, session.key, topic, payload)
                self._wills[session.key] = handle
            else:
                self._last_will(session.key, topic, payload)

    def deliver(self, delivery: Delivery, connection: Connection) -> None:
        """Hand a message to the pipeline, and hold the connection back if that is full."""
        if self._deliver is not None and not self._deliver(delivery):
            self._full = True
            connection.hold(Hold.QUEUE)
            self._held.append(connection)

    def foreign(self, topic: str, payload: bytes, station: str) -> topics.Topic | None:
        """Give ours for a topic that is mapped; the client's own where none can be told."""
        reading = self._mappings.read(topic, payload, received=self.moment)
        return reading and topics.Topic(reading.station or station, "obs")

    def status(self, station: str, payload: bytes) -> None:
        """Take a status message."""
        self._board.put(station, payload, self.clock.now())

    def admit(self, connection: Connection, packet: Connect) -> float:
        """Give a client its session and answer CONNECT; give how long it may be silent."""
        key = (connection.station, packet.client or secrets.token_hex(8))
        self._take_over(key, connection)
        former = self._sessions.get(key)
        session, present = self._sessions.open(key, clean=packet.clean)
        if former is not None and not present:
            self._unsubscribe_all(former)
        session.connection = connection
        connection.session = session
        about = packet.properties
        session.window = min(WINDOW, about.get(Property.RECEIVE_MAXIMUM, WINDOW))
        session.largest = about.get(Property.MAXIMUM_PACKET_SIZE, session.largest)
        if packet.version == V5:
            self.limit_expiry(session, about.get(Property.SESSION_EXPIRY, 0))
        else:
            session.expiry = 0.0 if packet.clean else EXPIRY
        keep_alive = packet.keep_alive
        if packet.version == V5 and not 0 < keep_alive <= KEEP_ALIVE:
            keep_alive = KEEP_ALIVE
        connection.send(
            answers.connack(
                packet.version,
                Reason.SUCCESS,
                present=present,
                properties=self._terms(packet, session, keep_alive),
            )
        )
        self.vitals.add("connects")
        if present:
            session.resume()
        return keep_alive * 1.5 if keep_alive else FOREVER

    def limit_expiry(self, session: Session, seconds: float) -> None:
        """Let the session outlive its connection for so long, but not longer than we keep any."""
        session.expiry = min(float(seconds), EXPIRY)

    def subscribe(self, connection: Connection, packet: Subscribe) -> None:
        """Grant a station its own cmd and ack, and nothing else."""
        session = cast("Session", connection.session)  # the reader wants CONNECT first
        reasons = []
        for name, options in packet.filters:
            topic = topics.read(name)
            if Property.SUBSCRIPTION_IDENTIFIER in packet.properties:
                reasons.append(Reason.NO_IDENTIFIERS)
            elif name.startswith("$share/"):
                reasons.append(Reason.NO_SHARED)
            elif (
                topic is None
                or topic.kind not in topics.OUTWARD
                or connection.station not in {"", topic.station}
                or len(session.filters) >= 2 * self.settings.inflight
            ):
                self.vitals.add("unauthorised")
                reasons.append(Reason.NOT_AUTHORISED)
            else:
                granted = min(options & 3, 1)
                session.filters[name] = granted
                self._subscribers.setdefault(name, set()).add(session)
                reasons.append(Reason(granted))
        connection.send(answers.suback(connection.version, packet.identifier, reasons))

    def unsubscribe(self, connection: Connection, packet: Unsubscribe) -> None:
        """Take subscriptions back."""
        session = cast("Session", connection.session)  # the reader wants CONNECT first
        reasons = []
        for name in packet.filters:
            known = session.filters.pop(name, None) is not None
            self._forget(name, session)
            reasons.append(Reason.SUCCESS if known else Reason.NO_SUBSCRIPTION)
        connection.send(answers.unsuback(connection.version, packet.identifier, reasons))

    # Inside.

    def _terms(self, packet: Connect, session: Session, keep_alive: int) -> Properties:
        """Give what version 5 tells the client; "commit" says what PUBACK means here."""
        terms: dict[int, object] = {
            Property.RECEIVE_MAXIMUM: min(self.settings.inflight, 65_535),
            Property.MAXIMUM_PACKET_SIZE: self.settings.packet,
            Property.TOPIC_ALIAS_MAXIMUM: 0,
            Property.RETAIN_AVAILABLE: 1,
            Property.WILDCARD_AVAILABLE: 0,
            Property.IDENTIFIERS_AVAILABLE: 0,
            Property.SHARED_AVAILABLE: 0,
            Property.USER_PROPERTY: [("fenghuo", "commit")],
        }
        if session.expiry != packet.properties.get(Property.SESSION_EXPIRY, 0):
            terms[Property.SESSION_EXPIRY] = int(session.expiry)
        if keep_alive != packet.keep_alive:
            terms[Property.SERVER_KEEP_ALIVE] = keep_alive
        if not packet.client:
            terms[Property.ASSIGNED_CLIENT_ID] = session.key[1]
        return terms

    def _take_over(self, key: ClientKey, connection: Connection) -> None:
        will = self._wills.pop(key, None)
        if will is not None:
            will.cancel()
        session = self._sessions.get(key)
        old = session.connection if session is not None else None
        if old is None:
            return
        self.vitals.add("takeovers")
        self._doubles.note(key, old.address, connection.address, now=self.time())
        old.will = None  # its client is here again
        old.end(Reason.TAKEN_OVER)
        self._part(old)

    def _answer(self, connection: Connection, tokens: list[int]) -> bytes:
        if max(tokens) < QOS_2:
            return struct.pack(f">{len(tokens)}I", *[_PUBACK | token for token in tokens])
        parts = []
        for token in tokens:
            if token < QOS_2:
                parts.append((_PUBACK | token).to_bytes(4))
            else:
                parts.append(self._received(connection, token & 0xFFFF))
        return b"".join(parts)

    def _received(self, connection: Connection, identifier: int) -> bytes:
        """Note a QoS 2 message as committed and give its PUBREC."""
        session = connection.session
        answer = answers.pubrec(identifier)
        if session is not None:
            session.coming.discard(identifier)
            session.received.add(identifier)
            if session.connection not in {None, connection}:
                session.connection.send(answer)  # the client has come back meanwhile
        return answer

    def _confirm(self, deliveries: Sequence[Delivery]) -> None:
        """Tell the numbers that are safe to the stations that listen for them."""
        groups: dict[str, list[Delivery]] = {}
        for delivery in deliveries:
            groups.setdefault(delivery.station, []).append(delivery)
        for station, group in groups.items():
            if topics.write(station, "ack") in self._subscribers:
                payload = confirmation(group)
                if payload is not None:
                    self.send(station, "ack", payload)

    def _last_will(self, key: ClientKey, name: str, payload: bytes) -> None:
        self._wills.pop(key, None)
        topic = topics.read(name)
        if topic is not None:
            self.vitals.add("wills")
            self.status(topic.station, payload)

    def _release(self) -> None:
        """Let some of the connections that were held back go on, the longest first."""
        for _ in range(min(RELEASED, len(self._held))):
            if self._full:
                return
            self._held.popleft().release(Hold.QUEUE)
        if self._held:
            asyncio.get_running_loop().call_later(0.001, self._release)

    def _sweep(self) -> None:
        now = self.time()
        for connection in list(self._connections):
            connection.late(now)
        for session in self._sessions.sweep(now):
            self._unsubscribe_all(session)
        self._doubles.sweep(now)

    def _unsubscribe_all(self, session: Session) -> None:
        for name in session.filters:
            self._forget(name, session)

    def _forget(self, name: str, session: Session) -> None:
        found = self._subscribers.get(name)
        if found is not None:
            found.discard(session)
            if not found:
                del self._subscribers[name]


def _tls(settings: Ingest) -> ssl.SSLContext | None:
    if not settings.tls_certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    if settings.tls_authority:
        context.load_verify_locations(settings.tls_authority)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
