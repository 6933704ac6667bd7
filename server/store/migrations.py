"""The schema's history: numbered files, each applied once and in one transaction."""

import hashlib
import logging
from importlib.resources import files

import msgspec
import psycopg

from server.store import arrivals, partitions
from server.store.connection import Connection, Kind, connect, probe
from server.store.errors import StoreError

logger = logging.getLogger(__name__)

_LOCK = 0x66656E67_6D696772
"""Advisory lock, so that many processes may start at once."""


class Migration(msgspec.Struct, frozen=True):
    """One file: its number, name, text and SHA-256."""

    number: int
    name: str
    text: str
    digest: str


def history() -> tuple[Migration, ...]:
    """Give every migration this version of Fenghuo knows, oldest first."""
    found = []
    for file in files("server.store").joinpath("migrations").iterdir():
        if file.name.endswith(".sql"):
            raw = file.read_bytes()
            digest = hashlib.sha256(raw).hexdigest()
            number = int(file.name.split("_")[0])
            found.append(Migration(number, file.name, raw.decode("utf-8"), digest))
    return tuple(sorted(found, key=lambda migration: migration.number))


async def migrate(
    url: str, *, chunk_days: int = 7, known: tuple[Migration, ...] | None = None
) -> list[str]:
    """Bring the database up to date; give the names of what was applied.

    Any number of processes may call it at once. Raises StoreError: ``newer`` (the database was
    written by a later Fenghuo), ``changed`` (an applied file is not what it was), and those of
    `connect`.
    """
    known = history() if known is None else known
    connection = await connect(url, name="fenghuo migrate", autocommit=True)
    try:
        await connection.execute("SET statement_timeout = 0")
        await connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        done = await _bring(connection, known, chunk_days=chunk_days)
        async with connection.transaction():
            if await arrivals.rebase(connection):
                logger.warning("log of commits begun anew: the database comes from another server")
        return done
    finally:
        await connection.close()


async def _bring(
    connection: Connection, known: tuple[Migration, ...], *, chunk_days: int
) -> list[str]:
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS migration (number integer PRIMARY KEY, name text NOT NULL,"
        " sha256 text NOT NULL, applied timestamptz NOT NULL DEFAULT now())"
    )
    cursor = await connection.execute("SELECT number, name, sha256 FROM migration")
    applied = {number: (name, digest) for number, name, digest in await cursor.fetchall()}
    _compare(known, applied)
    if not applied:
        await _extend(connection)
    kind = await probe(connection)
    done = []
    for migration in known:
        if migration.number in applied:
            continue
        async with connection.transaction():
            await _apply(connection, migration, kind, chunk_days)
        logger.info("migrated: name=%s kind=%s", migration.name, kind)
        done.append(migration.name)
    return done


async def _apply(connection: Connection, migration: Migration, kind: Kind, chunk_days: int) -> None:
    text = partitions.fill(migration.text, kind, chunk_days=chunk_days)
    await connection.execute(text)
    await connection.execute(
        "INSERT INTO migration (number, name, sha256) VALUES (%s, %s, %s)",
        (migration.number, migration.name, migration.digest),
    )


def _compare(known: tuple[Migration, ...], applied: dict[int, tuple[str, str]]) -> None:
    newest = max((migration.number for migration in known), default=0)
    later = max(applied, default=0)
    if later > newest:
        raise StoreError(
            "newer",
            later=later,
            newest=newest,
        )
    for migration in known:
        name, digest = applied.get(migration.number, (migration.name, migration.digest))
        if digest != migration.digest:
            raise StoreError(
                "changed",
                name=name,
            )


async def _extend(connection: Connection) -> None:
    """Create the TimescaleDB extension where the server offers it and lets us."""
    cursor = await connection.execute(
        "SELECT FROM pg_available_extensions WHERE name = 'timescaledb'"
    )
    if await cursor.fetchone() is None:
        return
    try:
        await connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
    except psycopg.Error as error:
        # Not preloaded, or not permitted: plain partitions do the same work.
        logger.warning("timescaledb is not used: detail=%s", str(error).strip())
        if connection.closed:
            raise StoreError(
                "extension",
            ) from None
