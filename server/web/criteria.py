"""Interfaces to the criteria: what is in force, its versions, and how a new one comes to be.

A version is written, tried on the stored readings, and put in force; each step is audited.
"""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from alerts.rights import Person, Role
from forecast.criteria import Book, CriteriaError
from server.accounts.audit import audit
from server.store import criteria
from server.store.connection import Connection
from server.store.criteria import Act, CriteriaRefusedError, Listed, Version
from server.web import permit, trials
from server.web.answers import Json, moment
from server.web.context import Context
from server.web.problems import Problem
from server.web.trials import NOT_KEPT, WRITERS, Note, Number, refused

_Signed = TypeVar("_Signed", Version, Listed, Act)

LONGEST = 1_048_576
"""Bytes of a request."""

ENACTORS: tuple[Role, ...] = ("approver", "admin")
"""Who may put a version in force."""


class _Text(msgspec.Struct, forbid_unknown_fields=True):
    text: str


class _Draft(_Text):
    note: Note = ""


class _Enact(msgspec.Struct, forbid_unknown_fields=True):
    note: Note = ""
    since: str | None = None
    force: bool = False


_text = msgspec.json.Decoder(_Text)
_draft = msgspec.json.Decoder(_Draft)
_enact = msgspec.json.Decoder(_Enact)


def router(context: Context) -> APIRouter:
    """Give the routes; names of people are shown to those who are signed in."""
    api = APIRouter(prefix="/api/v1/criteria", tags=["criteria"])
    _reading(api, context)
    _changing(api, context)
    trials.add(api, context)
    return api


def _reading(api: APIRouter, context: Context) -> None:
    """Add the routes that only show."""

    @api.get("")
    async def in_force(request: Request, region: str | None = None) -> Response:
        """Give the criteria in force now, who put them there, and why some are not live.

        With ``region``, those that count in that region today.
        """
        at = context.clock.now()
        hidden = await permit.person(request, context) is None
        try:
            async with context.database.connection() as conn:
                standing = await criteria.in_force(conn, context.settings, at=at)
        except CriteriaError as error:
            raise Problem(503, f"the criteria cannot be read: {error}") from None
        book, version = standing.book, standing.version
        shown = book.base if region is None else book.resolved(region, int(at.timestamp()))
        return Json(
            {
                "version": None if version is None else version.number,
                "digest": standing.digest,
                "author": None if version is None or hidden else version.author,
                "since": None if version is None else version.since,
                "enacted_by": None if version is None or hidden else version.enacted_by,
                "note": None if version is None else version.enacted_note,
                "until": standing.until,
                **msgspec.to_builtins(shown),
                "overrides": [msgspec.to_builtins(each) for each in book.overrides],
            }
        )

    @api.get("/versions")
    async def versions(
        request: Request,
        limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
        before: Annotated[int, Query(ge=1, lt=2**31)] = 2**31 - 1,
    ) -> Response:
        """Give the versions, the newest first, without their texts."""
        async with context.database.connection() as conn:
            found = await criteria.versions(conn, limit=limit, before=before)
        return Json({"versions": await _named(request, context, found)})

    @api.get("/versions/{number}")
    async def one(number: Number, request: Request) -> Response:
        """Give one version, with its text."""
        async with context.database.connection() as conn:
            found = await criteria.one(conn, number)
        if found is None:
            raise Problem(404, f"no version {number} of the criteria")
        return Json((await _named(request, context, [found]))[0])

    @api.get("/acts")
    async def acts(
        request: Request,
        version: Annotated[int | None, Query(ge=1, lt=2**31)] = None,
        limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    ) -> Response:
        """Give the audit: what was written, tried and put in force, the newest first."""
        async with context.database.connection() as conn:
            found = await criteria.acts(conn, version=version, limit=limit)
        return Json({"acts": await _named(request, context, found)})


def _changing(api: APIRouter, context: Context) -> None:
    """Add the routes that write, and the one that puts in force."""

    @api.post("/check")
    async def check(request: Request) -> Response:
        """Read ``{"text": …}`` and name its mistakes, with the line of each where there is one."""
        await permit.need(request, context, *WRITERS)
        text = (await permit.read(request, _text, longest=LONGEST)).text
        try:
            book = await asyncio.to_thread(Book, text, units=criteria.UNITS)
        except CriteriaError as error:
            errors = [{"line": each.line(text), "detail": str(each)} for each in error.every]
            return Json({"right": False, "errors": errors}, headers=NOT_KEPT)
        async with context.database.connection() as conn:
            missing = await criteria.unknown(conn, book)
        errors = [
            {"line": _line(text, name), "detail": f"no region {name!r} in the database"}
            for name in missing
        ]
        return Json({"right": not errors, "errors": errors}, headers=NOT_KEPT)

    @api.post("/versions")
    async def write(request: Request) -> Response:
        """Keep ``{"text", "note"}`` as a new version; it changes nothing yet."""
        by = await permit.need(request, context, *WRITERS)
        draft = await permit.read(request, _draft, longest=LONGEST)
        try:
            async with context.database.connection() as conn:
                found = await criteria.write(
                    conn,
                    text=draft.text,
                    author=by.name,
                    note=draft.note,
                    now=context.wall.now(),
                )
                await _record(conn, context, by, "written", found.number, digest=found.digest)
        except CriteriaError as error:
            errors = [{"line": each.line(draft.text), "detail": str(each)} for each in error.every]
            raise Problem(422, f"{error}", errors=errors) from None
        except CriteriaRefusedError as error:
            raise refused(context, error) from None
        where = f"/api/v1/criteria/versions/{found.number}"
        return Json(found, 201, headers={"location": where})

    @api.post("/versions/{number}/in-force")
    async def enact(number: Number, request: Request) -> Response:
        """Put a version that was tried in force: ``{"note", "since"}``.

        Without ``since`` at once. One that was never tried needs ``"force": true`` and a note.
        """
        by = await permit.need(request, context, *ENACTORS)
        asked = await permit.read(request, _enact, longest=LONGEST)
        present = context.clock.now()
        since = moment(asked.since, name="since", default=present)
        try:
            async with context.database.connection() as conn:
                await criteria.enact(
                    conn,
                    number,
                    author=by.name,
                    note=asked.note,
                    now=context.wall.now(),
                    since=since,
                    present=present,
                    force=asked.force,
                )
                detail = {"since": since, "force": asked.force, "note": asked.note}
                await _record(conn, context, by, "in_force", number, **detail)
        except CriteriaError as error:
            raise Problem(422, f"{error}") from None
        except CriteriaRefusedError as error:
            raise refused(context, error) from None
        return Json({"version": number, "since": since}, headers=NOT_KEPT)


async def _named(request: Request, context: Context, found: Sequence[_Signed]) -> Sequence[_Signed]:
    """Leave the authors out where nobody is signed in."""
    if await permit.person(request, context) is not None:
        return found
    return [msgspec.structs.replace(each, author="") for each in found]


async def _record(
    conn: Connection, context: Context, by: Person, act: str, number: int, **detail: Any
) -> None:
    subject, at = f"criteria/{number}", context.wall.now()
    await audit(conn, person=by, act=f"criteria.{act}", subject=subject, detail=detail, at=at)


def _line(text: str, name: str) -> int | None:
    lines = enumerate(text.splitlines(), start=1)
    return next((number for number, line in lines if f'"{name}"' in line), None)
