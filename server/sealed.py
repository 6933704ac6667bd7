"""One key for one database: whoever starts with another one is told, before anything is lost."""

import logging

from alerts.people import privacy
from alerts.people.sealing import Seal, SealError
from alerts.queries import Queries
from server.store.connection import Connection
from server.store.database import Database

_log = logging.getLogger(__name__)
_sql = Queries("server", "sealed.sql")


async def bind(conn: Connection, seal: Seal) -> None:
    """Tie the database to the key, the first time; raises SealError for another key later."""
    mine = seal.fingerprint.hex()
    await conn.execute(_sql.bind, {"fingerprint": mine})
    row = await (await conn.execute(_sql.bound)).fetchone()
    if row is None or row[0] != mine:
        known = row[0][:8] if row else ""
        raise SealError(
            "the names and addresses in this database are sealed with another key "
            f"(it begins {known}, yours {mine[:8]}): put that file where alerts.key says"
        )


async def rebind(conn: Connection, seal: Seal) -> None:
    """Tie the database to another key, in the transaction that seals everything anew."""
    await conn.execute(_sql.rebind, {"fingerprint": seal.fingerprint.hex()})


async def prepare(database: Database, seal: Seal) -> None:
    """Do the same, and seal what an older version stored as it was, some in each transaction."""
    async with database.connection() as conn:
        await bind(conn, seal)
    done = 0
    while True:
        async with database.connection() as conn:
            count = await privacy.seal_plain(conn, seal=seal)
        if not count:
            break
        done += count
    if done:
        _log.info("sealed what was stored plainly rows=%d", done)
