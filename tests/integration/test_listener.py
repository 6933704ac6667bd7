"""The listener as stations meet it: real sockets, real clients, a real database."""

import asyncio
import contextlib
import datetime as dt
import json
import logging
import ssl
import struct
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
import trustme
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from server.ingest import listener as listening
from server.ingest import properties as props
from server.ingest.properties import Property
from tests.ingesting import NOW, add_stations, ingesting, payload, report
from tests.support import eventually_async

OBS = "fenghuo/v1/A/obs"
COUNT = "SELECT count(*) FROM observation"
MINUTE = dt.timedelta(minutes=1)


@pytest.fixture
async def url(plain_database: str) -> str:
    await add_stations(plain_database, ("A", "B"), b"secret")
    return plain_database


def client(port: int, version: int = 5, name: str = "t", **options: Any) -> aiomqtt.Client:
    protocol = aiomqtt.ProtocolVersion.V5 if version == 5 else aiomqtt.ProtocolVersion.V311
    return aiomqtt.Client(
        "127.0.0.1", port, protocol=protocol, identifier=name, timeout=5, **options
    )


class Raw:
    """A client that says exactly what it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int, version: int = 0, **options: Any) -> "Raw":
        self = cls(*await asyncio.open_connection("127.0.0.1", port))
        if version:
            self.connect(version, **options)
            assert (await self.packet())[0] == 0x20
        return self

    def connect(
        self, version: int, name: str = "raw", keep_alive: int = 60, clean: int = 2
    ) -> None:
        about = b"\x05\x11\x00\x00\x00\x3c" if version == 5 else b""
        body = b"\x00\x04MQTT" + bytes((version, clean)) + keep_alive.to_bytes(2) + about
        self.send(0x10, body + props.string(name))

    def send(self, first: int, body: bytes) -> None:
        self.writer.write(bytes((first,)) + props.length(len(body)) + body)

    def publish(
        self, identifier: int, data: bytes, *, topic: str = OBS, first: int = 0x32, v5: bool = True
    ) -> None:
        about = b"\x00" if v5 else b""
        self.send(first, props.string(topic) + identifier.to_bytes(2) + about + data)

    async def packet(self) -> bytes:
        """Give a packet's first byte and its body; empty when the server closed."""
        async with asyncio.timeout(10):
            head = await self.reader.read(2)
            if not head:
                return b""
            return head[:1] + await self.reader.readexactly(head[1])

    async def closed(self) -> bool:
        async with asyncio.timeout(10):
            try:
                return await self.reader.read(1) == b""
            except ConnectionError:
                return True

    def close(self) -> None:
        self.writer.close()


@pytest.mark.parametrize("version", [3, 5])
@pytest.mark.parametrize("qos", [1, 2])
async def test_acknowledged_means_stored(url: str, version: int, qos: int) -> None:
    async with ingesting(url) as ingest, client(ingest.port, version) as station:
        await station.publish(OBS, payload(report()), qos=qos)
        # No waiting: the acknowledgement says that it is there.
        assert await ingest.rows("SELECT time, air_temperature FROM observation") == [(NOW, 21.5)]
        await station.publish(OBS, payload(report(NOW - MINUTE)), qos=0)
        await eventually_async(lambda: ingest.vitals.get("stored") == 2)


async def test_connack_says_what_the_acknowledgement_means(url: str) -> None:
    async with ingesting(url, inflight=77, packet=100_000) as ingest:
        raw = await Raw.open(ingest.port)
        raw.connect(5, name="", keep_alive=0)
        packet = await raw.packet()
        assert packet[:3] == b"\x20\x00\x00"
        about, _ = props.read(packet, 3, len(packet), frozenset(Property))
        assert about[Property.USER_PROPERTY] == [("fenghuo", "commit")]
        assert about[Property.RECEIVE_MAXIMUM] == 77
        assert about[Property.MAXIMUM_PACKET_SIZE] == 100_000
        assert about[Property.SERVER_KEEP_ALIVE] == 600
        assert len(about[Property.ASSIGNED_CLIENT_ID]) == 16
        raw.close()


async def test_bad_readings_are_acknowledged_because_quarantine_is_safe(url: str) -> None:
    async with ingesting(url) as ingest, client(ingest.port) as station:
        await station.publish(OBS, b"nonsense", qos=1)
        await station.publish(OBS, b"x" * 66_560, qos=1)
        await station.publish("fenghuo/v1/Nobody/obs", payload(report()), qos=1)
        found = await ingest.rows("SELECT reason FROM quarantine ORDER BY id")
        assert found == [("json",), ("size",), ("station",)]


