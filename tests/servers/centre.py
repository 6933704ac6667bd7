"""A centre without a database: what it confirms it keeps in a list."""

import asyncio
import json
import socket
import threading
from collections.abc import Callable
from typing import Self

import uvloop
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from agent.report import Refusal, Report, decode
from server.clock import SystemClock
from server.ingest.access import Access
from server.ingest.listener import Listener
from server.ingest.source import Delivery
from server.ingest.status import Board
from server.settings import Ingest
from server.vitals import Vitals
from tests.servers.broker import Broker


class Books:
    """What a centre has received: reports by station, in order, and the numbers of messages."""

    def __init__(self) -> None:
        self.reports: dict[str, list[Report]] = {}
        self.refused: list[Refusal] = []
        self.sizes: list[int] = []

    def enter(self, station: str, items: list[Report | Refusal]) -> None:
        self.sizes.append(len(items))
        for item in items:
            if isinstance(item, Report):
                self.reports.setdefault(station, []).append(item)
            else:
                self.refused.append(item)

    def seqs(self, station: str) -> set[int | None]:
        return {report.seq for report in self.reports.get(station, [])}

    def times(self, station: str) -> list[str]:
        return [f"{report.time:%Y-%m-%dT%H:%M:%SZ}" for report in self.reports.get(station, [])]


class BehindBroker:
    """Subscribes at a broker and confirms on the stations' ``ack`` topic."""

    def __init__(
        self, broker: Broker, *, refuse: Callable[[Report], bool] = lambda _: False
    ) -> None:
        self.books = Books()
        self.silent = False
        self.status: dict[str, list[dict[str, object]]] = {}
        self._refuse = refuse
        self._ready = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.on_message = self._on_message
        self._client.on_socket_open = lambda _client, _data, sock: sock.setsockopt(
            socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
        )
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._broker = broker

    def __enter__(self) -> Self:
        self._client.connect(self._broker.host, self._broker.port)
        self._client.loop_start()
        self._client.subscribe([("fenghuo/v1/+/obs", 1), ("fenghuo/v1/+/status", 1)])
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def command(self, station: str, payload: bytes) -> None:
        self._client.publish(f"fenghuo/v1/{station}/cmd", payload, qos=1)

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        _, _, station, kind = message.topic.split("/")
        if kind == "status":
            self.status.setdefault(station, []).append(json.loads(message.payload))
            return
        if self.silent:
            return
        items = decode(bytes(message.payload))
        good = [i for i in items if isinstance(i, Report) and not self._refuse(i)]
        bad = [i.seq for i in items if i not in good]
        self.books.enter(station, list(good))
        said = {
            "seq": [report.seq for report in good],
            "refused": [{"seq": seq, "reason": "range", "detail": "out of range"} for seq in bad],
        }
        self._client.publish(f"fenghuo/v1/{station}/ack", json.dumps(said), qos=1)


class Listening:
    """The product's own listener, in a thread; ``away`` plays a database that does not answer."""

    def __init__(self) -> None:
        self.books = Books()
        self.away = False
        self.offered = 0
        self.port = 0
        self._ready = threading.Event()

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._ready.clear()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(10)

    def _run(self) -> None:
        # The product's loop: asyncio's own loses a connection that it accepts as the door closes.
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        vitals = Vitals()
        self._loop = asyncio.get_running_loop()

        async def keys(_: object) -> dict[str, bytes | None]:
            return {}

        listener = Listener(
            Ingest(port=self.port, anonymous=True),
            access=Access(keys, anonymous=True),
            board=Board(vitals),
            clock=SystemClock(),
            vitals=vitals,
        )
        self.port = listener.open()

        def deliver(delivery: Delivery) -> bool:
            self.offered += 1
            if not self.away:
                delivery.items = decode(delivery.payload)
                self.books.enter(delivery.station, delivery.items)
                self._loop.call_soon(listener.acknowledge, [delivery])
            return True

        self._task = asyncio.create_task(listener.run(deliver))
        self._loop.call_soon(self._ready.set)
        await asyncio.gather(self._task, return_exceptions=True)
        await listener.close()
