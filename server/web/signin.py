"""Signing in and out, and the links that work once."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from alerts.rights import ROLES, Person
from server.accounts import people, sessions
from server.accounts.audit import audit
from server.accounts.entry import Entry
from server.accounts.errors import AccountError
from server.accounts.passwords import SHORTEST, Passwords
from server.accounts.sessions import Signed
from server.web import permit
from server.web.answers import Json
from server.web.context import Context
from server.web.problems import Problem

LONGEST = 8_192
"""Bytes of a request."""

NOT_KEPT = {"cache-control": "no-store"}

Text = Annotated[str, msgspec.Meta(max_length=1_000, pattern=r"^[^\x00]*$")]


class _SignIn(msgspec.Struct, forbid_unknown_fields=True):
    name: Text
    password: Text


class _Look(msgspec.Struct, forbid_unknown_fields=True):
    token: Text


class _Welcome(_Look):
    password: Text
    name: Text = ""
    title: Text = ""


class _Password(msgspec.Struct, forbid_unknown_fields=True):
    old: Text
    new: Text


_sign_in = msgspec.json.Decoder(_SignIn)
_look = msgspec.json.Decoder(_Look)
_welcome = msgspec.json.Decoder(_Welcome)
_password = msgspec.json.Decoder(_Password)


def router(context: Context) -> APIRouter:
    """Give the routes."""
    api = APIRouter(prefix="/api/v1", tags=["accounts"])
    entry = Entry(context.database, Passwords())
    _session(api, context, entry)
    _change(api, context, entry)
    _links(api, context, entry)
    return api


def described(found: Person) -> dict[str, Any]:
    """Give a person as the interface shows one."""
    return {
        "id": found.id,
        "name": found.name,
        "title": found.title,
        "roles": [role for role in ROLES if role in found.roles],
        "regions": list(found.regions),
    }


def _session(api: APIRouter, context: Context, entry: Entry) -> None:
    @api.get("/session")
    async def present(request: Request) -> Response:
        """Say who is signed in, until when, and whether there is no account at all yet."""
        found = await permit.signed(request, context)
        first = False
        if found is None:
            async with context.database.connection() as conn:
                first = not await people.exist(conn)
        return Json(_shown(found, first=first), headers=NOT_KEPT)

    @api.post("/session")
    async def begin(request: Request) -> Response:
        """Sign in with ``{"name", "password"}``; the answer sets the session's cookie.

        After too many attempts 429; an unknown name and a wrong password get the same answer.
        """
        permit.protected(request, context)
        permit.same_origin(request, context)
        asked = await permit.read(request, _sign_in, longest=LONGEST)
        before = await permit.signed(request, context)
        try:
            found, token = await entry.sign_in(
                name=asked.name,
                password=asked.password,
                caller=permit.caller(request),
                now=context.wall.now(),
            )
        except AccountError as error:
            raise permit.refused(error) from None
        if before is not None and before.kind == "browser":
            async with context.database.connection() as conn:
                await sessions.end(conn, before.session, now=context.wall.now())
        return _signed_in(request, context, found, token)

    @api.delete("/session")
    async def leave(request: Request) -> Response:
        """Sign out; a token of a machine ends likewise."""
        found = await permit.signed(request, context)
        if found is not None:
            now = context.wall.now()
            async with context.database.connection() as conn:
                await sessions.end(conn, found.session, now=now)
                await audit(
                    conn,
                    person=found.person,
                    act="session.end",
                    subject=f"account/{found.person.name}",
                    detail={"session": found.session},
                    at=now,
                )
        answer = Json(_shown(None, first=False), headers=NOT_KEPT)
        permit.drop(answer, request, context)
        return answer


def _change(api: APIRouter, context: Context, entry: Entry) -> None:
    @api.post("/session/password")
    async def password(request: Request) -> Response:
        """Change one's own password: ``{"old", "new"}``; one's other browsers are signed out."""
        await permit.need(request, context)
        found = await permit.signed(request, context)
        asked = await permit.read(request, _password, longest=LONGEST)
        if found is None or found.kind != "browser":
            raise Problem(403, "a machine does not change a password: sign in")
        try:
            await entry.change(
                found,
                old=asked.old,
                new=asked.new,
                caller=permit.caller(request),
                now=context.wall.now(),
            )
        except AccountError as error:
            raise permit.refused(error) from None
        return Json(_shown(found, first=False), headers=NOT_KEPT)


def _links(api: APIRouter, context: Context, entry: Entry) -> None:
    @api.post("/welcome/look")
    async def look(request: Request) -> Response:
        """Say what the link with ``{"token"}`` is for, and for whom; 410 once it is of no use."""
        permit.same_origin(request, context)
        asked = await permit.read(request, _look, longest=LONGEST)
        try:
            found = await entry.look(asked.token, now=context.wall.now())
        except AccountError as error:
            raise permit.refused(error) from None
        shown = {
            "kind": found.kind,
            "name": found.name,
            "title": found.title,
            "expires": found.expires,
            "shortest": SHORTEST,
        }
        return Json(shown, headers=NOT_KEPT)

    @api.post("/welcome")
    async def welcome(request: Request) -> Response:
        """Use a link up with ``{"token", "password"}`` and sign in.

        The first administrator's needs ``name`` too; ``title`` is how they are shown.
        """
        permit.protected(request, context)
        permit.same_origin(request, context)
        asked = await permit.read(request, _welcome, longest=LONGEST)
        try:
            found, token = await entry.welcome(
                asked.token,
                name=asked.name,
                title=asked.title,
                password=asked.password,
                caller=permit.caller(request),
                now=context.wall.now(),
            )
        except AccountError as error:
            raise permit.refused(error) from None
        return _signed_in(request, context, found, token)


def _signed_in(request: Request, context: Context, found: Signed, token: str) -> Response:
    answer = Json(_shown(found, first=False), headers=NOT_KEPT)
    permit.keep(answer, request, context, token)
    return answer


def _shown(found: Signed | None, *, first: bool) -> dict[str, Any]:
    if found is None:
        return {"person": None, "first": first, "until": None}
    return {"person": described(found.person), "first": False, "until": found.expires}
