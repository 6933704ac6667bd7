"""Alerts of other offices beside our own: what stands, and how fresh each source is."""

import asyncio
import time
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from alerts import offices, regions
from alerts.cap.feed import TYPE
from alerts.offices import Source, Standing
from server.fetching import plain
from server.web import permit
from server.web.answers import Json
from server.web.context import Context
from server.web.problems import Problem

FRESH = 5.0
"""Seconds that one answer serves everybody: it is costly, and many may ask."""

LATE = 5
"""Looks without success after which a source is late."""

Number = Annotated[int, Path(ge=1, lt=2**63)]


def router(context: Context) -> APIRouter:
    """Give the routes."""
    api = APIRouter(prefix="/api/v1/offices", tags=["warnings"])
    read = Shelf(context)

    @api.get("")
    async def standing(request: Request) -> Response:
        """Give the alerts of other offices that stand, the newest first, and their sources.

        ``alerts`` are real and for everybody. Only for those who are signed in: ``exercises`` (and
        tests), ``closed`` (restricted or private), ``refused`` (the signature is not as it should
        be) and the sources' addresses.
        """
        known = await permit.person(request, context) is not None
        found, sources = await read.find()
        shown: dict[str, Any] = {name: found[name] for name in (_EVERY if known else ("alerts",))}
        now = context.wall.now()
        shown["sources"] = [_source(context, each, now, known=known) for each in sources]
        return Json(shown, headers={"cache-control": "no-store"})

    @api.get("/{number}.xml")
    async def document(number: Number, request: Request) -> Response:
        """Give an alert as it came."""
        known = await permit.person(request, context) is not None
        async with context.database.connection() as conn:
            xml = await offices.document(conn, number, every=known)
        if xml is None:
            raise Problem(404, f"no alert {number} of another office")
        # As a file: what somebody else wrote is not shown as a page of this site.
        headers = {"content-disposition": f'attachment; filename="{number}.xml"'}
        return Response(xml, media_type=TYPE, headers=headers)

    return api


_EVERY = ("alerts", "exercises", "closed", "refused")


class Shelf:
    """What stands, by how it is to be shown; found anew after a few seconds."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._turn = asyncio.Lock()
        self._found: tuple[dict[str, list[Standing]], list[Source]] = ({}, [])
        self._until = 0.0

    async def find(self) -> tuple[dict[str, list[Standing]], list[Source]]:
        """Give the alerts in their groups, and the sources."""
        async with self._turn:
            if time.monotonic() >= self._until:
                self._found = await self._look()
                self._until = time.monotonic() + FRESH
            return self._found

    async def _look(self) -> tuple[dict[str, list[Standing]], list[Source]]:
        async with self._context.database.connection() as conn:
            rows = await offices.standing(conn, now=self._context.wall.now())
            places = await regions.load(conn) if rows else []
            sources = await offices.sources(conn)
        found = await asyncio.to_thread(offices.touching, rows, places)
        groups: dict[str, list[Standing]] = {name: [] for name in _EVERY}
        for alert in found:
            groups[_group(alert)].append(alert)
        return groups, sources


def _group(alert: Standing) -> str:
    if not alert.accepted:
        return "refused"
    if alert.status != "Actual":
        return "exercises"
    return "alerts" if alert.scope == "Public" else "closed"


def _source(context: Context, source: Source, now: Any, *, known: bool) -> dict[str, Any]:
    since = source.succeeded or source.added
    shown: dict[str, Any] = {
        "id": source.id,
        "name": source.name,
        "looked": source.looked,
        "succeeded": source.succeeded,
        "late": (now - since).total_seconds() > LATE * source.every,
        "problem": None,
    }
    if known:
        shown |= {"url": plain(source.url), "every": source.every, "signed": bool(source.trust)}
    if source.problem is not None:
        shown["problem"] = {
            language: offices.sentence(source.problem, context.catalogue, language)
            for language in context.catalogue.languages
        } | {"key": source.problem["key"]}
    return shown
