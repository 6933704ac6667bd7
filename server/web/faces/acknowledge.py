"""The page behind a recipient's own link: it shows the message, and a button says "I have read it".

Opening the link acknowledges nothing: programs that look at links before people do open them too.
"""

from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from starlette.responses import Response

from alerts.faces import posters
from alerts.people import acknowledge
from alerts.people.acknowledge import NAME, NOTE, Acknowledgement
from server.store.connection import Connection
from server.web.context import Context
from server.web.faces.rendering import language_of, page
from server.web.problems import Problem

LONGEST = 8_192
"""Bytes of the form."""


def router(context: Context) -> APIRouter:
    """Give the routes."""
    pages = APIRouter(include_in_schema=False)

    @pages.get("/a/{token}")
    async def show(token: str, request: Request) -> Response:
        """Show what the link is for."""
        async with context.database.connection() as conn:
            found = await acknowledge.read(conn, token, seal=context.seal)
            return await _page(request, context, conn, found)

    @pages.post("/a/{token}")
    async def confirm(token: str, request: Request) -> Response:
        """Acknowledge with a name."""
        form = await _form(request)
        name = form.get("name", "").strip()
        now = context.live.now
        async with context.database.connection() as conn:
            known = await acknowledge.read(conn, token, seal=context.seal)
            if known is None or known.at is not None or known.late(now):
                return await _page(request, context, conn, known)
            if not name:
                return await _page(request, context, conn, known, form=form, status=400)
            found = await acknowledge.by_link(
                conn, token, seal=context.seal, at=now, name=name, note=form.get("note", "")
            )
            return await _page(request, context, conn, found, done=True)

    return pages


async def _page(
    request: Request,
    context: Context,
    conn: Connection,
    found: Acknowledgement | None,
    *,
    form: dict[str, str] | None = None,
    status: int = 200,
    done: bool = False,
) -> Response:
    """Give the page in the language of the recipient, or in the one that the address asks for."""
    language = language_of(request)
    if found is not None and "lang" not in request.query_params:
        language = "en" if found.language.startswith("en") else "zh"
    values: dict[str, Any] = {"found": found, "form": form or {}, "done": done, "text": None}
    values |= {"late": False, "chain": [], "lengths": {"name": NAME, "note": NOTE}}
    if found is None:
        status = 404
    else:
        values["late"] = found.at is None and found.late(context.live.now)
        values["text"] = await acknowledge.said(conn, found.delivery)
        values["chain"] = await posters.chain(conn, found.warning, exercise=found.exercise, limit=1)
        if values["late"]:
            status = 410
    headers = {"cache-control": "no-store", "x-robots-tag": "noindex"}
    return page(
        request,
        context,
        "acknowledge.html",
        language=language,
        status=status,
        headers=headers,
        **values,
    )


async def _form(request: Request) -> dict[str, str]:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST:
            raise Problem(413, f"a form has at most {LONGEST} bytes")
    given = parse_qs(body.decode(errors="replace"), keep_blank_values=True, max_num_fields=10)
    return {name: values[0] for name, values in given.items()}
