"""Which addresses of the internet a request may go to: what people enter must not lead inside.

Names are looked up here, and the connection goes to what was checked, so that a name cannot mean
one thing for the check and another for the connection.
"""

import ipaddress
import socket
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
"""Addresses that a gateway turns into those of the old protocol (RFC 6052)."""


class ReachError(Exception):
    """The address leads where no request of ours may go; the message says why."""


class Outside(AbstractResolver):
    """Looks names up and leaves out every address that is not of the public internet."""

    def __init__(self) -> None:
        self._inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Give the public addresses of a name; raises OSError where it has none."""
        found = await self._inner.resolve(host, port, family)
        public = [one for one in found if _public(one["host"])]
        if found and not public:
            raise ReachError(f"{host} is not on the public internet")
        return public

    async def close(self) -> None:
        """Nothing is held."""


def session(*, private: bool, seconds: float, workers: int) -> aiohttp.ClientSession:
    """Give a session that goes outside only; private: inside too, for tests and for intranets."""
    connector = aiohttp.TCPConnector(
        resolver=None if private else Outside(), limit=workers, ttl_dns_cache=60
    )
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=seconds),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


def check(url: str, *, private: bool) -> None:
    """Refuse what is no address for a request; a name is checked when it is looked up.

    Raises ReachError.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port
    except ValueError:
        raise ReachError("not a web address") from None
    if parts.scheme not in ({"https", "http"} if private else {"https"}) or not host or port == 0:
        raise ReachError("a platform is reached by https://")
    if private:
        return
    try:
        outside = _public(host)
    except ValueError:
        return
    if not outside:
        raise ReachError(f"{host} is not on the public internet")


def _public(address: str) -> bool:
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ipaddress.IPv4Address(ip.packed[-4:]) if ip in _TRANSLATED else None
        ip = ip.ipv4_mapped or ip.sixtofour or inner or ip
    return ip.is_global and not ip.is_multicast
