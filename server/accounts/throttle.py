"""How often somebody may guess.

Few times from one place for one name, so that a stranger elsewhere cannot lock a forecaster out
while a storm comes; more from one place for all names; and a limit for one name from everywhere.
"""

import datetime as dt
import hashlib
import ipaddress

from alerts.queries import Queries
from server.accounts.people import folded
from server.clock import aware
from server.store.connection import Connection

_queries = Queries("server.accounts", "throttle.sql")

WINDOW = dt.timedelta(minutes=15)

HERE, ADDRESS, NAME = 5, 30, 60
"""Attempts in a window: for one name from one address, from one address, for one name."""


def place(address: str) -> str:
    """Give what counts as one address: of IPv6 the network that one household has."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address[:100]
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, 64), strict=False))


async def attempt(conn: Connection, *, name: str, address: str, now: dt.datetime) -> int:
    """Count an attempt before it is made, so that many at once are not free; give its number.

    The caller commits, then asks `allowed`.
    """
    await conn.execute(_queries.forget, {"since": aware(now) - WINDOW})
    values = {"name": _hidden(name), "address": place(address), "now": now}
    row = await (await conn.execute(_queries.begin, values)).fetchone()
    return row[0] if row else 0


async def allowed(
    conn: Connection, number: int, *, name: str, address: str, now: dt.datetime
) -> bool:
    """Say whether an attempt may go on; one that may not is not counted any further."""
    values = {"name": _hidden(name), "address": place(address), "since": aware(now) - WINDOW}
    row = await (await conn.execute(_queries.count, values)).fetchone()
    here, everything, everywhere = row or (0, 0, 0)
    if here <= HERE and everything <= ADDRESS and everywhere <= NAME:
        return True
    await conn.execute(_queries.withdraw, {"id": number})
    return False


async def succeeded(conn: Connection, *, name: str, address: str) -> None:
    """Forget the attempts of whoever did sign in."""
    await conn.execute(_queries.succeeded, {"name": _hidden(name), "address": place(address)})


def _hidden(name: str) -> bytes:
    return hashlib.sha256(folded(name)[:1_000].encode()).digest()