@pytest.mark.parametrize("version", [4, 5])
async def test_a_packet_over_the_limit_ends_the_connection(url: str, version: int) -> None:
    async with ingesting(url, packet=70_000) as ingest:
        raw = await Raw.open(ingest.port, version)
        raw.publish(1, bytes(300_000), v5=version == 5)
        packet = await raw.packet()
        assert packet[:2] == (b"\xe0\x95" if version == 5 else b"")
        assert await raw.closed()
        raw.close()


@pytest.mark.parametrize(
    "data",
    [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", bytes(range(256)), b"\x16\x03\x01\x02\x00", b"\xff" * 9],
    ids=["http", "counting", "tls", "ones"],
)
async def test_random_bytes_end_their_connection_and_no_other(url: str, data: bytes) -> None:
    async with ingesting(url) as ingest, client(ingest.port) as station:
        raw = await Raw.open(ingest.port)
        raw.writer.write(data)
        assert await raw.closed()
        raw.close()
        late = await Raw.open(ingest.port, 4)
        late.writer.write(data)
        assert await late.closed()
        late.close()
        await station.publish(OBS, payload(report()), qos=1)
        assert await ingest.rows(COUNT) == [(1,)]
        assert ingest.vitals.get("disconnected", reason="malformed") == 2


async def test_who_says_nothing_or_too_slowly_is_let_go(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "SWEEP_SECONDS", 0.05)
    async with ingesting(url, connect_timeout=0.3) as ingest:
        mute = await Raw.open(ingest.port)
        slow = await Raw.open(ingest.port)
        silent = await Raw.open(ingest.port, 4, keep_alive=1)
        lively = await Raw.open(ingest.port, 4, name="lively", keep_alive=1)
        for byte in b"\x10\x7f\x00\x04MQTT":  # drop by drop; the rest never comes
            slow.writer.write(bytes((byte,)))
            await asyncio.sleep(0.02)
        assert await mute.closed()
        assert await slow.closed()
        for _ in range(4):
            lively.send(0xC0, b"")
            assert await lively.packet() == b"\xd0"
            await asyncio.sleep(0.5)
        assert await silent.closed()
        lively.send(0xC0, b"")
        assert await lively.packet() == b"\xd0"
        for raw in (mute, slow, silent, lively):
            raw.close()


async def test_no_more_connections_than_the_limit(url: str) -> None:
    async with ingesting(url, connections=2) as ingest:
        one = await Raw.open(ingest.port, 4, name="1")
        two = await Raw.open(ingest.port, 4, name="2")
        three = await Raw.open(ingest.port)
        assert await three.closed()
        one.close()
        await eventually_async(lambda: ingest.vitals.get("connections") == 1)
        again = await Raw.open(ingest.port, 4, name="3")
        for raw in (two, three, again):
            raw.close()


async def test_key_decides_and_a_station_has_only_its_own_topics(url: str) -> None:
    async with ingesting(url, anonymous=False) as ingest:
        for options, code in (
            ({}, "Bad user name or password"),
            ({"username": "A", "password": "wrong"}, "Bad user name or password"),
            ({"username": "C", "password": "secret"}, "Bad user name or password"),
        ):
            with pytest.raises(aiomqtt.MqttError, match=code):
                async with client(ingest.port, **options):
                    pass
        own = {"username": "A", "password": "secret"}
        async with client(ingest.port, **own) as station:
            await station.publish(OBS, payload(report()), qos=1)
            await station.publish("fenghuo/v1/B/obs", payload(report()), qos=1)
            await station.publish("else/where", b"", qos=1)
            granted = await station.subscribe(
                [(f"fenghuo/v1/{n}", 1) for n in ("A/cmd", "A/ack", "A/obs", "B/cmd", "+/cmd", "#")]
            )
            assert [code.value for code in granted] == [1, 1, 0x87, 0x87, 0x87, 0x87]  # type: ignore[union-attr]
        assert await ingest.rows(COUNT) == [(1,)]
        assert ingest.vitals.get("unauthorised") == 6
        with pytest.raises(aiomqtt.MqttError):
            async with client(ingest.port, 3, **own) as station:
                await station.publish("fenghuo/v1/B/obs", payload(report()), qos=1)
        assert ingest.vitals.get("refused", reason="credentials") == 3


async def test_a_will_may_only_be_on_the_own_status(url: str) -> None:
    async with ingesting(url, anonymous=False) as ingest:
        will = aiomqtt.Will("fenghuo/v1/B/status", b"{}", 1)
        with pytest.raises(aiomqtt.MqttError, match="Not authorized"):
            async with client(ingest.port, username="A", password="secret", will=will):
                pass


@pytest.mark.parametrize("tidy", [True, False])
async def test_status_and_will(url: str, tidy: bool) -> None:
    topic = "fenghuo/v1/A/status"
    will = aiomqtt.Will(topic, b'{"state":"offline"}', 1, retain=True)
    async with ingesting(url) as ingest:
        station = client(ingest.port, will=will)
        await station.__aenter__()
        await station.publish(topic, b'{"state":"online","time":"2026-01-01T00:00:00Z"}', 1, True)
        status = ingest.board.get("A")
        assert status is not None
        assert status.state == "online"
        assert ingest.vitals.get("stations_online") == 1
        if tidy:
            await station.__aexit__(None, None, None)
            await eventually_async(lambda: not ingest.vitals.get("connections"))
            assert ingest.vitals.get("wills") == 0
        else:
            station._client.socket().shutdown(2)  # type: ignore[union-attr]
            await eventually_async(lambda: ingest.vitals.get("wills") == 1)
            assert ingest.vitals.get("stations_online") == 0
            with contextlib.suppress(aiomqtt.MqttError):
                await station.__aexit__(None, None, None)


@pytest.mark.parametrize("version", [3, 5])
async def test_confirmations_and_commands_reach_the_station(url: str, version: int) -> None:
    async with ingesting(url) as ingest, client(ingest.port, version) as station:
        await station.subscribe([("fenghuo/v1/A/ack", 1), ("fenghuo/v1/A/cmd", 1)])
        bad = report(NOW - MINUTE, seq=2, values={"wind_speed": 900})
        await station.publish(OBS, payload(report(seq=1), bad), qos=1)
        ingest.listener.send("A", "cmd", b"reboot")
        got = [await anext(station.messages) for _ in range(2)]
        assert [str(message.topic) for message in got] == ["fenghuo/v1/A/ack", "fenghuo/v1/A/cmd"]
        said = json.loads(got[0].payload)  # type: ignore[arg-type]
        assert said["seq"] == [1]
        assert [(r["seq"], r["reason"]) for r in said["refused"]] == [(2, "range")]
        assert got[1].payload == b"reboot"


async def test_what_was_not_confirmed_is_sent_again_to_a_client_that_comes_back(url: str) -> None:
    async with ingesting(url) as ingest:
        first = await Raw.open(ingest.port, 5, clean=0)
        first.send(0x82, b"\x00\x01\x00" + props.string("fenghuo/v1/A/cmd") + b"\x01")
        assert await first.packet() == b"\x90\x00\x01\x00\x01"
        for number in range(20):
            ingest.listener.send("A", "cmd", b"%d" % number)
        got = [await first.packet() for _ in range(16)]  # the window
        assert [packet[-1:] for packet in got[:10]] == [b"%d" % n for n in range(10)]
        first.send(0x40, b"\x00\x01")
        assert (await first.packet()).endswith(b"16")
        first.close()
        await eventually_async(lambda: not ingest.vitals.get("connections"))
        second = await Raw.open(ingest.port, 5, clean=0)
        again = [await second.packet() for _ in range(16)]
        assert {packet[0] for packet in again} == {0x3A}  # a duplicate
        assert again[0].endswith(b"\x001")
        second.close()


async def test_qos_2_is_stored_once_and_answered_again(url: str) -> None:
    async with ingesting(url) as ingest:
        raw = await Raw.open(ingest.port, 5, clean=0)
        raw.publish(7, payload(report()), first=0x34)
        assert await raw.packet() == b"\x50\x00\x07"
        raw.close()
        again = await Raw.open(ingest.port, 5, clean=0)
        again.publish(7, payload(report()), first=0x3C)
        assert await again.packet() == b"\x50\x00\x07"
        again.send(0x62, b"\x00\x07")
        assert await again.packet() == b"\x70\x00\x07"
        again.send(0x62, b"\x00\x07")
        assert await again.packet() == b"\x70\x00\x07\x92"
        assert ingest.vitals.get("received") == 1
        again.close()


async def test_taking_over_and_two_stations_with_one_name(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with ingesting(url) as ingest:
        one = await Raw.open(ingest.port, 5, name="twin")
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                two = await Raw.open(ingest.port, 5, name="twin")
                assert (await one.packet())[:2] == b"\xe0\x8e"
                assert await one.closed()
                one.close()
                one = two
        assert "two clients with one name" in caplog.text
        assert "client=twin" in caplog.text
        assert ingest.vitals.get("takeovers") == 3
        assert ingest.vitals.get("doubles") == 1
        with caplog.at_level(logging.WARNING):
            one.publish(1, payload(report(values={"air_temperature": 1})))
            assert await one.packet() == b"\x40\x00\x01"
            one.publish(2, payload(report(values={"air_temperature": 2})))
            assert await one.packet() == b"\x40\x00\x02"
        assert "two values for one reading: station=A" in caplog.text
        assert await ingest.rows("SELECT reason FROM quarantine") == [("conflict",)]
        one.close()


async def test_version_5_must_keep_to_receive_maximum_and_version_3_waits(url: str) -> None:
    async with ingesting(url, inflight=5, linger=1.0) as ingest:
        five = await Raw.open(ingest.port, 5)
        three = await Raw.open(ingest.port, 4, name="three")
        for number in range(1, 8):
            data = payload(report(NOW - number * MINUTE))
            five.publish(number, data)
            three.publish(number, data, topic="fenghuo/v1/B/obs", v5=False)
        assert (await five.packet())[:2] == b"\xe0\x93"
        answers = [await three.packet() for _ in range(7)]
        assert answers == [b"\x40" + struct.pack(">H", n) for n in range(1, 8)]
        assert await ingest.rows("SELECT count(*) FROM observation WHERE station = 2") == [(7,)]
        five.close()
        three.close()


async def test_who_does_not_read_is_cut(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "SWEEP_SECONDS", 0.05)
    monkeypatch.setattr("server.ingest.connection.SLOW_SECONDS", 0.2)
    async with ingesting(url) as ingest, client(ingest.port) as station:
        raw = await Raw.open(ingest.port, 4, name="deaf")
        raw.writer.transport.pause_reading()
        raw.send(0x82, b"\x00\x01" + props.string("fenghuo/v1/A/cmd") + b"\x00")
        await eventually_async(lambda: bool(ingest.listener.send("A", "cmd", b"")))
        for _ in range(200):
            ingest.listener.send("A", "cmd", bytes(60_000))
        await eventually_async(lambda: ingest.vitals.get("disconnected", reason="slow") == 1)
        await station.publish(OBS, payload(report()), qos=1)
        raw.writer.transport.abort()


async def test_a_full_queue_holds_connections_back_and_lets_them_go_on(url: str) -> None:
    async with ingesting(url, queue=20, batch=10) as ingest:
        many = [await Raw.open(ingest.port, 4, name=f"c{n}") for n in range(10)]
        for place, raw in enumerate(many):
            for number in range(1, 51):
                time = NOW - (place * 50 + number) * MINUTE
                raw.publish(number, payload(report(time)), v5=False)
        for raw in many:
            for number in range(1, 51):
                assert await raw.packet() == b"\x40" + struct.pack(">H", number)
        assert await ingest.rows(COUNT) == [(500,)]
        for raw in many:
            raw.close()


async def test_tls_and_certificates(url: str, tmp_path: Path) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    server = authority.issue_cert("127.0.0.1")
    server.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    own = {
        "tls_certificate": str(tmp_path / "server.pem"),
        "tls_key": str(tmp_path / "server.pem"),
        "tls_authority": str(tmp_path / "authority.pem"),
    }

    def context(issuer: trustme.CA) -> ssl.SSLContext:
        context = ssl.create_default_context()
        authority.configure_trust(context)
        issuer.issue_cert("station@example", common_name="A").configure_cert(context)
        return context

    async with ingesting(url, anonymous=False, **own) as ingest:
        async with client(ingest.port, tls_context=context(authority)) as station:
            await station.publish(OBS, payload(report()), qos=1)
            await station.publish("fenghuo/v1/B/obs", payload(report()), qos=1)
        assert await ingest.rows(COUNT) == [(1,)]
        with pytest.raises(aiomqtt.MqttError):
            async with client(ingest.port, tls_context=context(stranger)):
                pass


async def test_authentication_methods_are_refused(url: str) -> None:
    about = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    about.AuthenticationMethod = "SCRAM-SHA-1"
    async with ingesting(url) as ingest:
        with pytest.raises(aiomqtt.MqttError, match="Bad authentication method"):
            async with client(ingest.port, properties=about):
                pass


async def test_the_end_is_announced(url: str) -> None:
    async with ingesting(url) as ingest:
        raw = await Raw.open(ingest.port, 5)
    assert (await raw.packet())[:2] == b"\xe0\x8b"
    assert await raw.closed()
    raw.close()
