"""Interface to the policy and to silences: what is in force, and how somebody changes it."""

import datetime as dt
from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from alerts.bureau import policies, silences
from alerts.bureau.policies import StaleError
from alerts.bureau.policy import Policy, PolicyError
from alerts.bureau.silences import SilenceError, Wanted
from alerts.rights import Person
from server import exercise
from server.accounts.audit import audit
from server.desk import policy_file
from server.store.connection import Connection
from server.web import permit
from server.web.answers import Json
from server.web.context import Context
from server.web.problems import Problem

LONGEST = 262_144
"""Bytes of a request."""

NOT_KEPT = {"cache-control": "no-store"}

Number = Annotated[int, Path(ge=1, lt=2**31)]


class _Text(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    text: str


class _Put(_Text, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """after: the version that was read; null where the settings' file was in force."""

    after: int | None
    note: Annotated[str, msgspec.Meta(max_length=2_000)] = ""


_text = msgspec.json.Decoder(_Text)
_put = msgspec.json.Decoder(_Put)
_wanted = msgspec.json.Decoder(Wanted)


def router(context: Context) -> APIRouter:
    """Give the routes."""
    api = APIRouter(prefix="/api/v1", tags=["policy"])
    _policy(api, context)
    _silences(api, context)
    return api


def _policy(api: APIRouter, context: Context) -> None:
    @api.get("/policy")
    async def in_force(request: Request) -> Response:
        """Give the text of the policy in force; version null: the file of the settings."""
        await permit.need(request, context)
        async with context.database.connection() as conn:
            number, text = await policies.standing(conn, policy_file(context.settings))
        return Json({"version": number, "text": text}, headers=NOT_KEPT)

    @api.put("/policy")
    async def put(request: Request) -> Response:
        """Put ``{"text", "after", "note"}`` in force at once, as a new version."""
        person = await permit.need(request, context, "admin", "approver")
        given = await permit.read(request, _put, longest=LONGEST)
        now = context.wall.now()
        async with context.database.connection() as conn:
            try:
                number = await policies.put(
                    conn, given.text, author=person.name, note=given.note, at=now, after=given.after
                )
            except PolicyError as error:
                raise Problem(422, f"{error}") from None
            except StaleError as error:
                raise Problem(409, f"{error}", version=error.present) from None
            await audit(
                conn,
                person=person,
                act="policy.put",
                subject=f"policy/{number}",
                detail={"after": given.after, "note": given.note},
                at=now,
            )
        return Json({"version": number}, headers=NOT_KEPT)

    @api.post("/policy/check")
    async def check(request: Request) -> Response:
        """Read ``{"text"}`` and say what is wrong with it; it changes nothing."""
        await permit.need(request, context)
        given = await permit.read(request, _text, longest=LONGEST)
        try:
            Policy.read(given.text)
        except PolicyError as error:
            return Json({"right": False, "detail": str(error)}, headers=NOT_KEPT)
        return Json({"right": True, "detail": ""}, headers=NOT_KEPT)

    @api.get("/policy/versions")
    async def versions(request: Request) -> Response:
        """Give the versions, the newest first, without their texts."""
        await permit.need(request, context)
        async with context.database.connection() as conn:
            found = await policies.versions(conn)
        return Json({"versions": found}, headers=NOT_KEPT)

    @api.get("/policy/versions/{number}")
    async def one(number: Number, request: Request) -> Response:
        """Give one version, with its text."""
        await permit.need(request, context)
        async with context.database.connection() as conn:
            found = await policies.one(conn, number)
        if found is None:
            raise Problem(404, f"no version {number} of the policy")
        return Json(found, headers=NOT_KEPT)


def _silences(api: APIRouter, context: Context) -> None:
    @api.get("/silences")
    async def every(
        request: Request, limit: Annotated[int, Query(ge=1, le=silences.MOST)] = 100
    ) -> Response:
        """Give the silences, the newest first."""
        await permit.need(request, context)
        async with context.database.connection() as conn:
            now = await _now(conn, context)
            found = await silences.every(conn, at=now, limit=limit)
        return Json({"time": now, "silences": found}, headers=NOT_KEPT)

    @api.post("/silences")
    async def add(request: Request) -> Response:
        """Keep news back for a while: ``{"reason", "until", "hazards", "regions", …}``."""
        person = await permit.need(request, context, "forecaster", "approver", "admin")
        wanted = await permit.read(request, _wanted, longest=LONGEST)
        _within(person, wanted)
        async with context.database.connection() as conn:
            now = await _now(conn, context)
            try:
                number = await silences.add(conn, wanted, owner=person.name, at=now)
            except SilenceError as error:
                raise Problem(422, f"{error}") from None
            await audit(
                conn,
                person=person,
                act="silence.add",
                subject=f"silence/{number}",
                detail=msgspec.to_builtins(wanted),
                at=context.wall.now(),
            )
        return Json({"id": number}, 201, headers=NOT_KEPT)

    @api.delete("/silences/{number}")
    async def lift(number: Number, request: Request) -> Response:
        """End a silence before its time."""
        person = await permit.need(request, context, "forecaster", "approver", "admin")
        async with context.database.connection() as conn:
            now = await _now(conn, context)
            if not await silences.lift(conn, number, by=person.name, at=now):
                raise Problem(404, f"no silence {number} that still holds")
            await audit(
                conn,
                person=person,
                act="silence.lift",
                subject=f"silence/{number}",
                detail={},
                at=context.wall.now(),
            )
        return Response(status_code=204)


def _within(person: Person, wanted: Wanted) -> None:
    """Raise Problem for somebody who silences what is none of the own regions."""
    if person.regions and not (wanted.regions and set(wanted.regions) <= set(person.regions)):
        own = ", ".join(person.regions)
        raise Problem(403, f"you may silence your own regions only, name them: {own}")


async def _now(conn: Connection, context: Context) -> dt.datetime:
    """Give the moment that is decided by: the event's in an exercise."""
    event = await exercise.read(conn)
    return context.clock.now() if event is None else event.time
