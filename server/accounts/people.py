"""Accounts: who there is, what they may do, and where."""

import datetime as dt
import re
import unicodedata
from collections.abc import Sequence

import msgspec
from psycopg.rows import class_row

from alerts.queries import Queries
from alerts.rights import ROLES, Role
from server.accounts.errors import AccountError
from server.clock import aware
from server.store.connection import Connection

_queries = Queries("server.accounts", "people.sql")

_NAME = re.compile(r"[^\W_][\w.@-]{1,63}")
_TITLE = re.compile(r"[^\x00-\x1f\x7f]{1,100}")

MOST = 10_000
"""Accounts that are listed."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An account. ready: it has a password; seen: when it was last used, to the minute."""

    id: int
    name: str
    title: str
    roles: tuple[Role, ...]
    regions: tuple[str, ...]
    added: dt.datetime
    disabled: dt.datetime | None
    ready: bool
    seen: dt.datetime | None


class Secret(msgspec.Struct, frozen=True):
    """What signing in needs of an account that is not disabled."""

    id: int
    name: str
    password: str | None


def folded(name: str) -> str:
    """Give the one way in which a name is written; two that look alike are the same."""
    return unicodedata.normalize("NFKC", name).strip().casefold()


async def exist(conn: Connection) -> bool:
    """Say whether there is any account."""
    row = await (await conn.execute(_queries.any)).fetchone()
    return bool(row and row[0])


async def lock(conn: Connection) -> None:
    """Let nobody else add or change accounts until the end of the transaction."""
    await conn.execute(_queries.lock)


async def every(conn: Connection) -> list[Account]:
    """Give all accounts, by name."""
    return await _read(conn, None)


async def one(conn: Connection, number: int) -> Account:
    """Give an account; raises AccountError (``missing``)."""
    found = await _read(conn, number)
    if not found:
        raise AccountError("missing", name=number)
    return found[0]


async def named(conn: Connection, name: str) -> Account:
    """Give the account of a name; raises AccountError (``missing``)."""
    row = await (await conn.execute(_queries.number, {"name": folded(name)})).fetchone()
    if row is None:
        raise AccountError("missing", name=name)
    return await one(conn, row[0])


async def secret(conn: Connection, name: str) -> Secret | None:
    """Give what signing in needs; None for an account that is not there or disabled."""
    async with conn.cursor(row_factory=class_row(Secret)) as cursor:
        await cursor.execute(_queries.secret, {"name": folded(name)})
        return await cursor.fetchone()


async def add(
    conn: Connection,
    *,
    name: str,
    title: str,
    roles: Sequence[Role],
    regions: Sequence[str] = (),
    now: dt.datetime,
) -> Account:
    """Add an account without a password; a link lets its owner set one.

    Raises AccountError: ``name``, ``title``, ``roles``, ``regions`` (wrong), ``taken``.
    """
    name = folded(name)
    if not _NAME.fullmatch(name):
        raise AccountError("name")
    values = {"name": name, "title": _title(title or name), "now": aware(now)}
    places = await _checked(conn, roles, regions)
    row = await (await conn.execute(_queries.add, {**values, **places})).fetchone()
    if row is None:
        raise AccountError("taken", name=name)
    return await one(conn, row[0])


async def change(
    conn: Connection,
    number: int,
    *,
    title: str | None = None,
    roles: Sequence[Role] | None = None,
    regions: Sequence[str] | None = None,
    disabled: bool | None = None,
    now: dt.datetime,
) -> Account:
    """Change what is not None; what somebody may do changes with their next request.

    Raises AccountError: as `add`, ``missing``, and ``last`` where nobody could let others in any
    more.
    """
    await lock(conn)
    old = await one(conn, number)
    wanted = old.roles if roles is None else tuple(roles)
    off = old.disabled is not None if disabled is None else disabled
    row = await (await conn.execute(_queries.other_admins, {"id": number})).fetchone()
    if "admin" in old.roles and (off or "admin" not in wanted) and not (row and row[0]):
        raise AccountError("last", name=old.name)
    places = await _checked(conn, wanted, old.regions if regions is None else regions, old.regions)
    values = {
        "id": number,
        "title": old.title if title is None else _title(title),
        "disabled": (old.disabled or aware(now)) if off else None,
        **places,
    }
    await conn.execute(_queries.change, values)
    return await one(conn, number)


async def set_password(
    conn: Connection, number: int, password: str, *, title: str | None = None
) -> None:
    """Keep a hashed password, and how they want to be shown. Raises AccountError (``title``)."""
    title = None if title is None else _title(title)
    values = {"id": number, "password": password, "title": title}
    await conn.execute(_queries.set_password, values)


async def rehash(conn: Connection, number: int, password: str, *, old: str) -> None:
    """Keep the same password hashed anew, unless it was changed meanwhile."""
    await conn.execute(_queries.rehash, {"id": number, "password": password, "old": old})


async def _read(conn: Connection, number: int | None) -> list[Account]:
    cursor = await conn.execute(_queries.every, {"id": number, "limit": MOST})
    names = [column.name for column in cursor.description or ()]
    rows = await cursor.fetchall()
    return [msgspec.convert(dict(zip(names, row, strict=True)), Account) for row in rows]


async def _checked(
    conn: Connection, roles: Sequence[Role], regions: Sequence[str], known: Sequence[str] = ()
) -> dict[str, list[str]]:
    """Give both as they are stored; raises AccountError. known: regions that were there before."""
    if not set(roles) <= set(ROLES):
        raise AccountError("roles", roles=", ".join(ROLES))
    new = sorted(set(regions) - set(known))
    rows = await (await conn.execute(_queries.unknown_regions, {"regions": new})).fetchall()
    if rows:
        raise AccountError("regions", names=", ".join(row[0] for row in rows))
    return {
        "roles": [role for role in ROLES if role in roles],
        "regions": list(dict.fromkeys(regions)),
    }


def _title(title: str) -> str:
    title = title.strip()
    if not _TITLE.fullmatch(title):
        raise AccountError("title")
    return title
