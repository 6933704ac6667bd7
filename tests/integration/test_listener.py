"""The listener as stations meet it: real sockets, real clients, a real database."""

from typing import Any

import aiomqtt
import pytest

from tests.ingesting import NOW, add_stations, ingesting, payload, report

STATIONS = ("0-20000-0-54534", "A", "B")


@pytest.fixture
async def url(plain_database: str) -> str:
    await add_stations(plain_database, STATIONS, b"secret")
    return plain_database


def client(port: int, version: int, name: str = "t", **options: Any) -> aiomqtt.Client:
    protocol = aiomqtt.ProtocolVersion.V5 if version == 5 else aiomqtt.ProtocolVersion.V311
    return aiomqtt.Client(
        "127.0.0.1", port, protocol=protocol, identifier=name, timeout=5, **options
    )


@pytest.mark.parametrize("version", [3, 5])
@pytest.mark.parametrize("qos", [1, 2])
async def test_acknowledged_means_stored(url: str, version: int, qos: int) -> None:
    async with ingesting(url) as ingest, client(ingest.port, version) as station:
        await station.publish("fenghuo/v1/A/obs", payload(report()), qos=qos)
        # No waiting: the acknowledgement says that it is there.
        assert await ingest.rows("SELECT time, air_temperature FROM observation") == [(NOW, 21.5)]
        assert ingest.vitals.get("stored") == 1
