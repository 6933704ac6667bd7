"""Interfaces to the accounts: who there is, their links and sessions, and the audit."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeAlias

import msgspec
from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from alerts.rights import Person, Role
from server.accounts import audit as auditing
from server.accounts import links, people, sessions
from server.accounts.audit import audit
from server.accounts.errors import AccountError
from server.accounts.people import Account
from server.store.connection import Connection
from server.web import permit
from server.web.answers import Json
from server.web.context import Context
from server.web.signin import LONGEST, NOT_KEPT, Text

Number = Annotated[int, Path(ge=1, lt=2**63)]
_Record: TypeAlias = Callable[..., Awaitable[None]]
Places = Annotated[tuple[Text, ...], msgspec.Meta(max_length=1_000)]


class _New(msgspec.Struct, forbid_unknown_fields=True):
    name: Text
    roles: tuple[Role, ...]
    title: Text = ""
    regions: Places = ()


class _Change(msgspec.Struct, forbid_unknown_fields=True):
    title: Text | None = None
    roles: tuple[Role, ...] | None = None
    regions: Places | None = None
    disabled: bool | None = None


_new = msgspec.json.Decoder(_New)
_change = msgspec.json.Decoder(_Change)


def router(context: Context) -> APIRouter:
    """Give the routes; all but one's own sessions are an administrator's."""
    api = APIRouter(prefix="/api/v1", tags=["accounts"])

    async def record(
        conn: Connection, by: Person, found: Account, *, act: str, **detail: Any
    ) -> None:
        subject, at = f"account/{found.name}", context.wall.now()
        await audit(conn, person=by, act=act, subject=subject, detail=detail, at=at)

    _users(api, context, record)
    _sessions(api, context, record)
    _audit(api, context)
    return api


def _users(api: APIRouter, context: Context, record: _Record) -> None:
    @api.get("/users")
    async def every(request: Request) -> Response:
        """Give all accounts, by name."""
        await permit.need(request, context, "admin")
        async with context.database.connection() as conn:
            found = await people.every(conn)
        return Json({"users": found}, headers=NOT_KEPT)

    @api.post("/users")
    async def add(request: Request) -> Response:
        """Add an account ``{"name", "title", "roles", "regions"}``; the answer has its link."""
        by = await permit.need(request, context, "admin")
        asked = await permit.read(request, _new, longest=LONGEST)
        now = context.wall.now()
        try:
            async with context.database.connection() as conn:
                found = await people.add(
                    conn,
                    name=asked.name,
                    title=asked.title,
                    roles=asked.roles,
                    regions=asked.regions,
                    now=now,
                )
                token = await links.invite(conn, found.id, now=now)
                detail = {"roles": found.roles, "regions": found.regions}
                await record(conn, by, found, act="account.add", **detail)
        except AccountError as error:
            raise permit.refused(error) from None
        shown = {"user": found, **_link(request, context, token), "expires": now + links.LASTS}
        return Json(shown, 201, headers=NOT_KEPT)

    @api.patch("/users/{number}")
    async def change(number: Number, request: Request) -> Response:
        """Change what is named: ``title``, ``roles``, ``regions``, ``disabled``.

        Whoever is disabled is signed out everywhere, and their tokens and links end.
        """
        by = await permit.need(request, context, "admin")
        asked = await permit.read(request, _change, longest=LONGEST)
        now = context.wall.now()
        wanted = {k: v for k, v in msgspec.structs.asdict(asked).items() if v is not None}
        try:
            async with context.database.connection() as conn:
                found = await people.change(conn, number, **wanted, now=now)
                if found.disabled is not None:
                    await sessions.end_all(conn, number, now=now)
                    await links.withdraw(conn, number)
                await record(conn, by, found, act="account.change", **wanted)
        except AccountError as error:
            raise permit.refused(error) from None
        return Json({"user": found}, headers=NOT_KEPT)

    @api.post("/users/{number}/link")
    async def link(number: Number, request: Request) -> Response:
        """Give a link by which the owner of the account sets a password; earlier ones end."""
        by = await permit.need(request, context, "admin")
        now = context.wall.now()
        try:
            async with context.database.connection() as conn:
                token = await links.invite(conn, number, now=now)
                found = await people.one(conn, number)
                await record(conn, by, found, act="account.link")
        except AccountError as error:
            raise permit.refused(error) from None
        shown = {**_link(request, context, token), "expires": now + links.LASTS}
        return Json(shown, 201, headers=NOT_KEPT)


def _sessions(api: APIRouter, context: Context, record: _Record) -> None:
    @api.get("/sessions")
    async def held(
        request: Request, user: Annotated[int | None, Query(ge=1, lt=2**63)] = None
    ) -> Response:
        """Give one's own sessions and tokens, or for an administrator those of ``user``."""
        by = await permit.need(request, context)
        if user is not None and user != by.id:
            await permit.need(request, context, "admin")
        mine = await permit.signed(request, context)
        async with context.database.connection() as conn:
            found = await sessions.every(conn, user or by.id, now=context.wall.now())
        present = None if mine is None else mine.session
        return Json({"sessions": found, "present": present}, headers=NOT_KEPT)

    @api.delete("/sessions/{number}")
    async def end(number: Number, request: Request) -> Response:
        """End one of one's own sessions or tokens; an administrator may end anybody's."""
        by = await permit.need(request, context)
        now = context.wall.now()
        mine = None if "admin" in by.roles else by.id
        try:
            async with context.database.connection() as conn:
                owner = await sessions.revoke(conn, number, now=now, account=mine)
                found = await people.one(conn, owner)
                await record(conn, by, found, act="session.end", session=number)
        except AccountError as error:
            raise permit.refused(error) from None
        return Json({"ended": number}, headers=NOT_KEPT)


def _audit(api: APIRouter, context: Context) -> None:
    @api.get("/audit")
    async def page(
        request: Request,
        limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
        before: Annotated[int, Query(ge=1, lt=2**63)] = 2**63 - 1,
        subject: Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$")] = None,
    ) -> Response:
        """Give who did what, the newest first; with ``subject`` what was done to one thing."""
        await permit.need(request, context, "admin", "approver")
        async with context.database.connection() as conn:
            found = await auditing.page(conn, limit=limit, before=before, subject=subject)
        rows = [
            {**msgspec.structs.asdict(row), "detail": msgspec.Raw(row.detail.encode())}
            | {"digest": row.digest.hex()}
            for row in found
        ]
        return Json({"audit": rows}, headers=NOT_KEPT)


def _link(request: Request, context: Context, token: str) -> dict[str, Any]:
    public = context.settings.web.public_url or f"{request.url.scheme}://{request.url.netloc}"
    return {"link": links.address(public, token)}
