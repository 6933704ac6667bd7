"""The tools themselves: the proxy does what it says, and the books notice what is wrong."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from msgspec.structs import replace

from tests.faults.results import BEGIN, END, Row, update
from tests.faults.rig import Rig
from tests.proxy import Proxy
from tests.support import eventually


class Echo:
    """Sends back what comes."""

    def __init__(self) -> None:
        self.received = 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _run(self) -> None:
        while True:
            try:
                other, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=[other], daemon=True).start()

    def _answer(self, other: socket.socket) -> None:
        with other:
            try:
                while data := other.recv(4_096):
                    self.received += len(data)
                    other.sendall(data)
            except OSError:
                return


def say_on(sock: socket.socket) -> None:
    for _ in range(3):
        say(sock, b"0123456789")


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


def call(proxy: Proxy) -> socket.socket:
    sock = socket.create_connection((proxy.host, proxy.port), 5)
    sock.settimeout(5)
    return sock


def say(sock: socket.socket, data: bytes) -> bytes:
    sock.sendall(data)
    answer = b""
    while len(answer) < len(data):
        part = sock.recv(4_096)
        if not part:
            break
        answer += part
    return answer


def test_proxy(echo: Echo) -> None:
    with Proxy(echo.port) as proxy:
        with call(proxy) as sock:
            assert say(sock, b"hello") == b"hello"
            began = time.monotonic()
            proxy.slow(1_000)
            assert say(sock, b"x" * 400) == b"x" * 400
            assert time.monotonic() - began > 0.3
            proxy.late(0.1)
            began = time.monotonic()
            assert say(sock, b"y") == b"y"
            assert time.monotonic() - began > 0.2  # there and back
            proxy.clear()
            proxy.cut()
            with pytest.raises(ConnectionError):
                say_on(sock)
        with call(proxy) as sock:
            proxy.half_open()
            sock.sendall(b"swallowed")
            sock.settimeout(0.2)
            with pytest.raises(TimeoutError):
                sock.recv(1)
            proxy.clear()  # a connection that has lost something stays dead
            with pytest.raises(TimeoutError):
                say(sock, b"more")
        before = echo.received
        with call(proxy) as sock:
            proxy.drop_after(7)
            with pytest.raises(ConnectionError):
                say_on(sock)
        eventually(lambda: proxy.dropped == 1)
        assert echo.received == before + 7
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            call(proxy)
        proxy.clear()
        with call(proxy) as sock:
            assert say(sock, b"again") == b"again"


def test_books_notice_what_is_wrong(plain_database: str, tmp_path: Path) -> None:
    with Rig(tmp_path, url=plain_database, instruments=2) as rig:
        rig.underway()
        rig.settle()
        books = rig.books()
        assert books.acknowledged == books.stored > 0
        assert (books.lost, books.late, books.doubled, books.foreign) == (0, 0, 0, 0)
        with psycopg.connect(plain_database, autocommit=True) as connection:
            connection.execute(
                "DELETE FROM observation WHERE (station, time) IN"
                " (SELECT station, time FROM observation LIMIT 1)"
            )
            connection.execute(
                "UPDATE observation SET wind_speed = wind_speed + 1 WHERE (station, time) IN"
                " (SELECT station, time FROM observation LIMIT 2)"
            )
        books = rig.books()
        assert (books.lost, books.doubled, books.foreign) == (1, 1, 2)


def test_table_keeps_rows_of_other_faults() -> None:
    row = Row(
        fault="cut", times=3, acknowledged=1_200, stored=1_200, lost=0, doubled=0, foreign=0,
        median=0.34, worst=1.26,
    )  # fmt: skip
    text = update(f"before\n{BEGIN}\n{END}\nafter\n", [row])
    text = update(text, [replace(row, fault="kill", lost=1)])
    text = update(text, [replace(row, times=4)])
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert lines[1:] == [
        "| cut | 4 | 1,200 | 1,200 | 0 | 0 | 0 | 0.3 | 1.3 |",
        "| kill | 3 | 1,200 | 1,200 | 1 | 0 | 0 | 0.3 | 1.3 |",
    ]
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert row.clean
    assert not replace(row, doubled=1).clean
