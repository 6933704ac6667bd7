"""The criteria that a role goes by: which are in force, and until when."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

from forecast.criteria import Book, Criteria
from server.settings import Settings
from server.store import criteria
from server.store.connection import Connection


@dataclass(frozen=True, slots=True)
class Rules:
    """The criteria in force, until when (as far as that is decided), and which text they are."""

    book: Book | Criteria = field(compare=False)
    until: dt.datetime | None = None
    digest: str = ""

    def sets(self, names: Sequence[str], at: int) -> list[tuple[Criteria, frozenset[str]]]:
        """Give the criteria at a time, each with the regions where they count."""
        if isinstance(self.book, Criteria):
            return [(self.book, frozenset(names))]
        return self.book.sets(names, at)


async def read(conn: Connection, settings: Settings, *, at: dt.datetime) -> Rules:
    """Give the criteria in force at a moment of the readings' own time; raises CriteriaError."""
    standing = await criteria.in_force(conn, settings, at=at)
    return Rules(standing.book, standing.until, standing.digest)
