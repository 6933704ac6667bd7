"""The list of those who are told, as a table that can be imported again."""

from collections.abc import AsyncIterator
from typing import Any

import psycopg
from psycopg.rows import dict_row

from alerts.bureau.policy import PEOPLE
from alerts.catalogue import Catalogue
from alerts.people.headers import Field
from alerts.people.sealing import Seal
from alerts.queries import Queries

_sql = Queries("alerts.people", "roster.sql")

PAGE = 1_000
"""People read at once."""

COLUMNS: tuple[Field, ...] = (
    "name", "post", "phone", "voice", "fax", "email", "tier", "region", "group", "turn",
    "language", "lowest", "hazards", "quiet",
)  # fmt: skip
"""What the table has, in its order."""

_CHANNELS: dict[Field, str] = {"phone": "sms", "voice": "voice", "fax": "fax", "email": "email"}
_JOIN = "、"


async def rows(
    conn: psycopg.AsyncConnection[Any], *, seal: Seal, catalogue: Catalogue, language: str
) -> AsyncIterator[list[str]]:
    """Give the headers, then a row for each person who has not left; names and addresses opened."""
    yield [catalogue.text(f"people.field.{column}", language) for column in COLUMNS]
    after = 0
    while page := await _page(conn, after):
        for row in page:
            yield _cells(row, seal)
        after = page[-1]["id"]


async def _page(conn: psycopg.AsyncConnection[Any], after: int) -> list[dict[str, Any]]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        values = {"after": after, "limit": PAGE, "tiers": list(PEOPLE)}
        await cursor.execute(_sql.page, values)
        return await cursor.fetchall()


def _cells(row: dict[str, Any], seal: Seal) -> list[str]:
    reached = dict(zip(row["channels"], row["addresses"], strict=True))
    quiet = row["quiet_from"], row["quiet_until"]
    cells: dict[Field, str] = {
        "name": seal.open(row["name"]) if row["name"] else "",
        "post": seal.open(row["post"]) if row["post"] else "",
        **{
            field: seal.open(reached[channel]) if channel in reached else ""
            for field, channel in _CHANNELS.items()
        },
        "tier": row["tier"],
        "region": _JOIN.join(row["regions"]),
        "group": _JOIN.join(row["groups"]),
        "turn": str(row["turn"]),
        "language": row["language"],
        "lowest": row["lowest"],
        "hazards": _JOIN.join(row["hazards"]),
        "quiet": f"{quiet[0]:%H:%M}-{quiet[1]:%H:%M}" if quiet[0] and quiet[1] else "",
    }
    return [cells[column] for column in COLUMNS]
