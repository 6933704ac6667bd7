"""Connections to PostgreSQL: what every one of them is set to, and which kind of server answers."""

import enum
import logging
from typing import Any, TypeAlias

import psycopg
from psycopg.conninfo import conninfo_to_dict

from server.store.errors import StoreError

logger = logging.getLogger(__name__)

Connection: TypeAlias = psycopg.AsyncConnection[Any]

OLDEST = 16
"""Lowest major version of PostgreSQL that Fenghuo works with."""
STATEMENT_SECONDS = 60
IDLE_SECONDS = 120


class Kind(enum.StrEnum):
    """Which kind of database it is; partitions and housekeeping differ, nothing else does."""

    PLAIN = "plain"
    APACHE = "apache"
    COMMUNITY = "community"


def parameters(url: str, *, name: str) -> dict[str, Any]:
    """Give the connection parameters: those of the URL, and ours where it has none.

    Raises StoreError (``url``) for what is no PostgreSQL URL.
    """
    try:
        given = conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        raise StoreError(
            "url",
            detail=str(error).strip(),
        ) from None
    ours = {
        "application_name": name if name.startswith("fenghuo") else f"fenghuo {name}",
        "connect_timeout": 10,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 60_000,
    }
    options = (
        f"-c timezone=UTC -c statement_timeout={STATEMENT_SECONDS}s "
        f"-c idle_in_transaction_session_timeout={IDLE_SECONDS}s"
    )
    return {**ours, **given, "options": f"{options} {given.get('options', '')}".strip()}


async def connect(url: str, *, name: str, autocommit: bool = False) -> Connection:
    """Open one connection and see that the server is new enough.

    Raises StoreError (``url``, ``unreachable``, ``password``, ``missing``, ``old``).
    """
    arguments = parameters(url, name=name)
    try:
        connection = await psycopg.AsyncConnection.connect(autocommit=autocommit, **arguments)
    except psycopg.OperationalError as error:
        raise _refused(arguments, error) from None
    version = connection.info.server_version
    if version < OLDEST * 10_000:
        await connection.close()
        raise StoreError(
            "old",
            found=version // 10_000,
            needed=OLDEST,
        )
    return connection


async def probe(connection: Connection) -> Kind:
    """Say which kind of database this is.

    Once the tables are there, they decide: a database made plain stays plain.
    """
    cursor = await connection.execute(
        "SELECT (SELECT relkind FROM pg_class WHERE oid = to_regclass('observation')) = 'p',"
        " EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb'),"
        " current_setting('timescaledb.license', true)"
    )
    row = await cursor.fetchone()
    partitioned, extension, license_name = row or (None, False, None)
    if partitioned or not extension:
        return Kind.PLAIN
    return Kind.APACHE if license_name == "apache" else Kind.COMMUNITY


def _refused(arguments: dict[str, Any], error: psycopg.OperationalError) -> StoreError:
    """Give the error for a connection that did not come about, never showing the password."""
    host = str(arguments.get("host") or arguments.get("hostaddr") or "local socket")
    port = str(arguments.get("port") or 5432)
    user = str(arguments.get("user") or "")
    database = str(arguments.get("dbname") or user)
    said = str(error).strip().splitlines()[-1]
    if "authentication failed" in said or "no password supplied" in said:
        return StoreError(
            "password",
            host=host,
            port=port,
            user=user,
        )
    if "does not exist" in said:
        return StoreError(
            "missing",
            host=host,
            port=port,
            user=user,
            database=database,
        )
    return StoreError(
        "unreachable",
        host=host,
        port=port,
        detail=said,
    )
