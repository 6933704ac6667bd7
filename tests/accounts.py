"""Accounts for tests: somebody with these roles, and the token by which they are known."""

import datetime as dt

from alerts.rights import Role
from server.accounts import people, sessions
from server.clock import SystemClock
from server.store.connection import connect


async def token(
    url: str,
    *roles: Role,
    name: str = "chen",
    regions: tuple[str, ...] = (),
    days: int = 1,
) -> str:
    """Add an account and give a token of its own, to send as ``Authorization: Bearer …``."""
    now = SystemClock().now()
    async with await connect(url, name="test accounts") as conn:
        account = await people.add(
            conn, name=name, title=name.title(), roles=roles, regions=regions, now=now
        )
        _, made = await sessions.begin(
            conn,
            account.id,
            label="test",
            address="",
            now=now,
            kind="machine",
            longest=dt.timedelta(days=days),
        )
    return made


async def bearer(url: str, *roles: Role, name: str = "chen") -> dict[str, str]:
    """Add an account and give the header by which its requests are known."""
    return {"authorization": f"Bearer {await token(url, *roles, name=name)}"}
