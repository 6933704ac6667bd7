"""Sessions: a random token for a browser or a machine, of which only the SHA-256 is kept."""

import datetime as dt
import hashlib
import secrets
from typing import Literal, TypeAlias

import msgspec
from psycopg.rows import class_row

from alerts.queries import Queries
from alerts.rights import Person
from server.accounts.errors import AccountError
from server.clock import aware
from server.store.connection import Connection

_queries = Queries("server.accounts", "sessions.sql")

Kind: TypeAlias = Literal["browser", "machine"]

IDLE = dt.timedelta(hours=8)
"""A browser that asks for nothing so long is signed out."""

LONGEST = dt.timedelta(days=1, hours=12)
"""A browser is signed out after so long: two shifts and what comes between."""

KEPT = dt.timedelta(days=30)
"""What has expired is forgotten after so long; the audit keeps who signed in."""

MINUTE = dt.timedelta(minutes=1)

PREFIX = "fh_"
"""By which a token can be found where it does not belong."""

EVERY: tuple[Kind, ...] = ("browser", "machine")


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One that holds. label: what the browser calls itself, or what the token is for."""

    id: int
    account: int
    kind: Kind
    label: str
    address: str
    made: dt.datetime
    seen: dt.datetime
    expires: dt.datetime


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody, and the session by which they are known."""

    session: int
    kind: Kind
    expires: dt.datetime
    person: Person


def digest(token: str) -> bytes:
    """Give what is kept of a token."""
    return hashlib.sha256(token.encode()).digest()


async def begin(
    conn: Connection,
    account: int,
    *,
    label: str,
    address: str,
    now: dt.datetime,
    kind: Kind = "browser",
    longest: dt.timedelta = LONGEST,
) -> tuple[int, str]:
    """Begin a session and give its number and its token, which is shown once."""
    token = PREFIX + secrets.token_urlsafe(32)
    values = {
        "account": account,
        "digest": digest(token),
        "kind": kind,
        "label": "".join(c for c in label if c.isprintable())[:200],
        "address": address,
        "now": aware(now),
        "expires": now + longest,
    }
    await conn.execute(_queries.forget, {"before": now - KEPT})
    row = await (await conn.execute(_queries.begin, values)).fetchone()
    return (row[0] if row else 0), token


async def find(conn: Connection, token: str, *, now: dt.datetime) -> Signed | None:
    """Give whose token it is; None for one that is unknown, idle, expired or revoked."""
    values = {"digest": digest(token), "now": aware(now), "idle": now - IDLE}
    row = await (await conn.execute(_queries.find, values)).fetchone()
    if row is None:
        return None
    number, kind, expires, seen, account, name, title, roles, regions = row
    if now - seen > MINUTE:  # a page that asks each second need not write each second
        await conn.execute(_queries.touch, {"id": number, "now": now})
    person = Person(
        id=account, name=name, title=title, roles=frozenset(roles), regions=tuple(regions)
    )
    return Signed(session=number, kind=kind, expires=expires, person=person)


async def every(conn: Connection, account: int, *, now: dt.datetime) -> list[Session]:
    """Give those of an account that hold, the last used first."""
    values = {"account": account, "now": aware(now), "idle": now - IDLE}
    async with conn.cursor(row_factory=class_row(Session)) as cursor:
        await cursor.execute(_queries.every, values)
        return await cursor.fetchall()


async def end(
    conn: Connection, number: int, *, now: dt.datetime, account: int | None = None
) -> int | None:
    """End one, of this account where one is given; give whose it was, None where there is none."""
    values = {"id": number, "now": aware(now), "account": account}
    row = await (await conn.execute(_queries.end, values)).fetchone()
    return row[0] if row else None


async def revoke(
    conn: Connection, number: int, *, now: dt.datetime, account: int | None = None
) -> int:
    """End one as `end` does; raises AccountError (``session``) where there is none."""
    owner = await end(conn, number, now=now, account=account)
    if owner is None:
        raise AccountError("session", number=number)
    return owner


async def end_all(
    conn: Connection,
    account: int,
    *,
    now: dt.datetime,
    but: int = 0,
    kinds: tuple[Kind, ...] = EVERY,
) -> None:
    """End those of an account, but for one of them."""
    values = {"account": account, "now": aware(now), "but": but, "kinds": list(kinds)}
    await conn.execute(_queries.end_all, values)
