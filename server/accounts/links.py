"""Links that work once and for a day: the first administrator's, an invitation, a new password."""

import datetime as dt
import secrets
from typing import Literal, TypeAlias

import msgspec
from psycopg.rows import class_row

from alerts.queries import Queries
from server.accounts import people
from server.accounts.errors import AccountError
from server.accounts.sessions import digest
from server.clock import aware
from server.store.connection import Connection

_queries = Queries("server.accounts", "links.sql")

Kind: TypeAlias = Literal["first", "invite", "reset"]

LASTS = dt.timedelta(days=1)
"""How long a link can be used."""


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A link that can still be used. name, title: of whom it is for; None for the first one."""

    kind: Kind
    account: int | None
    expires: dt.datetime
    name: str | None
    title: str | None


def address(public: str, token: str) -> str:
    """Give the link itself; the token stands where no server and no proxy sees it."""
    return f"{public.rstrip('/')}/console#welcome={token}"


async def first(conn: Connection, *, now: dt.datetime) -> str:
    """Give the token by which the first administrator comes in; earlier ones end.

    Raises AccountError (``not_first``) where there are accounts.
    """
    if await people.exist(conn):
        raise AccountError("not_first")
    return await _make(conn, "first", None, now=now)


async def invite(conn: Connection, account: int, *, now: dt.datetime) -> str:
    """Give the token by which the owner of an account sets a password; earlier ones end.

    Raises AccountError: ``missing``, ``disabled``.
    """
    found = await people.one(conn, account)
    if found.disabled is not None:
        raise AccountError("disabled", name=found.name)
    return await _make(conn, "reset" if found.ready else "invite", account, now=now)


async def withdraw(conn: Connection, account: int | None) -> None:
    """End the links of an account that were not used."""
    await conn.execute(_queries.withdraw, {"account": account})


async def find(conn: Connection, token: str, *, now: dt.datetime) -> Link:
    """Give what a link is for; raises AccountError (``link``)."""
    async with conn.cursor(row_factory=class_row(Link)) as cursor:
        await cursor.execute(_queries.find, {"digest": digest(token), "now": aware(now)})
        found = await cursor.fetchone()
    if found is None:
        raise AccountError("link")
    return found


async def use(conn: Connection, token: str, *, now: dt.datetime) -> Link:
    """Use a link up; of two that try at once one succeeds. Raises AccountError (``link``)."""
    found = await find(conn, token, now=now)
    row = await (
        await conn.execute(_queries.use, {"digest": digest(token), "now": aware(now)})
    ).fetchone()
    if row is None:
        raise AccountError("link")
    return found


async def _make(conn: Connection, kind: Kind, account: int | None, *, now: dt.datetime) -> str:
    token = secrets.token_urlsafe(32)
    values = {
        "digest": digest(token),
        "kind": kind,
        "account": account,
        "now": aware(now),
        "expires": now + LASTS,
    }
    await withdraw(conn, account)
    await conn.execute(_queries.make, values)
    return token
