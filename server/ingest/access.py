"""Who may connect: a station with its key or its certificate, or anybody on loopback."""

import asyncio
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeAlias

import psycopg

from server.ingest.packets import Connect
from server.ingest.properties import Property, Reason
from server.store.errors import StoreError

Keys: TypeAlias = Callable[[Iterable[str]], Awaitable[Mapping[str, bytes | None]]]
"""Gives SHA-256 of the keys of some stations; a station that does not exist is left out."""

_NOBODY = hashlib.sha256(b"").digest()


class RefusedError(Exception):
    """The client may not connect."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Access:
    """Checks user names and passwords against the catalogue."""

    def __init__(self, keys: Keys, *, anonymous: bool) -> None:
        """Take where the keys are; ``anonymous`` lets clients in that name no station."""
        self._keys = keys
        self._anonymous = anonymous
        self._asked: dict[str, list[asyncio.Future[bytes | None]]] = {}
        self._asking: asyncio.Task[None] | None = None

    def at_once(self, connect: Connect, certificate: str) -> str | None:
        """Give the station ("" for anonymous) where no key has to be looked up; else None.

        Raises RefusedError.
        """
        if Property.AUTHENTICATION_METHOD in connect.properties:
            raise RefusedError(Reason.AUTHENTICATION_METHOD, "only user name and password")
        if certificate:
            if connect.username not in {None, certificate}:
                raise RefusedError(
                    Reason.CREDENTIALS, "the user name is not the certificate's common name"
                )
            return certificate
        if connect.username is not None and connect.password is not None:
            return None
        if self._anonymous:
            return ""
        raise RefusedError(Reason.CREDENTIALS, "a station needs its name and its key")

    async def check(self, connect: Connect) -> str:
        """Give the station whose name and key the client presents; raises RefusedError."""
        station = connect.username or ""
        given = hashlib.sha256(connect.password or b"").digest()
        try:
            known = await self._key(station)
        except (psycopg.Error, StoreError, OSError) as error:
            raise RefusedError(Reason.UNAVAILABLE, "the catalogue cannot be read") from error
        # Compared even where there is none, so that the time it takes tells nothing.
        if not hmac.compare_digest(given, known or _NOBODY) or known is None:
            raise RefusedError(Reason.CREDENTIALS, "unknown station, or wrong key")
        return station

    async def _key(self, station: str) -> bytes | None:
        """Ask for a key; many stations at the door are one question to the database."""
        future: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._asked.setdefault(station, []).append(future)
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask(), name="keys")
        return await future

    async def _ask(self) -> None:
        try:
            while self._asked:
                asked, self._asked = self._asked, {}
                await self._answer(asked)
        finally:
            self._asking = None

    async def _answer(self, asked: dict[str, list[asyncio.Future[bytes | None]]]) -> None:
        waiting = [(station, future) for station, group in asked.items() for future in group]
        try:
            found = await self._keys([station for station in asked if "\x00" not in station])
        except (psycopg.Error, StoreError, OSError) as error:
            for _, future in waiting:
                if not future.done():
                    future.set_exception(error)
            return
        for station, future in waiting:
            if not future.done():
                future.set_result(found.get(station))


def common_name(certificate: Mapping[str, Any] | None) -> str:
    """Give the common name of a client's certificate, as ``ssl`` describes it; "" for none."""
    for part in (certificate or {}).get("subject", ()):
        for name, value in part:
            if name == "commonName":
                return str(value)
    return ""
