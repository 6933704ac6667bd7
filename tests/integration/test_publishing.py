"""Every example of docs/publishing.md is run, in its order, against the real listener."""

import asyncio
import io
import json
import os
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import aiomqtt
import jsonschema
import pytest

from server import main
from server.ingest import schema
from server.ingest.quarantine import REASONS
from server.settings import Settings, Store
from server.terminal import Terminal
from tests.ingesting import Ingesting, add_stations, ingesting, rows, settings
from tests.integration.test_subscriber import subscribing
from tests.servers import prepare
from tests.servers.broker import Broker
from tests.support import eventually_async

DOCS = Path(__file__).parents[2] / "docs"
OBS = "fenghuo/v1/garden-1/obs"
COUNT = "SELECT count(*) FROM observation"


class Block(NamedTuple):
    language: str
    text: str


def blocks(name: str) -> list[Block]:
    text = (DOCS / name).read_text("utf-8")
    return [
        Block(*found)
        for found in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    ]


def titled(title: str) -> str:
    """Give the mapping file of this name in the page."""
    return next(text for _, text in blocks("publishing.md") if text.startswith(f"# {title}\n"))


class Reader:
    """Does what the page says, one block after the other."""

    def __init__(self, ingest: Ingesting, url: str, folder: Path) -> None:
        self.ingest = ingest
        self.url = url
        self.folder = folder
        self.key = ""
        self.acks: asyncio.Queue[Any] = asyncio.Queue()
        self.said: list[str] = []

    async def follow(self, block: Block) -> None:
        await getattr(self, f"_{block.language}")(block.text)

    def _true(self, text: str) -> str:
        """Put this test's server in place of the page's."""
        text = text.replace("THE-KEY", self.key).replace("1883", str(self.ingest.port))
        return text.replace("centre.example", "127.0.0.1")

    async def _toml(self, text: str) -> None:
        name = text.removeprefix("# ").split("\n")[0]
        (self.folder / name).write_text(text, "utf-8")

    async def _json(self, text: str) -> None:
        document = json.loads(text)
        if "refused" in document:
            async with asyncio.timeout(10):
                assert await self.acks.get() == document
            return
        jsonschema.validate(document, schema.schema()) if "214" not in text else None
        client = aiomqtt.Client(
            "127.0.0.1", self.ingest.port, username="garden-1", password=self.key, timeout=10
        )
        async with client:
            await client.subscribe("fenghuo/v1/garden-1/ack", 1)
            await client.publish(OBS, text.encode(), qos=1)
            if "seq" in text:
                message = await anext(client.messages)
                self.acks.put_nowait(json.loads(message.payload))  # type: ignore[arg-type]

    async def _python(self, text: str) -> None:
        await self._run(sys.executable, "-c", self._true(text))

    async def _sh(self, text: str) -> None:
        for line in text.replace("\\\n", " ").splitlines():
            program, *arguments = shlex.split(self._true(line))
            if program == "fenghuo":
                await self._fenghuo(arguments)
            else:
                assert program == "mosquitto_pub"
                await self._run(str(prepare.mosquitto_pub()), *arguments)

    async def _run(self, *argv: str) -> None:
        process = await asyncio.create_subprocess_exec(
            *argv, stderr=asyncio.subprocess.PIPE, env=dict(os.environ)
        )
        async with asyncio.timeout(20):
            _, said = await process.communicate()
        assert process.returncode == 0, said.decode()

    async def _fenghuo(self, arguments: list[str]) -> None:
        arguments = [str(self.folder / a) if a.endswith(".toml") else a for a in arguments]
        parsed = main.parser().parse_args(arguments)
        out, sys.stdout = sys.stdout, io.StringIO()
        said = io.StringIO()
        try:
            terminal = Terminal(language="en", out=said)
            assert await parsed.work(parsed, Settings(store=Store(url=self.url)), terminal) == 0
            printed = sys.stdout.getvalue()
        finally:
            sys.stdout = out
        if arguments[:2] == ["station", "add"]:
            self.key = printed.strip()
        self.said.append(printed + said.getvalue())


