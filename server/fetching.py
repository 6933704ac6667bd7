"""Getting documents from elsewhere, within bounds of time, size and place."""

import ipaddress
import socket
from types import TracebackType
from typing import Self
from urllib.parse import urljoin, urlsplit, urlunsplit

import aiohttp
import msgspec
from aiohttp.abc import ResolveResult
from aiohttp.resolver import ThreadedResolver

from agent.version import __version__

SECONDS = 20.0
"""Longest time for one document."""

HOPS = 4
"""Addresses that one document may be moved to, one after the other."""

ACCEPT = "application/cap+xml, application/atom+xml, application/rss+xml, */*;q=0.1"

_MOVED = frozenset({301, 302, 303, 307, 308})


class FetchError(Exception):
    """It did not come: a key of the catalogue's ``office.problem``, and its values."""

    def __init__(self, key: str, /, **values: object) -> None:
        super().__init__(f"{key}: {values}")
        self.key = key
        self.values = values


def plain(url: str) -> str:
    """Give an address without the name and password that it may have, for people to read."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """A document. url: where it was found; etag, modified: how the server names its state."""

    url: str
    body: bytes
    etag: str
    modified: str


class Fetcher:
    """Gets documents for one source; an async context manager.

    What the source names may lie on its own host, wherever that is, or anywhere on the public
    network, but not on other machines of this one.
    """

    def __init__(self, source: str) -> None:
        """``source``: its address, as the operator named it."""
        self._home = urlsplit(source).hostname or ""
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=_Resolver(self._home), limit=4),
            timeout=aiohttp.ClientTimeout(total=SECONDS),
            headers={"user-agent": f"Fenghuo/{__version__}", "accept": ACCEPT},
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(
        self, url: str, *, largest: int, etag: str = "", modified: str = ""
    ) -> Fetched | None:
        """Give a document of at most so many bytes; None where it is as it was.

        Raises FetchError: ``scheme``, ``private`` (an address), ``status``, ``timeout``, ``away``,
        ``large``, ``moved`` (too often).
        """
        headers = {}
        if etag:
            headers["if-none-match"] = etag
        if modified:
            headers["if-modified-since"] = modified
        for _ in range(HOPS + 1):
            found = await self._once(url, headers, largest)
            if not isinstance(found, str):
                return found
            url = found
        raise FetchError("moved", url=plain(url))

    async def _once(self, url: str, headers: dict[str, str], largest: int) -> Fetched | str | None:
        """Give the document, None where it is as it was, or the address that it moved to."""
        self._check(url)
        if self._session is None:
            raise FetchError("away", url=plain(url), reason="closed")
        try:
            async with self._session.get(url, headers=headers, allow_redirects=False) as answer:
                if answer.status == 304 and headers:
                    return None
                if answer.status in _MOVED and "location" in answer.headers:
                    return urljoin(url, answer.headers["location"])
                if answer.status != 200:
                    raise FetchError("status", url=plain(url), status=answer.status)
                body = bytearray()
                async for part in answer.content.iter_chunked(65_536):
                    body += part
                    if len(body) > largest:
                        raise FetchError("large", url=plain(url), most=largest)
                return Fetched(
                    url=url,
                    body=bytes(body),
                    etag=answer.headers.get("etag", ""),
                    modified=answer.headers.get("last-modified", ""),
                )
        except TimeoutError:
            raise FetchError("timeout", url=plain(url), seconds=round(SECONDS)) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            reason = str(error) or type(error).__name__
            raise FetchError("away", url=plain(url), reason=reason) from None

    def _check(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            host = parts.hostname or ""
        except ValueError:
            raise FetchError("scheme", url=plain(url)) from None
        if parts.scheme not in {"http", "https"} or not host:
            raise FetchError("scheme", url=plain(url))
        if host != self._home and not _public(host):
            raise FetchError("private", url=plain(url))


class _Resolver(ThreadedResolver):
    """Gives public addresses only, but for the source's own host."""

    def __init__(self, home: str) -> None:
        super().__init__()
        self._home = home

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Look a host up."""
        found = await super().resolve(host, port, family)
        kept = [each for each in found if host == self._home or _public(each["host"])]
        if not kept:
            raise OSError(f"{host} has no public address")
        return kept


def _public(host: str) -> bool:
    """Say whether it is a name, or an address that everybody may reach."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return True
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_global)
