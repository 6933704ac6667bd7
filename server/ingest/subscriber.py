"""Readings from somebody's broker: acknowledged to it, and confirmed to the station, after COMMIT.

The broker's PUBACK to the station only says that the broker has the reading; the message on
``fenghuo/v1/{station}/ack`` says that we have it.
"""

import asyncio
import contextlib
import logging
import random
import ssl
import urllib.parse
from collections.abc import Sequence
from typing import Any

import aiomqtt
from paho.mqtt import client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from server.clock import Clock
from server.ingest import topics
from server.ingest.mapping import Mappings
from server.ingest.source import Deliver, Delivery, confirmation
from server.ingest.status import Board
from server.settings import Ingest
from server.vitals import Vitals

logger = logging.getLogger(__name__)

CLIENT = "fenghuo-ingest"
EXPIRY = 0xFFFF_FFFE
"""Seconds (136 years) that the broker keeps our session; one more would be refused by some."""

CONFIRMATIONS = 10_000
"""Confirmations that wait for the broker at most; a station whose one is lost sends again."""

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 10.0
_UNSUPPORTED = frozenset({1, 0x84})
"""The broker does not speak our version, as MQTT 3.1.1 and 5 say it."""


class Subscriber:
    """A `Source` behind a broker, with a durable session there.

    The client id is fixed, so that the broker keeps for us what comes while we are away. At
    most ``settings.inflight`` messages come before we acknowledge; a broker that does not keep
    to it (mosquitto 2.0.11) is held back by not reading from it.
    """

    def __init__(
        self,
        settings: Ingest,
        *,
        board: Board,
        clock: Clock,
        vitals: Vitals,
        client: str = CLIENT,
        group: str = "",
        version: int = 5,
    ) -> None:
        """Take the parts; ``group`` makes it a shared subscription of several processes."""
        self._url = urllib.parse.urlsplit(settings.broker)
        self._settings = settings
        self._board = board
        self._clock = clock
        self._mappings = Mappings.load(settings.mappings)
        self._vitals = vitals
        self._name = client
        self._prefix = f"$share/{group}/" if group else ""
        self._version = version
        self._deliver: Deliver | None = None
        self._link: _Link | None = None
        self._open = 0
        self._settled = asyncio.Event()
        self._settled.set()
        self.connected = asyncio.Event()

    async def run(self, deliver: Deliver) -> None:
        """Receive until cancelled; a broker that is away is waited for."""
        self._deliver = deliver
        time = asyncio.get_running_loop().time
        away = time()
        pause = FIRST_PAUSE
        try:
            while True:
                # What the last connection brought would come again, beside itself.
                await self._settled.wait()
                try:
                    await self._receive()
                except (aiomqtt.MqttError, OSError) as error:
                    if self.connected.is_set():
                        away, pause = time(), FIRST_PAUSE
                    self._note(error, away=time() - away)
                self.connected.clear()
                await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - no secret
                pause = min(2 * pause, LONGEST_PAUSE)
        finally:
            if self._link is not None:
                self._link.pause()

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Acknowledge to the broker, and tell the stations which numbers are safe."""
        link = self._link
        stations: dict[str, list[Delivery]] = {}
        for delivery in deliveries:
            stations.setdefault(delivery.station, []).append(delivery)
            self._open -= 1
            if link is not None and delivery.origin is link and delivery.token:
                link.acknowledge(delivery.token)
        if not self._open:
            self._settled.set()
        if link is None:
            return
        for station, group in stations.items():
            payload = confirmation(group)
            if payload is not None and not link.publish(topics.write(station, "ack"), payload):
                self._vitals.add("confirmations_dropped")
        link.resume()

    async def close(self) -> None:
        """End the connection; the session at the broker stays."""
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    async def _receive(self) -> None:
        """Connect, subscribe, and stay until the connection breaks."""
        link = _Link(self._client(), self._message)
        await link.open()
        self._link = link
        self.connected.set()
        self._vitals.set("broker_away_seconds", 0)
        logger.info("connected to the broker: host=%s", self._url.hostname)
        try:
            filters = [f"fenghuo/v1/+/{kind}" for kind in ("obs", "status")]
            filters += self._mappings.filters
            await link.subscribe([self._prefix + name for name in filters])
            await link.broken()
        except (aiomqtt.MqttError, OSError):
            await self.close()
            raise

    def _message(self, link: "_Link", message: paho.MQTTMessage) -> None:
        topic = topics.read(message.topic)
        if topic is None:
            payload = bytes(message.payload)
            mapped = self._mappings.read(message.topic, payload, received=self._clock.now())
            topic = mapped and topics.Topic(mapped.station, "obs")
        if topic is None or topic.kind == "status":
            if topic is not None:
                self._board.put(topic.station, bytes(message.payload), self._clock.now())
            else:
                self._vitals.add("unauthorised")
            if message.qos:
                link.acknowledge(message.mid)
            return
        delivery = Delivery(
            topic.station,
            message.topic,
            bytes(message.payload),
            self._clock.now(),
            link,
            message.mid if message.qos else 0,
        )
        self._open += 1
        self._settled.clear()
        if self._deliver is None or not self._deliver(delivery):
            link.pause()

    def _client(self) -> aiomqtt.Client:
        url = self._url
        secured = None
        if url.scheme in {"mqtts", "ssl", "tls"}:
            secured = ssl.create_default_context(cafile=self._settings.tls_authority or None)
        several: dict[str, Any]
        if self._version == 5:
            wishes = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            wishes.SessionExpiryInterval = EXPIRY
            wishes.ReceiveMaximum = min(self._settings.inflight, 65_535)
            several = {"protocol": aiomqtt.ProtocolVersion.V5, "clean_start": False}
            several["properties"] = wishes
        else:
            several = {"protocol": aiomqtt.ProtocolVersion.V311, "clean_session": False}
        return aiomqtt.Client(
            url.hostname or "127.0.0.1",
            url.port or (8883 if secured else 1883),
            username=urllib.parse.unquote(url.username) if url.username else None,
            password=urllib.parse.unquote(url.password) if url.password else None,
            identifier=self._name,
            max_queued_outgoing_messages=CONFIRMATIONS,
            max_inflight_messages=self._settings.inflight,
            tls_context=secured,
            **several,
        )

    def _note(self, error: Exception, *, away: float) -> None:
        self._vitals.set("broker_away_seconds", away)
        reason = getattr(getattr(error, "rc", None), "value", getattr(error, "rc", None))
        if self._version == 5 and reason in _UNSUPPORTED:
            self._version = 3
        logger.warning(
            "the broker is away: host=%s seconds=%.0f detail=%s", self._url.hostname, away, error
        )


class _Link:
    """One connection to the broker.

    aiomqtt connects and keeps it alive; messages and acknowledgements go directly through its
    inner client, because aiomqtt itself acknowledges before the work is done.
    """

    def __init__(self, client: aiomqtt.Client, take: Any) -> None:
        self._client = client
        self._inner: paho.Client = client._client  # noqa: SLF001 - see the class
        self._inner.manual_ack_set(True)
        self._inner.on_message = lambda _client, _data, message: take(self, message)
        self._inner.on_socket_register_write = self._wants_to_write
        self._loop = asyncio.get_running_loop()
        self._paused = -1

    async def open(self) -> None:
        await self._client.__aenter__()

    async def subscribe(self, filters: list[str]) -> None:
        granted: Any = await self._client.subscribe([(name, 1) for name in filters])
        for name, code in zip(filters, granted, strict=True):
            if int(code if isinstance(code, int) else code.value) >= 0x80:
                raise aiomqtt.MqttError(f"the broker refuses the subscription to {name}")

    async def broken(self) -> None:
        """Wait until the connection breaks; raises MqttError."""
        try:
            await asyncio.shield(self._client._disconnected)  # noqa: SLF001 - see the class
        except aiomqtt.MqttError:
            raise
        except Exception as error:
            raise aiomqtt.MqttError(str(error)) from error
        raise aiomqtt.MqttError("the broker closed the connection")

    async def close(self) -> None:
        self.resume()
        with contextlib.suppress(aiomqtt.MqttError, OSError):
            await self._client.__aexit__(None, None, None)

    def acknowledge(self, identifier: int) -> None:
        self._inner.ack(identifier, 1)

    def publish(self, topic: str, payload: bytes) -> bool:
        return self._inner.publish(topic, payload, 1).rc == paho.MQTT_ERR_SUCCESS

    def pause(self) -> None:
        """Read nothing more from the broker."""
        handle = self._inner.socket()
        if self._paused < 0 and handle is not None:
            self._paused = handle.fileno()
            self._loop.remove_reader(self._paused)

    def resume(self) -> None:
        """Read again."""
        handle = self._inner.socket()
        if self._paused >= 0 and handle is not None and handle.fileno() == self._paused:
            self._loop.add_reader(self._paused, self._read)
            self._read()
        self._paused = -1

    def _wants_to_write(self, _client: Any, _data: Any, handle: Any) -> None:
        self._loop.call_soon_threadsafe(self._watch, handle)

    def _watch(self, handle: Any) -> None:
        """Write when the socket can take it, unless it is closed, or another's, by now."""
        present = self._inner.socket()
        if present is None or present is not handle or handle.fileno() < 0:
            return
        try:
            self._loop.add_writer(handle.fileno(), self._write)
        except RuntimeError as error:
            # uvloop has given the socket up after a reset, and tells nobody else.
            self._fail(error)

    def _write(self) -> None:
        try:
            self._inner.loop_write()
        except OSError as error:
            self._fail(error)

    def _read(self) -> None:
        try:
            self._inner.loop_read()
            while getattr(self._inner.socket(), "pending", int)() > 0:
                self._inner.loop_read()
        except OSError as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        disconnected = self._client._disconnected  # noqa: SLF001 - see the class
        if not disconnected.done():
            disconnected.set_exception(error)
