"""Fixtures: real servers for the session, and a database of its own for each test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.demo import Demo
from tests.servers import databases
from tests.servers.broker import Broker
from tests.servers.databases import Server
from tests.servers.nats import Cluster


@pytest.fixture(scope="session")
def timescale_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real TimescaleDB; ``FENGHUO_TEST_DATABASE_URL`` names another."""
    with databases.timescale(tmp_path_factory.mktemp("timescale")) as server:
        yield server


@pytest.fixture(scope="session")
def plain_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The embedded PostgreSQL of the product."""
    with databases.plain(tmp_path_factory.mktemp("plain")) as server:
        yield server


@pytest.fixture(scope="session")
def usual(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What comes of the bundled event when nothing disturbs it."""
    return Demo(tmp_path_factory.mktemp("usual"), "--fast").finish()


@pytest.fixture
def database(timescale_server: Server) -> Iterator[str]:
    """URL of a fresh migrated database on TimescaleDB."""
    with timescale_server.fresh() as url:
        yield url


@pytest.fixture
def plain_database(plain_server: Server) -> Iterator[str]:
    """URL of a fresh migrated database on plain PostgreSQL."""
    with plain_server.fresh() as url:
        yield url


@pytest.fixture(params=["plain", "timescale"])
def any_server(request: pytest.FixtureRequest) -> Server:
    """Each kind of server in turn."""
    server: Server = request.getfixturevalue(f"{request.param}_server")
    return server


@pytest.fixture
def any_database(any_server: Server) -> Iterator[str]:
    """URL of a fresh migrated database, on each kind of server in turn."""
    with any_server.fresh() as url:
        yield url


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three NATS servers with JetStream."""
    nodes = Cluster(tmp_path_factory.mktemp("nats"))
    nodes.start()
    yield nodes
    nodes.kill()


@pytest.fixture
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Broker]]:
    """A function that starts a real broker: ``mosquitto()`` or ``mosquitto("more config")``."""
    with ExitStack() as stack:

        def start(config: str = "") -> Broker:
            broker = Broker(Path(tmp_path_factory.mktemp("mosquitto")), config)
            broker.start()
            stack.callback(broker.kill)
            return broker

        yield start
