"""One MQTT connection of a station, from the name of the host to the goodbye.

A `Link` is used by one thread only and never reconnects: whoever wants another connection makes
another link. What fails is a `LinkError` that names the layer.
"""

import selectors
import socket
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeAlias

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from agent.config import Broker

Layer: TypeAlias = Literal["name", "tcp", "tls", "protocol", "login", "rights", "lost"]
Version: TypeAlias = Literal["5", "3.1.1"]

COMMITS = ("fenghuo", "commit")
"""User property of a CONNACK: an acknowledgement means that the database has it."""

_UNSUPPORTED = {"Unsupported protocol version"}
_LOGIN_TIMEOUT = 10.0


class LinkError(Exception):
    """The connection failed at this layer; the message says what happened there."""

    def __init__(self, layer: Layer, message: str) -> None:
        super().__init__(message)
        self.layer: Layer = layer


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The other side has taken a message, or says why not."""

    message: int
    problem: str


@dataclass(frozen=True, slots=True)
class Received:
    """A message for this station; ``kind`` is the last part of its topic."""

    kind: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Greeting:
    """What the other side said at the door.

    commits: its acknowledgement means that the database has the reading.
    inflight: messages it takes at once. packet: bytes of its largest packet.
    granted: kinds of messages this station may receive.
    """

    commits: bool
    inflight: int
    packet: int
    granted: frozenset[str]


class Link:
    """A connection that is open, and has subscribed to the station's ``cmd`` and ``ack``."""

    def __init__(
        self,
        *,
        station: str,
        broker: Broker,
        version: Version,
        client: str = "",
        will: bytes = b"",
    ) -> None:
        """Connect, log in and subscribe; ``will`` is left as status. Raises LinkError."""
        self.greeting = Greeting(commits=False, inflight=0, packet=0, granted=frozenset())
        self._prefix = f"fenghuo/v1/{station}/"
        self._events: list[Acknowledged | Received] = []
        self._greeted: tuple[ReasonCode, Properties | None] | None = None
        self._codes: list[ReasonCode] | None = None
        self._end = ""
        self._client = _client(version, client or f"fenghuo-{station}", broker)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        if will:
            self._client.will_set(f"{self._prefix}status", will, qos=1, retain=True)
        self._selector = selectors.DefaultSelector()
        self._registered: socket.socket | None = None
        try:
            self._reach(broker, version)
            self._log_in(broker)
            self._subscribe()
        except BaseException:
            self._drop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, kind: str, payload: bytes, *, retain: bool = False) -> int:
        """Publish to the station's topic of this kind, QoS 1; give the message's number.

        Raises LinkError.
        """
        info = self._client.publish(f"{self._prefix}{kind}", payload, qos=1, retain=retain)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise LinkError("lost", self._end or f"cannot send: {info.rc.name}")
        return info.mid

    def poll(
        self, timeout: float, bell: socket.socket | None = None
    ) -> Sequence[Acknowledged | Received]:
        """Do what the connection needs and give what came, after ``timeout`` s at the latest.

        It returns early when something came or ``bell`` has bytes to read. Raises LinkError.
        """
        sock = self._client.socket()
        if sock is None:
            raise LinkError("lost", self._end or "the connection is closed")
        if not isinstance(sock, socket.socket):
            raise LinkError("lost", "the connection is no plain socket")
        self._watch(sock, bell)
        waiting = isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
        ready = {
            key.fileobj: mask for key, mask in self._selector.select(0 if waiting else timeout)
        }
        mask = ready.get(sock, 0) | (selectors.EVENT_READ if waiting else 0)
        result = MQTTErrorCode.MQTT_ERR_SUCCESS
        if mask & selectors.EVENT_READ:
            result = self._client.loop_read()
        if result == MQTTErrorCode.MQTT_ERR_SUCCESS and self._client.want_write():
            result = self._client.loop_write()
        if result == MQTTErrorCode.MQTT_ERR_SUCCESS:
            result = self._client.loop_misc()
        events, self._events = self._events, []
        if result != MQTTErrorCode.MQTT_ERR_SUCCESS and not events:
            raise LinkError("lost", self._end or result.name)
        return events

    def close(self) -> None:
        """Say goodbye, so that the will is not published, and close."""
        with suppress(LinkError, OSError):
            self._client.disconnect()
            end = time.monotonic() + 1
            while self._client.want_write() and time.monotonic() < end:
                self.poll(0.1)
        self._drop()

    def _drop(self) -> None:
        self._client.on_disconnect = None
        sock = self._client.socket()
        self._selector.close()
        if sock is not None:
            sock.close()

    def _watch(self, sock: socket.socket, bell: socket.socket | None) -> None:
        events = selectors.EVENT_READ
        if self._client.want_write():
            events |= selectors.EVENT_WRITE
        if self._registered is None:
            self._selector.register(sock, events)
            self._registered = sock
        else:
            self._selector.modify(sock, events)
        if bell is not None and bell not in self._selector.get_map():
            self._selector.register(bell, selectors.EVENT_READ)

    # Opening

    def _reach(self, broker: Broker, version: Version) -> None:
        host, port = broker.address
        # A session is never continued: the spool knows what is to be sent again.
        first: dict[str, Any] = {"clean_start": True} if version == "5" else {}
        try:
            self._client.connect(host, port, keepalive=broker.keepalive, **first)
            sock = self._client.socket()
            if isinstance(sock, socket.socket):
                # A reading is one small packet; it must not wait for the answer to the last one.
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except socket.gaierror as error:
            raise LinkError(
                "name", f"the name {host} cannot be resolved: {error.strerror}"
            ) from None
        except ssl.SSLError as error:
            reason = getattr(error, "verify_message", "") or error.reason or str(error)
            raise LinkError("tls", f"{host}:{port}: {reason}") from None
        except ConnectionError as error:
            # Refused is TCP's answer; who hangs up later did not like the handshake.
            refused = isinstance(error, ConnectionRefusedError) or not broker.encrypted
            layer: Layer = "tcp" if refused else "tls"
            raise LinkError(layer, f"{host}:{port}: {error.strerror or error}") from None
        except OSError as error:
            raise LinkError("tcp", f"{host}:{port}: {error.strerror or error}") from None

    def _log_in(self, broker: Broker) -> None:
        self._wait(lambda: self._greeted is not None, "protocol", "no answer to the login")
        code, properties = self._greeted or (None, None)
        if code is None or code.is_failure:
            layer: Layer = "protocol" if str(code) in _UNSUPPORTED else "login"
            raise LinkError(layer, str(code))
        self.greeting = Greeting(
            commits=COMMITS in getattr(properties, "UserProperty", []),
            inflight=min(broker.inflight, getattr(properties, "ReceiveMaximum", 65_535)),
            packet=getattr(properties, "MaximumPacketSize", 2**28),
            granted=frozenset(),
        )

    def _subscribe(self) -> None:
        kinds = ("cmd", "ack")
        self._client.subscribe([(f"{self._prefix}{kind}", 1) for kind in kinds])
        self._wait(lambda: self._codes is not None, "rights", "no answer to the subscription")
        codes = self._codes or []
        granted = {kind for kind, code in zip(kinds, codes, strict=False) if not code.is_failure}
        old = self.greeting
        self.greeting = Greeting(old.commits, old.inflight, old.packet, frozenset(granted))

    def _wait(self, done: Any, layer: Layer, message: str) -> None:
        end = time.monotonic() + _LOGIN_TIMEOUT
        held: list[Acknowledged | Received] = []
        while not done():
            if time.monotonic() > end:
                raise LinkError(layer, f"{message} within {_LOGIN_TIMEOUT:g} s")
            try:
                held.extend(self.poll(0.5))
            except LinkError as error:
                if done():
                    break
                raise LinkError(layer, str(error)) from None
        self._events = held + self._events

    # What paho tells

    def _on_connect(
        self,
        _client: Client,
        _data: Any,
        _flags: ConnectFlags,
        code: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self._greeted = code, properties

    def _on_disconnect(
        self,
        _client: Client,
        _data: Any,
        _flags: DisconnectFlags,
        code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._end = f"the connection ended: {code}"

    def _on_publish(
        self,
        _client: Client,
        _data: Any,
        message: int,
        code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._events.append(Acknowledged(message, str(code) if code.is_failure else ""))

    def _on_subscribe(
        self,
        _client: Client,
        _data: Any,
        _message: int,
        codes: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        self._codes = codes

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        self._events.append(
            Received(message.topic.removeprefix(self._prefix), bytes(message.payload))
        )


def _client(version: Version, name: str, broker: Broker) -> Client:
    five = version == "5"
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=name,
        clean_session=None if five else True,
        protocol=MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311,
        reconnect_on_failure=False,
    )
    client.connect_timeout = 10
    # Our own limits hold; a second queue inside the library would only hide what waits.
    client.max_inflight_messages_set(0)
    if broker.username:
        client.username_pw_set(broker.username, broker.password or None)
    context = broker.context()
    if context is not None:
        client.tls_set_context(context)
    return client
