"""The ways in: a name and its password, or a link that works once."""

import datetime as dt
import logging

import msgspec

from alerts.rights import Role
from server.accounts import audit, links, people, sessions, throttle
from server.accounts.errors import AccountError
from server.accounts.links import Link
from server.accounts.passwords import Passwords, check
from server.accounts.sessions import Signed
from server.store.connection import Connection
from server.store.database import Database

_log = logging.getLogger(__name__)

FIRST: tuple[Role, ...] = ("forecaster", "approver", "admin")
"""Roles of whoever sets the centre up; they can part them later."""


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Where a request comes from. label: what the browser says it is."""

    address: str
    label: str


class Entry:
    """Signs people in; every way in ends in a session and a row of the audit."""

    def __init__(self, database: Database, passwords: Passwords) -> None:
        self._database = database
        self._passwords = passwords

    async def sign_in(
        self, *, name: str, password: str, caller: Caller, now: dt.datetime
    ) -> tuple[Signed, str]:
        """Give the session and its token.

        Raises AccountError: ``wrong`` (the same for an unknown name and a wrong password),
        ``often``, ``busy``.
        """
        await self._admit(name, caller, now=now)
        async with self._database.connection() as conn:
            secret = await people.secret(conn, name)
        stored = None if secret is None else secret.password
        right = await self._passwords.verify(stored, password)
        if secret is None or stored is None or not right:
            _log.warning("sign-in refused: address=%s", caller.address)
            raise AccountError("wrong")
        anew = None
        if self._passwords.outdated(stored):
            anew = await self._passwords.hash(password)
        async with self._database.connection() as conn:
            await throttle.succeeded(conn, name=name, address=caller.address)
            present = await people.secret(conn, name)
            if present is None or present.password != stored:
                raise AccountError("wrong")  # it was changed or disabled meanwhile
            if anew is not None:
                await people.rehash(conn, secret.id, anew, old=stored)
            return await _begin(conn, secret.id, caller=caller, now=now, act="session.begin")

    async def look(self, token: str, *, now: dt.datetime) -> Link:
        """Give what a link is for, without using it up. Raises AccountError (``link``)."""
        async with self._database.connection() as conn:
            return await links.find(conn, token, now=now)

    async def welcome(
        self,
        token: str,
        *,
        name: str,
        title: str,
        password: str,
        caller: Caller,
        now: dt.datetime,
    ) -> tuple[Signed, str]:
        """Use a link up: make the first administrator, or set the password of an account.

        name: needed for the first administrator only. Raises AccountError: ``link``, those of a
        password and of `people.add`, ``busy``.
        """
        found = await self.look(token, now=now)
        chosen = people.folded(name) if found.name is None else found.name
        hashed = await self._passwords.hash(check(password, name=chosen))
        async with self._database.connection() as conn:
            await people.lock(conn)
            link = await links.use(conn, token, now=now)
            if link.account is None:
                if await people.exist(conn):
                    raise AccountError("link")
                account = await people.add(conn, name=chosen, title=title, roles=FIRST, now=now)
            else:
                account = await people.one(conn, link.account)
                await sessions.end_all(conn, account.id, now=now, kinds=("browser",))
            await people.set_password(conn, account.id, hashed, title=title.strip() or None)
            return await _begin(
                conn, account.id, caller=caller, now=now, act="account.welcome", link=link.kind
            )

    async def change(
        self, signed: Signed, *, old: str, new: str, caller: Caller, now: dt.datetime
    ) -> None:
        """Change one's own password, and sign one's other browsers out.

        Raises AccountError: ``wrong``, ``often``, those of a password, ``busy``.
        """
        person = signed.person
        await self._admit(person.name, caller, now=now)
        async with self._database.connection() as conn:
            secret = await people.secret(conn, person.name)
        hashed = await self._passwords.hash(check(new, name=person.name))
        stored = None if secret is None else secret.password
        if not await self._passwords.verify(stored, old):
            raise AccountError("wrong")
        async with self._database.connection() as conn:
            await throttle.succeeded(conn, name=person.name, address=caller.address)
            await people.set_password(conn, person.id, hashed)
            await sessions.end_all(conn, person.id, now=now, but=signed.session, kinds=("browser",))
            await links.withdraw(conn, person.id)
            await audit.audit(
                conn,
                person=person,
                act="account.password",
                subject=f"account/{person.name}",
                detail={},
                at=now,
            )

    async def _admit(self, name: str, caller: Caller, *, now: dt.datetime) -> None:
        """Count an attempt; raises AccountError (``often``)."""
        who = {"name": name, "address": caller.address}
        async with self._database.connection() as conn:
            number = await throttle.attempt(conn, **who, now=now)
        async with self._database.connection() as conn:
            free = await throttle.allowed(conn, number, **who, now=now)
        if not free:
            _log.warning("sign-in put off: address=%s", caller.address)
            raise AccountError("often", minutes=round(throttle.WINDOW.total_seconds() / 60))


async def _begin(
    conn: Connection,
    account: int,
    *,
    caller: Caller,
    now: dt.datetime,
    act: str,
    **detail: str,
) -> tuple[Signed, str]:
    """Begin a session, with its row in the audit."""
    number, token = await sessions.begin(
        conn, account, label=caller.label, address=caller.address, now=now
    )
    found = await sessions.find(conn, token, now=now)
    if found is None:
        raise AccountError("wrong")  # disabled in this very moment
    await audit.audit(
        conn,
        person=found.person,
        act=act,
        subject=f"account/{found.person.name}",
        detail={"session": number, "address": caller.address, **detail},
        at=now,
    )
    return found, token
