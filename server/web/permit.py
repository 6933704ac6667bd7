"""Requests that change something: who may send them, and how they are read.

Who sends one is not known yet: there are no accounts. Until there are, the key in the settings
allows it, and without a key nobody may; to be on loopback proves nothing behind a proxy.
"""

import hmac
from typing import TypeVar

import msgspec
from fastapi import Request

from server.web.problems import Problem

_Made = TypeVar("_Made")


def allow(request: Request, key: str) -> None:
    """Raise Problem unless the request carries the key ``web.operator_key``."""
    if not key:
        raise Problem(403, "this is off over HTTP: set web.operator_key, or use the command")
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.encode(), key.encode()):
        raise Problem(401, "send the key of the settings as Authorization: Bearer …")


async def read(request: Request, decoder: "msgspec.json.Decoder[_Made]", *, longest: int) -> _Made:
    """Read a body of JSON of at most so many bytes; raises Problem."""
    # A page of somebody else's cannot send this type without asking the browser first.
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise Problem(415, "send application/json")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > longest:
            raise Problem(413, f"a request has at most {longest} bytes")
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(400, f"{error}") from None
