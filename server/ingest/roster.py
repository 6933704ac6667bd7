"""Which stations there are: names to ids, kept in memory, and right again within seconds."""

import datetime as dt
import time
from collections.abc import Iterable, Mapping

from alerts.queries import Queries
from server.store.connection import Connection

CHECK_SECONDS = 10.0

_queries = Queries("server.ingest", "roster.sql")


class Roster:
    """The ids of the stations.

    A name that is not known is asked for each time, so a station is there as soon as it was
    added; that stations were removed is noticed within `CHECK_SECONDS`.
    """

    def __init__(self, *, register: bool) -> None:
        """Begin empty; ``register`` adds unknown stations to the catalogue."""
        self._register = register
        self._ids: dict[str, int] = {}
        self._mark: tuple[int, int] | None = None
        self._checked = 0.0

    @property
    def ids(self) -> Mapping[str, int]:
        """Ids by name, as far as known."""
        return self._ids

    async def refresh(self, connection: Connection) -> None:
        """Read all anew if stations were added or removed; looks at most every 10 s."""
        if self._mark is not None and time.monotonic() - self._checked < CHECK_SECONDS:
            return
        cursor = await connection.execute(_queries.mark)
        mark = await cursor.fetchone()
        if mark != self._mark:
            cursor = await connection.execute(_queries.everybody)
            self._ids = dict(await cursor.fetchall())
            self._mark = mark
        self._checked = time.monotonic()

    async def find(self, connection: Connection, names: Iterable[str], *, now: dt.datetime) -> None:
        """Look for names that are not in ``ids``; afterwards they are, or do not exist."""
        wanted = sorted(set(names))
        if self._register:
            await connection.execute(_queries.register, (now, wanted))
        cursor = await connection.execute(_queries.some, (wanted,))
        self._ids.update(await cursor.fetchall())


async def keys(connection: Connection, names: Iterable[str]) -> dict[str, bytes | None]:
    """Give the SHA-256 of the stations' keys; a station that does not exist is left out."""
    cursor = await connection.execute(_queries.keys, (list(names),))
    return dict(await cursor.fetchall())
