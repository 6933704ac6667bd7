"""Requests that change something: who sends them, what they may do, and how they are read.

A browser is known by its session's cookie, a machine by ``Authorization: Bearer TOKEN``.
"""

from typing import TypeVar
from urllib.parse import urlsplit

import msgspec
from fastapi import Request
from starlette.responses import Response

from alerts.rights import Person, Role
from server.accounts import sessions
from server.accounts.entry import Caller
from server.accounts.errors import AccountError
from server.accounts.sessions import Signed
from server.web.context import Context
from server.web.problems import Problem

_Made = TypeVar("_Made")

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

COOKIE = "__Host-fenghuo"
"""The session's cookie: only over TLS, for this host alone, out of reach of scripts."""

PLAIN = "fenghuo"
"""Its name on this machine itself without TLS, where not every program keeps a secure one."""

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

_STATUS = {"wrong": 401, "link": 410, "missing": 404, "session": 404, "often": 429, "busy": 503}
_CONFLICTS = frozenset({"taken", "last", "disabled", "not_first"})


async def signed(request: Request, context: Context) -> Signed | None:
    """Give the session of a request; raises Problem as `same_origin` does."""
    if hasattr(request.state, "signed"):
        known: Signed | None = request.state.signed
        return known
    found: Signed | None = None
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        found = await _find(context, token.strip())
    elif cookie := request.cookies.get(_name(request, context) or ""):
        if request.method not in SAFE:
            same_origin(request, context)
        found = await _find(context, cookie)
    request.state.signed = found
    return found


async def person(request: Request, context: Context) -> Person | None:
    """Give who sends a request, None where nobody is signed in; raises Problem as `signed`."""
    found = await signed(request, context)
    return None if found is None else found.person


async def need(request: Request, context: Context, *roles: Role) -> Person:
    """Give who is signed in and has one of the roles (any, where none is named).

    Raises Problem: 401 nobody is signed in, 403 for another role or a request from another site.
    """
    found = await person(request, context)
    if found is None:
        raise Problem(401, "sign in, or send a token as Authorization: Bearer …")
    if roles and not found.roles.intersection(roles):
        raise Problem(403, f"this needs one of the roles: {', '.join(roles)}")
    return found


def same_origin(request: Request, context: Context) -> None:
    """Raise Problem (403) where a browser says that another site's page sends the request.

    A request that says nothing of where it comes from is no browser's of today.
    """
    site = request.headers.get("sec-fetch-site")
    if site in {"same-origin", "none"}:
        return
    origin = request.headers.get("origin")
    if site is None and origin is None:
        return
    known = {f"{request.url.scheme}://{request.url.netloc}"}
    public = urlsplit(context.settings.web.public_url)
    if public.netloc:
        known.add(f"{public.scheme}://{public.netloc}")
    if site is None and origin in known:
        return
    raise Problem(403, "this comes from a page of another site; behind a proxy, set web.public_url")


def caller(request: Request) -> Caller:
    """Say where a request comes from."""
    address = request.client.host if request.client else ""
    return Caller(address=address, label=request.headers.get("user-agent", ""))


def keep(response: Response, request: Request, context: Context, token: str) -> None:
    """Let the browser keep the session; raises Problem where it could be read on its way."""
    name = _require(request, context)
    response.set_cookie(
        name,
        token,
        max_age=round(sessions.LONGEST.total_seconds()),
        path="/",
        secure=name == COOKIE,
        httponly=True,
        samesite="lax",
    )


def drop(response: Response, request: Request, context: Context) -> None:
    """Let the browser forget the session."""
    name = _name(request, context)
    if name is not None:
        response.delete_cookie(name, path="/", secure=name == COOKIE, httponly=True, samesite="lax")


def protected(request: Request, context: Context) -> None:
    """Raise Problem (403) where a password or a session could be read on its way."""
    _require(request, context)


def refused(error: AccountError) -> Problem:
    """Give the answer to what was refused."""
    status = 409 if error.key in _CONFLICTS else _STATUS.get(error.key, 422)
    return Problem(status, str(error), reason=error.key, **error.values)


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


async def _find(context: Context, token: str) -> Signed | None:
    async with context.database.connection() as conn:
        return await sessions.find(conn, token, now=context.wall.now())


def _name(request: Request, context: Context) -> str | None:
    """Give the name of the cookie, None where there is no safe way for one."""
    if context.settings.web.public_url.startswith("https:") or request.url.scheme == "https":
        return COOKIE
    return PLAIN if request.url.hostname in _LOOPBACK else None


def _require(request: Request, context: Context) -> str:
    name = _name(request, context)
    if name is None:
        raise Problem(
            403, "sign in over https (web.public_url says the address), or on this machine itself"
        )
    return name
