"""Finding places that are warned, by name or by position."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from alerts import regions
from alerts.people.places import Places
from server.web.answers import Json
from server.web.context import Context
from server.web.problems import Problem


def router(context: Context) -> APIRouter:
    """Give the route."""
    api = APIRouter(tags=["warnings"])

    @api.get("/api/v1/places")
    async def places(
        *,
        q: Annotated[str, Query(max_length=100, description="part of a name")] = "",
        longitude: Annotated[float | None, Query(ge=-180, le=180)] = None,
        latitude: Annotated[float | None, Query(ge=-90, le=90)] = None,
    ) -> Response:
        """Give the places that a name could mean, or those at a position (degrees, WGS 84)."""
        async with context.database.connection() as conn:
            known = Places(await regions.load(conn))
        if longitude is not None and latitude is not None:
            found = known.at(longitude, latitude)
        elif q:
            found = known.search(q)
        else:
            raise Problem(400, "give q, or longitude and latitude")
        return Json({"places": [{"id": one.id, "zh": one.zh, "en": one.en} for one in found]})

    return api
