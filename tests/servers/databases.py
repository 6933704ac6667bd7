"""Databases for tests: fresh, migrated, and cheap because they are copied from a template."""

import asyncio
import itertools
import os
import threading
from collections.abc import Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from server.store.embedded import Embedded
from server.store.migrations import migrate
from tests.servers import prepare

T = TypeVar("T")

FAST: Mapping[str, str] = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_connections": "100",
    "log_min_duration_statement": "-1",
}
"""Settings of a server whose data nobody will miss."""
TIMESCALE: Mapping[str, str] = {
    "shared_preload_libraries": "timescaledb",
    "timescaledb.telemetry_level": "off",
    # Its scheduler would keep the template busy, and the free edition has no jobs.
    "timescaledb.max_background_workers": "0",
}


class Server:
    """A running server, its migrated template, and the databases copied from it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._template = f"fenghuo_template_{os.getpid()}"
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._migrated = False

    def named(self, database: str) -> str:
        parts = urlsplit(self.url)
        return urlunsplit(parts._replace(path=f"/{database}"))

    @contextmanager
    def fresh(self, *, migrated: bool = True) -> Iterator[str]:
        """Lend a database of its own, migrated or empty, and drop it afterwards."""
        name = f"fenghuo_test_{os.getpid()}_{next(self._numbers)}"
        template = self._ready_template() if migrated else "template1"
        self.execute("CREATE DATABASE {} TEMPLATE {}", name, template)
        try:
            yield self.named(name)
        finally:
            self.execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def close(self) -> None:
        if self._migrated:
            self.execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", self._template)

    def execute(self, statement: str, *names: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            text = sql.SQL(statement)  # type: ignore[arg-type] # texts of this module
            connection.execute(text.format(*map(sql.Identifier, names)))

    def _ready_template(self) -> str:
        with self._lock:
            if not self._migrated:
                self.execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", self._template)
                self.execute("CREATE DATABASE {}", self._template)
                in_thread(migrate(self.named(self._template)))
                self._migrated = True
        return self._template


@contextmanager
def plain(folder: Path) -> Iterator[Server]:
    """Run the embedded server of the product."""
    with Embedded(folder, options=FAST) as embedded:
        yield Server(embedded.url)


@contextmanager
def timescale(folder: Path) -> Iterator[Server]:
    """Run a real TimescaleDB, or use that of ``FENGHUO_TEST_DATABASE_URL``."""
    given = os.environ.get("FENGHUO_TEST_DATABASE_URL")
    if given:
        server = Server(given)
        try:
            yield server
        finally:
            server.close()
        return
    binaries = prepare.timescale()
    with Embedded(folder, binaries=binaries, options={**FAST, **TIMESCALE}) as embedded:
        yield Server(embedded.url)


def in_thread(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, whether or not an event loop runs here."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
