"""Interfaces to what was said: warnings, regions, the exercise phone, CAP documents."""

import datetime as dt
import uuid
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from alerts import board, regions
from forecast.criteria import HAZARDS, LEVELS
from server.web.answers import GeoJson, Json, moment, one_of
from server.web.context import Context
from server.web.problems import Problem

_ALWAYS = dt.datetime(1900, 1, 1, tzinfo=dt.UTC)


def router(context: Context) -> APIRouter:
    """Give the routes."""
    api = APIRouter(tags=["warnings"])

    @api.get("/api/v1/warnings")
    async def warning_list(
        *,
        state: Annotated[str | None, Query(description="running or ended")] = None,
        hazard: str | None = None,
        region: str | None = None,
        level: str | None = None,
        ended_after: Annotated[str | None, Query(description="ISO 8601 with zone")] = None,
        limit: Annotated[int, Query(ge=1, le=board.MOST)] = 200,
    ) -> Response:
        """Give each event once: its present state, the evidence, and the chain of its messages."""
        one_of(state, name="state", allowed=("running", "ended"))
        one_of(hazard, name="hazard", allowed=HAZARDS)
        one_of(level, name="level", allowed=LEVELS)
        after = moment(ended_after, name="ended_after", default=_ALWAYS)
        async with context.database.connection() as conn:
            found = await board.find(
                conn,
                running=None if state is None else state == "running",
                hazard=hazard,
                region=region,
                level=level,
                ended_after=after,
                limit=limit,
            )
        return Json({"time": context.live.now, "warnings": found})

    @api.get("/api/v1/warnings/{identifier}")
    async def one_warning(identifier: str) -> Response:
        """Give one event."""
        wanted = _uuid(identifier)
        async with context.database.connection() as conn:
            found = await board.find(conn, ids=[wanted]) if wanted else []
        if not found:
            raise Problem(404, f"no warning {identifier!r}")
        return Json(found[0])

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
        subscriber: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
        region: str | None = None,
        limit: Annotated[int, Query(ge=1, le=board.MOST)] = 100,
    ) -> Response:
        """Show the exercise phone: messages that never leave this machine."""
        async with context.database.connection() as conn:
            found = await board.phone(conn, subscriber=subscriber, region=region, limit=limit)
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

    return api


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
