"""Somebody without an account: the form they send, the network they come from, what they proved."""

import ipaddress
from urllib.parse import parse_qs

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from alerts.people import signup
from alerts.people.contacts import Address
from server.store.connection import Connection
from server.web.context import Context
from server.web.faces.rendering import language_of, page
from server.web.problems import Problem

LONGEST = 65_536
"""Bytes of a form."""

FIELDS = 1_000
"""Fields of a form."""

COOKIE = "fenghuo_signup"
"""Holds a secret for as long as what was proved by a code counts."""

HEADERS = {"cache-control": "no-store", "x-robots-tag": "noindex"}
"""Of pages that are one person's."""

_STATUS = {"leave_bad": 404, "old": 410}


async def form(request: Request) -> dict[str, list[str]]:
    """Read a form; raises Problem."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST:
            raise Problem(413, f"a form has at most {LONGEST} bytes")
    try:
        return parse_qs(body.decode(), keep_blank_values=True, max_num_fields=FIELDS)
    except ValueError:
        raise Problem(400, "this is no form") from None


def origin(request: Request) -> str:
    """Give the network a request comes from; one household has a whole /64 of IPv6."""
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(address), 64), strict=False))
    return host


async def owner(request: Request, context: Context, conn: Connection) -> Address | None:
    """Give the address that this browser has proved; None for none, or too long ago."""
    secret = request.cookies.get(COOKIE, "")
    return await signup.owner(conn, secret, seal=context.seal, at=context.wall.now())


def keep(answer: Response, request: Request, context: Context, secret: str) -> None:
    """Let the browser keep what it has proved."""
    public = context.settings.web.public_url
    answer.set_cookie(
        COOKIE,
        secret,
        max_age=round(signup.SESSION.total_seconds()),
        path="/signup",
        secure=request.url.scheme == "https" or public.startswith("https:"),
        httponly=True,
        samesite="strict",
    )


async def forget(answer: Response, request: Request, conn: Connection) -> None:
    """Let browser and database forget it."""
    await signup.end(conn, request.cookies.get(COOKIE, ""))
    answer.delete_cookie(COOKIE, path="/signup")


def note(request: Request, context: Context, what: str, *, asks: bool = False) -> Response:
    """Give a page that says one thing: leave, leave_bad, left, erased or old."""
    return page(
        request,
        context,
        "signup_note.html",
        language=language_of(request),
        status=_STATUS.get(what, 200),
        headers=HEADERS,
        what=what,
        asks=asks,
    )


def moved(to: str) -> RedirectResponse:
    """Send the browser on, so that reloading the page sends nothing again."""
    return RedirectResponse(to, 303, headers=HEADERS)
