"""Passwords: what one must be, and how it is kept (Argon2id, hashed beside the event loop).

Parameters for a small machine: 32 MiB and three passes take a tenth of a second, and two at once
are as many as there are; OWASP's least is 19 MiB and two passes.
"""

import asyncio
import secrets
import unicodedata
from collections.abc import Callable
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from server.accounts.errors import AccountError

_Made = TypeVar("_Made")

SHORTEST, LONGEST = 10, 200
"""Characters of a password."""

TOGETHER = 2
"""Passwords that are hashed at once."""

WAITING = 50
"""Passwords that wait for it at most."""


def check(password: str, *, name: str) -> str:
    """Give the password as it is hashed: every keyboard's way of writing it made the same.

    Raises AccountError: ``short``, ``long``, ``named`` (it holds the account's name), ``plain``
    (one character again and again).
    """
    password = normal(password)
    if len(password) < SHORTEST:
        raise AccountError("short", least=SHORTEST)
    if len(password) > LONGEST:
        raise AccountError("long", most=LONGEST)
    if name.casefold() in password.casefold():
        raise AccountError("named")
    if len(set(password)) == 1:
        raise AccountError("plain")
    return password


def normal(password: str) -> str:
    """Give the NFKC form, as SP 800-63B advises for what is not ASCII."""
    return unicodedata.normalize("NFKC", password)


class Passwords:
    """Hashes and verifies in threads, a few at a time."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        """Use these parameters, or those for a small machine."""
        self._hasher = hasher or PasswordHasher(time_cost=3, memory_cost=32_768, parallelism=1)
        self._nobody = ""
        self._turn = asyncio.Semaphore(TOGETHER)
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """Give what is stored. Raises AccountError (``busy``)."""
        return await self._run(lambda: self._hasher.hash(normal(password)))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Say whether it is the password; takes as long where none is stored.

        Raises AccountError (``busy``).
        """
        # One character more than any password has: what is longer is wrong, and costs no more.
        given = normal(password[: LONGEST + 1])
        return await self._run(lambda: self._verify(stored, given))

    def outdated(self, stored: str) -> bool:
        """Say whether what is stored was made with other parameters."""
        return self._hasher.check_needs_rehash(stored)

    async def _run(self, work: Callable[[], _Made]) -> _Made:
        if self._waiting >= WAITING:
            raise AccountError("busy")
        self._waiting += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(work)
        finally:
            self._waiting -= 1

    def _verify(self, stored: str | None, password: str) -> bool:
        if not self._nobody:
            self._nobody = self._hasher.hash(secrets.token_urlsafe())
        try:
            return self._hasher.verify(stored or self._nobody, password) and stored is not None
        except (VerificationError, InvalidHashError):
            return False
