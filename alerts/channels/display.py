"""Display screens over MQTT: what is in force lies retained at the broker, one topic per screen.

``fenghuo/v1/screen/{name}/show`` holds the whole show (`alerts.faces.shows`), retained, QoS 1. The
screen says what it shows on ``…/ack`` and that it lives on ``…/status``, where its last will
stands as well. One that shows something else than it should is sent the show again.
"""

import asyncio
import datetime as dt
import logging
import random
import ssl
import uuid
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import aiomqtt
import msgspec
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from alerts.channels.port import (
    CallbackError,
    ChannelError,
    Delivery,
    ExerciseError,
    Probe,
    Receipt,
    Script,
)
from alerts.texts.wording import Said

NAME = "display"

TOPIC = "fenghuo/v1/screen/{}/{}"
"""Of a screen and ``show``, ``ack`` or ``status``."""

LONGEST = 16_384
"""Bytes that a screen may say at once."""

WAITING = 5_000
"""Words of screens that wait to be taken, at most."""

_log = logging.getLogger(__name__)
_PAUSES = (0.2, 10.0)
_UNSUPPORTED = frozenset({1, 0x84})
"""The broker does not speak our version, as MQTT 3.1.1 and 5 say it."""


def render(said: Said) -> Script:
    """Give what the screen scrolls."""
    advice = f" {said.instruction}" if said.language != "zh" else said.instruction
    return Script(subject=said.headline, body=f"{said.description}{advice}")


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """What a screen says of itself.

    state: ``on``, ``off`` or what it likes; shown: the messages that it shows now; message: one
    that it shows, of a controller that keeps no list.
    """

    state: str = "on"
    shown: tuple[uuid.UUID, ...] | None = None
    message: uuid.UUID | None = None


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A show as it goes to a screen; seconds: until the broker may forget it, None: never."""

    body: bytes
    seconds: int | None = None


class WallError(Exception):
    """The wall cannot say just now: its database is away."""


class Wall(Protocol):
    """All the screens, behind the channel; everything raises WallError."""

    async def open(self) -> bool:
        """Say whether there is anything real to show: not where all is an exercise."""
        ...

    async def show(self, name: str) -> Shown | None:
        """Give what a screen is to show now; None where there is no such screen."""
        ...

    async def heard(self, name: str, word: Word) -> bool:
        """Note a sign of life; say whether the screen shows something else than it should."""
        ...

    async def lost(self, name: str, state: str) -> None:
        """Note what was said of a screen in its absence."""
        ...

    async def close(self) -> None:
        """Give back what it holds."""
        ...


class Display:
    """Shows on screens. Without a broker the screens' own pages come for it.

    ``run`` keeps the connection and hears the screens; ``send`` needs it to be running.
    """

    name = NAME
    repeatable = True
    rate = 0.0

    def __init__(
        self,
        *,
        broker: str,
        wall: Wall,
        authority: str = "",
        timeout: float = 10,
        workers: int = 8,
    ) -> None:
        """Take ``mqtt://user:password@host:port`` or ``mqtts://…``; empty: no broker."""
        self._url = urlsplit(broker)
        self._wall = wall
        self._authority = authority
        self._timeout = timeout
        self.workers = workers
        self._version = aiomqtt.ProtocolVersion.V5
        self._client: aiomqtt.Client | None = None
        self._connected = asyncio.Event()

    async def run(self) -> None:
        """Hear the screens until cancelled; a broker that is away is waited for."""
        first, longest = _PAUSES
        pause = first
        while self._url.hostname:
            try:
                if not await self._wall.open():
                    return
                await self._serve()
            except (aiomqtt.MqttError, OSError, WallError) as error:
                self._note(error)
            pause = first if self._connected.is_set() else min(2 * pause, longest)
            self._client = None
            self._connected.clear()
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - no secret

    async def send(self, delivery: Delivery, *, now: dt.datetime) -> Receipt:
        """Put the whole show of the screen where it finds it; raises ExerciseError.

        Accepted means that the broker has it; delivered is said by the screen.
        """
        if delivery.exercise:
            raise ExerciseError(f"delivery {delivery.id} is an exercise")
        if now >= delivery.expires:
            raise ChannelError("too late to be shown")
        try:
            show = await self._wall.show(delivery.address)
        except WallError as error:
            return _receipt(delivery, "queued", str(error))
        if show is None:
            return _receipt(delivery, "failed", "there is no such screen")
        if self._url.hostname:
            try:
                async with asyncio.timeout(self._timeout):
                    await self._connected.wait()
                    await self._publish(delivery.address, show)
            except (TimeoutError, aiomqtt.MqttError) as error:
                return _receipt(delivery, "queued", f"the broker is away: {error or 'no answer'}")
        return Receipt(delivery=delivery.id, state="accepted")

    async def find(self, delivery: Delivery) -> Receipt | None:
        """Give nothing: the screen says by itself what it shows."""
        del delivery
        return None

    def parse_callback(
        self, *, url: str, form: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> list[Receipt]:
        """Refuse: screens answer at the broker, or on their own page."""
        del form, headers, body
        raise CallbackError(f"screens have no callbacks: {url}")

    async def probe(self) -> Probe:
        """Look whether the broker lets us in."""
        if not self._url.hostname:
            return Probe(ok=True, detail="no broker: the screens' pages come by themselves")
        try:
            async with asyncio.timeout(self._timeout), self._connection():
                return Probe(ok=True, detail=f"connected to {self._url.hostname}")
        except (TimeoutError, aiomqtt.MqttError, OSError) as error:
            return Probe(ok=False, detail=f"{self._url.hostname}: {error or 'no answer'}")

    async def close(self) -> None:
        """Give back what the wall holds; ``run`` is ended by whoever runs it."""
        await self._wall.close()

    async def _serve(self) -> None:
        """Connect, and hear the screens until the connection breaks."""
        async with self._connection() as client:
            for kind in ("ack", "status"):
                await client.subscribe(TOPIC.format("+", kind), qos=1)
            self._client = client
            self._connected.set()
            _log.info("connected to the broker of the screens host=%s", self._url.hostname)
            async for message in client.messages:
                await self._take(message)

    async def _take(self, message: aiomqtt.Message) -> None:
        name = str(message.topic).split("/")[3]
        payload = message.payload if isinstance(message.payload, bytes) else b""
        if not payload:
            return  # somebody has cleared a retained word
        try:
            word = msgspec.json.decode(payload[: LONGEST + 1], type=Word)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            _log.warning("not understood topic=%s error=%s", message.topic, error)
            return
        if message.retain or word.state == "off":
            # Left behind, or a last will: the screen itself has not spoken now.
            await self._wall.lost(name, word.state[:32])
        elif await self._wall.heard(name, word):
            show = await self._wall.show(name)
            if show is not None:
                await self._publish(name, show)

    async def _publish(self, name: str, show: Shown) -> None:
        client = self._client
        if client is None:
            raise aiomqtt.MqttError("not connected")
        properties = None
        if show.seconds is not None and self._version is aiomqtt.ProtocolVersion.V5:
            # A screen that is switched on later finds nothing that does not count any more.
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.MessageExpiryInterval = max(1, show.seconds)
        await client.publish(
            TOPIC.format(name, "show"),
            show.body,
            qos=1,
            retain=True,
            properties=properties,
            timeout=self._timeout,
        )

    def _connection(self) -> aiomqtt.Client:
        url, secured = self._url, None
        if url.scheme in {"mqtts", "ssl", "tls"}:
            secured = ssl.create_default_context(cafile=self._authority or None)
        # Aiomqtt has a way of its own to say it for each version.
        several: dict[str, Any] = (
            {"clean_start": True}
            if self._version is aiomqtt.ProtocolVersion.V5
            else {"clean_session": True}
        )
        return aiomqtt.Client(
            url.hostname or "",
            url.port or (8883 if secured else 1883),
            username=unquote(url.username) if url.username else None,
            password=unquote(url.password) if url.password else None,
            identifier=f"fenghuo-display-{uuid.uuid4().hex[:8]}",
            protocol=self._version,
            timeout=self._timeout,
            max_queued_incoming_messages=WAITING,
            tls_context=secured,
            **several,
        )

    def _note(self, error: Exception) -> None:
        reason = getattr(getattr(error, "rc", None), "value", getattr(error, "rc", None))
        if self._version is aiomqtt.ProtocolVersion.V5 and reason in _UNSUPPORTED:
            self._version = aiomqtt.ProtocolVersion.V311
        _log.warning("screens wait host=%s error=%s", self._url.hostname, error)


def _receipt(delivery: Delivery, state: Any, problem: str) -> Receipt:
    return Receipt(delivery=delivery.id, state=state, problem=problem)
