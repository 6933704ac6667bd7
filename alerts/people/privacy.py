"""What is known of a person: given to them, erased, sealed, and sealed anew under another key.

Everything here runs in its caller's transaction.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.rows import dict_row

from alerts.people import contacts
from alerts.people.contacts import Address, ContactError
from alerts.people.sealing import Seal
from alerts.queries import Queries

_sql = Queries("alerts.people", "privacy.sql")

BATCH = 500
"""Rows sealed in one transaction."""

MESSAGES = 10_000
"""Messages in what a person is given, the newest first."""


async def export(
    conn: psycopg.AsyncConnection[Any], number: int, *, seal: Seal
) -> dict[str, Any] | None:
    """Give everything known of a person, with every message they were sent; None for nobody."""
    found = await _rows(conn, _sql.person, {"id": number})
    if not found:
        return None
    person = found[0]
    for sealed in ("name", "post"):
        person[sealed] = seal.open(person[sealed]) if person[sealed] else None
    addresses = await _rows(conn, _sql.contacts, {"id": number})
    for row in addresses:
        row["address"] = seal.open(row["address"])
    return {
        "person": person,
        "contacts": addresses,
        "messages": await _rows(conn, _sql.sent, {"id": number, "limit": MESSAGES}),
        "codes": await _rows(conn, _sql.codes, {"id": number}),
    }


async def erase(conn: psycopg.AsyncConnection[Any], number: int, *, at: dt.datetime) -> bool:
    """Forget who somebody is; False where there is nobody, or nothing left to forget.

    What was sent stays in the ledger, of a recipient without a name, an address or a place.
    """
    values = {"id": number, "at": at}
    cursor = await conn.execute(_sql.forget_person, values)
    if not cursor.rowcount:
        return False
    for query in (_sql.stop, _sql.forget_answers, _sql.forget_codes, _sql.forget_contacts):
        await conn.execute(query, values)
    return True


async def seal_plain(conn: psycopg.AsyncConnection[Any], *, seal: Seal) -> int:
    """Seal some of what an older version stored as it was; 0 when nothing is left."""
    people = await _rows(conn, _sql.plain_people, {"limit": BATCH})
    addresses = await _rows(conn, _sql.plain_contacts, {"limit": BATCH})
    await _write(conn, people, addresses, old=seal, new=seal)
    return len(people) + len(addresses)


async def reseal(conn: psycopg.AsyncConnection[Any], *, old: Seal, new: Seal) -> int:
    """Seal everything under another key; give how many people there are.

    Codes on their way are dropped: whoever waits for one asks again.
    """
    await conn.execute(_sql.drop_codes)
    count = after = 0
    while people := await _rows(conn, _sql.every_person, {"after": after, "limit": BATCH}):
        await _write(conn, people, [], old=old, new=new)
        after = people[-1]["id"]
        count += len(people)
    after = 0
    while addresses := await _rows(conn, _sql.every_contact, {"after": after, "limit": BATCH}):
        await _write(conn, [], addresses, old=old, new=new)
        after = addresses[-1]["id"]
    return count


async def _write(
    conn: psycopg.AsyncConnection[Any],
    people: list[dict[str, Any]],
    addresses: list[dict[str, Any]],
    *,
    old: Seal,
    new: Seal,
) -> None:
    async with conn.cursor() as cursor:
        await cursor.executemany(
            _sql.seal_person,
            [
                {
                    "id": row["id"],
                    **{
                        sealed: new.seal(old.open(row[sealed])) if row[sealed] else None
                        for sealed in ("name", "post")
                    },
                }
                for row in people
            ],
        )
        await cursor.executemany(
            _sql.seal_contact,
            [
                {
                    "id": row["id"],
                    **contacts.fields(_address(row["channel"], old.open(row["address"])), new),
                }
                for row in addresses
            ],
        )


def _address(channel: str, text: str) -> Address:
    """Give an address that is stored; older versions did not look at them closely."""
    try:
        return contacts.read(channel, text)
    except ContactError:
        return Address(channel=channel, text=text, key=text, hint=f"…{text[-4:]}")


async def _rows(
    conn: psycopg.AsyncConnection[Any], query: Any, values: Mapping[str, Any]
) -> list[dict[str, Any]]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()
