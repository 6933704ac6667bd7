"""The test servers themselves: real, fresh, and kept apart."""

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from server.store.database import Database, Kind
from tests.servers.broker import Broker
from tests.servers.trixie import mirror
from tests.support import eventually, listening


async def test_database_is_a_real_timescaledb(database: str) -> None:
    async with await Database.open(database, name="test") as opened:
        assert opened.kind in {Kind.APACHE, Kind.COMMUNITY}


async def test_plain_database_is_plain(plain_database: str) -> None:
    async with await Database.open(plain_database, name="test") as opened:
        assert opened.kind is Kind.PLAIN


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_has_a_database_of_its_own(any_database: str, turn: int) -> None:
    with psycopg.connect(any_database) as connection:
        assert connection.execute("SELECT count(*) FROM meta").fetchone() == (0,)
        connection.execute("INSERT INTO meta VALUES ('turn', %s)", (turn,))


def test_broker_starts_stops_and_starts_again(mosquitto: Callable[..., Broker]) -> None:
    broker = mosquitto("persistence true")
    port = broker.port
    broker.stop()
    assert not listening(broker.host, port)
    broker.start()
    assert broker.port == port
    broker.kill()
    eventually(lambda: not listening(broker.host, port))


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.list", "# deb http://no/debian x\ndeb [signed-by=/k] http://m/debian b main", True),
        ("b.list", "deb http://m/ubuntu noble main\n", False),
        ("c.sources", "Types: deb\nURIs: http://s/debian-security http://m/debian\n", True),
        ("d.sources", "Types: deb\nEnabled: no\nURIs: http://m/debian\n", False),
        ("e.list.disabled", "deb http://m/debian b main\n", False),
    ],
)
def test_mirror_is_read_from_the_apt_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, found: bool
) -> None:
    monkeypatch.delenv("FENGHUO_DEBIAN_MIRROR", raising=False)
    file = tmp_path / name
    file.write_text(text)
    assert mirror([file]) == ("http://m/debian" if found else None)
