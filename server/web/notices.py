"""Interfaces to what was said: warnings, regions, the exercise phone, CAP documents."""

import datetime as dt
import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from alerts import regions
from alerts.life import board, incidents
from forecast.criteria import HAZARDS, LEVELS
from server.web import permit
from server.web.answers import GeoJson, Json, moment, one_of
from server.web.context import Context
from server.web.desk.views import view
from server.web.problems import Problem

_ALWAYS = dt.datetime(1900, 1, 1, tzinfo=dt.UTC)


def router(context: Context) -> APIRouter:
    """Give the routes."""
    api = APIRouter(tags=["warnings"])
    _warnings(api, context)
    _rest(api, context)
    return api


def _warnings(api: APIRouter, context: Context) -> None:
    """Add the routes of the events themselves."""

    @api.get("/api/v1/warnings")
    async def warning_list(
        request: Request,
        *,
        state: Annotated[str | None, Query(description="running or ended")] = None,
        hazard: str | None = None,
        region: str | None = None,
        level: str | None = None,
        ended_after: Annotated[str | None, Query(description="ISO 8601 with zone")] = None,
        limit: Annotated[int, Query(ge=1, le=board.MOST)] = 200,
    ) -> Response:
        """Give each event once: its present state, the evidence, and the chain of its messages.

        Those who are signed in also see exercises, who leads an event, and what they may do.
        """
        one_of(state, name="state", allowed=("running", "ended"))
        one_of(hazard, name="hazard", allowed=HAZARDS)
        one_of(level, name="level", allowed=LEVELS)
        after = moment(ended_after, name="ended_after", default=_ALWAYS)
        known = await permit.person(request, context)
        async with context.database.connection() as conn:
            found = await board.find(
                conn,
                running=None if state is None else state == "running",
                hazard=hazard,
                region=region,
                level=level,
                ended_after=after,
                exercises=context.live.exercise or known is not None,
                limit=limit,
            )
            if known is not None:
                seen = await view(conn, context, known)
                events = await incidents.find(conn, [item["id"] for item in found])
                for item in found:
                    item.update(incidents.life(events[item["id"]][0], view=seen))
        return Json({"time": context.live.now, "warnings": found})

    @api.get("/api/v1/warnings/{identifier}")
    async def one_warning(identifier: str, request: Request) -> Response:
        """Give one event; those who are signed in see it before it is published, too."""
        wanted, known = _uuid(identifier), await permit.person(request, context)
        shown: dict[str, Any] = {}
        async with context.database.connection() as conn:
            if wanted is not None and known is not None:
                seen = await view(conn, context, known)
                for warning, region in (await incidents.find(conn, [wanted])).values():
                    shown = {"messages": [], **incidents.resource(warning, region, view=seen)}
            if wanted is not None:
                exercises = context.live.exercise or known is not None
                for item in await board.find(conn, ids=[wanted], exercises=exercises):
                    shown.update(item)
        if not shown:
            raise Problem(404, f"no warning {identifier!r}")
        return Json(shown)


def _rest(api: APIRouter, context: Context) -> None:
    """Add the routes of places, texts and documents."""

    @api.get("/api/v1/regions")
    async def region_collection() -> Response:
        """Give the boundaries of the warned places, as GeoJSON."""
        async with context.database.connection() as conn:
            found = await regions.load(conn)
        features = [
            {
                "type": "Feature",
                "id": region.id,
                "properties": {
                    "zh": region.zh,
                    "en": region.en,
                    "population": region.population,
                    "sample": region.sample,
                },
                "geometry": region.boundary,
            }
            for region in found
        ]
        return GeoJson({"type": "FeatureCollection", "features": features})

    @api.get("/api/v1/phone")
    async def phone(
        request: Request,
        subscriber: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
        region: str | None = None,
        limit: Annotated[int, Query(ge=1, le=board.MOST)] = 100,
    ) -> Response:
        """Show the exercise phone: messages that never leave this machine.

        What a real centre practises is for those who are signed in.
        """
        if not context.live.exercise:
            await permit.need(request, context)
        async with context.database.connection() as conn:
            found = await board.phone(
                conn, seal=context.seal, subscriber=subscriber, region=region, limit=limit
            )
        return Json({"messages": found})

    @api.get("/cap/{identifier}.xml")
    async def cap(identifier: str) -> Response:
        """Give the CAP 1.2 document of a message, byte for byte as it was published."""
        wanted = _uuid(identifier)
        async with context.database.connection() as conn:
            found = await board.cap(conn, wanted) if wanted else None
        if found is None:
            raise Problem(404, f"no message {identifier!r}")
        # A published message never changes.
        kept = {"cache-control": "public, max-age=31536000, immutable"}
        return Response(found, media_type="application/cap+xml", headers=kept)


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