async def test_every_example_does_what_the_page_says(plain_database: str, tmp_path: Path) -> None:
    mapping = tmp_path / "garden.toml"
    mapping.write_text(titled("garden.toml"), "utf-8")
    options = {"anonymous": False, "mappings": (str(mapping),)}
    async with ingesting(plain_database, **options) as ingest:
        reader = Reader(ingest, plain_database, tmp_path)
        for block in blocks("publishing.md"):
            await reader.follow(block)
        await eventually_async(lambda: ingest.vitals.get("received") == 6)
    stored = await rows(
        plain_database,
        "SELECT to_char(time, 'HH24:MI'), air_temperature, revision, wind_speed, battery_voltage"
        " FROM observation ORDER BY time",
    )
    assert stored == [
        ("08:05", 20.5, 1, None, None),
        ("08:10", pytest.approx(21.7), 0, None, None),
        ("08:15", pytest.approx(21.9), 0, None, None),
        ("08:20", pytest.approx(21.4), 0, None, None),
        ("08:25", pytest.approx(21.4), 0, None, None),
        ("08:30", 20.0, 0, pytest.approx(4.4704), pytest.approx(12.6)),
    ]
    _, listed, shown, replayed, mended = reader.said
    assert "214 °C is outside" in listed
    assert '"seq": 4712' in shown
    assert "0 passed and are stored, 1 stay" in replayed
    assert "1 passed and are stored, 0 stay" in mended


async def test_a_mapped_topic_is_only_for_the_station_that_connected(
    plain_database: str, tmp_path: Path
) -> None:
    mapping = tmp_path / "garden.toml"
    mapping.write_text(titled("garden.toml"), "utf-8")
    await add_stations(plain_database, ["garden-1", "B"], b"secret")
    sent = json.dumps({"at": "01.07.2025 16:30", "outdoor": {"temp": 68}})
    options = {"anonymous": False, "mappings": (str(mapping),)}
    async with ingesting(plain_database, **options) as ingest:
        for name, refused in (("B", True), ("garden-1", False)):
            client = aiomqtt.Client(
                "127.0.0.1", ingest.port, username=name, password="secret", timeout=5,
                protocol=aiomqtt.ProtocolVersion.V5,
            )  # fmt: skip
            async with client:
                await client.publish("logger/garden-pi/minute", sent, qos=1)
                await client.publish("logger/no name/minute", b"{", qos=1)
                await client.publish("logger/garden-pi/hour", sent, qos=1)
            assert ingest.vitals.get("unauthorised") == (2 if refused else 3)
        # What tells no station is kept for the one that connected.
        kept = await rows(plain_database, "SELECT station, reason FROM quarantine ORDER BY id")
        assert kept == [("B", "station"), ("garden-1", "station")]
        assert await rows(plain_database, COUNT) == [(1,)]


async def test_mapped_topics_come_through_a_broker(
    plain_database: str, mosquitto: Callable[..., Broker], tmp_path: Path
) -> None:
    broker = mosquitto()
    mapping = tmp_path / "garden.toml"
    mapping.write_text(titled("garden.toml"), "utf-8")
    await add_stations(plain_database, ["garden-1"])
    sent = {"at": "01.07.2025 16:30", "outdoor": {"temp": 68}, "wind": [-999]}
    changes = {"mappings": (str(mapping),), "unknown": "register"}
    async with (
        subscribing(plain_database, broker, **changes) as (ingest, _),
        aiomqtt.Client(broker.host, broker.port, timeout=5) as one,
    ):
        await one.publish("logger/garden-pi/minute", json.dumps(sent), qos=1)
        await one.publish("logger/no name/minute", b"{", qos=1)
        await one.publish(OBS, b'{"time":"2025-07-01T08:31:00Z","values":{"wind_speed":1}}', qos=1)
        await eventually_async(lambda: ingest.vitals.get("stored") == 2)
        await eventually_async(lambda: ingest.vitals.get("quarantined", reason="station") == 1)
    stored = await rows(plain_database, "SELECT air_temperature, wind_speed FROM observation")
    assert sorted(stored, key=str) == [(20.0, None), (None, 1.0)]
    assert await rows(plain_database, "SELECT name FROM station") == [("garden-1",)]


def test_the_page_names_every_reason_and_the_true_limits() -> None:
    text = (DOCS / "publishing.md").read_text("utf-8")
    named = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert sorted(named) == sorted(REASONS)
    assert f"{settings().inflight:,} messages not yet acknowledged" in text
    assert "65,536 bytes and 1,000 reports" in text


def test_both_languages_show_the_same_examples() -> None:
    assert blocks("publishing.md") == blocks("publishing.zh.md")
